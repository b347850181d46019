//! The order in which things are applied does not matter.
//!
//! The material is what users apply: everything in `examples/`. Nodes come last: a pod that runs before its level is declared
//! stays where it is, and only for that reason the order would be seen in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::world::World;
use crate::cluster::{try_apply, wait_until, yaml};

/// All objects of the folders, in an order of their own for each `seed`.
fn shuffled(seed: u32) -> Vec<Value> {
    let folders = ["clouds", "levels", "workloads"].map(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(folder));
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    let mut objects: Vec<Value> = files.flat_map(|file| yaml(&std::fs::read_to_string(file).unwrap())).collect();
    objects.sort_by_cached_key(|object| Sha256::digest(format!("{seed} {} {}", object["kind"], object["metadata"]["name"])));
    objects
}

/// Applies them in this order, and once more those whose namespace was not there yet, as users do.
async fn apply_all(world: &World, mut objects: Vec<Value>) {
    while !objects.is_empty() {
        let (before, mut left) = (objects.len(), Vec::new());
        for object in objects {
            if let Err(error) = try_apply(&world.admin, &object).await {
                assert!(error.to_string().contains("namespaces \""), "{error}");
                left.push(object);
            }
        }
        assert!(left.len() < before, "none of {left:?} is accepted");
        objects = left;
    }
}

/// The pods that `examples/workloads` make in the end, by namespace.
const PODS: [(&str, usize); 4] = [("records", 4 + 3 + 3), ("clinic", 1), ("intranet", 2 + 1), ("website", 4 + 2)];

async fn nodes(world: &World) {
    for (cloud, count) in [("temple-openshift", 1), ("ovh-snc", 2), ("aws-paris", 2), ("nowhere", 1)] {
        world.nodes(cloud, count, cloud).await;
    }
    for (namespace, count) in PODS {
        world.wait_pods(namespace, count).await;
    }
}

/// Kinds whose objects the operator makes or looks at; how they are is compared.
const KINDS: [&str; 13] = [
    "/apis/rempart.dev/v1alpha1/trustedclouds",
    "/apis/rempart.dev/v1alpha1/sensitivitylevels",
    "/apis/rempart.dev/v1alpha1/clearances",
    "/apis/rempart.dev/v1alpha1/datadeclarations",
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
    "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies",
    "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings",
    "/api/v1/namespaces",
    "/api/v1/nodes",
    "/apis/apps/v1/daemonsets",
    "/apis/storage.k8s.io/v1/storageclasses",
    "/api/v1/resourcequotas",
];

/// Everything that matters about the cluster, line by line.
pub(super) async fn state(world: &World) -> BTreeMap<String, Value> {
    let mut lines = BTreeMap::new();
    for kind in KINDS {
        for mut object in world.items(kind).await {
            let name = format!("{kind} {} {}", object["metadata"]["namespace"], object["metadata"]["name"]);
            let metadata = &object["metadata"];
            object["metadata"] = json!({"labels": metadata["labels"], "finalizers": metadata["finalizers"]});
            if !says_its_status(kind) {
                object["status"] = Value::Null;
            }
            // Whether a node is ready is up to others as well.
            if let Some(taints) = object["spec"]["taints"].as_array_mut() {
                taints.retain(|taint| taint["key"].as_str().is_none_or(|key| !key.starts_with("node.kubernetes.io/")));
            }
            if name.contains("rempart-epoch") {
                // It names the objects that were written, by identity.
                object["spec"] = Value::Null;
            }
            flatten(&name, object, &mut lines);
        }
    }
    for (namespace, _) in PODS {
        for pod in world.items(&format!("/api/v1/namespaces/{namespace}/pods")).await {
            // Its name and its node are up to others.
            let key = format!("pods {namespace} {} {}", pod["metadata"]["labels"]["app"], pod["spec"]["nodeSelector"]);
            let count = lines.entry(key).or_insert_with(|| json!(0));
            *count = json!(count.as_u64().unwrap() + 1);
        }
    }
    lines
}

