//! Logs on standard error, as text or as JSON. What is logged can be changed while the operator runs.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged, for as long as the process lasts.
#[derive(Clone, Debug)]
pub struct Logged {
    filter: reload::Handle<EnvFilter, Registry>,
    #[cfg(feature = "otel")]
    traces: Option<opentelemetry_sdk::trace::SdkTracerProvider>,
}

impl Logged {
    /// From now on, logs what `filter` lets through.
    pub fn set(&self, filter: &str) -> Result<(), String> {
        self.filter.reload(read_filter(filter)?).map_err(|error| error.to_string())
    }

    /// Sends what has not been sent yet.
    #[cfg(feature = "otel")]
    pub async fn end(self) {
        if let Some(traces) = self.traces {
            let sent = tokio::task::spawn_blocking(move || traces.shutdown()).await;
            if let Ok(Err(error)) = sent {
                tracing::warn!(%error, "the last spans were not sent");
            }
        }
    }
}

/// Starts to log what `filter` lets through, such as `info` or `info,rempart::cluster=debug`.
pub fn init(format: LogFormat, filter: &str) -> Result<Logged, String> {
    let (filter, handle) = reload::Layer::new(read_filter(filter)?);
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    #[cfg_attr(not(feature = "otel"), expect(unused_mut, reason = "traces come beside"))]
    let mut layers = vec![lines.with_filter(filter).boxed()];
    #[cfg(feature = "otel")]
    let traces = super::traces::start()?.map(|(layer, traces)| {
        layers.push(layer);
        traces
    });
    tracing_subscriber::registry().with(layers).try_init().map_err(|error| error.to_string())?;
    Ok(Logged {
        filter: handle,
        #[cfg(feature = "otel")]
        traces,
    })
}

/// Reads a level or a list.
///
/// A word alone that is no level would mean everything of the module of that name, and nothing of any other: a level that is
/// mistyped would silence the operator.
pub fn read_filter(text: &str) -> Result<EnvFilter, String> {
    const REMEDY: &str = "write a level (error, warn, info, debug, trace or off) or a list such as info,rempart::cluster=debug";
    let level = |word: &str| ["error", "warn", "info", "debug", "trace", "off"].contains(&word.to_lowercase().as_str());
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    match parts.iter().find(|part| !part.contains(['=', '[']) && !level(part)) {
        Some(part) => Err(format!("{part:?} is no level: {REMEDY}")),
        None => EnvFilter::try_new(parts.join(",")).map_err(|error| format!("{error}: {REMEDY}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_or_a_list_is_read_and_what_would_silence_everything_is_not() {
        for good in ["info", "OFF", "info,rempart::cluster=debug", "warn, rempart=trace", "rempart[probe]=debug,error"] {
            assert!(read_filter(good).is_ok(), "{good}");
        }
        for (bad, says) in [
            ("debgu", "\"debgu\" is no level"),
            ("", "\"\" is no level"),
            ("info,rempart::cluster", "no level"),
            ("rempart=loud", "write a level"),
        ] {
            let refused = read_filter(bad).map(|filter| filter.to_string());
            assert!(
                refused.as_ref().is_err_and(|said| said.contains(says) && said.contains("info,rempart::cluster=debug")),
                "{bad}: {refused:?}"
            );
        }
    }
}
