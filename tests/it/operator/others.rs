//! What others do under our names, with our labels, or at the same time.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::proxied;
use super::world::{World, interne, merged, namespace, node, plain_cloud, pod, qualified_cloud, restreint};
use crate::cluster::{apply, send, wait_until};
use crate::proxy::{Fault, On};

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
        tokio::time::sleep(Duration::from_millis(number * 13)).await;
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

/// With `onTrustLoss: Report`, what a cloud was cleared for stands in its status: a cloud of the same name must not inherit it.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_is_written_late_does_not_land_on_another_object_of_the_same_name() {
    const CLOUD: &str = "/apis/rempart.dev/v1alpha1/trustedclouds/snc";
    let (mut world, proxy) = proxied("late-status").await;
    world.start().await;
    let reports = merged(restreint(), json!({"spec": {"onTrustLoss": "Report"}}));
    apply(&world.admin, &[qualified_cloud("snc"), reports, node("snc-1", "snc")]).await;
    world.wait_nodes("snc", "restreint", true).await;
    world.settled().await;
    let written = On::requests("^PATCH .*/trustedclouds/snc/status");
    let late = proxy.spoil(written, |number| number == 1, Fault::Late(Duration::from_secs(4)));
    apply(&world.admin, &[node("snc-2", "snc")]).await;
    wait_until("a status is on its way", async || if proxy.spoilt(late) > 0 { Ok(()) } else { Err(world.log()) }).await;

    world.delete(CLOUD).await;
    apply(&world.admin, &[plain_cloud("snc")]).await;
    let cloud = wait_until("the other cloud is judged", async || {
        let cloud = world.get(CLOUD).await?;
        if cloud["status"]["conditions"].is_array() { Ok(cloud) } else { Err(cloud.to_string()) }
    })
    .await;
    assert_eq!(cloud["status"]["clears"], Value::Null, "{cloud:#}");
    world.settled().await;
    assert_eq!(world.clearance().await["clouds"]["snc"], json!([]));
    world.wait_nodes("snc", "restreint", false).await;
}
