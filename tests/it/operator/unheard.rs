//! What may be old is not relied upon: while it is not known what is trusted, nothing is promised for longer.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::proxied;
use super::trust_ends::suspension;
use super::world::{World, condition, level, namespace, pod, qualified_cloud, restreint};
use crate::cluster::{PATIENCE, apply, wait_for, wait_until};
use crate::proxy::{Fault, On, Proxy};

const CLOUD: &str = "/apis/rempart.dev/v1alpha1/trustedclouds/snc";

/// Lists and watches of clouds.
fn clouds() -> On {
    On::requests("^GET .*/trustedclouds[?]")
}

/// One cloud, and one level whose clearance is renewed every half minute.
async fn settled(name: &str) -> (World, Proxy) {
    let (mut world, proxy) = proxied(name).await;
    world.launch();
    let requires = restreint()["spec"]["requires"].clone();
    let short = level("short", requires, json!({"unattendedFor": "1m"}));
    apply(&world.admin, &[qualified_cloud("snc"), short, namespace("secret", Some("short"))]).await;
    world.nodes("snc", 1, "snc").await;
    world.wait_condition("sensitivitylevels/short", "Enforced", "True", "").await;
    world.wait_nodes("snc", "short", true).await;
    world.settled().await;
    (world, proxy)
}

async fn not_after(world: &World) -> Value {
    world.clearance().await["levels"]["short"]["notAfter"].clone()
}

async fn wait_told(world: &World) {
    let told = "trustedclouds cannot be read at the moment: what is known of them is kept, and no clearance is renewed";
    wait_for(3 * PATIENCE, told, async || {
        let level = world.get("/apis/rempart.dev/v1alpha1/sensitivitylevels/short").await?;
        if condition(&level, "Reconciling")["message"] == told { Ok(()) } else { Err(level["status"].to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_is_refused_again_and_again_is_soon_known_to_be_old() {
    let (world, proxy) = settled("unheard-refused").await;
    proxy.spoil(clouds(), |_| true, Fault::Status(503));
    proxy.hang_up(&clouds());
    let begin = Instant::now();
    wait_told(&world).await;
    eprintln!("a watch that is refused was known to be broken after {:?}", begin.elapsed());
    proxy.heal();
    world.wait_condition("sensitivitylevels/short", "Ready", "True", "").await;
    world.settled().await;
}

async fn wait_suspended(world: &World) {
    wait_until("the cloud is out of the Clearance", async || {
        let clouds = world.clearance().await["clouds"].clone();
        if clouds["snc"] == json!([]) { Ok(()) } else { Err(clouds) }
    })
    .await;
}

/// Watches bring nothing, and the news is seen all the same.
async fn assert_seen_without_events(name: &str, fault: Fault, which: fn(usize) -> bool) {
    let (world, proxy) = settled(name).await;
    let mute = proxy.spoil(clouds(), which, fault);
    proxy.hang_up(&clouds());
    wait_until("the watch is a mute one", async || if proxy.spoilt(mute) > 0 { Ok(()) } else { Err(world.log()) }).await;
    world.patch(CLOUD, suspension(Timestamp::now())).await;
    let begin = Instant::now();
    wait_suspended(&world).await;
    eprintln!("a suspension that the watch did not bring was seen after {:?}", begin.elapsed());
    world.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "soak: a minute of watches that bring nothing and never end"]
async fn soak_a_watch_that_has_died_without_a_word_is_noticed_and_begun_anew() {
    assert_seen_without_events("unheard-mute", Fault::Mute, |_| true).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "soak: a minute of a watch that ends as it should and has brought nothing"]
async fn soak_what_a_watch_has_lost_the_next_one_brings() {
    assert_seen_without_events("unheard-lost", Fault::Lose, |number| number == 1).await;
}

/// Nobody can see that the cloud is suspended; so the level closes by itself, in time. Afterwards everything is as it should be.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "soak: two minutes of lists and watches that are never answered"]
async fn soak_a_level_closes_when_what_is_trusted_is_never_answered() {
    let (world, proxy) = settled("unheard-black-hole").await;
    proxy.spoil(clouds(), |_| true, Fault::BlackHole);
    proxy.hang_up(&clouds());
    world.patch(CLOUD, suspension(Timestamp::now())).await;
    let begin = Instant::now();
    wait_told(&world).await;
    let end = not_after(&world).await;
    eprintln!("that nothing was answered was told after {:?}, and the clearance ends at {end}", begin.elapsed());
    wait_for(2 * PATIENCE, "the API server accepts nothing any more", async || {
        let answer = world.create_pod("secret", &json!({"metadata": {"generateName": "late-"}, "spec": pod("x")["spec"]})).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        if answer.refusal().contains("its clearance ended at") { Ok(()) } else { Err(answer) }
    })
    .await;
    assert_eq!(not_after(&world).await, end, "it was renewed on what may be old");

    proxy.heal();
    let begin = Instant::now();
    wait_suspended(&world).await;
    eprintln!("what had happened meanwhile was seen after {:?}", begin.elapsed());
    world.settled().await;
}
