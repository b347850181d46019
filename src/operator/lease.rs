//! Which of the replicas writes: the one that holds the lease. The others watch, ready to go on where it stops.
//!
//! Nobody compares clocks. Who holds the lease renews it, and no longer counts on it some time after its last renewal began;
//! who waits for it takes it when it has not been renewed for longer than that, both by their own monotonic clock.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, instrument, warn};

use crate::cluster::{LeaseError, LeaseStore, Mandate, Tenure};

/// How long to wait after somebody else has written the lease at the same time.
const AFTER_CONFLICT: Duration = Duration::from_millis(100);
/// How long giving the lease back may take in all.
const FAREWELL: Duration = Duration::from_secs(3);

/// Lengths of time of the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// After so long without a renewal, another replica takes the lease.
    pub duration: Duration,
    /// After so long without a renewal, its holder writes nothing any more.
    pub renew_within: Duration,
    /// How often its holder renews it.
    pub renew_every: Duration,
}

impl Terms {
    /// Terms under which no two replicas write at the same time.
    pub fn new(duration: Duration, renew_within: Duration, renew_every: Duration) -> Result<Self, String> {
        if renew_every < renew_within && renew_within < duration && duration.subsec_nanos() == 0 {
            Ok(Self { duration, renew_within, renew_every })
        } else {
            Err("the lease must last for whole seconds, longer than the time to renew it within, and that longer than the time between renewals".to_owned())
        }
    }

    /// How long one request may take, so that there is time for another.
    pub(super) fn patience(&self) -> Duration {
        self.renew_within / 2
    }
}

/// Takes part in the election for as long as `tasks` last, as `identity`.
pub(super) fn stand(store: LeaseStore, identity: String, terms: Terms, tasks: &mut JoinSet<()>) -> Mandate {
    let (standing, mandate) = Mandate::new();
    let watched = store.follow(tasks);
    let candidate = Candidate { store, election: Election { identity, terms, waited: None }, standing, known: None };
    tasks.spawn(candidate.run(watched));
    mandate
}

/// Gives the lease back, if it is held as `identity`, so that nobody has to wait for it.
pub(super) async fn give_back(store: &LeaseStore, identity: &str) {
    let farewell = async {
        loop {
            let Some(lease) = store.find().await?.filter(|lease| held_by(lease) == Some(identity)) else { return Ok(()) };
            let spec = LeaseSpec { holder_identity: None, ..lease.spec.clone().unwrap_or_default() };
            match store.write(Some(&lease), spec).await {
                Err(LeaseError::Conflict) => {}
                Err(error) => return Err(error),
                Ok(_) => {
                    info!("the lease is given back");
                    return Ok(());
                }
            }
        }
    };
    if let Err(error) = timeout(FAREWELL, farewell).await.unwrap_or(Err(LeaseError::TimeOut)) {
        warn!(%error, "the lease could not be given back: another replica takes it when it has not been renewed for its time");
    }
}

