//! What others do under our names, with our labels, or at the same time.

use http::Method;
use serde_json::{Value, json};

use super::world::{World, interne, merged, namespace, node, pod, qualified_cloud, restreint};
use crate::cluster::{apply, send, wait_until};

const POLICIES: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";

/// A policy that refuses nothing and concerns nobody.
fn policy(name: &str) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [{"apiGroups": ["example.com"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["others"]}]},
            "validations": [{"expression": "true"}],
        },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_our_names_is_taken_over_and_what_has_only_our_labels_is_left_alone() {
    let mut world = World::installed("others").await;
    let labels = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "rempart", "app.kubernetes.io/part-of": "rempart"}}});
    let theirs = merged(policy("other-tool"), labels);
    let label = json!({"metadata": {"labels": {"rempart.node-restriction.kubernetes.io/restreint": "cleared", "rempart.node-restriction.kubernetes.io/cloud": "snc"}}});
    apply(&world.admin, &[policy("rempart-pod"), theirs, merged(node("aws-1", "aws"), label), node("snc-1", "snc")]).await;

    world.start().await;
    apply(&world.admin, &[qualified_cloud("snc"), restreint(), namespace("secret", Some("restreint"))]).await;
    world.wait_nodes("snc", "restreint", true).await;
    world.wait_nodes("aws", "restreint", false).await;
    world.wait_condition("sensitivitylevels/restreint", "Enforced", "True", "").await;
    let answer = world.create_pod("secret", &merged(pod("p"), json!({"spec": {"nodeName": "aws-1"}}))).await;
    assert!(answer.refusal().contains("'rempart-pod' denied request"), "{}", answer.body);
    world.settled().await;
    let other = world.get(&format!("{POLICIES}/other-tool")).await.expect("it is nobody's but theirs");
    assert_eq!(other["metadata"]["generation"], 1);
    assert!(other["metadata"]["finalizers"].is_null(), "{}", other["metadata"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_while_it_is_being_classified_leaves_nothing_behind() {
    let world = World::guarded("going").await;
    apply(&world.admin, &[qualified_cloud("snc"), restreint(), interne()]).await;
    for number in 0..12 {
        let name = format!("brief-{number}");
        let declaration = json!({
            "apiVersion": "rempart.dev/v1alpha1", "kind": "DataDeclaration", "metadata": {"name": "all", "namespace": name},
            "spec": {"level": "restreint"},
        });
        apply(&world.admin, &[namespace(&name, None), declaration, node(&name, "snc")]).await;
        // At all stages of what follows from them.
        tokio::time::sleep(std::time::Duration::from_millis(number * 13)).await;
        world.delete(&format!("/api/v1/namespaces/{name}")).await;
        world.delete(&format!("/api/v1/nodes/{name}")).await;
    }
    wait_until("the namespaces are gone", async || {
        let left = world.items("/api/v1/namespaces").await;
        let left: Vec<_> =
            left.iter().map(|namespace| namespace["metadata"]["name"].to_string()).filter(|name| name.contains("brief")).collect();
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
    world.settled().await;
    let clearance = world.clearance().await;
    assert!(!clearance["nodes"].to_string().contains("brief"), "{clearance}");
    assert!(!world.log().contains("panicked"));
    world.wait_condition("sensitivitylevels/restreint", "Ready", "True", "").await;
    world.wait_condition("trustedclouds/snc", "Ready", "True", "0 nodes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_belongs_to_the_cloud_that_its_provider_id_names_now() {
    let world = World::guarded("moves").await;
    apply(&world.admin, &[qualified_cloud("snc"), restreint(), interne()]).await;
    let label = async || {
        world.get("/api/v1/nodes/moves-1").await.unwrap()["metadata"]["labels"]["rempart.node-restriction.kubernetes.io/restreint"].clone()
    };
    let without = merged(node("moves-1", "snc"), json!({"spec": {"providerID": null}}));
    apply(&world.admin, &[without]).await;
    world.settled().await;
    assert_eq!(label().await, Value::Null, "a node of no cloud");

    // Its cloud's controller says where it is.
    world.patch("/api/v1/nodes/moves-1", json!({"spec": {"providerID": "kwok://snc/moves-1"}})).await;
    world.wait_nodes("moves", "restreint", true).await;
    let elsewhere = json!({"spec": {"providerID": "kwok://aws/moves-1"}});
    let answer = send(&world.admin, Method::PATCH, "/api/v1/nodes/moves-1", Some(&elsewhere)).await.unwrap();
    assert!(answer.refusal().contains("providerID"), "Kubernetes lets nobody change it: {}", answer.body);

    // A node of the same name, of another cloud.
    world.delete("/api/v1/nodes/moves-1").await;
    apply(&world.admin, &[node("moves-1", "aws")]).await;
    wait_until("it is out of the Clearance", async || {
        let nodes = world.clearance().await["nodes"].clone();
        if nodes["moves-1"].is_null() { Ok(()) } else { Err(nodes) }
    })
    .await;
    world.wait_nodes("moves", "restreint", false).await;
}
