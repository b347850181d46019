//! api.md, "nodes", "DataDeclaration" and "Labels": which nodes are whose, what they are labelled, and where pods stand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use regex::Regex;

use super::Reference;
use crate::api::DataDeclaration;
use crate::api::names::{CLEARED, NODE_CLOUD, SENSITIVITY, clearance_label};
use crate::api::trusted_cloud::{NodeMatch, TrustedCloudSpec};
use crate::api::values::ShortText;
use crate::placement::{NodeFacts, PodFacts};
use crate::plan::Snapshot;

/// Namespaces that never have a level.
const SYSTEM: [&str; 5] = ["kube-system", "kube-public", "kube-node-lease", "rempart-system", "rempart-canary"];

type Labels = BTreeMap<String, String>;

/// Compliant, violating, unknown.
pub(super) type Counts = [i32; 3];

/// Clouds whose perimeter holds each node.
pub(super) fn matched<'a>(snapshot: &'a Snapshot, clouds: &BTreeMap<&'a str, &'a TrustedCloudSpec>) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut matched: BTreeMap<&str, Vec<&str>> = snapshot.nodes.keys().map(|name| (name.as_str(), Vec::new())).collect();
    for (cloud, spec) in clouds {
        let entries: Vec<_> = spec.nodes.iter().filter(|entry| is_readable(entry)).collect();
        for (name, clouds) in &mut matched {
            let node = &snapshot.nodes[*name];
            if entries.iter().any(|entry| is_inside(node, entry)) {
                clouds.push(*cloud);
            }
        }
    }
    matched
}

/// Clouds with an entry that cannot be read.
pub(super) fn lost<'a>(clouds: &BTreeMap<&'a str, &'a TrustedCloudSpec>) -> BTreeSet<&'a str> {
    clouds.iter().filter(|(_, spec)| !spec.nodes.iter().all(is_readable)).map(|(name, _)| *name).collect()
}

impl Reference<'_> {
    /// Whether a cloud can be acted on: what is said of it is known, and so is which nodes and classes it has.
    pub(super) fn is_sound(&self, cloud: &str) -> bool {
        self.known(cloud).is_some() && !self.lost.contains(cloud) && !self.repeats_a_class(cloud)
    }

    /// The cloud of each node that has one. A node that matches two is ambiguous, whatever else is wrong with them.
    pub(super) fn clouds_of_nodes(&self) -> BTreeMap<String, String> {
        let nodes = self.matched.iter().filter_map(|(node, clouds)| match clouds[..] {
            [cloud] if self.is_sound(cloud) => Some(((*node).to_owned(), cloud.to_owned())),
            _ => None,
        });
        nodes.collect()
    }

    /// Nodes that match a cloud and another one.
    pub(super) fn ambiguous(&self, cloud: &str) -> usize {
        self.matched.values().filter(|clouds| clouds.contains(&cloud) && clouds.len() > 1).count()
    }

    /// Labels of every node: what it had of others, and ours.
    pub(super) fn labels_of_nodes(&self, at: Timestamp) -> BTreeMap<String, Labels> {
        let (clouds, cleared) = (self.clouds_of_nodes(), self.cleared(at));
        let labels = self.snapshot.nodes.iter().map(|(name, node)| {
            let others = node.labels.clone().into_iter().filter(|(key, _)| !key.starts_with("rempart.node-restriction.kubernetes.io/"));
            let mut labels: Labels = others.collect();
            if let Some(cloud) = clouds.get(name) {
                labels.insert(NODE_CLOUD.to_owned(), cloud.clone());
                let levels = cleared.iter().filter(|(_, cleared)| cleared == cloud);
                labels.extend(levels.map(|(level, _)| (clearance_label(level), CLEARED.to_owned())));
            }
            (name.clone(), labels)
        });
        labels.collect()
    }

    /// The level of every namespace that has one: its label, or that of the oldest declaration of all of it.
    pub(super) fn levels_of_namespaces(&self) -> BTreeMap<String, String> {
        let levels = self.snapshot.namespaces.iter().filter_map(|(name, namespace)| {
            let declared = self.declarations.iter().filter(|(_, found)| is_in_namespace(found, name) && found.spec.workloads.is_none());
            let oldest = declared.min_by_key(|(key, found)| (found.metadata.creation_timestamp.clone(), *key));
            let may_have = !namespace.deleting && !is_system(name);
            let given = oldest.filter(|_| may_have).map(|(_, found)| found.spec.level.0.clone());
            let level = namespace.labels.get(SENSITIVITY).cloned().or(given)?;
            (!level.is_empty()).then(|| (name.clone(), level))
        });
        levels.collect()
    }

    /// Levels that hold for a pod: that of its namespace, its own, and those of the declarations that concern it.
    fn levels_of(&self, pod: &PodFacts) -> BTreeSet<String> {
        let namespace = self.levels_of_namespaces().remove(&pod.namespace);
        let declared = self.declarations.iter().filter(|(_, found)| concerns(found, pod)).map(|(_, found)| found.spec.level.0.clone());
        namespace.into_iter().chain(pod.labels.get(SENSITIVITY).cloned()).chain(declared).collect()
    }

    /// Whether each pod is placed well (0), badly (1), or not at all (2) for a level. Nothing is asked of the pods of the system.
    fn judged(&self, level: &str, at: Timestamp, concerned: impl Fn(&PodFacts) -> bool) -> Vec<(usize, &PodFacts)> {
        let (clouds, cleared) = (self.clouds_of_nodes(), self.cleared(at));
        let verdict = |pod: &PodFacts| match &pod.node {
            Some(node) => usize::from(!clouds.get(node).is_some_and(|cloud| cleared.contains(&(level.to_owned(), cloud.clone())))),
            None => 2,
        };
        let pods = self.snapshot.pods.values().filter(|pod| !pod.finished && !is_system(&pod.namespace));
        pods.filter(|pod| concerned(pod)).map(|pod| (verdict(pod), pod.as_ref())).collect()
    }

    /// Pods of each level that exists and of each declaration, by verdict.
    pub(super) fn pods(&self, at: Timestamp) -> (BTreeMap<String, Counts>, BTreeMap<String, Counts>) {
        let count = |pods: Vec<(usize, &PodFacts)>| {
            let mut counts = [0; 3];
            for (verdict, _) in pods {
                counts[verdict] += 1;
            }
            counts
        };
        let levels = self.levels.keys().map(|level| {
            let pods = self.judged(level, at, |pod| self.levels_of(pod).contains(*level));
            ((*level).to_owned(), count(pods))
        });
        let declarations = self.declarations.iter().map(|(key, declaration)| {
            let pods = self.judged(&declaration.spec.level.0, at, |pod| concerns(declaration, pod));
            ((*key).to_owned(), count(pods))
        });
        (levels.collect(), declarations.collect())
    }

    /// Pods that a declaration concerns and that are placed badly, and their nodes: the oldest first, at most twenty.
    pub(super) fn violations(&self, declaration: &DataDeclaration, at: Timestamp) -> Vec<(&str, Option<&str>)> {
        let mut pods = self.judged(&declaration.spec.level.0, at, |pod| concerns(declaration, pod));
        pods.retain(|(verdict, _)| *verdict == 1);
        pods.sort_by_key(|(_, pod)| (pod.created, &pod.namespace, &pod.name));
        pods.into_iter().take(20).map(|(_, pod)| (pod.name.as_str(), pod.node.as_deref())).collect()
    }
}

