//! With the operator dead, the API server refuses what it refused before; when it is back, it writes nothing that was right.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::world::{World, interne, level, merged, namespace, node, plain_cloud, pod, qualified_cloud, restreint};
use crate::cluster::{apply, expect_refused, has_mutation, send, wait_until};

/// Everything in a cluster that the operator writes, by its version, once nobody else has anything to write about it.
async fn written(world: &World) -> Vec<Value> {
    // The controller manager looks at each policy a moment after it was written, and says so in its status.
    wait_until("the controller manager has looked at every policy", async || {
        let policies = world.items("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies").await;
        let unseen = |policy: &&Value| policy["status"]["observedGeneration"] != policy["metadata"]["generation"];
        policies.iter().find(unseen).map_or(Ok(()), |policy| Err(policy["metadata"]["name"].clone()))
    })
    .await;
    let mut found = Vec::new();
    for path in [
        "/apis/rempart.dev/v1alpha1/clearances",
        "/apis/rempart.dev/v1alpha1/trustedclouds",
        "/apis/rempart.dev/v1alpha1/sensitivitylevels",
        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
        "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies",
        "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings",
        "/api/v1/namespaces",
    ] {
        // Before Kubernetes 1.36 there are no mutating policies.
        if !has_mutation() && path.contains("/mutating") {
            continue;
        }
        found.extend(
            world
                .items(path)
                .await
                .into_iter()
                .map(|object| json!([object["kind"], object["metadata"]["name"], object["metadata"]["resourceVersion"]])),
        );
    }
    found
}

