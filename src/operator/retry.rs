//! Writes that are tried again, each on its own, ever more seldom: those that failed, and those that were made and of which
//! nothing has been seen since.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::api::ClearanceSpec;
use crate::cluster::Applied;
use crate::placement::epoch;
use crate::plan::{Phase, Step};

/// How long to wait after the first failure.
const FIRST: Duration = Duration::from_millis(500);
/// How long what was written may take to come back by its watch before it is written again. It takes some milliseconds; but a
/// watch may be broken, and what was answered need not have been done.
const UNSEEN: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(10);

/// Writes that were tried and are still to be done, as far as anybody knows; by key.
#[derive(Debug, Default)]
pub(super) struct Retries(BTreeMap<String, Tried>);

#[derive(Debug)]
struct Tried {
    times: u32,
    not_before: Instant,
    /// What was written, or why it was not.
    outcome: Result<Step, String>,
}

impl Retries {
    /// The steps whose turn it is. What is no longer planned is forgotten. While the Clearance waits for another try, what
    /// permits waits with it.
    pub(super) fn due(&mut self, steps: Vec<Step>) -> Vec<Step> {
        let planned: BTreeSet<String> = steps.iter().map(Step::key).collect();
        self.0.retain(|key, _| planned.contains(key));
        let now = Instant::now();
        let waits = |step: &Step| self.0.get(&step.key()).filter(|tried| tried.not_before > now && tried.has_nothing_new_in(step));
        let failed = |step: &Step| waits(step).is_some_and(|tried| tried.outcome.is_err());
        let clearance_failed = steps.iter().any(|step| step.phase() == Phase::Clearance && failed(step));
        let due = |step: &Step| waits(step).is_none() && !(clearance_failed && step.phase() == Phase::Permit);
        steps.into_iter().filter(due).collect()
    }

    /// Keeps what came of it.
    pub(super) fn record(&mut self, applied: Applied) {
        for step in applied.written {
            self.keep(step.key(), UNSEEN, Duration::ZERO, Ok(step));
        }
        for (key, refusal) in applied.failures {
            self.keep(key, FIRST, refusal.wait, Err(refusal.why));
        }
    }

    fn keep(&mut self, key: String, first: Duration, asked: Duration, outcome: Result<Step, String>) {
        let before = self.0.get(&key).filter(|before| match (&before.outcome, &outcome) {
            (Ok(_), Ok(step)) => before.has_nothing_new_in(step),
            (before, after) => before.is_err() && after.is_err(),
        });
        let times = before.map_or(0, |before| before.times.saturating_add(1));
        let pause = first.saturating_mul(1 << times.min(10)).max(asked).min(LONGEST);
        self.0.insert(key, Tried { times, not_before: Instant::now() + pause, outcome });
    }

    /// What failed and why.
    pub(super) fn failures(&self) -> BTreeMap<String, String> {
        let failed = self.0.iter().filter_map(|(key, tried)| Some((key.clone(), tried.outcome.as_ref().err()?.clone())));
        failed.collect()
    }

    /// How long until the next one is due; a little, for one whose time has come but that was not tried.
    pub(super) fn next(&self) -> Option<Duration> {
        let now = Instant::now();
        self.0.values().map(|tried| tried.not_before.checked_duration_since(now).unwrap_or(FIRST)).min()
    }
}

impl Tried {
    /// What was written and is planned otherwise by now is news, and does not wait. What failed would fail otherwise, too.
    fn has_nothing_new_in(&self, step: &Step) -> bool {
        match (&self.outcome, step) {
            (Err(_), _) => true,
            (Ok(Step::WriteClearance(written)), Step::WriteClearance(wanted)) => only_puts_off(written, wanted),
            (Ok(Step::WriteStatus { status: written, .. }), Step::WriteStatus { status: wanted, .. }) => {
                timeless(written.clone()) == timeless(wanted.clone())
            }
            (Ok(written), wanted) => written == wanted,
        }
    }
}

/// Whether nothing is wanted that was not written, but that clearances end later.
fn only_puts_off(written: &ClearanceSpec, wanted: &ClearanceSpec) -> bool {
    let essence = |spec: &ClearanceSpec| {
        let mut spec = spec.clone();
        // It is a digest of everything, dates included.
        if let Some(name) = epoch(&spec).map(ToOwned::to_owned) {
            spec.nodes.remove(&name);
        }
        spec
    };
    let (written, mut wanted) = (essence(written), essence(wanted));
    for (name, level) in &mut wanted.levels {
        if let Some(end) = written.levels.get(name).map(|level| level.not_after) {
            level.not_after = level.not_after.min(end);
        }
    }
    written == wanted
}

