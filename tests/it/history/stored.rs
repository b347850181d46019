//! What the API server stored, as far as the invariant speaks of it: built-in kinds are protobuf, ours are JSON.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use rempart::api::names::{CLASS_ANNOTATION, NODE_CLOUD, SENSITIVITY, level_of_label};
use serde_json::Value;

use super::invariant::{Change, Cleared, Level, Namespace, Pod};
use super::volumes::{Claim, Volume};

/// What a change of `key` means; `value` is none when the object is gone.
pub(super) fn change(key: &str, value: Option<&[u8]>) -> Result<Option<Change>, String> {
    let Some(path) = key.strip_prefix("/registry/") else { return Ok(None) };
    let parts: Vec<&str> = path.split('/').collect();
    let json = || value.map(serde_json::from_slice::<Value>).transpose().map_err(|error| format!("{key}: {error}"));
    let object = || value.map(object).transpose().map_err(|error| format!("{key}: {error}"));
    Ok(Some(match parts[..] {
        ["pods", namespace, name] => Change::Pod { namespace: namespace.to_owned(), name: name.to_owned(), pod: object()?.map(pod) },
        ["namespaces", name] => {
            Change::Namespace { name: name.to_owned(), namespace: object()?.map(|object| Namespace { level: object.label(SENSITIVITY) }) }
        }
        ["minions", name] => Change::Node { name: name.to_owned(), levels: object()?.map(|object| object.cleared()).unwrap_or_default() },
        ["persistentvolumeclaims", namespace, name] => {
            let claim = value.map(decoded::<StoredClaim>).transpose().map_err(|error| format!("{key}: {error}"))?;
            let claim = claim.map(|claim| Claim { volume: claim.spec.and_then(|spec| spec.volume).unwrap_or_default() });
            Change::Claim { namespace: namespace.to_owned(), name: name.to_owned(), claim }
        }
        ["persistentvolumes", name] => {
            let volume = value.map(decoded::<StoredVolume>).transpose().map_err(|error| format!("{key}: {error}"))?;
            Change::Volume { name: name.to_owned(), volume: volume.map(StoredVolume::facts) }
        }
        ["rempart.dev", "clearances", "cluster"] => Change::Clearance(json()?.map(|value| cleared(&value))),
        ["rempart.dev", "sensitivitylevels", name] => Change::Level { name: name.to_owned(), level: json()?.map(|value| level(&value)) },
        _ => return Ok(None),
    }))
}

/// What objects of all built-in kinds have in common, and the one field of a pod's spec that is read. Numbers of fields are those
/// of `generated.proto` in k8s.io/api and k8s.io/apimachinery, which never change; no other spec read here has a field 10.
#[derive(Message)]
struct Object {
    #[prost(message, optional, tag = "1")]
    metadata: Option<Metadata>,
    #[prost(message, optional, tag = "2")]
    spec: Option<Spec>,
}

#[derive(Message)]
struct Metadata {
    #[prost(message, optional, tag = "8")]
    created: Option<Time>,
    #[prost(btree_map = "string, string", tag = "11")]
    labels: BTreeMap<String, String>,
    #[prost(btree_map = "string, string", tag = "12")]
    annotations: BTreeMap<String, String>,
}

#[derive(Message)]
struct Spec {
    #[prost(string, optional, tag = "10")]
    node: Option<String>,
}

#[derive(Message)]
struct Time {
    #[prost(int64, tag = "1")]
    seconds: i64,
}

/// The envelope of whatever is stored as protobuf.
#[derive(Message)]
struct Unknown {
    #[prost(bytes = "vec", tag = "2")]
    raw: Vec<u8>,
}

#[derive(Message)]
struct StoredClaim {
    #[prost(message, optional, tag = "2")]
    spec: Option<ClaimSpec>,
}

#[derive(Message)]
struct ClaimSpec {
    #[prost(string, optional, tag = "3")]
    volume: Option<String>,
}

#[derive(Message)]
struct StoredVolume {
    #[prost(message, optional, tag = "1")]
    metadata: Option<Metadata>,
    #[prost(message, optional, tag = "2")]
    spec: Option<VolumeSpec>,
}

