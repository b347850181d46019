//! A write is done when it has been seen: one that was answered and did nothing is made again, and one that was made and is not
//! seen is not made over and over.

use super::storm::installed;
use super::world::namespace;
use crate::cluster::{apply, wait_until};
use crate::proxy::{Fault, On};

/// A conflict says that somebody else has written, so that the watch will bring something. Nobody has.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_by_a_conflict_that_nothing_follows_is_written_again() {
    let (world, proxy) = installed("unseen-conflict").await;
    let conflicts = proxy.spoil(On::requests("^PATCH /api/v1/nodes/late-1[?]"), |number| number <= 4, Fault::Status(409));
    world.nodes("late", 1, "snc").await;
    world.wait_nodes("late", "restreint", true).await;
    assert_eq!(proxy.spoilt(conflicts), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_watch_does_not_show_is_not_written_with_every_change_of_something_else() {
    let (world, proxy) = installed("unseen-mute").await;
    let clearances = || On::requests("^GET .*/clearances[?]");
    let mute = proxy.spoil(clearances(), |_| true, Fault::Mute);
    proxy.hang_up(&clearances());
    let writes = || proxy.requests().iter().filter(|line| line.starts_with("PATCH ") && line.contains("/clearances/")).count();
    let before = writes();
    wait_until("the watch is a mute one", async || if proxy.spoilt(mute) > 0 { Ok(()) } else { Err(world.log()) }).await;
    world.nodes("late", 1, "snc").await;
    world.wait_nodes("late", "restreint", true).await;
    for number in 0..20 {
        let plans = || world.log().matches("planned steps=").count();
        let earlier = plans();
        apply(&world.admin, &[namespace(&format!("other-{number}"), None)]).await;
        wait_until("it was planned again", async || if plans() > earlier { Ok(()) } else { Err(world.log()) }).await;
    }
    let since = writes() - before;
    assert!((1..=4).contains(&since), "the Clearance was written {since} times");
}
