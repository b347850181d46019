//! How long it takes until trust is given and taken away in a large fleet, and what the operator needs for that.

use std::time::{Duration, Instant};

use http::Method;
use kube::Client;
use serde_json::{Value, json};

use super::{Report, dry_run, median, until};
use crate::cluster::{Cluster, apply, send, wait_until};
use crate::operator::world::{World, level, namespace, pod, qualified_cloud, restreint};

pub(super) const CLOUD: &str = "/apis/rempart.dev/v1alpha1/trustedclouds/big";

/// 5 levels, 20 clouds, 2,000 nodes, 700 of them of one cloud, on two API servers.
async fn fleet() -> World {
    let mut world = World::installed_on(Cluster::start("bench-fleet", &["--apiservers", "2"])).await;
    let others = (1..5).map(|i| level(&format!("level-{i}"), json!({"locations": {"storage": ["EEA"]}}), json!({})));
    let levels: Vec<Value> = std::iter::once(restreint()).chain(others).collect();
    let clouds: Vec<Value> = (1..20).map(|i| qualified_cloud(&format!("cloud-{i}"))).chain([qualified_cloud("big")]).collect();
    apply(&world.admin, &levels).await;
    apply(&world.admin, &clouds).await;
    world.nodes("big", 700, "big").await;
    for i in 1..20 {
        world.nodes(&format!("cloud-{i}"), if i < 13 { 68 } else { 69 }, &format!("cloud-{i}")).await;
    }
    let servers = world.cluster.servers().join(",");
    world.launch_with(&["--apiserver", &servers]);
    world.wait_for_log("the guard holds").await;
    world.wait_nodes("big", "restreint", true).await;
    world.wait_nodes("cloud-19", "restreint", true).await;
    world.settled().await;
    world
}

/// How long plans took, by the operator's own log: all there were since the log had this length.
pub(super) fn plans(world: &World, from: usize) -> Vec<Duration> {
    let log = world.log();
    let took = log[from..].lines().filter_map(|line| line.split_once("took=")).map(|(_, took)| took.trim());
    took.filter_map(|took| {
        let (number, factor) = if let Some(number) = took.strip_suffix("ms") {
            (number, 1e-3)
        } else if let Some(number) = took.strip_suffix("µs") {
            (number, 1e-6)
        } else {
            (took.strip_suffix('s')?, 1.0)
        };
        Some(Duration::from_secs_f64(number.parse::<f64>().ok()? * factor))
    })
    .collect()
}

async fn binds(client: &Client, node: &str) -> bool {
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "ghost"}, "target": {"kind": "Node", "name": node}});
    // A pod that does not exist is only missed after admission.
    dry_run(client, "/api/v1/namespaces/secret/pods/ghost/binding", &binding).await.status == 404
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "bench: some minutes, on a machine that does nothing else"]
async fn bench_fleet() {
    let mut report = Report::new("fleet");
    let world = fleet().await;
    apply(&world.admin, &[namespace("secret", Some("restreint"))]).await;
    report.memory("operator, 5 levels, 20 clouds, 2,000 nodes", world.memory_kib("VmRSS"), 40);
    let from = world.log().len();
    for number in 0..20 {
        world.patch("/api/v1/nodes/big-1", json!({"metadata": {"labels": {"example.com/x": number.to_string()}}})).await;
        world.patch(CLOUD, json!({"metadata": {"annotations": {"example.com/x": number.to_string()}}})).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    report.time("a full plan of the same, median", median(plans(&world, from)), Duration::from_millis(50));

    let servers = world.cluster.schedulers().await;
    for server in &servers {
        wait_until("each API server lets bind", async || if binds(server, "big-1").await { Ok(()) } else { Err(()) }).await;
    }
    let suspended = json!([{"scheme": "secnumcloud", "version": "3.2", "validFrom": "2025-01-01", "validUntil": "2099-12-31",
        "events": [{"type": "Suspended", "effectiveAt": "2026-01-01T00:00:00Z"}]}]);
    let begin = Instant::now();
    world.patch(CLOUD, json!({"spec": {"qualifications": suspended}})).await;
    until("the Clearance says so", async || !world.clearance().await["clouds"]["big"].to_string().contains("restreint")).await;
    report.time("a cloud of 700 nodes is suspended: out of the Clearance after", begin.elapsed(), Duration::from_millis(500));
    for server in &servers {
        until("it refuses Bindings", async || !binds(server, "big-1").await).await;
    }
    report.time("each of 2 API servers refuses Bindings to it after", begin.elapsed(), Duration::from_secs(1));
    let labelled = "/api/v1/nodes?limit=1&labelSelector=rempart.node-restriction.kubernetes.io/restreint,rempart.node-restriction.kubernetes.io/cloud=big";
    until("the last label is gone", async || world.items(labelled).await.is_empty()).await;
    report.time("the last of its labels is gone after", begin.elapsed(), Duration::from_secs(5));
    report.memory("operator after that", world.memory_kib("VmRSS"), 40);

    many_pods(&world, &mut report).await;
}

async fn many_pods(world: &World, report: &mut Report) {
    let spaces: Vec<String> = (0..20).map(|i| format!("secret-{i}")).collect();
    for space in &spaces {
        apply(&world.admin, &[namespace(space, Some("restreint"))]).await;
        let path = format!("/api/v1/namespaces/{space}/pods");
        wait_until("pods can be created", async || dry_run(&world.admin, &path, &pod("p")).await.accepted()).await;
    }
    for batch in 0..100 {
        let made = spaces.iter().flat_map(|space| (0..5).map(move |i| (space, i))).map(async |(space, i)| {
            let answer = world.create_pod(space, &pod(&format!("p-{batch}-{i}"))).await;
            answer.accepted().expect("it may be created");
        });
        futures::future::join_all(made).await;
    }
    wait_until("they are counted", async || {
        let level = world.get("/apis/rempart.dev/v1alpha1/sensitivitylevels/restreint").await?;
        let said = level["status"].to_string();
        if said.contains("10000 pods") || said.contains("10,000 pods") { Ok(()) } else { Err(said) }
    })
    .await;
    report.memory("operator, 10,000 pods in sensitive namespaces", world.memory_kib("VmRSS"), 60);
    let from = world.log().len();
    for number in 0..20 {
        send(&world.admin, Method::PATCH, CLOUD, Some(&json!({"metadata": {"annotations": {"example.com/y": number.to_string()}}})))
            .await
            .expect("the API server answers");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let plan = median(plans(world, from));
    report.row("a full plan of the same, median", &format!("{:.0} ms", plan.as_secs_f64() * 1e3), "", false);
}
