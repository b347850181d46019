//! What the mutating policies do, in Rust: for API servers that do not serve them, and call a webhook in their place.
//!
//! Each of these does what the policy of its name does in `policies/*.yaml`, conditions included, and a test on a real API server holds the two
//! against each other. Comfort, like them: whatever is added here, a validation demands.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use crate::api::names::{CLASS_ANNOTATION, CLEARED, DECLARED_BY, NODE_CLOUD, SENSITIVITY, clearance_label};
use crate::api::values::ShortText;
use crate::api::{ClearanceSpec, DataDeclarationSpec};

/// One of the mutating policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutation {
    /// `rempart-claim-class`.
    ClaimClass,
    /// `rempart-daemonset-selector`.
    DaemonSetSelector,
    /// `rempart-declared`.
    Declared,
    /// `rempart-pod-selector`.
    PodSelector,
    /// `rempart-pod-selector-raised`.
    PodSelectorRaised,
    /// `rempart-volume`.
    Volume,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::ClaimClass, Self::DaemonSetSelector, Self::Declared, Self::PodSelector, Self::PodSelectorRaised, Self::Volume];

    /// The name of the policy.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClaimClass => "rempart-claim-class",
            Self::DaemonSetSelector => "rempart-daemonset-selector",
            Self::Declared => "rempart-declared",
            Self::PodSelector => "rempart-pod-selector",
            Self::PodSelectorRaised => "rempart-pod-selector-raised",
            Self::Volume => "rempart-volume",
        }
    }
}

/// What a policy reads beside the object.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The namespace of the object.
    pub namespace: &'a str,
    /// The level of that namespace; empty if it has none.
    pub level: &'a str,
    /// The Clearance in force.
    pub clearance: Option<&'a ClearanceSpec>,
    /// The declarations of the namespace, by name.
    pub declarations: Vec<(&'a str, &'a DataDeclarationSpec)>,
    /// Levels that are not enforced.
    pub unenforced: BTreeSet<&'a str>,
    /// Storage class to cloud: every class of a trusted cloud.
    pub classes: BTreeMap<String, String>,
}

/// What `mutation` does to `object`, as the operations of a JSON patch; none if there is nothing to do.
pub fn mutate(mutation: Mutation, object: &Value, facts: &Facts<'_>) -> Vec<Value> {
    match mutation {
        Mutation::PodSelector => pod_selector(object, facts),
        Mutation::PodSelectorRaised => pod_selector_raised(object),
        Mutation::DaemonSetSelector => daemon_set_selector(object, facts),
        Mutation::Declared => declared(object, facts),
        Mutation::ClaimClass => claim_class(object, facts),
        Mutation::Volume => volume(object, facts),
    }
}

fn pod_selector(pod: &Value, facts: &Facts<'_>) -> Vec<Value> {
    let Some(clearance) = facts.clearance else { return Vec::new() };
    let known = clearance.namespaces.get(facts.namespace).map(|level| clearance_label(level));
    if known.is_some_and(|key| !pod["spec"]["nodeSelector"][key].is_null()) {
        return Vec::new();
    }
    with_selectors(pod, "/spec", [facts.level])
}

fn pod_selector_raised(pod: &Value) -> Vec<Value> {
    let level = label(pod, SENSITIVITY);
    if pod["spec"]["nodeSelector"][clearance_label(level)].is_null() { with_selectors(pod, "/spec", [level]) } else { Vec::new() }
}

fn daemon_set_selector(set: &Value, facts: &Facts<'_>) -> Vec<Value> {
    let levels = BTreeSet::from([facts.level, label(&set["spec"]["template"], SENSITIVITY)]);
    with_selectors(set, "/spec/template/spec", levels.difference(&facts.unenforced).copied())
}

/// The selector of each level that the pod spec at `place` does not ask for; nothing of what it asks for is lost.
fn with_selectors<'a>(object: &Value, place: &str, levels: impl IntoIterator<Item = &'a str>) -> Vec<Value> {
    let selector = object.pointer(place).map_or(&Value::Null, |spec| &spec["nodeSelector"]);
    let keys = levels.into_iter().filter(|level| !level.is_empty()).map(clearance_label);
    let missing: Vec<String> = keys.filter(|key| text(&selector[key]).is_empty()).collect();
    if missing.is_empty() {
        return Vec::new();
    }
    let place = format!("{place}/nodeSelector");
    let map = selector.is_null().then(|| add(&place, json!({})));
    map.into_iter().chain(missing.iter().map(|key| add(&within(&place, key), CLEARED))).collect()
}

