//! DECIDE: which cloud a node belongs to, what the Clearance says, and whether a pod is where it may be. Pure.

mod clear;
mod facts;
mod judge;
mod recognise;

pub use clear::{Clearing, Facts, LevelRule, clear, epoch, node_labels};
pub use facts::{DaemonSetFacts, NamespaceFacts, NodeFacts, Owner, PodFacts};
pub use judge::{Verdict, Why, judge};
pub use recognise::{Belonging, Perimeters};
