//! DECIDE: which cloud a node belongs to, what the Clearance says, and whether a pod is where it may be. Pure.

mod classes;
mod clear;
mod facts;
mod judge;
mod recognise;

pub use classes::{ClassStanding, Classes, Found as FoundClasses, closed_to, storage_class};
pub use clear::{Clearing, Facts, LevelRule, clear, epoch, node_labels};
pub use facts::{
    AttachmentFacts, ClaimFacts, ClassFacts, DaemonSetFacts, NamespaceFacts, NodeFacts, Owner, PodFacts, QuotaFacts, Unschedulable,
    VolumeFacts,
};
pub use judge::{Held, Verdict, Why, judge, judge_claim};
pub use recognise::{Belonging, Perimeters};