fn held_by(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

struct Candidate {
    store: LeaseStore,
    election: Election,
    standing: watch::Sender<Tenure>,
    /// The lease as it was last seen; there may be none.
    known: Option<Lease>,
}

impl Candidate {
    async fn run(mut self, mut watched: watch::Receiver<Result<Option<Lease>, String>>) {
        let mut pause = Duration::MAX;
        loop {
            // Who holds the lease knows it by the answers to its own renewals.
            let leads = matches!(&*self.standing.borrow(), Tenure::Leads(_));
            tokio::select! {
                () = sleep(pause) => {}
                changed = watched.changed(), if !leads => match (changed, watched.borrow().clone()) {
                    (Err(_), _) => return,
                    (Ok(()), Ok(lease)) => self.known = lease,
                    (Ok(()), Err(why)) => {
                        self.turn_to(Tenure::Unknown(why));
                        continue;
                    }
                },
            }
            pause = self.turn().await;
        }
    }

    /// Does what there is to do about the lease, and says how long that will do.
    #[instrument(level = "debug", name = "lease", skip_all)]
    async fn turn(&mut self) -> Duration {
        let Terms { renew_within, renew_every, .. } = self.election.terms;
        let began = Instant::now();
        let found = self.known.as_ref().and_then(|lease| lease.spec.as_ref());
        let spec = match self.election.consider(found, began, Timestamp::now()) {
            Move::Write(spec) => spec,
            Move::Wait(holder, pause) => {
                self.turn_to(Tenure::StandsBy(holder));
                return pause;
            }
        };
        let error = match self.store.write(self.known.as_ref(), spec).await {
            Ok(written) => {
                self.known = Some(written);
                self.turn_to(Tenure::Leads(began + renew_within));
                return renew_every.saturating_sub(began.elapsed());
            }
            Err(error) => error,
        };
        let conflict = matches!(error, LeaseError::Conflict);
        if !conflict {
            warn!(%error, "the lease could not be written");
        }
        match self.store.find().await {
            Ok(found) => {
                let holder = found.as_ref().and_then(held_by);
                if holder != Some(&self.election.identity) {
                    self.turn_to(Tenure::StandsBy(holder.unwrap_or("nobody").to_owned()));
                }
                self.known = found;
            }
            Err(unread) => warn!(error = %unread, "the lease could not be read"),
        }
        let lapsed = !matches!(&*self.standing.borrow(), Tenure::StandsBy(_)) && !self.leads();
        if lapsed {
            self.turn_to(Tenure::Unknown(error.to_string()));
        }
        if conflict { AFTER_CONFLICT } else { renew_every }
    }

    fn leads(&self) -> bool {
        matches!(&*self.standing.borrow(), Tenure::Leads(until) if *until > Instant::now())
    }

    fn turn_to(&self, standing: Tenure) {
        let renewal = self.leads() && matches!(standing, Tenure::Leads(_));
        self.standing.send_if_modified(|now| {
            let news = !renewal && *now != standing;
            match &standing {
                Tenure::StandsBy(holder) if news => info!(holder, "standing by"),
                Tenure::Unknown(why) if news => warn!(why, "nobody knows who may write"),
                _ => {}
            }
            *now = standing;
            news
        });
    }
}

/// What to do about the lease.
#[derive(Debug, PartialEq)]
enum Move {
    /// Write this into it.
    Write(LeaseSpec),
    /// Somebody holds it, and may do so for this time.
    Wait(String, Duration),
}

/// One replica's view of the election. Pure: both clocks are arguments.
struct Election {
    identity: String,
    terms: Terms,
    /// The lease of somebody else, and since when it has been seen to be like that.
    waited: Option<(LeaseSpec, Instant)>,
}

impl Election {
    /// Looks at the lease as it is `now`; `clock` is what is written into it, for people.
    fn consider(&mut self, found: Option<&LeaseSpec>, now: Instant, clock: Timestamp) -> Move {
        let holder = found.and_then(|spec| spec.holder_identity.as_deref()).filter(|holder| !holder.is_empty());
        match (found, holder) {
            (Some(found), Some(holder)) if holder != self.identity => {
                let since = self.waited.as_ref().filter(|(waited, _)| waited == found).map_or(now, |(_, since)| *since);
                self.waited = Some((found.clone(), since));
                // Its own word counts: it may have been started with other terms.
                let said = found.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
                let rest = (since + said.map_or(self.terms.duration, Duration::from_secs)).saturating_duration_since(now);
                if rest.is_zero() { Move::Write(self.lease(Some(found), clock)) } else { Move::Wait(holder.to_owned(), rest) }
            }
            (found, _) => Move::Write(self.lease(found, clock)),
        }
    }

    /// The lease in our name.
    fn lease(&self, before: Option<&LeaseSpec>, clock: Timestamp) -> LeaseSpec {
        let ours = before.filter(|spec| spec.holder_identity.as_ref() == Some(&self.identity));
        let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or_default();
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            acquire_time: ours.and_then(|spec| spec.acquire_time.clone()).or(Some(MicroTime(clock))),
            renew_time: Some(MicroTime(clock)),
            lease_duration_seconds: Some(i32::try_from(self.terms.duration.as_secs()).unwrap_or(i32::MAX)),
            lease_transitions: Some(if before.is_none() || ours.is_some() { transitions } else { transitions.saturating_add(1) }),
            ..LeaseSpec::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn election(identity: &str) -> Election {
        let [duration, renew_within, renew_every] = [15, 10, 2].map(Duration::from_secs);
        Election { identity: identity.to_owned(), terms: Terms::new(duration, renew_within, renew_every).unwrap(), waited: None }
    }

    /// A lease of `holder` that says it was renewed at this second of the day.
    fn lease(holder: &str, second: i64) -> LeaseSpec {
        election(holder).lease(None, Timestamp::from_second(second).unwrap())
    }

    fn takes(moved: &Move) -> bool {
        matches!(moved, Move::Write(_))
    }

    #[test]
    fn a_lease_that_nobody_holds_is_taken_at_once() {
        let (now, clock) = (Instant::now(), Timestamp::UNIX_EPOCH);
        let given_back = LeaseSpec { holder_identity: None, ..lease("b", 0) };
        let empty = LeaseSpec { holder_identity: Some(String::new()), ..lease("b", 0) };
        for found in [None, Some(LeaseSpec::default()), Some(given_back), Some(empty)] {
            let Move::Write(spec) = election("a").consider(found.as_ref(), now, clock) else { panic!("{found:?} is waited for") };
            assert_eq!(spec.holder_identity.as_deref(), Some("a"));
            assert_eq!(spec.lease_transitions, Some(i32::from(found.is_some())));
        }
    }

    #[test]
    fn a_replica_that_starts_again_under_its_name_goes_on_at_once() {
        let begun = lease("a", 7);
        let Move::Write(spec) = election("a").consider(Some(&begun), Instant::now(), Timestamp::from_second(9).unwrap()) else {
            panic!("it waits for itself")
        };
        assert_eq!((spec.acquire_time, spec.lease_transitions), (begun.acquire_time, Some(0)));
        assert_eq!(spec.renew_time, Some(MicroTime(Timestamp::from_second(9).unwrap())));
    }

    #[test]
    fn the_lease_of_another_is_taken_when_it_was_not_renewed_for_its_time_whatever_its_clock_says() {
        let begin = Instant::now();
        for its_second in [0, 4_000_000_000] {
            let mut election = election("a");
            let mut after = |seconds: u64, lease: &LeaseSpec| {
                election.consider(Some(lease), begin + Duration::from_secs(seconds), Timestamp::from_second(2_000_000_000).unwrap())
            };
            let (first, renewed) = (lease("b", its_second), lease("b", its_second + 1));
            assert_eq!(after(0, &first), Move::Wait("b".into(), Duration::from_secs(15)));
            assert_eq!(after(14, &first), Move::Wait("b".into(), Duration::from_secs(1)));
            assert_eq!(after(14, &renewed), Move::Wait("b".into(), Duration::from_secs(15)));
            assert_eq!(after(28, &renewed), Move::Wait("b".into(), Duration::from_secs(1)));
            assert!(takes(&after(29, &renewed)));
        }
    }

    #[test]
    fn the_holder_of_a_lease_says_how_long_it_lasts() {
        let begin = Instant::now();
        for (said, lasts) in [(Some(60), 60), (Some(1), 1), (Some(0), 15), (Some(-1), 15), (None, 15)] {
            let lease = LeaseSpec { lease_duration_seconds: said, ..lease("b", 0) };
            let mut election = election("a");
            let mut after = |time: Duration| takes(&election.consider(Some(&lease), begin + time, Timestamp::UNIX_EPOCH));
            let lasts = Duration::from_secs(lasts);
            assert!(!after(Duration::ZERO) && !after(lasts.mul_f64(0.999)) && after(lasts), "{said:?}");
        }
    }

    #[test]
    fn a_lease_that_changes_hands_begins_anew() {
        let begin = Instant::now();
        let mut election = election("a");
        let mut after = |seconds: u64, lease: &LeaseSpec| {
            takes(&election.consider(Some(lease), begin + Duration::from_secs(seconds), Timestamp::UNIX_EPOCH))
        };
        assert!(!after(0, &lease("b", 0)) && !after(14, &lease("c", 0)) && !after(28, &lease("c", 0)) && after(29, &lease("c", 0)));
    }

    #[test]
    fn terms_under_which_two_could_write_are_refused() {
        let terms = |milliseconds: [u64; 3]| {
            let [duration, renew_within, renew_every] = milliseconds.map(Duration::from_millis);
            Terms::new(duration, renew_within, renew_every).is_ok()
        };
        assert!(terms([15_000, 10_000, 2_000]) && terms([2_000, 1_000, 200]));
        assert!(!terms([15_000, 15_000, 2_000]) && !terms([15_000, 10_000, 10_000]) && !terms([1_500, 1_000, 200]));
    }
}
