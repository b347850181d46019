//! What a plan consists of: writes, each of which stands alone, in the order in which they are made.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::api::ClearanceSpec;
use crate::api::conditions::DEEDS;
use crate::api::reasons::Reason;
use crate::guard::{AdmissionObject, Kind, WEBHOOK};
use crate::plan::snapshot::Versions;

/// What to do now, and when to look again.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Writes, restrictions first.
    pub steps: Vec<Step>,
    /// The Clearance as it should be.
    pub clearance: ClearanceSpec,
    /// Digest of the policies as they should be.
    pub policies: String,
    /// What an API server that uses all policies and bindings says; none while there are some to write.
    pub epoch: Option<Epoch>,
    /// Whether the Clearance and every policy and binding are in place as they should be.
    pub guarded: bool,
    /// Whether the webhook configuration is in place as it should be; never where mutating policies are served.
    pub webhook: bool,
    /// The next instant at which this plan may change by itself.
    pub wake_at: Option<Timestamp>,
    /// Numbers for the metrics.
    pub summary: Summary,
}

/// A state of all policies and bindings that an API server can be asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// Its name.
    pub name: String,
    /// What it stands for.
    pub versions: Versions,
}

/// Numbers about the state that a plan found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Objects of ours as their statuses stand, by kind, condition and its status: each that there may be, and 0 where none is so.
    pub objects: BTreeMap<(&'static str, &'static str, &'static str), usize>,
    /// Cleared nodes by level.
    pub nodes: BTreeMap<String, usize>,
    /// Pods by level: compliant, violating, unplaced.
    pub pods: BTreeMap<String, [usize; 3]>,
    /// Claims by level: compliant, violating, on no volume that is known.
    pub claims: BTreeMap<String, [usize; 3]>,
    /// Pods by level that ask for a cleared node, and for which the scheduler finds none.
    pub unschedulable: BTreeMap<String, usize>,
    /// Instant until which each level is accepted.
    pub not_after: BTreeMap<String, Timestamp>,
    /// Last instant of the best qualification of each cloud.
    pub qualified_until: BTreeMap<String, Timestamp>,
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Say what is cleared.
    WriteClearance(Box<ClearanceSpec>),
    /// Write a policy or binding.
    WriteAdmission(AdmissionObject),
    /// Remove a policy or binding for which another is in use: delete it, or let it go if somebody has deleted it.
    RetireAdmission {
        /// Kind.
        kind: Kind,
        /// Name.
        name: String,
        /// Uid.
        uid: String,
        /// Whether it has been deleted, and only our finalizer keeps it.
        deleted: bool,
    },
    /// Write the webhook configuration.
    WriteWebhook(Value),
    /// Delete the webhook configuration, which mutating policies have replaced.
    DeleteWebhook {
        /// Uid.
        uid: String,
    },
    /// Set and remove (`None`) labels of a node.
    LabelNode(Relabel),
    /// Set and remove labels of a namespace.
    LabelNamespace(Relabel),
    /// Write a StorageClass of a cloud.
    WriteStorageClass {
        /// Name.
        name: String,
        /// The object.
        object: Value,
        /// The one that is there.
        replaces: Option<Replaced>,
    },
    /// Delete a StorageClass that the operator wrote and that no cloud names any more.
    DeleteStorageClass {
        /// Name.
        name: String,
        /// Uid.
        uid: String,
    },
    /// Leave no claim of a namespace to these classes.
    WriteQuota {
        /// Namespace.
        namespace: String,
        /// `spec.hard`.
        hard: BTreeMap<String, String>,
    },
    /// Delete the quota of a namespace that has no level any more.
    DeleteQuota {
        /// Namespace.
        namespace: String,
        /// Uid.
        uid: String,
    },
    /// Set the finalizers of a level.
    HoldLevel {
        /// Name.
        name: String,
        /// Resource version that the list was read from.
        resource_version: String,
        /// All finalizers it should have.
        finalizers: Vec<String>,
    },
    /// Have the API server look at a DaemonSet again, so that its template gets the selector.
    TouchDaemonSet {
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
        /// Uid.
        uid: String,
        /// The levels it is touched for.
        levels: String,
    },
    /// Delete a pod that waits without its selector, so that its controller makes it again with it.
    ReplacePod {
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
        /// Uid.
        uid: String,
    },
    /// Say what was found.
    WriteStatus {
        /// Kind, one of ours.
        kind: &'static str,
        /// Namespace, if the kind has one.
        namespace: Option<String>,
        /// Name.
        name: String,
        /// Uid: what is said of one object is not said of another that has its name later.
        uid: Option<String>,
        /// The whole status.
        status: Value,
        /// What changed, for people.
        notices: Vec<Notice>,
    },
}

/// A StorageClass that is written anew. Most of its fields cannot be changed, so that another one may have to take its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// Its uid.
    pub uid: String,
    /// Whether it is the class of claims that name none: that is somebody's choice, and stays.
    pub default: bool,
}

