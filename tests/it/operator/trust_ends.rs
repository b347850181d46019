//! Trust that ends, on a date or by a decision, takes its consequences with it.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::world::{World, interne, namespace, plain_cloud, pod, qualified_cloud, restreint};
use crate::cluster::{apply, wait_until};

const SNC: &str = "/apis/rempart.dev/v1alpha1/trustedclouds/snc";

async fn wait_cleared(world: &World, cloud: &str, levels: Value) -> Duration {
    let begin = Instant::now();
    wait_until(&format!("{cloud} is cleared for {levels}"), async || {
        let found = world.clearance().await["clouds"][cloud].clone();
        if found == levels { Ok(()) } else { Err(found) }
    })
    .await;
    begin.elapsed()
}

pub fn suspension(at: Timestamp) -> Value {
    let mut qualifications = qualified_cloud("snc")["spec"]["qualifications"].clone();
    qualifications[0]["events"] = json!([{"type": "Suspended", "effectiveAt": at.to_string()}]);
    json!({"spec": {"qualifications": qualifications}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_loses_trust_gets_nothing_new_and_comes_back_the_same_way() {
    let world = World::guarded("trust-ends").await;
    apply(&world.admin, &[qualified_cloud("snc"), qualified_cloud("other"), plain_cloud("aws"), restreint(), interne()]).await;
    world.nodes("snc", 500, "snc").await;
    world.nodes("other", 2, "other").await;
    world.nodes("aws", 2, "aws").await;
    world.wait_nodes("snc", "restreint", true).await;
    world.wait_nodes("other", "restreint", true).await;
    apply(&world.admin, &[namespace("secret", Some("restreint"))]).await;
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "before", "namespace": "secret"},
        "spec": {"replicas": 20, "selector": {"matchLabels": {"app": "a"}}, "template": {"metadata": {"labels": {"app": "a"}}, "spec": pod("x")["spec"]}},
    });
    apply(&world.admin, &[deployment]).await;
    let before = world.wait_pods("secret", 20).await;
    let stranded = before.iter().filter(|(_, node, _)| node.as_ref().unwrap().starts_with("snc-")).count();

    // By a decision: somebody writes it into the cloud.
    world.patch(SNC, suspension(Timestamp::now())).await;
    let took = wait_cleared(&world, "snc", json!(["interne"])).await;
    eprintln!("a cloud of 500 nodes was out of the Clearance {took:?} after its suspension was written");
    world.wait_condition("trustedclouds/snc", "Qualified", "False", "Suspended").await;
    world.wait_nodes("snc", "restreint", false).await;
    world.wait_nodes("snc", "interne", true).await;
    for number in 0..10 {
        world.create_pod("secret", &pod(&format!("after-{number}"))).await.accepted().unwrap();
    }
    let after = world.wait_pods("secret", 30).await;
    let elsewhere: Vec<_> =
        after.iter().filter(|(name, node, _)| name.starts_with("after-") && !node.as_ref().unwrap().starts_with("other-")).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");

    // What runs there goes on running, and is reported.
    let object = world.wait_condition("sensitivitylevels/restreint", "Compliant", if stranded == 0 { "True" } else { "False" }, "").await;
    assert_eq!(object["status"]["pods"]["violating"], stranded);

    world.patch(SNC, json!({"spec": {"qualifications": qualified_cloud("snc")["spec"]["qualifications"]}})).await;
    wait_cleared(&world, "snc", json!(["interne", "restreint"])).await;
    world.wait_nodes("snc", "restreint", true).await;
    world.wait_condition("sensitivitylevels/restreint", "Compliant", "True", "").await;

    // By a fact that a level requires.
    world.patch(SNC, json!({"spec": {"operator": {"registeredOffice": null}}})).await;
    wait_cleared(&world, "snc", json!(["interne"])).await;
    let cloud = world.wait_condition("trustedclouds/snc", "Ready", "True", "interne").await;
    assert_eq!(cloud["status"]["unmet"][0]["level"], "restreint");
    assert!(cloud["status"]["unmet"].to_string().contains("unknown"), "{}", cloud["status"]["unmet"]);
    world.patch(SNC, json!({"spec": {"operator": {"registeredOffice": "FR"}}})).await;
    wait_cleared(&world, "snc", json!(["interne", "restreint"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_has_consequences_without_anybody_writing_anything() {
    let world = World::guarded("trust-dated").await;
    apply(&world.admin, &[qualified_cloud("snc"), restreint(), namespace("secret", Some("restreint"))]).await;
    world.nodes("snc", 2, "snc").await;
    world.wait_nodes("snc", "restreint", true).await;

    let at = Timestamp::from_second(Timestamp::now().as_second() + 6).unwrap();
    world.patch(SNC, suspension(at)).await;
    wait_until("the Clearance ends with the trust", async || {
        let not_after = world.clearance().await["levels"]["restreint"]["notAfter"].clone();
        if not_after == at.to_string() { Ok(()) } else { Err(not_after) }
    })
    .await;
    assert_eq!(world.clearance().await["clouds"]["snc"], json!(["restreint"]), "it is trusted until then");
    assert!(Timestamp::now() < at);

    wait_cleared(&world, "snc", json!([])).await;
    let late = Timestamp::now().duration_since(at);
    assert!(late.as_secs_f64() > -0.1, "it was taken away before its time");
    eprintln!("trust was taken away {late:#} after the instant");
    world.wait_nodes("snc", "restreint", false).await;
    world.wait_condition("sensitivitylevels/restreint", "Satisfiable", "False", "NoEligibleCloud").await;
}
