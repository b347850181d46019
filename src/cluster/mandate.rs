//! Whether this replica may write, and until when. Who writes asks before every write, and while it lasts.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures::future::poll_fn;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// How a replica stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tenure {
    /// It may write until this instant, unless the lease is renewed.
    Leads(Instant),
    /// Another replica holds the lease.
    StandsBy(String),
    /// It is not known who holds the lease, and why.
    Unknown(String),
}

/// What a replica knows about its own standing. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Mandate(watch::Receiver<Tenure>);

impl Mandate {
    /// One that is what is sent there; at first nothing is known.
    pub fn new() -> (watch::Sender<Tenure>, Self) {
        let (sender, receiver) = watch::channel(Tenure::Unknown("the lease has not been read yet".to_owned()));
        (sender, Self(receiver))
    }

    /// How long this replica may still write; none if it may not.
    pub fn left(&self) -> Option<Duration> {
        match &*self.0.borrow() {
            Tenure::Leads(until) => until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()),
            Tenure::StandsBy(_) | Tenure::Unknown(_) => None,
        }
    }

    /// Whether it is known who leads; why not, if not.
    pub fn known(&self) -> Result<(), String> {
        match &*self.0.borrow() {
            Tenure::Leads(_) | Tenure::StandsBy(_) => Ok(()),
            Tenure::Unknown(why) => Err(why.clone()),
        }
    }

    /// Waits until this replica stands otherwise: by news, or because its time is over.
    pub async fn changed(&mut self) {
        let lapse = self.clone();
        tokio::select! {
            changed = self.0.changed() => if changed.is_err() { std::future::pending().await },
            () = lapse.over(), if lapse.left().is_some() => {}
        }
    }

    /// Does `work` for as long as this replica may write, and no longer than `at_most`. None: it was not done to its end.
    ///
    /// The clock is looked at whenever there is something to do, and not only when a timer rings: a process that was stopped
    /// for a while must not go on where it was.
    pub(super) async fn during<T>(&self, at_most: Duration, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let work = poll_fn(|context| if self.left().is_some() { work.as_mut().poll(context).map(Some) } else { Poll::Ready(None) });
        tokio::select! {
            biased;
            done = timeout(at_most, work) => done.ok().flatten(),
            () = self.over() => None,
        }
    }

    /// Waits until this replica may no longer write. Renewals put that off.
    async fn over(&self) {
        while let Some(left) = self.left() {
            sleep(left).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_that_was_stopped_past_its_time_does_not_go_on_where_it_was() {
        let (standing, mandate) = Mandate::new();
        standing.send_replace(Tenure::Leads(Instant::now() + Duration::from_millis(20)));
        let writes = std::cell::Cell::new(0);
        let two_writes = async {
            writes.set(1);
            // Nothing else runs meanwhile, timers included: as when a process is stopped.
            std::thread::sleep(Duration::from_millis(40));
            tokio::task::yield_now().await;
            writes.set(2);
        };
        assert_eq!(mandate.during(Duration::from_mins(1), two_writes).await, None);
        assert_eq!(writes.get(), 1);
        assert_eq!(mandate.during(Duration::from_mins(1), async { writes.set(3) }).await, None);
        assert_eq!(writes.get(), 1);
    }

    #[tokio::test]
    async fn what_takes_longer_than_the_lease_had_left_goes_on_when_that_is_renewed_and_ends_when_it_is_not() {
        let (standing, mandate) = Mandate::new();
        standing.send_replace(Tenure::Leads(Instant::now() + Duration::from_millis(20)));
        let renew = async {
            standing.send_replace(Tenure::Leads(Instant::now() + Duration::from_mins(1)));
            sleep(Duration::from_millis(40)).await;
        };
        assert_eq!(mandate.during(Duration::from_mins(1), renew).await, Some(()));
        let lose = async {
            standing.send_replace(Tenure::StandsBy("b".to_owned()));
            sleep(Duration::from_mins(1)).await;
        };
        assert_eq!(mandate.during(Duration::from_mins(1), lose).await, None);
    }
}
