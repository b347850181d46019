//! What the webhook does while nobody leads, and while somebody begins to.

use http::Method;
use serde_json::{Value, json};

use super::webhook::{PUBLISHED, ask, furnish, told, world};
use super::world::World;
use crate::cluster::{Cluster, wait_until};
use crate::proxy::{Fault, On, Proxy};

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/rempart-system/leases/rempart";
/// Nobody takes a lease that another holds, however long this takes.
const NEVER: [&str; 4] = ["--lease-duration", "600s", "--lease-renew-within", "500s"];

/// Somebody who does nothing takes the lease.
async fn leaderless(world: &World) {
    world.patch(LEASE, json!({"spec": {"holderIdentity": "someone"}})).await;
    world.wait_for_log("no longer leading").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_of_the_next_certificate_is_put_back_while_nobody_leads() {
    let world = world("webhook-leaderless", &[&NEVER[..], &["--webhook-certificates", "40s"]].concat()).await;
    leaderless(&world).await;
    let entry = async || world.get(PUBLISHED).await.map(|published| published["data"]["rempart"].clone());
    let before = entry().await.unwrap();
    let next = wait_until("the next certificate is made", async || {
        let found = entry().await?;
        if found == before { Err(found.to_string()) } else { Ok(found) }
    })
    .await;
    world.delete(PUBLISHED).await;
    wait_until("the same is published again", async || {
        let found = entry().await?;
        if found == next { Ok(()) } else { Err(found.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_over_answers_by_what_it_saw_before_while_it_reads_everything_anew() {
    let mut world = World::installed_on(Cluster::without_mutation("webhook-takeover", &[])).await;
    let proxy = Proxy::start(&world.cluster).await;
    world.speak_to(&proxy.url());
    world.launch_with(&NEVER);
    furnish(&world).await;
    leaderless(&world).await;
    let client = told(&world).await;
    let unread = proxy.spoil(On::requests("^GET .*/trustedclouds"), |_| true, Fault::BlackHole);
    world.delete(LEASE).await;
    wait_until("it leads, and reads anew", async || {
        let leads = world.log().lines().filter(|line| line.ends_with(" leading: this replica writes")).count();
        if leads == 2 && proxy.spoilt(unread) > 0 { Ok(()) } else { Err(leads) }
    })
    .await;
    let request = json!({"uid": "u", "namespace": "secret", "object": {"metadata": {}, "spec": {}}});
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).to_string();
    let (_, body) = ask(&client, Method::POST, "/rempart-pod-selector", review.into_bytes()).await.unwrap();
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(answer["response"]["patchType"], "JSONPatch", "{answer}");
    proxy.heal();
    wait_until("it has read everything", async || {
        let ready = crate::cluster::asked(&world.log(), "/readyz").await;
        if ready.0 == 200 { Ok(()) } else { Err(ready.1) }
    })
    .await;
}
