//! RUN: wake, take a snapshot, plan, apply, report, sleep until the next instant at which something changes.

mod lease;
mod pace;
mod prober;
mod retry;
mod upgraded;

use std::net::SocketAddr;
use std::pin::pin;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::Client;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, instrument, warn};

use crate::api::names::GROUP;
use crate::cluster::{ApiServers, Authorities, ConnectError, LeaseStore, Mandate, World, Writer};
use crate::placement::epoch;
use crate::plan::{Host, Plan, Planner, Snapshot};
use crate::telemetry::{Metrics, Readiness, serve};
use crate::webhook::{self, WebhookError};
pub use lease::Terms;
use pace::Pace;
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
    /// Where it keeps what it counts.
    pub metrics: Metrics,
    /// How the webhook runs; none: it is switched off.
    pub webhook: Option<webhook::Settings>,
}

/// Why the operator ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It can not find out who it is.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The address is taken or not ours.
    #[error("cannot serve at {0}: {1}; choose another --listen")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// The same of the webhook.
    #[error("cannot serve the webhook at {0}: {1}; choose another --webhook-listen")]
    Webhook(SocketAddr, #[source] WebhookError),
    /// What it found at its start has changed, and another start finds what there is now.
    #[error("API servers {} MutatingAdmissionPolicy v1 now: this replica ends, to be started anew", if *.0 { "serve" } else { "no longer serve" })]
    Upgraded(bool),
    /// One of its tasks ended, which none should.
    #[error("a task of the operator ended unexpectedly: {0}")]
    Task(String),
}

/// Runs until `stop`, once it is known on which `host`. Faults of the API server do not end it.
pub async fn run(
    client: Client,
    apiservers: ApiServers,
    host: impl Future<Output = Result<Host, ConnectError>>,
    settings: Settings,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let metrics = settings.metrics.clone();
    let readiness = Readiness::default();
    // Whoever waits for an API server is alive and not ready.
    let mut endpoint = pin!(endpoint(settings.listen, metrics.clone(), readiness.clone(), stop.clone()));
    let host = tokio::select! {
        host = host => host?,
        served = &mut endpoint => return served,
        () = stop.cancelled() => return Ok(()),
    };
    info!(version = env!("CARGO_PKG_VERSION"), user = host.user, mutates = host.mutates, group = GROUP, "rempart starts");
    let mut tasks = JoinSet::new();
    let lease = LeaseStore::new(client.clone(), &host.namespace, settings.terms.patience());
    let mandate = lease::stand(lease.clone(), settings.instance.clone(), settings.terms, &mut tasks);
    let (writer, telling) = Writer::new(client.clone(), settings.instance.clone(), metrics.clone(), mandate.clone());
    let (sight, seen) = watch::channel(None);
    let webhook = webhook(client.clone(), &host, &settings, seen, stop.clone());
    let operator =
        Operator { client, apiservers, host: host.clone(), probe_every: settings.probe_every, writer, metrics, readiness, sight };

    let outcome = tokio::select! {
        // It stops between two rounds: what is being written is written.
        worked = operator.work_until_upgraded(mandate, &stop) => worked,
        served = endpoint => served,
        served = webhook => served,
        ended = tasks.join_next() => Err(RunError::of(ended)),
    };
    match &outcome {
        Ok(()) => info!("stopping"),
        Err(upgraded @ RunError::Upgraded(_)) => warn!("{upgraded}"),
        Err(error) => error!(%error, "ending"),
    }
    tasks.shutdown().await;
    // With the writer, what there is to tell comes to its end.
    drop(operator);
    tokio::join!(lease::give_back(&lease, &settings.instance), telling.end());
    outcome
}

impl RunError {
    fn of(ended: Option<Result<(), JoinError>>) -> Self {
        Self::Task(match ended {
            Some(Err(error)) => error.to_string(),
            _ => "it came to its end".to_owned(),
        })
    }
}

