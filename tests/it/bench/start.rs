//! What an operator needs that has nothing to do, and how long it takes until it has its first plan.

use std::time::{Duration, Instant};

use super::{Report, until};
use crate::cluster::apply;
use crate::operator::world::{World, qualified_cloud, restreint};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "bench: some minutes, on a machine that does nothing else"]
async fn bench_start() {
    let mut report = Report::new("start");
    let mut world = World::installed("bench-start").await;
    world.start().await;
    apply(&world.admin, &[restreint(), qualified_cloud("snc")]).await;
    world.settled().await;
    report.memory("operator, one level, one cloud, idle", world.memory_kib("VmRSS"), 25);
    assert_eq!(world.terminate(), Some(0));

    world.nodes("snc", 1000, "snc").await;
    let begin = Instant::now();
    world.launch();
    until("the first plan", async || world.log().contains("planned steps=")).await;
    report.time("1,000 nodes: from start to the first plan", begin.elapsed(), Duration::from_secs(2));
}
