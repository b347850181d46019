//! Two API servers on one etcd, of which one tells the operator everything late: what it once knew to be over, it never takes
//! for true again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use http::Method;
use kube::Api;
use kube::runtime::{WatchStreamExt, watcher};
use rempart::api::Clearance;
use serde_json::json;

use super::trust_ends::suspension;
use super::world::{World, interne, namespace, node, plain_cloud, pod, qualified_cloud, restreint};
use crate::cluster::{Cluster, apply, send, wait_until};
use crate::proxy::{Fault, On, Proxy};

const CLOUD: &str = "/apis/rempart.dev/v1alpha1/trustedclouds/snc";
const LATE: Duration = Duration::from_secs(2);

/// Every state of the Clearance from now on, none left out: whether `snc` was cleared for `restreint`.
pub(super) fn clearances(world: &World) -> Arc<Mutex<Vec<bool>>> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (api, all) = (Api::<Clearance>::all(world.admin.clone()), seen.clone());
    tokio::spawn(async move {
        let mut states = watcher(api, watcher::Config::default()).default_backoff().applied_objects().boxed();
        while let Some(Ok(clearance)) = states.next().await {
            let cleared = clearance.spec.clouds.get("snc").is_some_and(|levels| levels.iter().any(|level| level == "restreint"));
            all.lock().unwrap().push(cleared);
        }
    });
    seen
}

async fn wait_cleared(world: &World, cleared: bool) {
    wait_until(&format!("snc is cleared for restreint: {cleared}"), async || {
        let clouds = world.clearance().await["clouds"].clone();
        let found = clouds["snc"].as_array().is_some_and(|levels| levels.contains(&json!("restreint")));
        if found == cleared { Ok(()) } else { Err(clouds) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_api_server_tells_late_opens_nothing_that_was_closed() {
    let mut world = World::installed_on(Cluster::start("delayed", &["--apiservers", "2"])).await;
    let servers = world.cluster.servers();
    let proxy = Proxy::balancing(&world.cluster).await;
    world.speak_to(&proxy.url());
    // What is told again would be seen for a while.
    proxy.spoil(On::requests("/trustedclouds[?].*watch=true"), |_| true, Fault::Trickle(LATE / 4));
    let late = proxy.spoil(On::requests("watch=true.* @1$"), |_| true, Fault::Delay(LATE));
    world.launch_with(&["--apiserver", &servers.join(",")]);
    let objects = [qualified_cloud("snc"), plain_cloud("aws"), restreint(), interne(), namespace("secret", Some("restreint"))];
    apply(&world.admin, &objects).await;
    world.nodes("snc", 2, "snc").await;
    world.nodes("aws", 1, "aws").await;
    world.wait_condition("sensitivitylevels/restreint", "Enforced", "True", "each of 2 API servers was seen to refuse").await;
    world.wait_nodes("snc", "restreint", true).await;

    let seen = clearances(&world);
    let trusted = json!({"spec": {"qualifications": qualified_cloud("snc")["spec"]["qualifications"]}});
    for round in 1..=2 {
        world.patch(CLOUD, suspension("2025-06-01T00:00:00Z".parse().unwrap())).await;
        wait_cleared(&world, false).await;
        let closed = wait_until("that was seen", async || {
            let seen = seen.lock().unwrap();
            seen.iter().rposition(|cleared| *cleared).filter(|last| last + 1 < seen.len()).ok_or(seen.clone())
        })
        .await;
        // Its watches end somewhere else now, and there are things to do that make it write the Clearance again.
        proxy.hang_up(&On::requests(""));
        apply(&world.admin, &[node(&format!("late-{round}"), "aws")]).await;
        for url in &servers {
            let pod = json!({"metadata": {"generateName": "a-"}, "spec": pod("x")["spec"]});
            let path = "/api/v1/namespaces/secret/pods";
            send(&world.cluster.admin_at(url).await, Method::POST, path, Some(&pod))
                .await
                .expect("each API server answers")
                .accepted()
                .unwrap();
        }
        world.wait_nodes("late", "interne", true).await;
        world.wait_nodes("snc", "restreint", false).await;
        world.settled().await;
        let since = seen.lock().unwrap()[closed + 1..].to_vec();
        assert!(since.len() > 1 && since.iter().all(|cleared| !cleared), "it was cleared again: {since:?}");
        world.patch(CLOUD, trusted.clone()).await;
        wait_cleared(&world, true).await;
        world.wait_nodes("snc", "restreint", true).await;
    }
    world.wait_pods("secret", 4).await;
    assert!(proxy.spoilt(late) > 0, "no watch was told anything late");
}
