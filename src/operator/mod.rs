//! RUN: wake, take a snapshot, plan, apply, report, sleep until the next instant at which something changes.

mod retry;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::Client;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::cluster::{World, Writer, probe};
use crate::placement::epoch;
use crate::plan::{Host, Outcome, Plan, Probe, Step, plan};
use crate::telemetry::{Metrics, Readiness, serve};
use retry::Retries;

/// Changes come in bursts; one plan serves all that come within this time.
const DEBOUNCE: Duration = Duration::from_millis(50);
/// How soon to probe again after a probe that did not see the guard hold.
const PROBE_AGAIN: Duration = Duration::from_secs(2);
/// How long the first complete snapshot may take before that is worth a line in the log.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an API server may go on with the policies it had after new ones are written: it looks for them once a second and
/// then compiles them. A probe before that would speak of the old ones.
const IN_USE_AFTER: Duration = Duration::from_secs(2);
/// Longest sleep: clocks are set, and laptops sleep.
const LONGEST_SLEEP: Duration = Duration::from_mins(10);

/// How the operator runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to serve `/healthz`, `/readyz` and `/metrics`; none: nowhere.
    pub listen: Option<SocketAddr>,
    /// How often to see whether the API server refuses a violation, when nothing has changed.
    pub probe_every: Duration,
    /// The name under which it reports events.
    pub instance: String,
}

/// Why the operator ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The address is taken or not ours.
    #[error("cannot serve at {0}: {1}; choose another --listen")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// One of its tasks ended, which none should.
    #[error("a task of the operator ended unexpectedly: {0}")]
    Task(String),
}

/// Runs until `stop`. Faults of the API server do not end it.
pub async fn run(client: Client, host: Host, settings: Settings, stop: CancellationToken) -> Result<(), RunError> {
    let metrics = Metrics::default();
    let readiness = Readiness::default();
    let mut tasks = JoinSet::new();
    let world = World::observe(&client, host, metrics.clone(), &mut tasks);
    let writer = Writer::new(client.clone(), settings.instance.clone(), metrics.clone());
    let endpoint = endpoint(settings.listen, metrics.clone(), readiness.clone(), stop.clone());
    let operator = Operator { client, world, writer, metrics, readiness, probe_every: settings.probe_every };

    tokio::select! {
        // It stops between two rounds: what is being written is written.
        () = operator.work(&stop) => info!("stopping"),
        served = endpoint => served?,
        ended = tasks.join_next() => {
            let why = match ended {
                Some(Err(error)) => error.to_string(),
                _ => "a watch came to its end".to_owned(),
            };
            error!(%why, "a watch ended");
            return Err(RunError::Task(why));
        }
    }
    tasks.shutdown().await;
    Ok(())
}

async fn endpoint(listen: Option<SocketAddr>, metrics: Metrics, readiness: Readiness, stop: CancellationToken) -> Result<(), RunError> {
    match listen {
        Some(address) => serve(address, metrics, readiness, stop).await.map_err(|error| RunError::Listen(address, error)),
        None => std::future::pending().await,
    }
}

struct Operator {
    client: Client,
    world: World,
    writer: Writer,
    metrics: Metrics,
    readiness: Readiness,
    probe_every: Duration,
}

/// The last probe that saw the guard hold: when, and what was in place then.
struct Probed {
    at: Instant,
    epoch: String,
    policies: String,
}

impl Probed {
    fn speaks_of(&self, epoch: &str, policies: &str) -> bool {
        self.epoch == epoch && self.policies == policies
    }
}