async fn endpoint(listen: Option<SocketAddr>, metrics: Metrics, readiness: Readiness, stop: CancellationToken) -> Result<(), RunError> {
    if let Some(address) = listen {
        serve(address, metrics, readiness, stop).await.map_err(|error| RunError::Listen(address, error))?;
    }
    // It has ended because it was asked to: what is being written is written first.
    std::future::pending().await
}

/// The webhook, where the API server has nothing else.
async fn webhook(client: Client, host: &Host, settings: &Settings, seen: webhook::Sight, stop: CancellationToken) -> Result<(), RunError> {
    let (Some(reach), Some(how), false) = (&host.webhook, &settings.webhook, host.mutates) else { return std::future::pending().await };
    let authorities = Authorities::new(client, &host.namespace, settings.instance.clone());
    let served = webhook::run(how.clone(), &host.namespace, reach, authorities, seen, &settings.metrics, stop.clone()).await;
    match served {
        // What is being written is written first.
        Ok(()) if stop.is_cancelled() => std::future::pending().await,
        served => served.map_err(|error| RunError::Webhook(how.listen, error)),
    }
}

struct Operator {
    client: Client,
    apiservers: ApiServers,
    host: Host,
    probe_every: Duration,
    writer: Writer,
    metrics: Metrics,
    readiness: Readiness,
    /// What this replica has last seen whole, for the webhook.
    sight: watch::Sender<Option<World>>,
}

/// The cluster as this replica sees it.
struct View {
    world: World,
    watches: JoinSet<()>,
    /// What it does while it leads.
    term: Option<Term>,
}

/// The time in which a replica leads. It knows nothing of what was tried or seen before: that was another's turn.
struct Term {
    target: watch::Sender<Option<Target>>,
    prober: JoinSet<()>,
    planner: Planner,
    retries: Retries,
    pace: Pace,
}

impl Operator {
    /// Works until `stop`, or until API servers serve something else than at the start. Then it stops in the same order.
    async fn work_until_upgraded(&self, mandate: Mandate, stop: &CancellationToken) -> Result<(), RunError> {
        let mut work = pin!(self.work(mandate.clone(), stop));
        tokio::select! {
            worked = &mut work => return worked,
            () = upgraded::noticed(&self.apiservers, self.host.mutates, self.probe_every, &mandate) => {}
        }
        stop.cancel();
        work.await?;
        Err(RunError::Upgraded(!self.host.mutates))
    }

    async fn work(&self, mut mandate: Mandate, stop: &CancellationToken) -> Result<(), RunError> {
        let started = Instant::now();
        let mut view = None;
        while !stop.is_cancelled() {
            let known = mandate.known().map_err(|why| format!("who may write is not known: {why}"));
            let Some(view) = self.look(&mut view, mandate.left().is_some(), known.is_ok()).await else {
                self.readiness.set(known);
                tokio::select! {
                    () = mandate.changed() => {}
                    () = stop.cancelled() => {}
                }
                continue;
            };
            let Some(snapshot) = view.world.snapshot() else {
                let missing = view.world.missing().join("; ");
                if started.elapsed() >= PATIENCE {
                    warn!(missing, "cannot begin: are CRDs and rights in place (kubectl apply --server-side -f crds/ -f deploy/)?");
                }
                self.readiness.set(Err(format!("waiting for {missing}")));
                view.sleep(Duration::from_secs(2), &mut mandate, stop).await?;
                continue;
            };
            self.readiness.set(known);
            // Until its first round the webhook has looked at the world before, if there was one: old facts add more than none.
            self.sight.send_replace(Some(view.world.clone()));
            let sleep = match &mut view.term {
                Some(term) => self.round(&view.world, term, &snapshot).await,
                None => LONGEST_SLEEP,
            };
            view.sleep(sleep, &mut mandate, stop).await?;
        }
        Ok(())
    }

