//! The policies, filled in.
//!
//! Some things differ from cluster to cluster: the operator's user name, its namespace, who else may label nodes, which levels
//! are not enforced, which withhold tokens, whether grants are judged, and what of the storage must stand in the text. Each but the grants replaces a
//! literal that the YAML holds for it, so neither the number nor the shape of the objects grows with it; what is about levels of which there are none
//! is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::literals::{Literals, quoted};
use crate::api::names::NO_LEVEL;

/// What is filled in. The default is what the YAML says as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// User name of the operator, as `SelfSubjectReview` says it.
    pub operator: String,
    /// Namespace of the operator: like those of the system, it has no level and is judged by none of the policies.
    pub namespace: String,
    /// User names that may set clearance labels and our taints on nodes, beside the operator.
    pub node_labelers: Vec<String>,
    /// What becomes of roles and bindings that lead around placement.
    pub grants: Grants,
    /// Levels with `enforcement: Audit`.
    pub audit: BTreeSet<String>,
    /// Levels with `enforcement: Warn`.
    pub warn: BTreeSet<String>,
    /// Levels with `credentials: Withhold` that are enforced.
    pub withheld: BTreeSet<String>,
    /// User names of the schedulers of enforced levels, beside kube-scheduler.
    pub schedulers: BTreeSet<String>,
    /// Storage class to cloud: every class of a trusted cloud.
    pub classes: BTreeMap<String, String>,
    /// Snapshot classes of trusted clouds: of volumes and of groups of volumes, by name alone.
    pub snapshot_classes: BTreeSet<String>,
    /// Volume attributes classes of trusted clouds.
    pub attributes_classes: BTreeSet<String>,
    /// Volume attributes class to cloud: those that are as they should be.
    pub attributes_clouds: BTreeMap<String, String>,
    /// Cloud to the enforced levels that it is cleared for now.
    pub cleared: BTreeMap<String, BTreeSet<String>>,
    /// Provisioners and CSI drivers of trusted clouds.
    pub drivers: BTreeSet<String>,
    /// Those of them whose volumes nobody without the verb `provision` may make by hand, or use inline.
    pub exclusive_drivers: BTreeSet<String>,
    /// Storage classes whose provisioner names volumes otherwise than `pvc-<uid>`.
    pub named_otherwise: BTreeSet<String>,
    /// Namespace to level: those of enforced levels.
    pub namespaces: BTreeMap<String, String>,
    /// Enforced levels with `storage.staticVolumes: Cleared`.
    pub static_levels: BTreeSet<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            operator: OPERATOR.to_owned(),
            namespace: NAMESPACE.to_owned(),
            node_labelers: Vec::new(),
            grants: Grants::default(),
            audit: BTreeSet::new(),
            warn: BTreeSet::new(),
            withheld: BTreeSet::new(),
            schedulers: BTreeSet::new(),
            classes: BTreeMap::new(),
            snapshot_classes: BTreeSet::new(),
            attributes_classes: BTreeSet::new(),
            attributes_clouds: BTreeMap::new(),
            cleared: BTreeMap::new(),
            drivers: BTreeSet::new(),
            exclusive_drivers: BTreeSet::new(),
            named_otherwise: BTreeSet::new(),
            namespaces: BTreeMap::new(),
            static_levels: BTreeSet::new(),
        }
    }
}

/// What becomes of roles and role bindings that lead around placement (`85-grants.yaml`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Grants {
    /// Nobody is told.
    Off,
    /// Whoever writes them is warned, and the audit log says so.
    #[default]
    Warn,
    /// They are refused.
    Enforce,
}

/// One object of `admissionregistration.k8s.io/v1`.
#[derive(Clone, Debug, PartialEq)]
pub struct AdmissionObject {
    /// Which of the four kinds.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The whole object.
    pub object: Value,
}

impl AdmissionObject {
    /// Kind and name: `ValidatingAdmissionPolicy/rempart-pod`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.kind.as_str(), self.name)
    }
}

