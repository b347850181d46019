//! Seeing for ourselves, again and again, whether the API server uses the policies and the Clearance.

use std::time::Duration;

use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::cluster::{Adding, Aim, ApiServers, World, probe};
use crate::plan::{Epoch, Outcome, Probe};
use crate::telemetry::Metrics;

/// How often a probe is repeated before its answer counts, and how long it waits in between: an API server takes about a
/// second to take a new policy into use.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);
/// How soon to probe again when the guard was not seen to hold.
const AGAIN: Duration = Duration::from_secs(2);

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
    loop {
        let target = targets.borrow_and_update().clone();
        let pause = match &target {
            None => None,
            Some(target) => {
                let (clearance, policies) = (target.clearance.clone(), target.policies.name.clone());
                let aim = Aim { clearance, policies, mutates: world.mutates(), webhook: target.webhook };
                let (seen, adding) = probe(&servers, &aim).await;
                if seen.is_err() && tries < TRIES {
                    tries += 1;
                    Some(PAUSE)
                } else {
                    tries = 1;
                    let (Ok(outcome) | Err(outcome)) = seen;
                    // An API server that was told of the webhook a moment ago may call it in a moment.
                    let rest = matches!(outcome, Outcome::Holds(_)) && (!target.webhook || adding == Adding::Webhook);
                    record(&world, &metrics, target, outcome, adding);
                    Some(if rest { every } else { AGAIN })
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

fn record(world: &World, metrics: &Metrics, target: &Target, outcome: Outcome, adding: Adding) {
    metrics.probed(&outcome);
    let probe = Probe { policies: target.digest.clone(), outcome, adds: adding == Adding::Webhook };
    let turned = world.record_probe(probe.clone(), target.policies.versions.clone());
    match probe.outcome {
        Outcome::Holds(text) if turned => info!("the guard holds: {text}"),
        Outcome::Holds(_) => {}
        Outcome::Open(what) => error!(what, "the guard is open"),
        Outcome::Unclear(why) => warn!(why, "whether the guard holds could not be seen"),
    }
}