impl Operator {
    async fn work(&self, stop: &CancellationToken) {
        let started = Instant::now();
        let mut retries = Retries::default();
        let mut probed: Option<Probed> = None;
        let mut in_use_from = Instant::now();
        while !stop.is_cancelled() {
            let Some(plan) = self.plan() else {
                let missing = self.world.missing().join("; ");
                if started.elapsed() >= PATIENCE {
                    warn!(missing, "cannot begin: are CRDs and rights in place (kubectl apply --server-side -f crds/ -f deploy/)?");
                }
                self.readiness.set(Err(format!("waiting for {missing}")));
                self.sleep(Duration::from_secs(2), stop).await;
                continue;
            };
            let wake_at = plan.wake_at;
            let (guarded, policies) = (plan.guarded, plan.policies);
            let epoch = epoch(&plan.clearance).unwrap_or_default().to_owned();
            let rewrites_policies = plan.steps.iter().any(|step| matches!(step, Step::WriteAdmission(_)));

            let applied = self.writer.apply(retries.due(plan.steps)).await;
            retries.record(&applied);
            self.world.record_failures(retries.failures());
            self.readiness.set(Ok(()));
            if rewrites_policies {
                in_use_from = Instant::now() + IN_USE_AFTER;
                // What was seen before says nothing now, even of the same policies: others may have been in force in between.
                probed = None;
                let outcome = Outcome::Unclear("the policies have just been written, and are tried in a moment".to_owned());
                self.world.record_probe(Probe { policies: policies.clone(), outcome });
            }
            let until_in_use = in_use_from.saturating_duration_since(Instant::now());

            // A probe may wait for the API server; whatever changes meanwhile is more urgent.
            let due = probed.as_ref().is_none_or(|probed| !probed.speaks_of(&epoch, &policies) || probed.at.elapsed() >= self.probe_every);
            if guarded && applied.written.is_empty() && until_in_use.is_zero() && due {
                tokio::select! {
                    outcome = self.probe(&epoch, policies.clone()) => {
                        probed = (outcome == Outcome::Holds).then(|| Probed { at: Instant::now(), epoch, policies });
                    }
                    () = self.world.changed() => {
                        tokio::time::sleep(DEBOUNCE).await;
                        continue;
                    }
                    () = stop.cancelled() => continue,
                }
            }
            let until_probe = match &probed {
                _ if !until_in_use.is_zero() => until_in_use,
                Some(probed) => self.probe_every.saturating_sub(probed.at.elapsed()),
                None => PROBE_AGAIN,
            };
            let sleep = [wake_at.map(until), retries.next(), Some(until_probe), Some(LONGEST_SLEEP)].into_iter().flatten().min();
            self.sleep(sleep.unwrap_or(LONGEST_SLEEP), stop).await;
        }
    }

    fn plan(&self) -> Option<Plan> {
        let snapshot = self.world.snapshot()?;
        let (now, started) = (Timestamp::now(), Instant::now());
        let plan = plan(&snapshot, now);
        self.metrics.planned(&plan.summary, plan.guarded, now, started.elapsed());
        debug!(steps = plan.steps.len(), guarded = plan.guarded, wake_at = ?plan.wake_at, took = ?started.elapsed(), "planned");
        Some(plan)
    }

    async fn probe(&self, epoch: &str, policies: String) -> Outcome {
        let outcome = probe(&self.client, epoch).await;
        self.metrics.probed(&outcome);
        let turned = self.world.record_probe(Probe { policies, outcome: outcome.clone() });
        match &outcome {
            Outcome::Holds if turned => info!("the guard holds: the API server was seen to refuse a violation"),
            Outcome::Holds => {}
            Outcome::Open(what) => error!(what, "the guard is open"),
            Outcome::Unclear(why) => warn!(why, "whether the guard holds could not be seen"),
        }
        outcome
    }

    async fn sleep(&self, longest: Duration, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.world.changed() => tokio::time::sleep(DEBOUNCE).await,
            () = tokio::time::sleep(longest) => {}
        }
    }
}

/// The time from now until `instant`; a little more than nothing if it has passed, so that no clock can make us spin.
fn until(instant: Timestamp) -> Duration {
    const LEAST: Duration = Duration::from_millis(100);
    instant.duration_since(Timestamp::now()).try_into().unwrap_or(LEAST).max(LEAST)
}
