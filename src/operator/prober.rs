//! Seeing for ourselves, again and again, whether the API server uses the policies and the Clearance.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::cluster::{Adding, Aim, ApiServers, Found, World, probe};
use crate::plan::{Epoch, Outcome, Probe, Versions};
use crate::telemetry::Metrics;

/// How often a probe is repeated before its answer counts, and how long it waits in between: an API server takes about a
/// second to take a new policy into use.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);
/// How soon to probe again when the guard was not seen to hold.
const AGAIN: Duration = Duration::from_secs(2);
/// How long what is no longer needed is kept for an API server that cannot be asked. One that is reached from elsewhere has long taken the rest into
/// use by then; one that is gone for good must not keep it for ever.
const UNASKED: Duration = Duration::from_mins(10);

/// What there is to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The node that the Clearance clears for the probe.
    pub(super) clearance: String,
    /// The epoch of the policies.
    pub(super) policies: Epoch,
    /// The digest of the policies, for the report.
    pub(super) digest: String,
    /// Whether API servers are told of the webhook.
    pub(super) webhook: bool,
}

/// Probes whatever is the target: when it changes, every `every`, and sooner while the guard does not hold.
pub(super) async fn run(
    servers: ApiServers,
    world: World,
    metrics: Metrics,
    mut targets: watch::Receiver<Option<Target>>,
    every: Duration,
) {
    let mut tries = 1;
    let mut patience = Patience::default();
    loop {
        let target = targets.borrow_and_update().clone();
        let pause = match &target {
            None => None,
            Some(target) => {
                let (clearance, policies) = (target.clearance.clone(), target.policies.name.clone());
                let aim = Aim { clearance, policies, mutates: world.mutates(), webhook: target.webhook };
                let Found { outcome, adding, unasked } = probe(&servers, &aim).await;
                if outcome.is_err() && tries < TRIES {
                    tries += 1;
                    Some(PAUSE)
                } else {
                    tries = 1;
                    let (Ok(outcome) | Err(outcome)) = outcome;
                    let waited = patience.waited(&target.policies.versions, &outcome, Instant::now());
                    let unasked = unasked && waited < UNASKED;
                    // An API server that was told of the webhook a moment ago may call it in a moment.
                    let rest = matches!(outcome, Outcome::Holds(_)) && (!target.webhook || adding == Adding::Webhook);
                    record(&world, &metrics, target, outcome, adding, unasked);
                    Some(if !rest {
                        AGAIN
                    } else if unasked {
                        every.min(UNASKED.saturating_sub(waited)).max(AGAIN)
                    } else {
                        every
                    })
                }
            }
        };
        tokio::select! {
            changed = targets.changed() => {
                if changed.is_err() {
                    return;
                }
                tries = 1;
            }
            () = async { tokio::time::sleep(pause.unwrap_or_default()).await }, if pause.is_some() => {}
        }
    }
}

/// Since when the same policies have been seen in use.
#[derive(Default)]
struct Patience(Option<(Versions, Instant)>);

impl Patience {
    /// How long they have been, at `now`.
    fn waited(&mut self, versions: &Versions, outcome: &Outcome, now: Instant) -> Duration {
        if !matches!(outcome, Outcome::Holds(_)) {
            return Duration::ZERO;
        }
        match &self.0 {
            Some((seen, since)) if seen == versions => now.duration_since(*since),
            _ => {
                self.0 = Some((versions.clone(), now));
                Duration::ZERO
            }
        }
    }
}

fn record(world: &World, metrics: &Metrics, target: &Target, outcome: Outcome, adding: Adding, unasked: bool) {
    metrics.probed(&outcome);
    let probe = Probe { policies: target.digest.clone(), outcome, adds: adding == Adding::Webhook };
    let turned = world.record_probe(probe.clone(), target.policies.versions.clone(), unasked);
    match probe.outcome {
        Outcome::Holds(text) if turned => info!("the guard holds: {text}"),
        Outcome::Holds(_) => {}
        Outcome::Open(what) => error!(what, "the guard is open"),
        Outcome::Unclear(why) => warn!(why, "whether the guard holds could not be seen"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Version;

    #[test]
    fn patience_is_counted_from_when_the_same_policies_were_first_seen_in_use() {
        let versions = |generation| -> Versions { [("p".to_owned(), Version { uid: "u".to_owned(), generation })].into() };
        let (holds, unclear) = (Outcome::Holds(String::new()), Outcome::Unclear(String::new()));
        let (start, minute) = (Instant::now(), Duration::from_mins(1));
        let mut patience = Patience::default();
        for (after, generation, outcome, waited) in [
            (0, 1, &unclear, 0),
            (1, 1, &holds, 0),
            (3, 1, &holds, 2),
            (4, 1, &unclear, 0),
            (5, 1, &holds, 4),
            (6, 2, &holds, 0),
            (7, 2, &holds, 1),
        ] {
            let found = patience.waited(&versions(generation), outcome, start + minute * after);
            assert_eq!(found, minute * waited, "after {after} minutes");
        }
    }
}
