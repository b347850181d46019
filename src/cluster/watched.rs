//! The objects of Kubernetes as far as they are read. Fields that are not here are never kept in memory, and every field is
//! optional, so that no object can stop a watch.

pub(super) mod storage;

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, PodCondition};
use kube::api::ObjectMeta;
use kube::{Resource, ResourceExt};
use serde::Deserialize;

use crate::api::names::{TOUCHED, level_of_label};
use crate::placement::{DaemonSetFacts, NamespaceFacts, NodeFacts, Owner, PodFacts, Unschedulable};

#[derive(Resource, Clone, Debug, Deserialize)]
#[resource(inherit = "Node")]
pub(super) struct WatchedNode {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: NodeSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct NodeSpec {
    #[serde(rename = "providerID")]
    provider_id: Option<String>,
}

#[derive(Resource, Clone, Debug, Deserialize)]
#[resource(inherit = "Namespace")]
pub(super) struct WatchedNamespace {
    metadata: ObjectMeta,
}

#[derive(Resource, Clone, Debug, Deserialize)]
#[resource(inherit = "Pod")]
pub(super) struct WatchedPod {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: PodSpec,
    #[serde(default)]
    status: PodStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodSpec {
    node_name: Option<String>,
    node_selector: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct PodStatus {
    phase: Option<String>,
    conditions: Option<Vec<PodCondition>>,
}

#[derive(Resource, Clone, Debug, Deserialize)]
#[resource(inherit = "DaemonSet")]
pub(super) struct WatchedDaemonSet {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: DaemonSetSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct DaemonSetSpec {
    #[serde(default)]
    template: Template,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Template {
    #[serde(default)]
    spec: PodSpec,
}

impl From<WatchedNode> for NodeFacts {
    fn from(node: WatchedNode) -> Self {
        let (name, uid) = (node.name_any(), node.uid().unwrap_or_default());
        Self { name, uid, provider_id: node.spec.provider_id, labels: node.metadata.labels.unwrap_or_default() }
    }
}

impl From<WatchedNamespace> for NamespaceFacts {
    fn from(namespace: WatchedNamespace) -> Self {
        let (name, uid) = (namespace.name_any(), namespace.uid().unwrap_or_default());
        let deleting = namespace.metadata.deletion_timestamp.is_some();
        Self { name, uid, labels: namespace.metadata.labels.unwrap_or_default(), deleting }
    }
}

impl From<WatchedPod> for PodFacts {
    fn from(pod: WatchedPod) -> Self {
        let controller = pod.owner_references().iter().find(|owner| owner.controller == Some(true));
        let controller = controller.map(|owner| Owner { kind: owner.kind.clone(), name: owner.name.clone() });
        let selector = pod.spec.node_selector.unwrap_or_default();
        Self {
            namespace: pod.metadata.namespace.unwrap_or_default(),
            name: pod.metadata.name.unwrap_or_default(),
            uid: pod.metadata.uid.unwrap_or_default(),
            labels: pod.metadata.labels.unwrap_or_default(),
            node: pod.spec.node_name.filter(|node| !node.is_empty()),
            selects: selector.keys().filter_map(|key| level_of_label(key)).map(ToOwned::to_owned).collect(),
            controller,
            created: pod.metadata.creation_timestamp.as_ref().map(|time| time.0),
            unschedulable: pod.status.conditions.into_iter().flatten().find_map(unschedulable),
            finished: pod.status.phase.is_some_and(|phase| ["Succeeded", "Failed"].contains(&phase.as_str())),
            deleting: pod.metadata.deletion_timestamp.is_some(),
        }
    }
}

/// What the scheduler says, if it finds no node; it says otherwise of a pod that is not to be scheduled yet.
fn unschedulable(condition: PodCondition) -> Option<Unschedulable> {
    let says_so = condition.type_ == "PodScheduled" && condition.status == "False" && condition.reason.as_deref() == Some("Unschedulable");
    let since = condition.last_transition_time.filter(|_| says_so)?.0;
    Some(Unschedulable { since, why: condition.message.unwrap_or_default() })
}

impl From<WatchedDaemonSet> for DaemonSetFacts {
    fn from(set: WatchedDaemonSet) -> Self {
        let touched_for = set.annotations().get(TOUCHED).cloned();
        Self {
            namespace: set.metadata.namespace.unwrap_or_default(),
            name: set.metadata.name.unwrap_or_default(),
            uid: set.metadata.uid.unwrap_or_default(),
            selector: set.spec.template.spec.node_selector.unwrap_or_default(),
            touched_for,
            deleting: set.metadata.deletion_timestamp.is_some(),
        }
    }
}