#[derive(Message)]
struct VolumeSpec {
    #[prost(string, optional, tag = "6")]
    class: Option<String>,
    #[prost(message, optional, tag = "9")]
    affinity: Option<VolumeNodeAffinity>,
}

#[derive(Message)]
struct VolumeNodeAffinity {
    #[prost(message, optional, tag = "1")]
    required: Option<NodeSelector>,
}

#[derive(Message)]
struct NodeSelector {
    #[prost(message, repeated, tag = "1")]
    terms: Vec<NodeSelectorTerm>,
}

#[derive(Message)]
struct NodeSelectorTerm {
    #[prost(message, repeated, tag = "1")]
    expressions: Vec<NodeSelectorRequirement>,
}

#[derive(Message)]
struct NodeSelectorRequirement {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    operator: String,
    #[prost(string, repeated, tag = "3")]
    values: Vec<String>,
}

impl StoredVolume {
    fn facts(self) -> Volume {
        let spec = self.spec.unwrap_or_default();
        let annotated = self.metadata.and_then(|mut metadata| metadata.annotations.remove(CLASS_ANNOTATION));
        let required = |term: &NodeSelectorTerm| {
            let cloud = term.expressions.iter().find(|found| found.key == NODE_CLOUD && found.operator == "In" && found.values.len() == 1);
            cloud.map(|found| found.values[0].clone())
        };
        let terms = spec.affinity.and_then(|affinity| affinity.required).map(|required| required.terms).unwrap_or_default();
        Volume { class: annotated.or(spec.class).unwrap_or_default(), terms: terms.iter().map(required).collect() }
    }
}

fn object(stored: &[u8]) -> Result<Object, String> {
    decoded(stored)
}

fn decoded<M: Message + Default>(stored: &[u8]) -> Result<M, String> {
    let envelope = stored.strip_prefix(b"k8s\0").ok_or("is not stored as protobuf")?;
    let envelope = Unknown::decode(envelope).map_err(|error| error.to_string())?;
    M::decode(envelope.raw.as_slice()).map_err(|error| error.to_string())
}

impl Object {
    fn label(&self, key: &str) -> Option<String> {
        self.metadata.as_ref()?.labels.get(key).cloned()
    }

    fn cleared(&self) -> BTreeSet<String> {
        let labels = self.metadata.iter().flat_map(|metadata| &metadata.labels);
        labels.filter(|(_, value)| *value == "cleared").filter_map(|(key, _)| level_of_label(key)).map(str::to_owned).collect()
    }
}

fn pod(object: Object) -> Pod {
    Pod {
        level: object.label(SENSITIVITY),
        created: object.metadata.and_then(|metadata| metadata.created).map_or(0, |time| time.seconds),
        node: object.spec.and_then(|spec| spec.node).unwrap_or_default(),
    }
}

/// Nothing is cleared by what does not have the form of its kind: tests store such objects too.
fn cleared(clearance: &Value) -> Cleared {
    let spec = &clearance["spec"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let fields = |name: &str| spec[name].as_object().into_iter().flatten();
    let not_after = |level: &Value| level["notAfter"].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    Cleared {
        nodes: fields("nodes").map(|(node, cloud)| (node.clone(), text(cloud))).collect(),
        clouds: fields("clouds")
            .map(|(cloud, levels)| (cloud.clone(), levels.as_array().into_iter().flatten().map(text).collect()))
            .collect(),
        classes: fields("storageClasses").map(|(class, cloud)| (class.clone(), text(cloud))).collect(),
        levels: fields("levels").filter_map(|(name, level)| Some((name.clone(), not_after(level)?.as_second()))).collect(),
    }
}

fn level(level: &Value) -> Level {
    let current = level["status"]["observedGeneration"] == level["metadata"]["generation"];
    let mut conditions = level["status"]["conditions"].as_array().into_iter().flatten();
    Level {
        enforced: !["Audit", "Warn"].contains(&level["spec"]["enforcement"].as_str().unwrap_or_default()),
        seen: current && conditions.any(|condition| condition["type"] == "Enforced" && condition["status"] == "True"),
    }
}
