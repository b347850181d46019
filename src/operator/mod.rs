//! RUN: wake, take a snapshot, plan, apply, report, sleep until the next instant at which something changes.

mod lease;
mod prober;
mod retry;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::Client;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::cluster::{ApiServers, LeaseStore, Mandate, World, Writer};
use crate::placement::epoch;
use crate::plan::{Host, Outcome, Plan, Probe, Snapshot, Versions, plan};
use crate::telemetry::{Metrics, Readiness, serve};
pub use lease::Terms;
use prober::Target;
use retry::Retries;

/// Changes come in bursts; one plan serves all that come within this time.
const DEBOUNCE: Duration = Duration::from_millis(50);
/// How long the first complete snapshot may take before that is worth a line in the log.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest sleep: clocks are set, and laptops sleep.
const LONGEST_SLEEP: Duration = Duration::from_mins(10);

/// How the operator runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to serve `/healthz`, `/readyz` and `/metrics`; none: nowhere.
    pub listen: Option<SocketAddr>,
    /// How often to see whether the API server refuses a violation, when nothing has changed.
    pub probe_every: Duration,
    /// The name under which it reports events and holds the lease. No other replica has the same.
    pub instance: String,
    /// Lengths of time of the lease.
    pub terms: Terms,
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
pub async fn run(client: Client, apiservers: ApiServers, host: Host, settings: Settings, stop: CancellationToken) -> Result<(), RunError> {
    let metrics = Metrics::default();
    let readiness = Readiness::default();
    let mut tasks = JoinSet::new();
    let lease = LeaseStore::new(client.clone(), &host.namespace, settings.terms.patience());
    let mandate = lease::stand(lease.clone(), settings.instance.clone(), settings.terms, &mut tasks);
    let world = World::observe(&client, host, metrics.clone(), &mut tasks);
    let writer = Writer::new(client.clone(), settings.instance.clone(), metrics.clone(), mandate.clone());
    let endpoint = endpoint(settings.listen, metrics.clone(), readiness.clone(), stop.clone());
    let (prober, target) = watch::channel(None);
    tasks.spawn(prober::run(apiservers, world.clone(), metrics.clone(), target, settings.probe_every));
    let operator = Operator { world, writer, metrics, readiness, prober };

    let outcome = tokio::select! {
        // It stops between two rounds: what is being written is written.
        () = operator.work(mandate, &stop) => {
            info!("stopping");
            Ok(())
        }
        served = endpoint => served,
        ended = tasks.join_next() => {
            let why = match ended {
                Some(Err(error)) => error.to_string(),
                _ => "it came to its end".to_owned(),
            };
            error!(%why, "a task ended");
            Err(RunError::Task(why))
        }
    };
    tasks.shutdown().await;
    lease::give_back(&lease, &settings.instance).await;
    outcome
}

async fn endpoint(listen: Option<SocketAddr>, metrics: Metrics, readiness: Readiness, stop: CancellationToken) -> Result<(), RunError> {
    match listen {
        Some(address) => serve(address, metrics, readiness, stop).await.map_err(|error| RunError::Listen(address, error)),
        None => std::future::pending().await,
    }
}

struct Operator {
    world: World,
    writer: Writer,
    metrics: Metrics,
    readiness: Readiness,
    prober: watch::Sender<Option<Target>>,
}

impl Operator {
    async fn work(&self, mut mandate: Mandate, stop: &CancellationToken) {
        let started = Instant::now();
        let mut retries = None;
        while !stop.is_cancelled() {
            let Some(snapshot) = self.world.snapshot() else {
                let missing = self.world.missing().join("; ");
                if started.elapsed() >= PATIENCE {
                    warn!(missing, "cannot begin: are CRDs and rights in place (kubectl apply --server-side -f crds/ -f deploy/)?");
                }
                self.readiness.set(Err(format!("waiting for {missing}")));
                self.sleep(Duration::from_secs(2), &mut mandate, stop).await;
                continue;
            };
            self.readiness.set(mandate.known().map_err(|why| format!("who may write is not known: {why}")));
            if mandate.left().is_none() {
                if retries.take().is_some() {
                    self.step_down();
                }
                self.sleep(LONGEST_SLEEP, &mut mandate, stop).await;
                continue;
            }
            let retries = retries.get_or_insert_with(|| self.take_over());
            let plan = self.plan(&snapshot);
            let wake_at = plan.wake_at;
            self.aim(&plan);
            let applied = self.writer.apply(retries.due(plan.steps)).await;
            retries.record(applied);
            self.world.record_failures(retries.failures());
            let sleep = [wake_at.map(until), retries.next(), Some(LONGEST_SLEEP)].into_iter().flatten().min();
            self.sleep(sleep.unwrap_or(LONGEST_SLEEP), &mut mandate, stop).await;
        }
    }

    /// Begins as if nothing had been seen or tried before: that was another's turn.
    fn take_over(&self) -> Retries {
        info!("leading: this replica writes");
        self.metrics.lead();
        let outcome = Outcome::Unclear("this replica has only just begun to lead".to_owned());
        self.world.record_probe(Probe { policies: String::new(), outcome }, Versions::default());
        Retries::default()
    }

    fn step_down(&self) {
        warn!("no longer leading: this replica writes nothing");
        self.metrics.stand_by();
        self.prober.send_replace(None);
        self.world.record_failures([].into());
    }

    /// Tells the prober what there is to see: nothing, while the Clearance or a policy is still to be written.
    fn aim(&self, plan: &Plan) {
        let target = plan.epoch.clone().filter(|_| plan.guarded).and_then(|policies| {
            let clearance = epoch(&plan.clearance)?.to_owned();
            Some(Target { clearance, policies, digest: plan.policies.clone() })
        });
        self.prober.send_if_modified(|aimed| {
            let news = *aimed != target;
            *aimed = target;
            news
        });
    }

    fn plan(&self, snapshot: &Snapshot) -> Plan {
        let (now, started) = (Timestamp::now(), Instant::now());
        let plan = plan(snapshot, now);
        self.metrics.planned(&plan.summary, plan.guarded, now, started.elapsed());
        debug!(steps = plan.steps.len(), guarded = plan.guarded, wake_at = ?plan.wake_at, took = ?started.elapsed(), "planned");
        plan
    }

    async fn sleep(&self, longest: Duration, mandate: &mut Mandate, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = mandate.changed() => {}
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
