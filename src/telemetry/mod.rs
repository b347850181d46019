//! Logs, metrics and probes.

mod logs;
mod metrics;
mod serve;

pub use logs::{LogFormat, init};
pub use metrics::Metrics;
pub use serve::{Readiness, serve};
