//! What was read of the cluster, as one immutable value.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};

use crate::api::{Clearance, DataDeclaration, SensitivityLevel, TrustedCloud};
use crate::guard::{Grants, Kind, Reach};
use crate::placement::{
    AttachmentFacts, ClaimFacts, ClassFacts, DaemonSetFacts, NamespaceFacts, NodeFacts, PodFacts, QuotaFacts, VolumeFacts,
};

/// Objects by name, or by `namespace/name`. Cheap to clone: a snapshot shares its tables with the next one.
pub type Table<T> = Arc<BTreeMap<String, Arc<T>>>;

/// An object of ours, or what can still be said of one that cannot be read.
pub type Read<K> = Result<K, Box<Malformed>>;

/// What was read of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Trusted clouds.
    pub clouds: Table<Read<TrustedCloud>>,
    /// Sensitivity levels.
    pub levels: Table<Read<SensitivityLevel>>,
    /// Declarations, by `namespace/name`.
    pub declarations: Table<Read<DataDeclaration>>,
    /// The Clearance in force, under its name.
    pub clearances: Table<Read<Clearance>>,
    /// Namespaces.
    pub namespaces: Table<NamespaceFacts>,
    /// Nodes.
    pub nodes: Table<NodeFacts>,
    /// Pods, by `namespace/name`.
    pub pods: Table<PodFacts>,
    /// DaemonSets, by `namespace/name`.
    pub daemon_sets: Table<DaemonSetFacts>,
    /// StorageClasses.
    pub storage_classes: Table<ClassFacts>,
    /// VolumeSnapshotClasses; none where snapshots are not served.
    pub snapshot_classes: Table<ClassFacts>,
    /// VolumeAttributesClasses.
    pub attributes_classes: Table<ClassFacts>,
    /// PersistentVolumeClaims, by `namespace/name`.
    pub claims: Table<ClaimFacts>,
    /// PersistentVolumes.
    pub volumes: Table<VolumeFacts>,
    /// VolumeAttachments.
    pub attachments: Table<AttachmentFacts>,
    /// ResourceQuotas of the operator's, by `namespace/name`.
    pub quotas: Table<QuotaFacts>,
    /// Admission policies and bindings of ours, by `Kind/name`.
    pub admission: Table<Stored>,
    /// The webhook configuration of ours, by its name.
    pub webhooks: Table<StoredWebhook>,
    /// Certificate authorities of the replicas' webhooks, in PEM, by the `namespace/name` of what publishes them.
    pub authorities: Table<Vec<String>>,
    /// Policies and bindings, by `Kind/name`, in the version in which every API server that could be asked was last seen to use
    /// them.
    pub in_use: Versions,
    /// Whether an API server could not be asked for that: what is no longer needed stays meanwhile.
    pub unasked: bool,
    /// Who and where the operator is.
    pub host: Host,
    /// What the last probe found.
    pub probe: Option<Probe>,
    /// Writes that failed last time, by key, and what the API server said.
    pub failures: BTreeMap<String, String>,
    /// Kinds whose watch is broken: what is known of them may be old.
    pub stale: Vec<&'static str>,
}

/// An admission policy or binding as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Which of the four kinds.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its whole `spec`.
    pub spec: serde_json::Value,
    /// Which object and which state of it.
    pub version: Version,
    /// Whether our finalizer keeps it.
    pub held: bool,
    /// Whether it has been deleted. While a finalizer keeps it, it is still in force.
    pub deleting: bool,
}

/// A webhook configuration as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredWebhook {
    /// Uid.
    pub uid: String,
    /// Its whole `webhooks`.
    pub webhooks: serde_json::Value,
    /// Whether it is being deleted.
    pub deleting: bool,
}

/// Tells an object from another of its name, and its spec from what it was before.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Uid.
    pub uid: String,
    /// Generation.
    pub generation: i64,
}

/// Versions of objects, by key.
pub type Versions = BTreeMap<String, Version>;

/// Who and where the operator is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its user name, as SelfSubjectReview says.
    pub user: String,
    /// Its namespace.
    pub namespace: String,
    /// Whether the API server serves MutatingAdmissionPolicy v1.
    pub mutates: bool,
    /// Where API servers reach the webhook that does what mutating policies would do; none: it is switched off.
    pub webhook: Option<Reach>,
    /// Other users that may label nodes with clearances.
    pub node_labelers: Vec<String>,
    /// What becomes of roles and bindings that lead around placement.
    pub grants: Grants,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            user: "system:serviceaccount:rempart-system:rempart".to_owned(),
            namespace: "rempart-system".to_owned(),
            mutates: true,
            webhook: None,
            node_labelers: Vec::new(),
            grants: Grants::default(),
        }
    }
}

/// What a probe found: whether the API server refuses what it must refuse, and lets pass what it must let pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Digest of the policies that were in place.
    pub policies: String,
    /// What was found.
    pub outcome: Outcome,
    /// Whether the webhook was seen to add a selector.
    pub adds: bool,
}

/// The outcome of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Refused what it must refuse, let pass what it must let pass: the text says who did.
    Holds(String),
    /// Let something pass that it must refuse: the text says what.
    Open(String),
    /// Could not be found out: the text says why.
    Unclear(String),
}

/// An object of ours that does not have the form of its kind, such as one stored under an older schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Malformed {
    /// Its metadata, which always has its form.
    pub metadata: ObjectMeta,
    /// Conditions of its status, as far as they can be read.
    pub conditions: Vec<Condition>,
    /// What is wrong.
    pub error: String,
}

impl Snapshot {
    /// The Clearance in force.
    pub fn clearance(&self) -> Option<&Clearance> {
        self.clearances.get(crate::api::names::CLEARANCE)?.as_ref().as_ref().ok()
    }
}
