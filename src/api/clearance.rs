//! `Clearance`: the one object of data that the policies read.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// Which clouds are cleared for which levels now, which nodes and storage classes are whose, and until when.
/// One object named `cluster`, written by the operator alone. Maps have defaults, so that no policy meets an absent
/// field, and are atomic, because `managedFields` would double the object.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "rempart.dev", version = "v1alpha1", kind = "Clearance", plural = "clearances",
    shortname = "clr", category = "rempart", derive = "PartialEq", derive = "Default",
    doc = "The parameter of Rempart's policies: which clouds are cleared for which levels now. Written by the operator alone.",
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = kube::core::Rule::new("self.metadata.name == 'cluster'").message("there is one Clearance, named cluster"),
)]
#[serde(rename_all = "camelCase")]
pub struct ClearanceSpec {
    /// Every level there is.
    #[serde(default)]
    #[x_kube(merge_strategy = kube::core::MapMerge::Atomic)]
    pub levels: BTreeMap<String, LevelClearance>,
    /// Cloud to the levels that it is cleared for now.
    #[serde(default)]
    #[x_kube(merge_strategy = kube::core::MapMerge::Atomic)]
    pub clouds: BTreeMap<String, Vec<String>>,
    /// Node to cloud.
    #[serde(default)]
    #[x_kube(merge_strategy = kube::core::MapMerge::Atomic)]
    pub nodes: BTreeMap<String, String>,
    /// Namespace to level.
    #[serde(default)]
    #[x_kube(merge_strategy = kube::core::MapMerge::Atomic)]
    pub namespaces: BTreeMap<String, String>,
    /// Storage class to cloud.
    #[serde(default)]
    #[x_kube(merge_strategy = kube::core::MapMerge::Atomic)]
    pub storage_classes: BTreeMap<String, String>,
    /// Volume snapshot class to cloud.
    #[serde(default)]
    #[x_kube(merge_strategy = kube::core::MapMerge::Atomic)]
    pub volume_snapshot_classes: BTreeMap<String, String>,
    /// Volume attributes class to cloud.
    #[serde(default)]
    #[x_kube(merge_strategy = kube::core::MapMerge::Atomic)]
    pub volume_attributes_classes: BTreeMap<String, String>,
}

impl ClearanceSpec {
    /// Whether this cloud is cleared for this level.
    pub fn clears(&self, cloud: &str, level: &str) -> bool {
        self.clouds.get(cloud).is_some_and(|levels| levels.iter().any(|cleared| cleared == level))
    }
}

/// What the policies need of a level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LevelClearance {
    /// The API server accepts nothing new of this level from then on. Whole seconds, UTC: policies read it as text.
    #[schemars(regex(pattern = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$"))]
    pub not_after: Timestamp,
    /// Storage class of a claim whose author named none.
    #[serde(default)]
    pub when_unset: String,
    /// User names of schedulers, beside kube-scheduler, that may bind.
    #[serde(default)]
    pub schedulers: Vec<String>,
    /// CSI drivers allowed as inline volumes.
    #[serde(default)]
    pub inline_drivers: Vec<String>,
}
