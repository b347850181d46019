//! A storm of all faults at once, while the cluster changes: nothing gets in that must not, the API server is not flooded, and
//! soon after it the cluster is as it would be had there been none.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::converge::{differences, state};
use super::proxied;
use super::trust_ends::suspension;
use super::world::{World, interne, namespace, node, plain_cloud, pod, qualified_cloud, restreint};
use crate::cluster::{apply, send, wait_for, wait_until};
use crate::proxy::{Fault, On, Proxy};

/// How often something in the cluster changes.
const PACE: Duration = Duration::from_secs(1);
/// After so long without faults everything must be as it should be.
const HEALED_WITHIN: Duration = Duration::from_secs(30);

/// One of a hundred, another one for each `seed`.
fn one_percent(seed: u32) -> impl Fn(usize) -> bool + Send {
    move |number| {
        let chance = Sha256::digest(format!("{seed} {number}"));
        u16::from_be_bytes([chance[0], chance[1]]) < 655
    }
}

/// From now on one request of ten is spoilt, and one watch of two.
fn spoil(proxy: &Proxy, seed: u32) {
    let (any, watches) = (On::requests(""), On::requests("watch=true"));
    let second = Duration::from_secs(1);
    let kinds = [
        (On::Writes, Fault::Status(409)),
        (any.clone(), Fault::Status(410)),
        (any.clone(), Fault::Status(429)),
        (any.clone(), Fault::Status(500)),
        (any.clone(), Fault::Status(503)),
        (any.clone(), Fault::ResetBefore),
        (any.clone(), Fault::ResetAfter),
        (any.clone(), Fault::BlackHole),
        (any.clone(), Fault::Late(second)),
        (any, Fault::Late(5 * second)),
    ];
    for (seed, (on, fault)) in (seed * 100..).zip(kinds) {
        proxy.spoil(on, one_percent(seed), fault);
    }
    for (seed, fault) in
        (seed * 100 + 50..).zip([Fault::ErrorEvent(410), Fault::ErrorEvent(500), Fault::Cut(1), Fault::Repeat, Fault::Delay(second)])
    {
        let chance = one_percent(seed);
        proxy.spoil(watches.clone(), move |number| (0..10).any(|part| chance(number * 10 + part)), fault);
    }
}

pub(super) async fn installed(name: &str) -> (World, Proxy) {
    let (mut world, proxy) = proxied(name).await;
    world.start().await;
    let clouds = [qualified_cloud("snc"), plain_cloud("aws"), restreint(), interne(), namespace("secret", Some("restreint"))];
    apply(&world.admin, &clouds).await;
    world.nodes("snc", 2, "snc").await;
    world.nodes("aws", 2, "aws").await;
    world.wait_nodes("snc", "restreint", true).await;
    world.wait_condition("sensitivitylevels/restreint", "Enforced", "True", "").await;
    world.settled().await;
    (world, proxy)
}

/// The `number`th change of the cluster. Those after six are the same again.
async fn change(world: &World, number: u32) {
    let trusted = json!({"spec": {"qualifications": qualified_cloud("snc")["spec"]["qualifications"]}});
    let (cloud, level) = ("/apis/rempart.dev/v1alpha1/trustedclouds/snc", "/apis/rempart.dev/v1alpha1/sensitivitylevels/restreint");
    match number % 6 {
        0 => world.patch(cloud, suspension("2025-06-01T00:00:00Z".parse().unwrap())).await,
        1 => apply(&world.admin, &[node("late-1", "snc")]).await,
        2 => world.patch(cloud, trusted).await,
        3 => world.patch(level, json!({"spec": {"requires": {"operator": {"seatsIn": ["DE"]}}}})).await,
        4 => drop(send(&world.admin, Method::DELETE, "/api/v1/nodes/late-1", None).await.expect("the API server answers")),
        _ => world.patch(level, json!({"spec": {"requires": restreint()["spec"]["requires"]}})).await,
    }
    // It may be refused; it must not run where it may not.
    world.create_pod("secret", &json!({"metadata": {"generateName": "a-"}, "spec": pod("x")["spec"]})).await;
}

/// Changes the cluster for so long, and gives the number of requests that took.
async fn live(world: &World, proxy: &Proxy, time: Duration) -> usize {
    let (before, begin) = (proxy.requests().len(), Instant::now());
    let changes = u32::try_from(time.as_secs() / PACE.as_secs()).expect("tests end");
    for number in 0..changes {
        change(world, number).await;
        tokio::time::sleep((PACE * (number + 1)).saturating_sub(begin.elapsed())).await;
    }
    proxy.requests().len() - before
}

/// Ends as every life ends: one node more, no pods, everything trusted.
async fn end(world: &World) {
    change(world, 2).await;
    change(world, 5).await;
    change(world, 1).await;
    let pods = "/api/v1/namespaces/secret/pods?gracePeriodSeconds=0";
    wait_until("the pods are gone", async || {
        send(&world.admin, Method::DELETE, pods, None).await.map_err(|error| error.to_string())?;
        let left = world.pods("secret").await;
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
}

async fn assert_weathers(name: &str, seed: u32, time: Duration) {
    let calm = format!("{name}-calm");
    let ((calm, calm_proxy), (mut world, proxy)) = tokio::join!(installed(&calm), installed(name));
    spoil(&proxy, seed);
    let (in_calm, in_storm) = tokio::join!(live(&calm, &calm_proxy, time), live(&world, &proxy, time));
    let spoilt = proxy.spoilt_by_any();
    eprintln!("{name}: {in_calm} requests without faults; {in_storm} with them, {spoilt} spoilt");
    assert!(spoilt * 20 > in_storm, "{spoilt} of {in_storm} requests are no storm");
    end(&calm).await;
    calm.settled().await;
    end(&world).await;
    let expected = state(&calm).await;

    proxy.heal();
    proxy.hang_up(&On::requests(""));
    let begin = Instant::now();
    wait_for(HEALED_WITHIN, "everything is as if nothing had been", async || {
        let unlike = differences(&expected, &state(&world).await);
        if unlike.is_empty() { Ok(()) } else { Err(unlike.join("\n")) }
    })
    .await;
    eprintln!("{name}: healed after {:?}", begin.elapsed());
    world.settled().await;
    assert!(world.is_running() && !world.log().contains("panicked"), "{}", world.log());
    assert!(in_storm <= 2 * in_calm, "{in_calm} requests without faults, {in_storm} with them");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_faults_leaves_nothing_behind() {
    assert_weathers("storm", 4, Duration::from_secs(24)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "soak: ten minutes of faults"]
async fn soak_a_storm_of_ten_minutes_leaves_nothing_behind() {
    assert_weathers("storm-soak", 10, Duration::from_mins(10)).await;
}