/// Whether a namespace never has a level.
pub(super) fn is_system(namespace: &str) -> bool {
    SYSTEM.contains(&namespace)
}

pub(super) fn is_in_namespace(declaration: &DataDeclaration, namespace: &str) -> bool {
    declaration.metadata.namespace.as_deref() == Some(namespace)
}

fn concerns(declaration: &DataDeclaration, pod: &PodFacts) -> bool {
    let selected = |labels: &BTreeMap<String, _>| labels.iter().all(|(key, value): (_, &ShortText)| pod.labels.get(key) == Some(&value.0));
    is_in_namespace(declaration, &pod.namespace) && declaration.spec.workloads.as_ref().is_none_or(|found| selected(&found.match_labels))
}

/// Whether the operator can read an entry: its regular expression compiles, and its selector asks something.
fn is_readable(entry: &NodeMatch) -> bool {
    let expressions = entry.selector.iter().flat_map(|selector| selector.match_expressions.iter().flatten());
    entry.provider_id.as_ref().is_none_or(|pattern| whole(pattern).is_some())
        && expressions.into_iter().all(|expression| match expression.operator.as_str() {
            "In" | "NotIn" => expression.values.as_ref().is_some_and(|values| !values.is_empty()),
            "Exists" | "DoesNotExist" => expression.values.as_ref().is_none_or(Vec::is_empty),
            _ => false,
        })
}

/// Inside an entry everything must match.
fn is_inside(node: &NodeFacts, entry: &NodeMatch) -> bool {
    let is_whole = |pattern: &String| node.provider_id.as_ref().is_some_and(|id| whole(pattern).is_some_and(|whole| whole.is_match(id)));
    entry.provider_id.as_ref().is_none_or(is_whole) && entry.selector.as_ref().is_none_or(|selector| is_selected(&node.labels, selector))
}

/// The regular expression of an entry, about the whole of a text; none if it does not compile.
fn whole(pattern: &str) -> Option<Regex> {
    static KNOWN: Mutex<BTreeMap<String, Option<Regex>>> = Mutex::new(BTreeMap::new());
    let compiled = || Regex::new(pattern).and_then(|_| Regex::new(&format!(r"\A(?:{pattern})\z"))).ok();
    KNOWN.lock().unwrap().entry(pattern.to_owned()).or_insert_with(compiled).clone()
}

fn is_selected(labels: &Labels, selector: &LabelSelector) -> bool {
    let equal = selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    equal && selector.match_expressions.iter().flatten().all(|expression| holds(labels, expression))
}

fn holds(labels: &Labels, expression: &LabelSelectorRequirement) -> bool {
    let found = labels.get(&expression.key);
    let listed = found.is_some_and(|value| expression.values.iter().flatten().any(|listed| listed == value));
    match expression.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => found.is_some(),
        _ => found.is_none(),
    }
}