/// Labels to set and to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relabel {
    /// Name of the object.
    pub name: String,
    /// Its uid: an object that came back under the same name is another one.
    pub uid: String,
    /// Values; none removes the label.
    pub labels: BTreeMap<String, Option<String>>,
}

/// Something that users should hear of, as an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether it is a warning.
    pub warning: bool,
    /// Reason, one word.
    pub reason: Reason,
    /// Sentence.
    pub note: String,
}

impl Notice {
    /// Of something that the operator did.
    pub fn deed(reason: Reason, note: String) -> Self {
        let found = DEEDS.iter().find(|(deed, _)| *deed == reason);
        debug_assert!(found.is_some(), "{reason:?} is not in the table of deeds");
        Self { warning: found.is_some_and(|(_, warns)| *warns), reason, note }
    }
}

impl Step {
    /// What it writes, for logs and for counting failures: `Node/snc-1 +`.
    pub fn key(&self) -> String {
        match self {
            Self::WriteClearance(_) => "Clearance/cluster".to_owned(),
            Self::WriteAdmission(object) => object.key(),
            Self::RetireAdmission { kind, name, .. } => format!("{}/{name} -", kind.as_str()),
            Self::WriteWebhook(_) => format!("MutatingWebhookConfiguration/{WEBHOOK}"),
            Self::DeleteWebhook { .. } => format!("MutatingWebhookConfiguration/{WEBHOOK} -"),
            Self::LabelNode(relabel) if relabel.removes() => format!("Node/{} -", relabel.name),
            Self::LabelNode(relabel) => format!("Node/{} +", relabel.name),
            Self::LabelNamespace(relabel) => format!("Namespace/{}", relabel.name),
            Self::WriteStorageClass { name, .. } => format!("StorageClass/{name}"),
            Self::DeleteStorageClass { name, .. } => format!("StorageClass/{name} -"),
            Self::WriteQuota { namespace, .. } => format!("ResourceQuota/{namespace}"),
            Self::DeleteQuota { namespace, .. } => format!("ResourceQuota/{namespace} -"),
            Self::HoldLevel { name, .. } => format!("SensitivityLevel/{name} finalizers"),
            Self::TouchDaemonSet { namespace, name, .. } => format!("DaemonSet/{namespace}/{name}"),
            Self::ReplacePod { namespace, name, .. } => format!("Pod/{namespace}/{name}"),
            Self::WriteStatus { kind, namespace: Some(namespace), name, .. } => format!("{kind}/{namespace}/{name} status"),
            Self::WriteStatus { kind, name, .. } => format!("{kind}/{name} status"),
        }
    }

    /// The place in the order of writes: what restricts comes first; what permits waits for it (enforcement.md, "Order of writes").
    pub fn phase(&self) -> Phase {
        match self {
            Self::WriteClearance(_) => Phase::Clearance,
            Self::LabelNode(relabel) if relabel.removes() => Phase::Restrict,
            Self::WriteAdmission(object) if object.kind.is_policy() => Phase::Policies,
            Self::WriteAdmission(_) | Self::WriteWebhook(_) => Phase::Bindings,
            Self::LabelNamespace(_) => Phase::Namespaces,
            Self::WriteQuota { .. } => Phase::Quotas,
            Self::WriteStorageClass { .. }
            | Self::DeleteStorageClass { .. }
            | Self::DeleteQuota { .. }
            | Self::LabelNode(_)
            | Self::TouchDaemonSet { .. }
            | Self::ReplacePod { .. }
            | Self::HoldLevel { .. } => Phase::Permit,
            Self::RetireAdmission { .. } | Self::DeleteWebhook { .. } => Phase::Retire,
            Self::WriteStatus { .. } => Phase::Report,
        }
    }
}

/// The order of writes. Everything in a phase may be written at once; a phase begins when the one before is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The one object of data.
    Clearance,
    /// Labels off nodes.
    Restrict,
    /// Policies.
    Policies,
    /// Their bindings, and the webhook configuration.
    Bindings,
    /// Levels and marks on namespaces.
    Namespaces,
    /// Quotas, the second lock of claims.
    Quotas,
    /// What lets pods in; left out when the Clearance could not be written.
    Permit,
    /// Policies and bindings that are no longer needed.
    Retire,
    /// Statuses and events.
    Report,
}

impl Relabel {
    /// The difference between the labels found and those wanted, among the keys that `ours` accepts; none if there is none.
    pub fn between(
        found: &BTreeMap<String, String>,
        wanted: &BTreeMap<String, String>,
        ours: impl Fn(&str) -> bool,
    ) -> (BTreeMap<String, Option<String>>, BTreeMap<String, Option<String>>) {
        let off = found.keys().filter(|key| ours(key) && !wanted.contains_key(*key)).map(|key| (key.clone(), None)).collect();
        let on = wanted
            .iter()
            .filter(|(key, value)| found.get(*key) != Some(*value))
            .map(|(key, value)| (key.clone(), Some(value.clone())))
            .collect();
        (off, on)
    }

    fn removes(&self) -> bool {
        self.labels.values().any(Option::is_none)
    }
}
