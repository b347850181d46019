//! A fleet larger than most: 5,000 nodes and 50,000 pods.

use std::time::{Duration, Instant};

use futures::StreamExt;
use http::Method;
use serde_json::{Value, json};

use super::fleet::{CLOUD, plans};
use super::{Report, median, until};
use crate::cluster::{Cluster, PATIENCE, apply, send, wait_for, wait_until};
use crate::operator::world::{World, create_nodes, merged, namespace, plain_cloud, pod, qualified_cloud, restreint};

const SPACES: usize = 50;
const PODS_EACH: usize = 1000;

/// What runs there before Rempart comes: a pod in ten on a node that will not be cleared.
async fn seed(cluster: &Cluster) {
    let admin = cluster.admin().await;
    // There is no Clearance yet.
    let _excused = cluster.history().excuse();
    create_nodes(&admin, "big", 4500, "big").await;
    create_nodes(&admin, "aws", 500, "aws").await;
    for space in 0..SPACES {
        apply(&admin, &[namespace(&format!("secret-{space}"), Some("restreint"))]).await;
    }
    let last = format!("/api/v1/namespaces/secret-{}/serviceaccounts/default", SPACES - 1);
    wait_until("the namespaces have their service accounts", async || {
        send(&admin, Method::GET, &last, None).await.map_err(|error| error.to_string())?.accepted()
    })
    .await;
    // Nobody is to move anything while it is made and measured.
    for component in ["kwok", "scheduler", "controller-manager"] {
        cluster.command(&format!("stop-{component}"));
    }
    let pods = (0..SPACES * PODS_EACH).map(|number| {
        let node = if number % 10 == 0 { format!("aws-{}", number / 10 % 500 + 1) } else { format!("big-{}", number % 4500 + 1) };
        let pod = merged(pod(&format!("p-{number}")), json!({"spec": {"nodeName": node}}));
        let (admin, path) = (admin.clone(), format!("/api/v1/namespaces/secret-{}/pods", number % SPACES));
        async move { send(&admin, Method::POST, &path, Some(&pod)).await.map_err(|error| error.to_string())?.accepted() }
    });
    let made: Vec<Result<Value, String>> = futures::stream::iter(pods).buffer_unordered(40).collect().await;
    let failed: Vec<_> = made.into_iter().filter_map(Result::err).take(3).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "bench: some minutes, on a machine that does nothing else"]
async fn bench_large() {
    let mut report = Report::new("large");
    let cluster = Cluster::start("bench-large", &[]);
    seed(&cluster).await;
    let mut world = World::installed_on(cluster).await;
    apply(&world.admin, &[restreint(), qualified_cloud("big"), plain_cloud("aws")]).await;
    let begin = Instant::now();
    world.launch();
    until("the first plan", async || world.log().contains("planned steps=")).await;
    let planned = |took: Duration| format!("{:.1} s", took.as_secs_f64());
    report.row("5,000 nodes, 50,000 pods: from start to the first plan", &planned(begin.elapsed()), "", false);
    wait_for(5 * PATIENCE, "every pod is counted", async || {
        let level = world.get("/apis/rempart.dev/v1alpha1/sensitivitylevels/restreint").await?;
        if level["status"]["pods"]["violating"] == 5000 { Ok(()) } else { Err(level["status"].to_string()) }
    })
    .await;
    report.row("the same: until 5,000 labels and all statuses are written", &planned(begin.elapsed()), "", false);
    let from = world.log().len();
    for number in 0..10 {
        world.patch(CLOUD, json!({"metadata": {"annotations": {"example.com/x": number.to_string()}}})).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let plan = median(plans(&world, from));
    report.row("the same: a full plan, median", &format!("{:.0} ms", plan.as_secs_f64() * 1e3), "", false);
    report.row("the same: operator", &format!("{} MiB", world.memory_kib("VmRSS") / 1024), "", false);
    let begin = Instant::now();
    world.patch(CLOUD, json!({"spec": {"qualifications": []}})).await;
    until("the Clearance says so", async || !world.clearance().await["clouds"]["big"].to_string().contains("restreint")).await;
    report.row("the same: 4,500 nodes lose their trust: out of the Clearance after", &planned(begin.elapsed()), "", false);
}
