//! What the webhook adds to the creation of a pod, where it takes the place of mutating policies: on Kubernetes 1.35.

use super::Report;
use super::admission::{Contender, carrying, compete, ready};
use crate::cluster::{Cluster, apply};
use crate::operator::world::{World, namespace, pod, qualified_cloud, restreint};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "bench: some minutes, on a machine that does nothing else"]
async fn bench_webhook() {
    let mut report = Report::new("webhook");
    let mut world = World::installed_on(Cluster::without_mutation("bench-webhook", &[])).await;
    apply(&world.admin, &[qualified_cloud("snc"), restreint()]).await;
    world.nodes("snc", 3, "snc").await;
    world.start().await;
    world.wait_nodes("snc", "restreint", true).await;
    apply(&world.admin, &[namespace("plain", None), namespace("secret", Some("restreint"))]).await;
    // Here a pod is let pass that lacks its selector, so the webhook is called.
    ready(&world.admin, &["plain", "secret"]).await;
    let [plain, again, bare_pod, carries] = compete([
        Contender::new(&world.admin, "plain", pod("p")),
        Contender::new(&world.admin, "plain", pod("p")),
        Contender::new(&world.admin, "secret", pod("p")),
        Contender::new(&world.admin, "secret", carrying()),
    ])
    .await;
    report.row("webhook: pod CREATE (dry run) in a plain namespace, p50", &format!("{plain:.2} ms"), "", false);
    report.ratio("webhook: the same once more: what chance amounts to", again / plain, 1.02);
    report.ratio("webhook: `restreint` namespace against a plain one, the selector is added", bare_pod / plain, 2.5);
    report.ratio("webhook: `restreint` namespace against a plain one, the manifest carries it", carries / plain, 2.5);
}
