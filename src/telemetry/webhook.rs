//! Metrics of the webhook. They are there where it serves and nowhere else: elsewhere, zeros would look like a webhook that nobody calls.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Instant, SystemTime};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// Something was missing, and the answer adds it.
    Patched,
    /// Nothing was missing.
    Unchanged,
    /// What the answer rests on was not heard of in time; the object goes on as it is.
    Unheard,
    /// It was no review of an object.
    Rejected,
    /// Whoever asked hung up before there was an answer.
    Abandoned,
}

impl Answered {
    const ALL: [Self; 5] = [Self::Patched, Self::Unchanged, Self::Unheard, Self::Rejected, Self::Abandoned];

    fn label(self) -> OutcomeLabel {
        let outcome = match self {
            Self::Patched => "patched",
            Self::Unchanged => "unchanged",
            Self::Unheard => "unheard",
            Self::Rejected => "rejected",
            Self::Abandoned => "abandoned",
        };
        OutcomeLabel { outcome }
    }
}

/// Metrics of a webhook that serves.
#[derive(Clone, Debug)]
pub struct WebhookMetrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    requests: Family<OutcomeLabel, Counter>,
    duration: Histogram,
    certificate_ends: Gauge<f64, AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

impl Default for WebhookMetrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("rempart_webhook");
        let requests = Family::<OutcomeLabel, Counter>::default();
        for answered in Answered::ALL {
            drop(requests.get_or_create(&answered.label()));
        }
        // An API server waits for two seconds.
        let duration = Histogram::new(exponential_buckets(0.0005, 2.0, 13));
        let certificate_ends = Gauge::<f64, AtomicU64>::default();
        registry.register(
            "requests",
            "Requests of API servers to the webhook: patched; unchanged, where nothing was missing; unheard, if what an answer rests on was \
             not known in time; rejected, if it was no review; abandoned, if the API server hung up before. Where no webhook serves, nothing is said",
            requests.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "Time from the beginning of a request to the webhook until its answer",
            Unit::Seconds,
            duration.clone(),
        );
        registry.register_with_unit(
            "certificate_expiry_timestamp",
            "Instant until which the certificate that the webhook serves is valid; another takes its place at half of its time",
            Unit::Seconds,
            certificate_ends.clone(),
        );
        Self(Arc::new(Inner { registry, requests, duration, certificate_ends }))
    }
}

impl WebhookMetrics {
    /// A request begins.
    pub fn asked(&self) -> Asked {
        Asked { metrics: self.clone(), began: Instant::now(), answered: Answered::Abandoned }
    }

    /// A certificate that is valid `until` then is served.
    pub fn serves_until(&self, until: SystemTime) {
        let seconds = until.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.0.certificate_ends.set(seconds.as_secs_f64());
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.0.registry
    }
}

/// A request. It is counted when this is dropped, which also happens when whoever asked does not wait for the answer.
#[derive(Debug)]
pub struct Asked {
    metrics: WebhookMetrics,
    began: Instant,
    answered: Answered,
}

impl Asked {
    /// It has an answer.
    pub fn is(mut self, answered: Answered) {
        self.answered = answered;
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let inner = &self.metrics.0;
        inner.requests.get_or_create(&self.answered.label()).inc();
        inner.duration.observe(self.began.elapsed().as_secs_f64());
    }
}
