//! The API server goes away and comes back; the operator notices nothing worse than a pause.

use std::time::Duration;

use serde_json::json;

use super::proxied;
use super::world::{World, namespace, pod, qualified_cloud, restreint};
use crate::cluster::{apply, asked, wait_until};
use crate::proxy::{Fault, On};

/// What the log says of a write that was made.
const WRITTEN: &str = ": written what=";

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_outlives_a_restart_of_the_api_server_and_goes_on() {
    let world = World::guarded("restarted").await;
    apply(&world.admin, &[qualified_cloud("snc"), restreint(), namespace("secret", Some("restreint"))]).await;
    world.nodes("snc", 2, "snc").await;
    world.wait_nodes("snc", "restreint", true).await;
    world.settled().await;

    world.cluster.command("restart-apiserver");
    world.nodes("late", 1, "snc").await;
    world.wait_nodes("late", "restreint", true).await;
    // For up to 30 s an API server that has just started may refuse what it should accept, never the other way round.
    wait_until("pods are accepted", async || world.create_pod("secret", &pod("after")).await.accepted().map(drop)).await;

    world.patch("/apis/rempart.dev/v1alpha1/trustedclouds/snc", json!({"spec": {"qualifications": []}})).await;
    wait_until("trust is taken away", async || {
        let clouds = world.clearance().await["clouds"].clone();
        if clouds["snc"] == json!([]) { Ok(()) } else { Err(clouds) }
    })
    .await;
    world.wait_condition("sensitivitylevels/restreint", "Satisfiable", "False", "NoEligibleCloud").await;
    assert!(!world.log().contains("panicked"), "{}", world.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_asked_to_end_writes_to_the_end_what_it_is_writing() {
    let (mut world, proxy) = proxied("ended").await;
    world.start().await;
    world.settled().await;
    let late = proxy.spoil(On::Writes, |_| true, Fault::Late(Duration::from_secs(2)));
    apply(&world.admin, &[qualified_cloud("snc")]).await;
    wait_until("it writes", async || if proxy.spoilt(late) > 0 { Ok(()) } else { Err(world.log()) }).await;
    let before = world.log().matches(WRITTEN).count();
    assert_eq!(world.terminate(), Some(0));
    let log = world.log();
    let (end, _) = log.split_once("stopping").expect("it says when it stops");
    assert!(end.matches(WRITTEN).count() > before, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_crds_the_operator_waits_and_says_what_is_missing() {
    let mut world = World::installed("no-crds").await;
    world.delete("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/datadeclarations.rempart.dev").await;
    wait_until("the kind is gone", async || match world.get("/apis/rempart.dev/v1alpha1/datadeclarations").await {
        Err(why) if why.starts_with("404") => Ok(()),
        other => Err(other),
    })
    .await;
    world.launch();
    world.wait_for_log("datadeclarations").await;
    world.wait_for_log("kubectl apply --server-side -f crds/ -f deploy/").await;
    world.install().await;
    world.wait_for_log("the guard holds").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_starts_before_any_api_server_answers_is_alive_and_waits() {
    let (mut world, proxy) = proxied("early").await;
    let away = proxy.spoil(On::requests("."), |_| true, Fault::Status(503));
    world.launch();
    // An end would be followed by starts that are ever further apart.
    wait_until("it has asked for half a minute", async || if proxy.spoilt(away) > 6 { Ok(()) } else { Err(world.log()) }).await;
    assert!(world.is_running(), "{}", world.log());
    assert_eq!(asked(&world.log(), "/healthz").await.0, 200);
    assert_eq!(asked(&world.log(), "/readyz").await.0, 503);
    proxy.heal();
    world.wait_for_log("the guard holds").await;
    assert_eq!(asked(&world.log(), "/readyz").await.0, 200);
}
