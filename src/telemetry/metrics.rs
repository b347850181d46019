//! Metrics: prefixed `rempart_`, base units, and no label whose values a user could make endless.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::WebhookMetrics;
use crate::plan::{Outcome, Summary};

type Seconds = Gauge<f64, AtomicU64>;

/// All metrics of the operator.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    nodes: Family<LevelLabel, Gauge>,
    pods: Family<VerdictLabels, Gauge>,
    claims: Family<VerdictLabels, Gauge>,
    unschedulable: Family<LevelLabel, Gauge>,
    clearance_ends: Family<LevelLabel, Seconds>,
    qualification_ends: Family<CloudLabel, Seconds>,
    configuration_valid: Gauge,
    leader: Gauge,
    guarded: Gauge,
    probe_holds: Gauge,
    last_plan: Seconds,
    plan_duration: Histogram,
    writes: Family<WriteLabels, Counter>,
    watch_failures: Family<ResourceLabel, Counter>,
    objects: Family<ConditionLabels, Gauge>,
    /// Held while what a plan found is replaced, which would be scraped as nothing halfway.
    whole: Mutex<()>,
    webhook: OnceLock<WebhookMetrics>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LevelLabel {
    level: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CloudLabel {
    cloud: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResourceLabel {
    resource: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConditionLabels {
    kind: &'static str,
    condition: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabels {
    level: String,
    verdict: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WriteLabels {
    kind: String,
    result: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("rempart");
        let mut inner = Inner {
            registry: Registry::default(),
            nodes: Family::default(),
            pods: Family::default(),
            claims: Family::default(),
            unschedulable: Family::default(),
            clearance_ends: Family::default(),
            qualification_ends: Family::default(),
            configuration_valid: Gauge::default(),
            leader: Gauge::default(),
            guarded: Gauge::default(),
            probe_holds: Gauge::default(),
            last_plan: Seconds::default(),
            plan_duration: Histogram::new(exponential_buckets(0.0005, 2.0, 14)),
            writes: Family::default(),
            watch_failures: Family::default(),
            objects: Family::default(),
            whole: Mutex::default(),
            webhook: OnceLock::new(),
        };
        registry.register("build", "Version of the operator", Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
        registry.register("objects", "Objects of Rempart, by kind and by what a condition of their status says", inner.objects.clone());
        registry.register("cleared_nodes", "Nodes cleared for a level", inner.nodes.clone());
        registry.register("pods", "Pods that a level applies to, by verdict", inner.pods.clone());
        registry.register("claims", "Claims that a level applies to, by verdict on their storage", inner.claims.clone());
        registry.register(
            "unschedulable_pods",
            "Pods that a level applies to, and for which the scheduler finds no cleared node",
            inner.unschedulable.clone(),
        );
        registry.register_with_unit(
            "clearance_end_timestamp",
            "Instant until which the API server accepts a level without hearing from the operator",
            Unit::Seconds,
            inner.clearance_ends.clone(),
        );
        registry.register_with_unit(
            "qualification_end_timestamp",
            "Instant at which the best qualification of a cloud ends",
            Unit::Seconds,
            inner.qualification_ends.clone(),
        );
        registry.register(
            "configuration_valid",
            "0 if the configuration file is wrong as it is now, and what was read before holds",
            inner.configuration_valid.clone(),
        );
        inner.configuration_valid.set(1);
        registry.register(
            "leader",
            "1 if this replica holds the lease and writes; only then it says anything of what follows",
            inner.leader.clone(),
        );
        registry.register("guarded", "1 if the Clearance and every policy and binding are in place", inner.guarded.clone());
        registry.register("probe_holds", "1 if the API server was last seen to refuse a violation", inner.probe_holds.clone());
        registry.register_with_unit("last_plan_timestamp", "Instant of the last plan", Unit::Seconds, inner.last_plan.clone());
        registry.register_with_unit("plan_duration", "Time that a plan takes", Unit::Seconds, inner.plan_duration.clone());
        registry.register("writes", "Writes to the API server, by kind and result", inner.writes.clone());
        registry.register("watch_failures", "Failures of a watch, each followed by another try", inner.watch_failures.clone());
        inner.registry = registry;
        Self(Arc::new(inner))
    }
}

impl Metrics {
    /// Counts a write.
    pub fn written(&self, kind: &str, succeeded: bool) {
        let result = if succeeded { "success" } else { "failure" };
        self.0.writes.get_or_create(&WriteLabels { kind: kind.to_owned(), result }).inc();
    }

    /// Counts a failure of a watch.
    pub fn watch_failed(&self, resource: &str) {
        self.0.watch_failures.get_or_create(&ResourceLabel { resource: resource.to_owned() }).inc();
    }

    /// Keeps what a probe found.
    pub fn probed(&self, outcome: &Outcome) {
        self.0.probe_holds.set(i64::from(matches!(outcome, Outcome::Holds(_))));
    }

    /// Keeps whether the configuration file can be taken up.
    pub fn configured(&self, valid: bool) {
        self.0.configuration_valid.set(i64::from(valid));
    }

    /// Those of the webhook, which are said from now on.
    pub fn webhook(&self) -> WebhookMetrics {
        self.0.webhook.get_or_init(WebhookMetrics::default).clone()
    }

    /// From now on this replica leads.
    pub fn lead(&self) {
        self.0.leader.set(1);
    }

    /// From now on another replica leads: what this one has found is said no longer.
    pub fn stand_by(&self) {
        let _whole = self.whole();
        let inner = &self.0;
        for gauge in [&inner.leader, &inner.guarded, &inner.probe_holds] {
            gauge.set(0);
        }
        inner.last_plan.set(0.0);
        self.forget();
    }

    fn whole(&self) -> MutexGuard<'_, ()> {
        self.0.whole.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self) {
        let inner = &self.0;
        inner.objects.clear();
        inner.nodes.clear();
        inner.pods.clear();
        inner.claims.clear();
        inner.unschedulable.clear();
        inner.clearance_ends.clear();
        inner.qualification_ends.clear();
    }

    /// Keeps what a plan found. Levels and clouds that are gone go from the metrics too.
    pub fn planned(&self, summary: &Summary, guarded: bool, now: Timestamp, took: Duration) {
        let _whole = self.whole();
        let inner = &self.0;
        inner.guarded.set(i64::from(guarded));
        inner.last_plan.set(now.as_duration().as_secs_f64());
        inner.plan_duration.observe(took.as_secs_f64());
        self.forget();
        let gauge = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        for ((kind, condition, status), count) in &summary.objects {
            inner.objects.get_or_create(&ConditionLabels { kind, condition, status }).set(gauge(*count));
        }
        for (family, by_level) in [(&inner.nodes, &summary.nodes), (&inner.unschedulable, &summary.unschedulable)] {
            for (level, count) in by_level {
                family.get_or_create(&LevelLabel { level: level.clone() }).set(gauge(*count));
            }
        }
        for (family, by_level) in [(&inner.pods, &summary.pods), (&inner.claims, &summary.claims)] {
            for (level, counts) in by_level {
                for (verdict, count) in ["compliant", "violating", "unplaced"].into_iter().zip(counts) {
                    family.get_or_create(&VerdictLabels { level: level.clone(), verdict }).set(gauge(*count));
                }
            }
        }
        for (level, instant) in &summary.not_after {
            inner.clearance_ends.get_or_create(&LevelLabel { level: level.clone() }).set(instant.as_duration().as_secs_f64());
        }
        for (cloud, instant) in &summary.qualified_until {
            inner.qualification_ends.get_or_create(&CloudLabel { cloud: cloud.clone() }).set(instant.as_duration().as_secs_f64());
        }
    }

    /// All of them in the OpenMetrics text format.
    pub fn text(&self) -> String {
        let _whole = self.whole();
        let mut text = String::new();
        let webhook = self.0.webhook.get().map(WebhookMetrics::registry);
        for registry in [Some(&self.0.registry), webhook].into_iter().flatten() {
            // Writing to a String does not fail.
            let _ = encode_registry(&mut text, registry);
        }
        let _ = encode_eof(&mut text);
        text
    }
}