fn declared(pod: &Value, facts: &Facts<'_>) -> Vec<Value> {
    let selected = |labels: &BTreeMap<String, ShortText>| {
        labels.iter().all(|(key, value)| pod["metadata"]["labels"][key].as_str() == Some(value.0.as_str()))
    };
    let of_the_pod = facts.declarations.iter().filter(|(_, declaration)| {
        let level = declaration.level.0.as_str();
        !facts.unenforced.contains(level)
            && is_well_formed(level)
            && declaration.workloads.as_ref().is_none_or(|pods| selected(&pods.match_labels))
    });
    let (mut operations, mut selector) = (Vec::new(), pod["spec"]["nodeSelector"].clone());
    let mut labelled = !label(pod, SENSITIVITY).is_empty();
    for (name, declaration) in of_the_pod {
        let level = declaration.level.0.as_str();
        let key = clearance_label(level);
        if selector[&key].is_null() {
            if selector.is_null() {
                selector = json!({});
                operations.push(add("/spec/nodeSelector", json!({})));
            }
            operations.push(add(&within("/spec/nodeSelector", &key), CLEARED));
            selector[&key] = CLEARED.into();
        }
        if declaration.workloads.is_some() && !labelled {
            labelled = true;
            for (map, key, value) in [("labels", SENSITIVITY, level), ("annotations", DECLARED_BY, name)] {
                let place = format!("/metadata/{map}");
                operations.extend(pod["metadata"][map].is_null().then(|| add(&place, json!({}))));
                operations.push(add(&within(&place, key), value));
            }
        }
    }
    operations
}

/// Whether a level has the form of one: an impossible key would break the pods of its namespace.
fn is_well_formed(level: &str) -> bool {
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = level.as_bytes();
    let ends = bytes.first().is_some_and(alphanumeric) && bytes.last().is_some_and(alphanumeric);
    ends && bytes.len() <= 63 && bytes.iter().all(|byte| alphanumeric(byte) || *byte == b'-')
}

fn claim_class(claim: &Value, facts: &Facts<'_>) -> Vec<Value> {
    let class = facts.clearance.and_then(|clearance| clearance.levels.get(facts.level)).map_or("", |level| level.when_unset.as_str());
    let found = &claim["spec"]["storageClassName"];
    // Nobody owns the field when the default of the cluster set it: a choice is never overridden, `""` included.
    let owns = |entry: &Value| !entry["fieldsV1"]["f:spec"]["f:storageClassName"].is_null();
    let chosen = found == ""
        || !claim["metadata"]["annotations"][CLASS_ANNOTATION].is_null()
        || claim["metadata"]["managedFields"].as_array().into_iter().flatten().any(owns);
    if chosen || class.is_empty() || found == class { Vec::new() } else { vec![add("/spec/storageClassName", class)] }
}

fn volume(volume: &Value, facts: &Facts<'_>) -> Vec<Value> {
    let Some(cloud) = facts.classes.get(text(&volume["spec"]["storageClassName"])) else { return Vec::new() };
    let expression = json!({"key": NODE_CLOUD, "operator": "In", "values": [cloud]});
    let terms = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"].as_array().map_or(&[][..], Vec::as_slice);
    if terms.is_empty() {
        let affinity = json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}});
        return vec![add("/spec/nodeAffinity", affinity)];
    }
    let mut operations = Vec::new();
    for (number, term) in terms.iter().enumerate() {
        let expressions = term["matchExpressions"].as_array().map_or(&[][..], Vec::as_slice);
        let fields = term["matchFields"].as_array().is_some_and(|fields| !fields.is_empty());
        // An empty term fits no node, and stays empty.
        if expressions.is_empty() && !fields || expressions.iter().any(|expression| expression["key"] == NODE_CLOUD) {
            continue;
        }
        let place = format!("/spec/nodeAffinity/required/nodeSelectorTerms/{number}/matchExpressions");
        operations.extend(expressions.is_empty().then(|| add(&place, json!([]))));
        operations.push(add(&format!("{place}/-"), &expression));
    }
    operations
}

fn label<'a>(object: &'a Value, key: &str) -> &'a str {
    text(&object["metadata"]["labels"][key])
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn add(path: &str, value: impl Serialize) -> Value {
    json!({"op": "add", "path": path, "value": value})
}

/// The place of `key` in the map at `place`.
fn within(place: &str, key: &str) -> String {
    format!("{place}/{}", key.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests;
