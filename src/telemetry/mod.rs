//! Logs, traces, metrics and probes.

mod logs;
mod metrics;
mod serve;
#[cfg(feature = "otel")]
mod traces;
mod webhook;

pub use logs::{LogFormat, Logged, init, read_filter};
pub use metrics::Metrics;
pub use serve::{Readiness, serve};
pub use webhook::{Answered, Asked, WebhookMetrics};