/// A pod that needs nobody to add its selector: before Kubernetes 1.36 nobody does while the operator is dead.
fn own(name: &str, level: &str) -> Value {
    let selector = json!({format!("rempart.node-restriction.kubernetes.io/{level}"): "cleared"});
    if has_mutation() { pod(name) } else { merged(pod(name), json!({"spec": {"nodeSelector": selector}})) }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_stand_while_the_operator_is_dead_and_nothing_is_written_again() {
    let mut world = World::guarded("dead").await;
    apply(&world.admin, &[qualified_cloud("snc"), plain_cloud("aws"), restreint(), interne()]).await;
    world.nodes("snc", 2, "snc").await;
    world.nodes("aws", 2, "aws").await;
    world.wait_nodes("snc", "restreint", true).await;
    world.wait_nodes("aws", "interne", true).await;
    apply(&world.admin, &[namespace("secret", Some("restreint")), namespace("open", None)]).await;
    world.wait_condition("sensitivitylevels/restreint", "Enforced", "True", "").await;
    world.wait_condition("sensitivitylevels/interne", "Enforced", "True", "").await;
    world.settled().await;
    let before = written(&world).await;
    world.kill();

    let mut named = pod("named");
    named["spec"]["nodeName"] = "aws-1".into();
    expect_refused(&world.create_pod("secret", &named).await, "spec.nodeName");
    let mut wild = pod("wild");
    wild["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
    expect_refused(&world.create_pod("secret", &wild).await, "toleration of every taint");
    let mut lost = pod("lost");
    lost["metadata"]["labels"] = json!({"rempart.dev/sensitivity": "restrient"});
    expect_refused(&world.create_pod("open", &lost).await, "interne, restreint");

    world.create_pod("secret", &own("good", "restreint")).await.accepted().unwrap();
    world.create_pod("open", &pod("plain")).await.accepted().unwrap();
    let placed = world.wait_pods("secret", 1).await;
    assert!(placed[0].1.as_ref().unwrap().starts_with("snc-"), "{placed:?}");
    world.wait_pods("open", 1).await;

    let mut gated = own("gated", "restreint");
    gated["spec"]["schedulingGates"] = json!([{"name": "example.com/wait"}]);
    world.create_pod("secret", &gated).await.accepted().unwrap();
    for (path, object) in [("pods/gated/binding", "gated"), ("bindings", "gated")] {
        let binding =
            json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": object}, "target": {"kind": "Node", "name": "aws-1"}});
        let answer = send(&world.admin, Method::POST, &format!("/api/v1/namespaces/secret/{path}"), Some(&binding)).await.unwrap();
        expect_refused(&answer, "node aws-1");
    }
    let kubelet = world.cluster.kubelet("aws-1").await;
    let claim = json!({"metadata": {"labels": {"rempart.node-restriction.kubernetes.io/restreint": "cleared"}}});
    for path in ["/api/v1/nodes/aws-1", "/api/v1/nodes/aws-1/status"] {
        let answer = send(&kubelet, Method::PATCH, path, Some(&claim)).await.unwrap();
        assert_eq!(answer.status, 403, "{answer:?}");
    }
    // A namespace can always be deleted.
    apply(&world.admin, &[namespace("gone", Some("restreint"))]).await;
    world.delete("/api/v1/namespaces/gone").await;
    wait_until("the namespace is gone", async || match world.get("/api/v1/namespaces/gone").await {
        Err(why) if why.starts_with("404") => Ok(()),
        other => Err(other),
    })
    .await;

    // A node that comes back under its name has no label until it is assessed again.
    world.delete("/api/v1/nodes/snc-2").await;
    apply(&world.admin, &[node("snc-2", "elsewhere")]).await;
    world.start().await;
    wait_until("the foreign node is out of the Clearance", async || {
        let nodes = world.clearance().await["nodes"].clone();
        if nodes["snc-2"].is_null() { Ok(()) } else { Err(nodes) }
    })
    .await;
    let after = written(&world).await;
    let only_data = |object: &&Value| ["Clearance", "SensitivityLevel", "TrustedCloud"].iter().any(|kind| object[0] == *kind);
    let policies = |objects: &[Value]| objects.iter().filter(|object| !only_data(object)).cloned().collect::<Vec<_>>();
    assert_eq!(policies(&before), policies(&after), "a policy, binding or namespace that was right was written again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_comes_back_to_what_it_left_writes_nothing() {
    let mut world = World::guarded("undisturbed").await;
    apply(&world.admin, &[qualified_cloud("snc"), restreint(), namespace("secret", Some("restreint"))]).await;
    world.nodes("snc", 3, "snc").await;
    world.wait_nodes("snc", "restreint", true).await;
    world.wait_condition("trustedclouds/snc", "Ready", "True", "3 nodes").await;
    world.settled().await;
    world.kill();
    let before = written(&world).await;

    world.start().await;
    assert_eq!(world.terminate(), Some(0), "it ends when it is asked to");
    let log = world.log();
    let mut writes: Vec<&str> = log.lines().filter(|line| line.contains("written what=")).collect();
    if !has_mutation() {
        // The authority of its certificate is another each time.
        writes.retain(|line| !line.contains("MutatingWebhookConfiguration/rempart"));
    }
    assert!(writes.is_empty(), "{writes:#?}");
    assert_eq!(before, written(&world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_closes_when_nobody_renews_it_and_opens_when_the_operator_is_back() {
    let mut world = World::guarded("unattended").await;
    let short = level("short", json!({"locations": {"storage": ["EEA"]}}), json!({"unattendedFor": "1m"}));
    apply(
        &world.admin,
        &[qualified_cloud("snc"), short, interne(), namespace("secret", Some("short")), namespace("patient", Some("interne"))],
    )
    .await;
    world.nodes("snc", 2, "snc").await;
    world.wait_nodes("snc", "short", true).await;
    world.create_pod("secret", &pod("first")).await.accepted().unwrap();
    world.wait_pods("secret", 1).await;

    let first = not_after(&world).await;
    wait_until("it is renewed at half of its time", async || {
        let now = not_after(&world).await;
        if now > first { Ok(()) } else { Err(now) }
    })
    .await;
    world.kill();

    let refusal = loop {
        let answer = world.create_pod("secret", &own(&format!("late-{}", jiff::Timestamp::now().as_second()), "short")).await;
        if answer.status == 403 {
            break answer.refusal();
        }
        assert_eq!(answer.status, 201, "{answer:?}");
        tokio::time::sleep(Duration::from_secs(2)).await;
    };
    assert!(refusal.contains("its clearance ended at") && refusal.contains("is it running?"), "{refusal}");
    world.create_pod("patient", &own("other-level", "interne")).await.accepted().unwrap();

    world.start().await;
    wait_until("pods are accepted again", async || world.create_pod("secret", &pod("again")).await.accepted().map(drop)).await;
}

async fn not_after(world: &World) -> String {
    world.clearance().await["levels"]["short"]["notAfter"].as_str().unwrap_or_default().to_owned()
}
