//! The configuration file while the operator runs: what is logged is taken up, and anything else is announced.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tracing::{error, info, warn};

use super::Command;
use super::config::{self, Configured, LOG_LEVEL, Settings};
use crate::telemetry::{Logged, Metrics};

/// How often the file is read. It is small, and read through whatever links lead to it: a ConfigMap changes by a link.
const EVERY: Duration = Duration::from_secs(5);

/// The file that the command line names.
pub(super) struct Followed {
    pub(super) line: Vec<OsString>,
    pub(super) path: PathBuf,
    /// What stood in it when it was last read, or why it could not be read.
    pub(super) read: Result<String, String>,
}

impl Followed {
    /// Reads it again every few seconds, and when it is asked to.
    pub(super) async fn follow(mut self, started: Settings, logged: Logged, metrics: Metrics, mut asked: Signal) {
        let mut log = started.get(LOG_LEVEL).map(|setting| setting.values.clone()).unwrap_or_default().join(",");
        let mut announced = Vec::new();
        loop {
            let asked = tokio::select! {
                () = tokio::time::sleep(EVERY) => false,
                _ = asked.recv() => true,
            };
            let Some(outcome) = self.look(asked) else { continue };
            let taken = outcome.and_then(|Configured { arguments, settings, .. }| {
                if let Command::Run(run) = &arguments.command
                    && run.log() != log
                {
                    logged.set(run.log())?;
                    info!(log = run.log(), before = log, "the configuration file says anew what is logged");
                    run.log().clone_into(&mut log);
                }
                Ok(later(&started, &settings))
            });
            metrics.configured(taken.is_ok());
            match taken {
                Ok(later) => {
                    if later != announced && !later.is_empty() {
                        warn!(keys = later.join(", "), "the configuration file was changed: this takes effect at the next start");
                    }
                    announced = later;
                }
                Err(why) => error!(why, "the configuration file is wrong: what was read before holds"),
            }
        }
    }

    /// What the file comes to now, if it is another than before or somebody asks.
    fn look(&mut self, asked: bool) -> Option<Result<Configured, String>> {
        let read = std::fs::read_to_string(&self.path).map_err(|error| error.to_string());
        if read == self.read && !asked {
            return None;
        }
        self.read = read;
        let again = |_: &std::path::Path| self.read.clone().map_err(std::io::Error::other);
        Some(config::configured(&self.line, again).map_err(|refusal| refusal.to_string()))
    }
}

/// The keys that are not as they were at the start, but for what is logged.
fn later(started: &Settings, now: &Settings) -> Vec<&'static str> {
    let differs = |key: &&str| started.get(key).map(|setting| &setting.values) != now.get(key).map(|setting| &setting.values);
    now.keys().filter(|key| **key != LOG_LEVEL && differs(key)).copied().collect()
}
