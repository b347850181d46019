//! What the policies add to the creation of a pod.

use std::time::{Duration, Instant};

use kube::Client;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Report, dry_run, median};
use crate::cluster::{Cluster, apply, wait_until};
use crate::operator::world::{World, create_nodes, level, merged, namespace, pod, qualified_cloud, restreint};

/// One way to create an object, and how long each time took.
pub(super) struct Contender<'a> {
    client: &'a Client,
    path: String,
    object: Value,
    times: Vec<Duration>,
}

impl<'a> Contender<'a> {
    pub(super) fn new(client: &'a Client, namespace: &'static str, pod: Value) -> Self {
        Self::of(client, format!("/api/v1/namespaces/{namespace}/pods"), pod)
    }

    pub(super) fn of(client: &'a Client, path: String, object: Value) -> Self {
        Self { client, path, object, times: Vec::new() }
    }

    async fn once(&mut self) {
        let begin = Instant::now();
        let answer = dry_run(self.client, &self.path, &self.object).await;
        self.times.push(begin.elapsed());
        answer.accepted().expect("it may be created");
    }
}

/// Lets the contenders take turns, so that whatever else the machine does meets all of them alike, and gives their medians in ms.
pub(super) async fn compete<const N: usize>(mut contenders: [Contender<'_>; N]) -> [f64; N] {
    for contender in &mut contenders {
        for _ in 0..200 {
            contender.once().await;
        }
        contender.times.clear();
    }
    // Whoever comes after an expensive one would pay for what that leaves to be cleaned up: each comes after every other.
    for round in 0..120 {
        let mut order: [usize; N] = std::array::from_fn(|number| number);
        order.sort_by_cached_key(|number| Sha256::digest(format!("{round} {number}")));
        for number in order {
            for _ in 0..25 {
                contenders[number].once().await;
            }
        }
    }
    contenders.map(|contender| median(contender.times).as_secs_f64() * 1e3)
}

pub(super) fn carrying() -> Value {
    merged(pod("p"), json!({"spec": {"nodeSelector": {"rempart.node-restriction.kubernetes.io/restreint": "cleared"}}}))
}

/// How much slower one API server is than another while both do the same: some per cent, for as long as they live.
pub(super) async fn unlike(report: &mut Report, without: Contender<'_>, with: Contender<'_>) -> f64 {
    let [before, other] = compete([without, with]).await;
    let unlike = other / before;
    report.row(
        "no Rempart, on the API server that gets it afterwards against the other; what follows is divided by it",
        &format!("{unlike:.2} times"),
        "",
        false,
    );
    unlike
}

pub(super) async fn ready(client: &Client, namespaces: &[&str]) {
    for namespace in namespaces {
        let path = format!("/api/v1/namespaces/{namespace}/pods");
        wait_until("pods can be created", async || dry_run(client, &path, &pod("p")).await.accepted()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "bench: some minutes, on a machine that does nothing else"]
async fn bench_admission() {
    let mut report = Report::new("admission");
    let (without, with) = (Cluster::start("bench-without", &[]), Cluster::start("bench-with", &[]));
    let (bare, client) = (without.admin().await, with.admin().await);
    for client in [&bare, &client] {
        apply(client, &[namespace("plain", None)]).await;
        ready(client, &["plain"]).await;
    }
    let unlike = unlike(&mut report, Contender::new(&bare, "plain", pod("p")), Contender::new(&client, "plain", pod("p"))).await;

    let mut world = World::installed_on(with).await;
    apply(&world.admin, &[qualified_cloud("snc"), restreint()]).await;
    world.nodes("snc", 3, "snc").await;
    world.start().await;
    world.wait_nodes("snc", "restreint", true).await;
    apply(&world.admin, &[namespace("secret", Some("restreint"))]).await;
    let with = client;
    ready(&with, &["plain", "secret"]).await;

    let [before, again, plain, bare_pod, carries] = compete([
        Contender::new(&bare, "plain", pod("p")),
        Contender::new(&bare, "plain", pod("p")),
        Contender::new(&with, "plain", pod("p")),
        Contender::new(&with, "secret", pod("p")),
        Contender::new(&with, "secret", carrying()),
    ])
    .await;
    report.row("pod CREATE (dry run), no Rempart, p50", &format!("{before:.2} ms"), "", false);
    report.ratio("the same once more: what chance amounts to", again / before, 1.02);
    report.ratio("plain namespace, with Rempart against without", plain / before / unlike, 1.06);
    report.ratio("`restreint` namespace against a plain one, the selector is added", bare_pod / plain, 1.9);
    report.ratio("`restreint` namespace against a plain one, the manifest carries it", carries / plain, 1.4);

    let levels: Vec<Value> = (0..19).map(|i| level(&format!("level-{i}"), json!({"locations": {"storage": ["EEA"]}}), json!({}))).collect();
    apply(&world.admin, &levels).await;
    world.nodes("more", 2000, "snc").await;
    // Their heartbeats are a load, with Rempart and without.
    create_nodes(&bare, "more", 2003, "snc").await;
    for number in 0..50 {
        let declared = format!("declared-{number}");
        apply(&world.admin, &[namespace(&declared, None)]).await;
        let declarations: Vec<Value> = (0..10)
            .map(|i| {
                json!({
                    "apiVersion": "rempart.dev/v1alpha1", "kind": "DataDeclaration", "metadata": {"name": format!("d-{i}"), "namespace": declared},
                    "spec": {"level": "restreint", "workloads": {"matchLabels": {"app": format!("a-{i}")}}},
                })
            })
            .collect();
        apply(&world.admin, &declarations).await;
    }
    world.wait_nodes("more", "restreint", true).await;
    world.settled().await;
    let [before, plain, bare_pod, carries] = compete([
        Contender::new(&bare, "plain", pod("p")),
        Contender::new(&with, "plain", pod("p")),
        Contender::new(&with, "secret", pod("p")),
        Contender::new(&with, "secret", carrying()),
    ])
    .await;
    report.ratio("20 levels, 2,000 nodes, 500 declarations: plain namespace, with against without", plain / before / unlike, 1.06);
    report.ratio("20 levels, 2,000 nodes, 500 declarations: selector added, against plain", bare_pod / plain, 1.9);
    report.ratio("20 levels, 2,000 nodes, 500 declarations: manifest carries it, against plain", carries / plain, 1.4);
}