    /// The view of a replica that `leads` or does not, once it is `known` which.
    ///
    /// Who takes over reads everything anew: what it has watched may be older than what the other one had acted upon, and would
    /// open again for a moment what that one had closed.
    async fn look<'a>(&self, view: &'a mut Option<View>, leads: bool, known: bool) -> Option<&'a mut View> {
        match view {
            Some(View { term: Some(_), .. }) if leads => {}
            _ if leads => {
                info!("leading: this replica writes");
                if let Some(before) = view.take() {
                    before.end().await;
                }
                self.metrics.lead();
                let mut new = self.watch();
                let (target, targets) = watch::channel(None);
                let mut prober = JoinSet::new();
                prober.spawn(prober::run(self.apiservers.clone(), new.world.clone(), self.metrics.clone(), targets, self.probe_every));
                new.term = Some(Term { target, prober, planner: Planner::default(), retries: Retries::default(), pace: Pace::default() });
                *view = Some(new);
            }
            Some(View { term: term @ Some(_), .. }) => {
                warn!("no longer leading: this replica writes nothing");
                self.metrics.stand_by();
                *term = None;
            }
            None if known => *view = Some(self.watch()),
            _ => {}
        }
        view.as_mut()
    }

    fn watch(&self) -> View {
        let mut watches = JoinSet::new();
        let world = World::observe(&self.client, &self.host, self.metrics.clone(), &mut watches);
        View { world, watches, term: None }
    }

    /// Plans and applies, and says how long there is nothing more to do.
    #[instrument(level = "debug", skip_all)]
    async fn round(&self, world: &World, term: &mut Term, snapshot: &Snapshot) -> Duration {
        let plan = self.plan(&mut term.planner, snapshot);
        let wake_at = plan.wake_at;
        term.aim(&plan);
        let steps = term.pace.due(term.retries.due(plan.steps));
        let applied = self.writer.apply(steps).await;
        term.pace.record(&applied.written);
        term.retries.record(applied);
        world.record_failures(term.retries.failures());
        let sleep = [wake_at.map(until), term.retries.next(), term.pace.next(), Some(LONGEST_SLEEP)].into_iter().flatten().min();
        sleep.unwrap_or(LONGEST_SLEEP)
    }

    #[instrument(level = "debug", skip_all)]
    fn plan(&self, planner: &mut Planner, snapshot: &Snapshot) -> Plan {
        let (now, started) = (Timestamp::now(), Instant::now());
        let plan = planner.plan(snapshot, now);
        self.metrics.planned(&plan.summary, plan.guarded, now, started.elapsed());
        debug!(steps = plan.steps.len(), guarded = plan.guarded, wake_at = ?plan.wake_at, took = ?started.elapsed(), "planned");
        plan
    }
}

impl Term {
    /// Tells the prober what there is to see: nothing, while the Clearance or a policy is still to be written.
    fn aim(&self, plan: &Plan) {
        let target = plan.epoch.clone().filter(|_| plan.guarded).and_then(|policies| {
            let clearance = epoch(&plan.clearance)?.to_owned();
            Some(Target { clearance, policies, digest: plan.policies.clone(), webhook: plan.webhook })
        });
        self.target.send_if_modified(|aimed| {
            let news = *aimed != target;
            *aimed = target;
            news
        });
    }
}

impl View {
    /// Sleeps until there may be something to do.
    async fn sleep(&mut self, longest: Duration, mandate: &mut Mandate, stop: &CancellationToken) -> Result<(), RunError> {
        let Self { world, watches, term } = self;
        let prober = async {
            match term {
                Some(term) => term.prober.join_next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = mandate.changed() => {}
            () = world.changed() => tokio::time::sleep(DEBOUNCE).await,
            () = tokio::time::sleep(longest) => {}
            ended = watches.join_next() => return Err(RunError::of(ended)),
            ended = prober => return Err(RunError::of(ended)),
        }
        Ok(())
    }

    async fn end(mut self) {
        self.watches.shutdown().await;
    }
}

/// The time from now until `instant`; a little more than nothing if it has passed, so that no clock can make us spin.
fn until(instant: Timestamp) -> Duration {
    const LEAST: Duration = Duration::from_millis(100);
    instant.duration_since(Timestamp::now()).try_into().unwrap_or(LEAST).max(LEAST)
}