/// The kinds, in the order in which they are to be written: a policy before what binds it, and what adds the selector
/// before what demands it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `ValidatingAdmissionPolicy`.
    ValidatingPolicy,
    /// `MutatingAdmissionPolicy`: comfort, not the boundary, and not served by every API server.
    MutatingPolicy,
    /// `MutatingAdmissionPolicyBinding`.
    MutatingBinding,
    /// `ValidatingAdmissionPolicyBinding`.
    ValidatingBinding,
}

impl Kind {
    /// All of them, in the order of writing.
    pub const ALL: [Self; 4] = [Self::ValidatingPolicy, Self::MutatingPolicy, Self::MutatingBinding, Self::ValidatingBinding];

    /// The name of the resource, as in a URL.
    pub fn plural(self) -> &'static str {
        match self {
            Self::ValidatingPolicy => "validatingadmissionpolicies",
            Self::MutatingPolicy => "mutatingadmissionpolicies",
            Self::MutatingBinding => "mutatingadmissionpolicybindings",
            Self::ValidatingBinding => "validatingadmissionpolicybindings",
        }
    }

    /// Whether it is a policy; otherwise it is a binding.
    pub fn is_policy(self) -> bool {
        matches!(self, Self::ValidatingPolicy | Self::MutatingPolicy)
    }

    /// The kind of the policy: of what is bound, for a binding.
    #[must_use]
    pub fn policy(self) -> Self {
        if self.is_mutating() { Self::MutatingPolicy } else { Self::ValidatingPolicy }
    }

    /// Whether it is of the half that API servers before 1.36 do not serve as v1.
    pub fn is_mutating(self) -> bool {
        matches!(self, Self::MutatingPolicy | Self::MutatingBinding)
    }

    /// The `kind` field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ValidatingPolicy => "ValidatingAdmissionPolicy",
            Self::MutatingPolicy => "MutatingAdmissionPolicy",
            Self::MutatingBinding => "MutatingAdmissionPolicyBinding",
            Self::ValidatingBinding => "ValidatingAdmissionPolicyBinding",
        }
    }
}

/// Every object that guards a cluster, in the order of writing.
pub fn policies(settings: &Settings) -> Vec<AdmissionObject> {
    with_data(&constant_text(settings), settings)
}

/// The objects of [`constant_text`], filled in with what of the fleet must stand in them.
pub fn with_data(text: &[AdmissionObject], settings: &Settings) -> Vec<AdmissionObject> {
    let fleet = Literals::of(settings);
    let filled = text.iter().map(|object| {
        let mut object = object.clone();
        fleet.fill_in(&mut object.object);
        object
    });
    filled.collect()
}

/// The same with nothing of the fleet in it: this changes with the version and the settings of the operator, and with its levels, but
/// not with clouds, classes and namespaces.
pub fn constant_text(settings: &Settings) -> Vec<AdmissionObject> {
    let literals = literals(settings);
    let mut objects = Vec::new();
    for item in SOURCE.iter() {
        let mut item = item.clone();
        literals.fill_in(&mut item);
        if is_bound_to_grants(&item) {
            match settings.grants {
                Grants::Off => continue,
                Grants::Warn => {}
                Grants::Enforce => item["spec"]["validationActions"] = json!(["Deny", "Audit"]),
            }
        }
        objects.push(item);
    }
    let copies: Vec<Value> = objects.iter().flat_map(|policy| levels::reports_on_unenforced(policy, &objects, settings)).collect();
    objects.extend(copies);
    let mut objects: Vec<AdmissionObject> = objects.into_iter().map(finished).collect();
    levels::leave_out_what_selects_nothing(&mut objects);
    objects.sort_by(|a, b| a.kind.cmp(&b.kind).then_with(|| a.name.cmp(&b.name)));
    objects
}

