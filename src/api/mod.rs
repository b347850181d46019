//! WORDS: the kinds as Rust types, and every name and reason that appears in a cluster.

#![allow(unreachable_pub, reason = "KubeSchema repeats each struct inside a function")]

pub mod clearance;
pub mod conditions;
mod crds;
pub mod data_declaration;
pub mod names;
pub mod qualification;
pub mod reasons;
pub mod sensitivity_level;
pub mod storage;
pub mod trusted_cloud;
pub mod values;

pub use clearance::{Clearance, ClearanceSpec, LevelClearance};
pub use crds::crds;
pub use data_declaration::{DataDeclaration, DataDeclarationSpec, DataDeclarationStatus};
pub use sensitivity_level::{SensitivityLevel, SensitivityLevelSpec, SensitivityLevelStatus};
pub use trusted_cloud::{TrustedCloud, TrustedCloudSpec, TrustedCloudStatus};

/// Dates end at 24:00 here unless an object says otherwise.
fn default_time_zone() -> String {
    "Europe/Paris".to_owned()
}

/// Value of `observedGeneration` that no object has: a new one must not look current (kstatus).
fn never_observed() -> i64 {
    -1
}