/// A status without the instants at which it was found.
fn timeless(mut status: Value) -> Value {
    for condition in status["conditions"].as_array_mut().into_iter().flatten() {
        condition["lastTransitionTime"].take();
    }
    status
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::api::LevelClearance;
    use crate::cluster::Refusal;
    use crate::plan::Relabel;

    fn label(name: &str, value: Option<&str>) -> Step {
        let labels = [("a".to_owned(), value.map(ToOwned::to_owned))].into();
        Step::LabelNode(Relabel { name: name.into(), uid: "u".into(), labels })
    }

    fn steps() -> Vec<Step> {
        vec![Step::WriteClearance(Box::<ClearanceSpec>::default()), label("a", None), label("b", Some("cleared"))]
    }

    fn failed(key: &str) -> Applied {
        failed_for(key, Duration::ZERO)
    }

    fn failed_for(key: &str, wait: Duration) -> Applied {
        Applied { failures: [(key.to_owned(), Refusal { why: "refused".to_owned(), wait })].into(), written: Vec::new() }
    }

    fn written(step: Step) -> Applied {
        Applied { written: vec![step], ..Applied::default() }
    }

    #[test]
    fn while_the_clearance_waits_for_another_try_what_restricts_goes_on_and_what_permits_does_not() {
        let mut retries = Retries::default();
        assert_eq!(retries.due(steps()).len(), 3);
        retries.record(failed("Clearance/cluster"));
        let keys: Vec<_> = retries.due(steps()).iter().map(Step::key).collect();
        assert_eq!(keys, ["Node/a -"]);
    }

    #[test]
    fn what_is_due_but_held_back_makes_nobody_spin() {
        let mut retries = Retries::default();
        retries.record(failed("Node/b +"));
        retries.0.get_mut("Node/b +").unwrap().not_before = Instant::now();
        retries.record(failed("Clearance/cluster"));
        assert!(retries.next().unwrap() > Duration::from_millis(100));
    }

    #[test]
    fn an_api_server_that_asks_for_patience_gets_as_much_as_there_is() {
        for (asked, given) in [(0, 500), (3, 3_000), (3_600, 10_000)] {
            let (mut retries, begin) = (Retries::default(), Instant::now());
            retries.record(failed_for("Node/b +", Duration::from_secs(asked)));
            let (not_before, given) = (retries.0["Node/b +"].not_before, Duration::from_millis(given));
            assert!((begin + given..=Instant::now() + given).contains(&not_before), "{asked}");
        }
    }

    #[test]
    fn what_was_written_and_not_seen_since_is_written_again_after_a_while_and_holds_up_nothing() {
        let mut retries = Retries::default();
        retries.record(written(steps().remove(0)));
        let keys: Vec<_> = retries.due(steps()).iter().map(Step::key).collect();
        assert_eq!(keys, ["Node/a -", "Node/b +"], "what permits waits for nothing: the Clearance is written");
        assert!(retries.next().unwrap() <= UNSEEN && retries.failures().is_empty());
        retries.0.get_mut("Clearance/cluster").unwrap().not_before = Instant::now();
        assert_eq!(retries.due(steps()).len(), 3, "nobody has seen it");
        assert!(retries.due(Vec::new()).is_empty());
        assert_eq!(retries.next(), None, "what is no longer planned was seen");
    }

    #[test]
    fn what_is_news_after_a_write_is_written_at_once() {
        let clearance = |cloud: &str, not_after: &str| {
            let not_after: Timestamp = not_after.parse().unwrap();
            let level = LevelClearance { not_after, when_unset: String::new(), schedulers: Vec::new(), inline_drivers: Vec::new() };
            let spec = ClearanceSpec {
                levels: [("l".to_owned(), level)].into(),
                nodes: [("n".to_owned(), cloud.to_owned()), (format!("epoch-{not_after}"), "rempart-canary".to_owned())].into(),
                ..ClearanceSpec::default()
            };
            Step::WriteClearance(Box::new(spec))
        };
        let status = |message: &str, at: &str| {
            let status = json!({"conditions": [{"message": message, "lastTransitionTime": at}]});
            Step::WriteStatus { kind: "TrustedCloud", namespace: None, name: "snc".into(), uid: None, status, notices: Vec::new() }
        };
        let (noon, later, sooner) = ("2026-11-25T12:00:00Z", "2026-11-25T12:00:01Z", "2026-11-25T11:59:59Z");
        for (first, second, waits) in [
            (clearance("snc", noon), clearance("snc", later), true),
            (clearance("snc", noon), clearance("snc", sooner), false),
            (clearance("snc", noon), clearance("other", noon), false),
            (status("a", noon), status("a", later), true),
            (status("a", noon), status("b", noon), false),
            (label("a", None), label("a", None), true),
        ] {
            let mut retries = Retries::default();
            retries.record(written(first));
            assert_eq!(retries.due(vec![second.clone()]).is_empty(), waits, "{second:?}");
        }
    }

    #[test]
    fn what_is_never_seen_is_written_ever_more_seldom() {
        let mut retries = Retries::default();
        let mut pauses = Vec::new();
        for _ in 0..5 {
            retries.record(written(label("a", None)));
            pauses.push(retries.next().unwrap().as_millis().div_ceil(1000));
        }
        assert_eq!(pauses, [2, 4, 8, 10, 10]);
    }
}
