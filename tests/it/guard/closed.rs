//! Everything in the table, one after the other.

use super::cases::cases;
use super::world::{Clients, QUIET};

#[tokio::test(flavor = "multi_thread")]
async fn every_way_around_is_closed_and_every_rightful_use_works() {
    let cluster = &*QUIET.ready().await;
    let clients = Clients::of(cluster).await;
    let mut wrong = Vec::new();
    let all = cases();
    for case in &all {
        if let Err(deviation) = case.holds(cluster, &clients).await {
            wrong.push(deviation.text);
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases went otherwise:\n{}", wrong.len(), all.len(), wrong.join("\n"));
}
