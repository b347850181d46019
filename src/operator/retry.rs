//! Writes that failed, each tried again on its own, ever more seldom.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::cluster::Applied;
use crate::plan::{Phase, Step};

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
    /// The steps whose turn it is. A failure that is no longer planned is forgotten. While the Clearance waits for its turn,
    /// what permits waits with it.
    pub(super) fn due(&mut self, steps: Vec<Step>) -> Vec<Step> {
        let planned: BTreeSet<String> = steps.iter().map(Step::key).collect();
        self.0.retain(|key, _| planned.contains(key));
        let now = Instant::now();
        let waits = |key: &str| self.0.get(key).is_some_and(|failure| failure.not_before > now);
        let clearance_waits = steps.iter().any(|step| step.phase() == Phase::Clearance && waits(&step.key()));
        steps.into_iter().filter(|step| !(waits(&step.key()) || clearance_waits && step.phase() == Phase::Permit)).collect()
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

    /// How long until the next one is due; a little, for one whose time has come but that was not tried.
    pub(super) fn next(&self) -> Option<Duration> {
        let now = Instant::now();
        self.0.values().map(|failure| failure.not_before.checked_duration_since(now).unwrap_or(FIRST)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ClearanceSpec;
    use crate::plan::Relabel;

    fn label(name: &str, value: Option<&str>) -> Step {
        let labels = [("a".to_owned(), value.map(ToOwned::to_owned))].into();
        Step::LabelNode(Relabel { name: name.into(), uid: "u".into(), labels })
    }

    fn steps() -> Vec<Step> {
        vec![Step::WriteClearance(Box::<ClearanceSpec>::default()), label("a", None), label("b", Some("cleared"))]
    }

    fn failed(key: &str) -> Applied {
        Applied { failures: [(key.to_owned(), "refused".to_owned())].into(), written: Vec::new() }
    }

    #[test]
    fn while_the_clearance_waits_for_another_try_what_restricts_goes_on_and_what_permits_does_not() {
        let mut retries = Retries::default();
        assert_eq!(retries.due(steps()).len(), 3);
        retries.record(&failed("Clearance/cluster"));
        let keys: Vec<_> = retries.due(steps()).iter().map(Step::key).collect();
        assert_eq!(keys, ["Node/a -"]);
    }

    #[test]
    fn what_is_due_but_held_back_makes_nobody_spin() {
        let mut retries = Retries::default();
        retries.record(&failed("Node/b +"));
        retries.0.get_mut("Node/b +").unwrap().not_before = Instant::now();
        retries.record(&failed("Clearance/cluster"));
        assert!(retries.next().unwrap() > Duration::from_millis(100));
    }
}
