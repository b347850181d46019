//! More of everything than anybody has.

use serde_json::{Value, json};

use super::world::{World, condition, level, namespace, node, pod, qualified_cloud, restreint};
use crate::cluster::{apply, wait_for, wait_until};

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_clouds_and_a_level_with_two_hundred_qualifications_work() {
    let world = World::guarded("large").await;
    let alternatives: Vec<Value> = (0..13)
        .map(|i| json!({"allOf": (0..16).map(|j| json!({"scheme": format!("scheme-{i}-{j}")})).collect::<Vec<_>>()}))
        .chain([json!({"allOf": [{"scheme": "secnumcloud", "minimumVersion": "3.2"}]})])
        .collect();
    apply(&world.admin, &[level("wide", json!({"qualifications": alternatives}), json!({})), restreint()]).await;
    let clouds: Vec<Value> = (0..500).map(|i| qualified_cloud(&format!("cloud-{i}"))).collect();
    for some in clouds.chunks(25) {
        futures::future::join_all(some.iter().map(|cloud| apply(&world.admin, std::slice::from_ref(cloud)))).await;
    }
    world.nodes("n", 3, "cloud-499").await;
    world.wait_nodes("n", "wide", true).await;
    world.wait_condition("sensitivitylevels/wide", "Satisfiable", "True", "").await;
    world.wait_condition("trustedclouds/cloud-499", "Ready", "True", "3 nodes, cleared for restreint, wide").await;
    apply(&world.admin, &[namespace("secret", Some("wide"))]).await;
    wait_until("a pod is accepted", async || world.create_pod("secret", &pod("p")).await.accepted()).await;
    world.wait_pods("secret", 1).await;
    world.settled().await;
}

/// etcd takes requests of 1.5 MB. What is larger is refused: the Clearance that is there stays in force, and the operator says so.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "soak: thousands of nodes with the longest names"]
async fn soak_a_clearance_that_grows_too_large_is_refused_and_the_old_one_stays() {
    let world = World::guarded("too-large").await;
    let cloud = format!("snc-{}", "c".repeat(50));
    apply(&world.admin, &[qualified_cloud(&cloud), restreint(), namespace("secret", Some("restreint"))]).await;
    world.nodes("few", 2, &cloud).await;
    world.wait_nodes("few", "restreint", true).await;
    world.settled().await;

    let nodes: Vec<Value> = (0..5500)
        .map(|i| {
            let mut node = node(&format!("{}-{i}", ["x".repeat(60), "x".repeat(60), "x".repeat(60), "x".repeat(50)].join(".")), &cloud);
            node["metadata"]["labels"]["kubernetes.io/hostname"] = format!("x-{i}").into();
            node["metadata"]["annotations"] = json!({});
            node
        })
        .collect();
    for some in nodes.chunks(50) {
        futures::future::join_all(some.iter().map(|node| apply(&world.admin, std::slice::from_ref(node)))).await;
    }
    let level = wait_for(3 * crate::cluster::PATIENCE, "it says that the Clearance is refused", async || {
        let level = world.get("/apis/rempart.dev/v1alpha1/sensitivitylevels/restreint").await?;
        let said = condition(&level, "Ready")["message"].to_string();
        if said.contains("too large") { Ok(level) } else { Err(format!("{said} {:?}", world.log().lines().last())) }
    })
    .await;
    eprintln!("{}", condition(&level, "Ready"));
    let clearance = world.clearance().await;
    assert_eq!(clearance["nodes"]["few-1"], cloud.as_str());
    wait_until("pods are accepted", async || world.create_pod("secret", &pod("p")).await.accepted()).await;
    let placed = world.wait_pods("secret", 1).await;
    assert!(placed[0].1.as_deref().is_some_and(|node| node.starts_with("few-")), "{placed:?}");
}
