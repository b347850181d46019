//! What is read of the objects of Kubernetes: a few fields each, because there are many of them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use serde_json::Value;

use crate::api::names::{DECLARED, SENSITIVITY, clearance_label, level_of_label};

/// A Node. Its name is a promise of nobody: the uid says whether it is still the same one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFacts {
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: String,
    /// `spec.providerID`, set by the cloud's own controller or by the kubelet.
    pub provider_id: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

impl NodeFacts {
    /// Levels that its labels show, wherever those come from.
    pub fn labelled_levels(&self) -> impl Iterator<Item = &str> {
        self.labels.keys().filter_map(|key| level_of_label(key))
    }
}

/// A Namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceFacts {
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it is being deleted.
    pub deleting: bool,
}

impl NamespaceFacts {
    /// Its sensitivity level: a name that need not exist.
    pub fn level(&self) -> Option<&str> {
        self.labels.get(SENSITIVITY).map(String::as_str)
    }

    /// Whether it carries the mark of a namespace that holds a declaration.
    pub fn is_marked(&self) -> bool {
        self.labels.contains_key(DECLARED)
    }
}

/// The controller of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Kind, such as `ReplicaSet`.
    pub kind: String,
    /// Name.
    pub name: String,
}

/// A Pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodFacts {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The node it is bound to.
    pub node: Option<String>,
    /// Levels whose clearance its `nodeSelector` asks for.
    pub selects: Vec<String>,
    /// The controller that would make it again.
    pub controller: Option<Owner>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Why the scheduler finds no node for it.
    pub unschedulable: Option<Unschedulable>,
    /// Whether its containers have ended for good.
    pub finished: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
}

/// What the scheduler says of a pod that it finds no node for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unschedulable {
    /// Since when.
    pub since: Timestamp,
    /// Its message.
    pub why: String,
}

impl PodFacts {
    /// The level that the pod itself carries.
    pub fn level(&self) -> Option<&str> {
        self.labels.get(SENSITIVITY).map(String::as_str)
    }

    /// Whether its `nodeSelector` asks for the clearance of `level`.
    pub fn asks_for(&self, level: &str) -> bool {
        self.selects.iter().any(|selected| selected == level)
    }

    /// Whether all of `wanted` are among its labels.
    pub fn has_labels<'a>(&self, wanted: impl IntoIterator<Item = (&'a str, &'a str)>) -> bool {
        wanted.into_iter().all(|(key, value)| self.labels.get(key).is_some_and(|found| found == value))
    }
}

/// A DaemonSet: its controller makes a pod per node that its template selects, so the template itself must carry the selector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DaemonSetFacts {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: String,
    /// `nodeSelector` of its template.
    pub selector: BTreeMap<String, String>,
    /// What the operator last touched it for.
    pub touched_for: Option<String>,
    /// Whether it is being deleted.
    pub deleting: bool,
}

impl DaemonSetFacts {
    /// Whether its template asks for the clearance of `level`.
    pub fn selects(&self, level: &str) -> bool {
        self.selector.contains_key(&clearance_label(level))
    }
}

/// A StorageClass, VolumeSnapshotClass or VolumeAttributesClass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassFacts {
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: String,
    /// Its `provisioner`, `driver` or `driverName`.
    pub driver: String,
    /// The cloud that the operator wrote it for; none if the operator did not.
    pub written_for: Option<String>,
    /// Whether it is the class of claims that name none.
    pub default: bool,
    /// Everything but its metadata. Kept of StorageClasses only.
    pub body: Value,
}

/// A PersistentVolumeClaim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimFacts {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Its class, as Kubernetes reads it: the old annotation before the field.
    pub class: Option<String>,
    /// Name of the volume that it is bound to.
    pub volume: Option<String>,
    /// Bytes that it has, or asks for while it is not bound.
    pub bytes: u64,
    /// When it was made.
    pub created: Option<Timestamp>,
}

/// A PersistentVolume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeFacts {
    /// Its class.
    pub class: Option<String>,
    /// Its driver: that of its source if it is of CSI, otherwise the provisioner that says that it made it.
    pub driver: Option<String>,
    /// The cloud that each of its node affinity terms requires.
    pub pinned: Option<String>,
}

/// A VolumeAttachment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttachmentFacts {
    /// Name of the volume.
    pub volume: String,
    /// Name of the node.
    pub node: String,
}

/// A ResourceQuota of the operator's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuotaFacts {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: String,
    /// `spec.hard`.
    pub hard: BTreeMap<String, String>,
    /// Whether it is scoped, and so does not count everything.
    pub scoped: bool,
}
