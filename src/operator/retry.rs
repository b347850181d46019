//! Writes that failed, each tried again on its own, ever more seldom.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::cluster::Applied;
use crate::plan::Step;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// Writes that failed, by key.
#[derive(Debug, Default)]
pub(super) struct Retries(BTreeMap<String, Failure>);

#[derive(Debug)]
struct Failure {
    times: u32,
    not_before: Instant,
    error: String,
}

impl Retries {
    /// The steps whose turn it is. A failure that is no longer planned is forgotten.
    pub(super) fn due(&mut self, steps: Vec<Step>) -> Vec<Step> {
        let planned: Vec<String> = steps.iter().map(Step::key).collect();
        self.0.retain(|key, _| planned.contains(key));
        let now = Instant::now();
        steps
            .into_iter()
            .zip(planned)
            .filter(|(_, key)| self.0.get(key).is_none_or(|failure| failure.not_before <= now))
            .map(|(step, _)| step)
            .collect()
    }

    /// Keeps what failed and forgets what succeeded.
    pub(super) fn record(&mut self, applied: &Applied) {
        for key in &applied.written {
            self.0.remove(key);
        }
        for (key, error) in &applied.failures {
            let times = self.0.get(key).map_or(0, |failure| failure.times.saturating_add(1));
            let pause = FIRST.saturating_mul(1 << times.min(10)).min(LONGEST);
            self.0.insert(key.clone(), Failure { times, not_before: Instant::now() + pause, error: error.clone() });
        }
    }

    /// What failed and why.
    pub(super) fn failures(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|(key, failure)| (key.clone(), failure.error.clone())).collect()
    }

    /// How long until the next one is due.
    pub(super) fn next(&self) -> Option<Duration> {
        self.0.values().map(|failure| failure.not_before.saturating_duration_since(Instant::now())).min()
    }
}
