//! What is wrong between the operator and its API server passes, and leaves nothing behind.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::proxied;
use super::trust_ends::suspension;
use super::world::{namespace, pod, qualified_cloud, restreint};
use crate::cluster::{apply, wait_until};
use crate::proxy::{Fault, On};

/// A life as in [`lives_with`] takes some 170 requests when nothing is wrong. A connection that is reset takes all watches with
/// it, and each begins with a list; who spins asks many thousand times.
const MOST_REQUESTS: usize = 600;

/// One thing that goes wrong: for which requests, for which of them, and what.
type Wrong = (On, fn(usize) -> bool, Fault);

/// Installs, clears nodes, and takes trust away, all of it while these things go wrong. The operator is never started again.
async fn lives_with(name: &str, wrongs: &[Wrong]) {
    let (mut world, proxy) = proxied(name).await;
    let rules: Vec<_> = wrongs.iter().map(|(on, which, fault)| proxy.spoil(on.clone(), *which, *fault)).collect();

    world.launch();
    apply(&world.admin, &[qualified_cloud("snc"), restreint(), namespace("secret", Some("restreint"))]).await;
    world.nodes("snc", 2, "snc").await;
    world.wait_condition("sensitivitylevels/restreint", "Enforced", "True", "").await;
    world.wait_nodes("snc", "restreint", true).await;
    wait_until("a pod is accepted", async || world.create_pod("secret", &pod("a")).await.accepted()).await;
    world.wait_pods("secret", 1).await;

    world.patch("/apis/rempart.dev/v1alpha1/trustedclouds/snc", suspension(Timestamp::now())).await;
    wait_until("the cloud is out of the Clearance", async || {
        let clouds = world.clearance().await["clouds"].clone();
        if clouds["snc"] == json!([]) { Ok(()) } else { Err(clouds) }
    })
    .await;
    world.wait_nodes("snc", "restreint", false).await;
    world.wait_condition("sensitivitylevels/restreint", "Compliant", "False", "").await;

    for ((on, _, fault), rule) in wrongs.iter().zip(rules) {
        assert!(proxy.spoilt(rule) > 0, "no {fault:?} happened to {on:?}");
    }
    // Probes come every 250 ms while policies are young.
    let requests: Vec<String> = proxy.requests().into_iter().filter(|line| !line.contains("dryRun=")).collect();
    eprintln!("{name}: {} requests", requests.len());
    assert!(requests.len() < MOST_REQUESTS, "{}:\n{}", requests.len(), requests.join("\n"));
    proxy.heal();
    world.settled().await;
    assert!(world.is_running() && !world.log().contains("panicked"), "{}", world.log());
}

/// One of five, without a rhythm that what is tried again could fall into.
fn a_fifth(number: usize) -> bool {
    Sha256::digest(number.to_be_bytes())[0] < 51
}

/// One of ten: a connection that is reset takes with it whatever else is asked over it.
fn a_tenth(number: usize) -> bool {
    Sha256::digest(number.to_be_bytes())[0] < 26
}

fn each(_: usize) -> bool {
    true
}

fn any() -> On {
    On::requests("")
}

fn watches() -> On {
    On::requests("watch=true")
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_at_all_is_wrong() {
    lives_with("faults-none", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_not_there_yet_is_waited_for() {
    let asks_who_it_is: Wrong = (On::requests("/selfsubjectreviews"), |number| number < 3, Fault::ResetBefore);
    lives_with(
        "faults-start",
        &[asks_who_it_is, (On::requests("GET /apis/admissionregistration.k8s.io/v1 "), |number| number < 2, Fault::Status(503))],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_that_nothing_follows_are_outlived() {
    lives_with("faults-409", &[(On::Writes, a_fifth, Fault::Status(409))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_gone_when_a_watch_begins_is_not_asked_for_again() {
    lives_with("faults-410", &[(watches(), |number| number < 13 || a_fifth(number), Fault::Status(410))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_gone_during_a_watch_is_not_asked_for_again() {
    lives_with("faults-410-event", &[(watches(), |number| number < 13 || a_fifth(number), Fault::ErrorEvent(410))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_that_fail_by_an_event_are_outlived() {
    lives_with("faults-500-event", &[(watches(), |number| number < 13 || a_fifth(number), Fault::ErrorEvent(500))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_asks_for_patience_gets_it() {
    lives_with("faults-429", &[(any(), a_fifth, Fault::Status(429))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn internal_errors_are_outlived() {
    lives_with("faults-500", &[(any(), a_fifth, Fault::Status(500))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_not_available_is_outlived() {
    lives_with("faults-503", &[(any(), a_fifth, Fault::Status(503))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_reset_before_anything_happened_are_outlived() {
    lives_with("faults-reset-before", &[(any(), a_tenth, Fault::ResetBefore)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_lost_are_outlived() {
    lives_with("faults-reset-after", &[(any(), a_tenth, Fault::ResetAfter)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_never_answered_are_outlived() {
    let reads: Wrong = (On::requests("^GET "), |number| [5, 20].contains(&number), Fault::BlackHole);
    lives_with("faults-black-hole", &[reads, (On::Writes, |number| [3, 30].contains(&number), Fault::BlackHole)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_take_their_time_are_waited_for() {
    lives_with("faults-late", &[(any(), a_fifth, Fault::Late(Duration::from_secs(2)))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_come_twice_say_nothing_new() {
    lives_with("faults-repeat", &[(watches(), each, Fault::Repeat)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_come_late_come() {
    lives_with("faults-delay", &[(watches(), each, Fault::Delay(Duration::from_secs(1)))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_lost_with_their_connection_are_asked_for_again() {
    lives_with("faults-cut", &[(watches(), a_fifth, Fault::Cut(0)), (watches(), |number| number < 25, Fault::Cut(2))]).await;
}
