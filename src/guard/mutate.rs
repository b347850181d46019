//! What the mutating policies do, in Rust: for API servers that do not serve them, and call a webhook in their place.
//!
//! Each of these does what the policy of its name does in `policies/*.yaml`, conditions included, and a test on a real API server holds the two
//! against each other. Comfort, like them: whatever is added here, a validation demands.

mod object;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use crate::api::names::{CLEARED, DECLARED_BY, NODE_CLOUD, SENSITIVITY, clearance_label};
use crate::api::values::ShortText;
use crate::api::{ClearanceSpec, DataDeclarationSpec};
pub use object::Object;
use object::{Managed, Term, Texts};

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
pub fn mutate(mutation: Mutation, object: &Object, facts: &Facts<'_>) -> Vec<Value> {
    match mutation {
        Mutation::PodSelector => pod_selector(object, facts),
        Mutation::PodSelectorRaised => pod_selector_raised(object),
        Mutation::DaemonSetSelector => daemon_set_selector(object, facts),
        Mutation::Declared => declared(object, facts),
        Mutation::ClaimClass => claim_class(object, facts),
        Mutation::Volume => volume(object, facts),
    }
}

fn pod_selector(pod: &Object, facts: &Facts<'_>) -> Vec<Value> {
    let Some(clearance) = facts.clearance else { return Vec::new() };
    let known = clearance.namespaces.get(facts.namespace).map(|level| clearance_label(level));
    if known.is_some_and(|key| found(pod.spec.node_selector.as_ref(), &key).is_some()) {
        return Vec::new();
    }
    with_selectors(pod, "/spec", [facts.level])
}

fn pod_selector_raised(pod: &Object) -> Vec<Value> {
    let level = label(pod, SENSITIVITY);
    let there = found(pod.spec.node_selector.as_ref(), &clearance_label(level)).is_some();
    if there { Vec::new() } else { with_selectors(pod, "/spec", [level]) }
}

fn daemon_set_selector(set: &Object, facts: &Facts<'_>) -> Vec<Value> {
    let nothing = Object::default();
    let template = set.spec.template.as_deref().unwrap_or(&nothing);
    let levels = BTreeSet::from([facts.level, label(template, SENSITIVITY)]);
    with_selectors(template, "/spec/template/spec", levels.difference(&facts.unenforced).copied())
}

/// The selector of each level that `pod`, whose spec is at `place`, does not ask for; nothing of what it asks for is lost.
fn with_selectors<'a>(pod: &Object, place: &str, levels: impl IntoIterator<Item = &'a str>) -> Vec<Value> {
    let selector = pod.spec.node_selector.as_ref();
    let keys = levels.into_iter().filter(|level| !level.is_empty()).map(clearance_label);
    let missing: Vec<String> = keys.filter(|key| found(selector, key).unwrap_or_default().is_empty()).collect();
    if missing.is_empty() {
        return Vec::new();
    }
    let place = format!("{place}/nodeSelector");
    let map = selector.is_none().then(|| add(&place, json!({})));
    map.into_iter().chain(missing.iter().map(|key| add(&within(&place, key), CLEARED))).collect()
}

fn declared(pod: &Object, facts: &Facts<'_>) -> Vec<Value> {
    let labels = pod.metadata.labels.as_ref();
    let selected = |wanted: &BTreeMap<String, ShortText>| wanted.iter().all(|(key, value)| found(labels, key) == Some(value.0.as_str()));
    let of_the_pod = facts.declarations.iter().filter(|(_, declaration)| {
        let level = declaration.level.0.as_str();
        !facts.unenforced.contains(level)
            && is_well_formed(level)
            && declaration.workloads.as_ref().is_none_or(|pods| selected(&pods.match_labels))
    });
    let (mut operations, mut added) = (Vec::new(), BTreeSet::new());
    let mut has_selector = pod.spec.node_selector.is_some();
    let mut labelled = !label(pod, SENSITIVITY).is_empty();
    for (name, declaration) in of_the_pod {
        let level = declaration.level.0.as_str();
        let key = clearance_label(level);
        if found(pod.spec.node_selector.as_ref(), &key).is_none() && added.insert(level) {
            if !has_selector {
                has_selector = true;
                operations.push(add("/spec/nodeSelector", json!({})));
            }
            operations.push(add(&within("/spec/nodeSelector", &key), CLEARED));
        }
        if declaration.workloads.is_some() && !labelled {
            labelled = true;
            let (labels, annotations) = (labels.is_some(), pod.metadata.annotations.is_some());
            for (map, there, key, value) in [("labels", labels, SENSITIVITY, level), ("annotations", annotations, DECLARED_BY, name)] {
                let place = format!("/metadata/{map}");
                operations.extend((!there).then(|| add(&place, json!({}))));
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

fn claim_class(claim: &Object, facts: &Facts<'_>) -> Vec<Value> {
    let class = facts.clearance.and_then(|clearance| clearance.levels.get(facts.level)).map_or("", |level| level.when_unset.as_str());
    let asked = claim.spec.storage_class_name.as_deref();
    // Nobody owns the field when the default of the cluster set it: a choice is never overridden, `""` included.
    let chosen = asked == Some("")
        || claim.metadata.annotations.as_ref().is_some_and(|annotations| annotations.class.is_some())
        || claim.metadata.managed_fields.iter().any(Managed::owns_class);
    if chosen || class.is_empty() || asked == Some(class) { Vec::new() } else { vec![add("/spec/storageClassName", class)] }
}

fn volume(volume: &Object, facts: &Facts<'_>) -> Vec<Value> {
    let class = volume.spec.storage_class_name.as_deref().unwrap_or_default();
    let Some(cloud) = facts.classes.get(class) else { return Vec::new() };
    let expression = json!({"key": NODE_CLOUD, "operator": "In", "values": [cloud]});
    let terms = &volume.spec.node_affinity.required.node_selector_terms.0;
    if terms.is_empty() {
        let affinity = json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}});
        return vec![add("/spec/nodeAffinity", affinity)];
    }
    let mut operations = Vec::new();
    for (number, Term { match_expressions: expressions, match_fields: fields }) in terms.iter().enumerate() {
        // An empty term fits no node, and stays empty.
        if expressions.is_empty() && fields.is_empty() || expressions.iter().any(|expression| expression.is_of_cloud) {
            continue;
        }
        let place = format!("/spec/nodeAffinity/required/nodeSelectorTerms/{number}/matchExpressions");
        operations.extend(expressions.is_empty().then(|| add(&place, json!([]))));
        operations.push(add(&format!("{place}/-"), &expression));
    }
    operations
}

fn label<'a>(object: &'a Object, key: &str) -> &'a str {
    found(object.metadata.labels.as_ref(), key).unwrap_or_default()
}

fn found<'a>(texts: Option<&'a Texts>, key: &str) -> Option<&'a str> {
    texts.and_then(|texts| texts.get(key))
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
