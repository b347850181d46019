//! Several API servers: each is proven by itself, and what cannot be proven is named.

use super::world::{World, restreint};
use crate::cluster::{Cluster, apply, wait_until};

const LEVEL: &str = "sensitivitylevels/restreint";

#[tokio::test(flavor = "multi_thread")]
async fn each_api_server_is_seen_to_refuse_and_one_out_of_reach_is_named() {
    let mut world = World::installed_on(Cluster::start("apiservers", &["--apiservers", "2"])).await;
    let servers = world.cluster.servers();
    assert_eq!(servers.len(), 2);
    world.launch_with(&["--probe-every", "1s", "--apiserver", &servers.join(",")]);
    apply(&world.admin, &[restreint()]).await;
    world.wait_condition(LEVEL, "Enforced", "True", "each of 2 API servers was seen to refuse").await;

    world.cluster.command("stop-apiserver 1");
    let away = format!("Unproven, because out of reach from here: {}", servers[1].trim_start_matches("https://"));
    world.wait_condition(LEVEL, "Enforced", "True", &away).await;
    world.cluster.command("start-apiserver 1");
    world.wait_condition(LEVEL, "Enforced", "True", "each of 2 API servers was seen to refuse").await;
}

/// What is deleted is kept by its finalizer until the same stands beside it, and every API server that is known uses that.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_stays_in_force_until_no_api_server_is_out_of_reach() {
    const BINDINGS: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings";
    let mut world = World::installed_on(Cluster::start("apiserver-away", &["--apiservers", "2"])).await;
    world.launch_with(&["--probe-every", "1s", "--apiserver", &world.cluster.servers().join(",")]);
    apply(&world.admin, &[restreint()]).await;
    world.wait_condition(LEVEL, "Enforced", "True", "each of 2 API servers was seen to refuse").await;
    world.cluster.command("stop-apiserver 1");
    world.wait_condition(LEVEL, "Enforced", "True", "Unproven, because out of reach").await;

    let (first, second) = (format!("{BINDINGS}/rempart-bind"), format!("{BINDINGS}/rempart-bind-2"));
    world.delete(&first).await;
    wait_until("the same stands beside it", async || world.get(&second).await).await;
    let probes = || world.cluster.audited("datadeclarations?dryRun=All").len();
    let before = probes();
    wait_until("it was seen in use again and again", async || match probes() {
        now if now > before + 8 => Ok(()),
        now => Err(now - before),
    })
    .await;
    let kept = world.get(&first).await.expect("it is kept");
    assert!(kept["metadata"]["deletionTimestamp"].is_string(), "{}", kept["metadata"]);

    world.cluster.command("start-apiserver 1");
    wait_until("it stands by itself again", async || match (world.get(&first).await, world.get(&second).await) {
        (Ok(first), Err(_)) if first["metadata"]["deletionTimestamp"].is_null() => Ok(()),
        (first, second) => Err((first.map(|first| first["metadata"].to_string()), second.map(|second| second["metadata"].to_string()))),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_one_address_there_may_be_others() {
    let world = World::guarded("one-address").await;
    apply(&world.admin, &[restreint()]).await;
    world.wait_condition(LEVEL, "Enforced", "True", "any others behind its address are Unproven").await;
}