/// Whether the operator writes the status of these objects. Controllers write that of all others, when they come to it.
fn says_its_status(kind: &str) -> bool {
    kind.starts_with("/apis/rempart.dev/")
}

/// What differs between any two clusters: when, and under which identity.
fn is_of_the_moment(field: &str) -> bool {
    let names = ["lastTransitionTime", "notAfter", "observedGeneration", "uid", "templateGeneration", "rempart.dev/touched"];
    names.contains(&field) || field.starts_with("epoch-")
}

fn flatten(path: &str, value: Value, lines: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.into_iter().filter(|(name, _)| !is_of_the_moment(name)) {
                flatten(&format!("{path}.{name}"), value, lines);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.into_iter().enumerate() {
                flatten(&format!("{path}[{index}]"), value, lines);
            }
        }
        Value::Null => {}
        value => drop(lines.insert(path.to_owned(), value)),
    }
}

pub(super) fn differences(one: &BTreeMap<String, Value>, other: &BTreeMap<String, Value>) -> Vec<String> {
    let keys: BTreeSet<_> = one.keys().chain(other.keys()).collect();
    keys.into_iter()
        .filter(|key| one.get(*key) != other.get(*key))
        .map(|key| format!("{key}: {:?}, {:?}", one.get(key), other.get(key)))
        .collect()
}

/// Every object that the operator makes or looks at, to the second and with its identity. Left out is who wrote what: the API server
/// begins to keep it at the second server-side apply of an object of which nobody has said anything, like a namespace without labels.
async fn contents(world: &World) -> BTreeMap<String, Value> {
    let mut lines = BTreeMap::new();
    for kind in KINDS.into_iter().filter(|kind| !kind.ends_with("nodes")) {
        for mut object in world.items(kind).await {
            object["metadata"]["managedFields"] = Value::Null;
            object["metadata"]["resourceVersion"] = Value::Null;
            if !says_its_status(kind) {
                object["status"] = Value::Null;
            }
            lines.insert(format!("{kind} {} {}", object["metadata"]["namespace"], object["metadata"]["name"]), object);
        }
    }
    lines
}

/// Applies everything in `count` orders, each on a cluster of its own, and compares what comes of it.
async fn assert_order_does_not_matter(name: &str, count: u32) {
    let mut first = None;
    for seed in 0..count {
        let world = World::guarded(&format!("{name}-{seed}")).await;
        apply_all(&world, shuffled(seed)).await;
        world.settled().await;
        // Pods that wait without their selector are replaced once the policies are seen in use; with nodes, they would run by then.
        world.wait_condition("sensitivitylevels/restreint", "Enforced", "True", "").await;
        world.settled().await;
        nodes(&world).await;
        wait_until("its pods are counted", async || {
            let level = world.get("/apis/rempart.dev/v1alpha1/sensitivitylevels/restreint").await?;
            if level["status"]["pods"]["compliant"] == 10 { Ok(()) } else { Err(level["status"].to_string()) }
        })
        .await;
        world.settled().await;
        let found = state(&world).await;
        let first = first.get_or_insert_with(|| found.clone());
        let unlike = differences(first, &found);
        assert!(unlike.is_empty(), "order 0, order {seed}:\n{}", unlike.join("\n"));

        let before = contents(&world).await;
        apply_all(&world, shuffled(seed + 1)).await;
        world.settled().await;
        let changes = differences(&before, &contents(&world).await);
        assert!(changes.is_empty(), "the second time changed something:\n{}", changes.join("\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_order_the_end_is_the_same_and_a_second_time_changes_nothing() {
    assert_order_does_not_matter("converge", 5).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "soak: fifty control planes, one after the other"]
async fn soak_whatever_of_fifty_orders_the_end_is_the_same() {
    assert_order_does_not_matter("converge-soak", 50).await;
}
