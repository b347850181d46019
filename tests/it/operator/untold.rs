//! Events are for people: none of them holds up a write, and what there is to tell is told.

use serde_json::{Value, json};

use super::proxied;
use super::world::{World, namespace, qualified_cloud, restreint};
use crate::cluster::{apply, wait_until};
use crate::proxy::{Fault, On, Proxy};

const CLEARANCE: &str = "/apis/rempart.dev/v1alpha1/clearances/cluster";

/// A world whose operator speaks through the proxy, and in which this becomes of its events.
async fn world(name: &str, fault: Fault) -> (World, Proxy) {
    let (mut world, proxy) = proxied(name).await;
    proxy.spoil(On::requests("^(POST|PATCH) .*/events"), |_| true, fault);
    world.start().await;
    apply(&world.admin, &[qualified_cloud("snc"), restreint(), namespace("secret", Some("restreint"))]).await;
    world.wait_condition("sensitivitylevels/restreint", "Ready", "True", "").await;
    (world, proxy)
}

/// Somebody else writes the Clearance, and it is put back.
async fn edit(world: &World) {
    let right = world.clearance().await["clouds"].clone();
    let edited = json!({"snc": []});
    assert_ne!(right, edited);
    world.patch(CLEARANCE, json!({"spec": {"clouds": edited}})).await;
    wait_until("the Clearance is right again", async || {
        let clouds = world.clearance().await["clouds"].clone();
        if clouds == right { Ok(()) } else { Err(clouds) }
    })
    .await;
}

/// Events about the Clearance.
async fn told(world: &World) -> Vec<Value> {
    let mut events = world.items("/apis/events.k8s.io/v1/events").await;
    events.retain(|event| event["regarding"]["kind"] == "Clearance");
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_never_answered_hold_up_no_write() {
    let (world, proxy) = world("untold", Fault::BlackHole).await;
    edit(&world).await;
    wait_until("an event was tried", async || if proxy.spoilt_by_any() > 0 { Ok(()) } else { Err(world.log()) }).await;
    edit(&world).await;
    world.wait_condition("sensitivitylevels/restreint", "Ready", "True", "").await;
    assert!(!world.log().contains("no answer within"), "no write is said to have failed");
    assert_eq!(told(&world).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_still_to_be_told_is_told_before_the_operator_ends() {
    let (mut world, _proxy) = world("told-late", Fault::Late(std::time::Duration::from_secs(1))).await;
    edit(&world).await;
    assert_eq!(world.terminate(), Some(0));
    let told = told(&world).await;
    assert!(told.iter().any(|event| event["reason"] == "PutBack"), "{told:?}");
}
