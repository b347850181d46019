//! Several API servers: each is proven by itself, and what cannot be proven is named.

use super::world::{World, restreint};
use crate::cluster::{Cluster, apply};

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

#[tokio::test(flavor = "multi_thread")]
async fn behind_one_address_there_may_be_others() {
    let world = World::guarded("one-address").await;
    apply(&world.admin, &[restreint()]).await;
    world.wait_condition(LEVEL, "Enforced", "True", "any others behind its address are Unproven").await;
}