/// Tells two sets apart: `sha256:` and the hash of every object in its order.
pub fn digest(objects: &[AdmissionObject]) -> String {
    let mut hash = Sha256::new();
    for object in objects {
        hash.update(object.object.to_string());
        hash.update("\n");
    }
    hash.finalize().iter().fold("sha256:".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The operator's user name in the YAML.
const OPERATOR: &str = "system:serviceaccount:rempart-system:rempart";
/// Who binds pods everywhere.
const SCHEDULER: &str = "system:kube-scheduler";
/// Stands in the YAML for the levels that withhold tokens.
const NONE_WITHHELD: &str = "rempart-withheld";
/// The operator's namespace in the YAML.
const NAMESPACE: &str = "rempart-system";

const FILES: [&str; 13] = [
    include_str!("policies/10-pod-selector.yaml"),
    include_str!("policies/11-declared.yaml"),
    include_str!("policies/20-pod-create.yaml"),
    include_str!("policies/21-pod-update.yaml"),
    include_str!("policies/30-bind.yaml"),
    include_str!("policies/40-namespace.yaml"),
    include_str!("policies/45-declaration.yaml"),
    include_str!("policies/50-node.yaml"),
    include_str!("policies/60-claim.yaml"),
    include_str!("policies/61-volume.yaml"),
    include_str!("policies/70-token.yaml"),
    include_str!("policies/80-self.yaml"),
    include_str!("policies/85-grants.yaml"),
];

/// The objects as the files have them.
static SOURCE: LazyLock<Vec<Value>> = LazyLock::new(|| FILES.into_iter().flat_map(items).collect());

/// The objects of a file.
pub(super) fn items(file: &str) -> Vec<Value> {
    #[derive(Deserialize)]
    struct List {
        items: Vec<Value>,
    }
    serde_saphyr::from_str::<List>(file).expect("the files are in the binary, and a test reads them").items
}

fn is_bound_to_grants(object: &Value) -> bool {
    object["spec"]["policyName"].as_str().is_some_and(|policy| policy.starts_with("rempart-grants"))
}

/// What of the settings stands in the text, between single quotes in expressions, and in lists.
pub(super) fn literals(settings: &Settings) -> Literals {
    let quoted = |texts: &mut dyn Iterator<Item = &str>| texts.map(quoted).collect::<Vec<_>>().join(", ");
    let listed = |names: Vec<String>| names.into_iter().map(Value::from).collect();
    let (operator, unenforced) = (settings.operator.as_str(), names(&unenforced(settings), NO_LEVEL));
    let labelers = settings.node_labelers.iter().map(String::as_str);
    let schedulers = settings.schedulers.iter().map(String::as_str);
    Literals {
        places: vec![
            (format!("['{SCHEDULER}']"), format!("[{}]", quoted(&mut [SCHEDULER].into_iter().chain(schedulers)))),
            (format!("['{OPERATOR}']"), format!("[{}]", quoted(&mut [operator].into_iter().chain(labelers)))),
            (format!("'{OPERATOR}'"), quoted(&mut [operator].into_iter())),
            (format!("'{NAMESPACE}'"), quoted(&mut [settings.namespace.as_str()].into_iter())),
            (format!("'{NO_LEVEL}'"), quoted(&mut unenforced.iter().map(String::as_str))),
        ],
        items: vec![
            (NO_LEVEL, listed(unenforced)),
            (NONE_WITHHELD, listed(names(&settings.withheld, NONE_WITHHELD))),
            (NAMESPACE, vec![settings.namespace.as_str().into()]),
        ],
    }
}

fn unenforced(settings: &Settings) -> BTreeSet<String> {
    &settings.audit | &settings.warn
}

/// The levels, and at the end one that nothing has: no list is ever empty.
fn names(levels: &BTreeSet<String>, none: &str) -> Vec<String> {
    levels.iter().cloned().chain([none.to_owned()]).collect()
}

/// What the operator labels everything with that it writes.
pub(super) fn labels() -> Value {
    json!({"app.kubernetes.io/managed-by": "rempart", "app.kubernetes.io/part-of": "rempart"})
}

pub(super) fn finished(mut object: Value) -> AdmissionObject {
    object["metadata"]["labels"] = labels();
    let kind =
        Kind::ALL.into_iter().find(|kind| object["kind"] == kind.as_str()).expect("the files hold these four kinds, and a test reads them");
    let name = object["metadata"]["name"].as_str().expect("every object in the files has a name, and a test reads them").to_owned();
    AdmissionObject { kind, name, object }
}

mod levels;
#[cfg(test)]
mod tests;
