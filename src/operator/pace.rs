//! Statuses that only count otherwise than before. A number changes with every pod; what it means does not, and is written at once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::plan::Step;

/// How long numbers of one object wait for more of them.
const PACE: Duration = Duration::from_secs(2);

/// What was written of late, and since when a number waits.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When a status was written, and what it said apart from numbers; by the key of the step.
    told: BTreeMap<String, (Instant, Value)>,
    /// When the first of those held back is due.
    due: Option<Instant>,
}

impl Pace {
    /// The steps without statuses that say in other numbers what was said a moment ago.
    pub(super) fn due(&mut self, steps: Vec<Step>) -> Vec<Step> {
        let now = Instant::now();
        self.told.retain(|_, (at, _)| now < *at + PACE);
        let until = |step: &Step| match step {
            Step::WriteStatus { status, notices, .. } if notices.is_empty() => {
                let (at, said) = self.told.get(&step.key())?;
                (*said == essence(status)).then(|| *at + PACE)
            }
            _ => None,
        };
        let (held, due): (Vec<_>, Vec<_>) = steps.into_iter().map(|step| (until(&step), step)).partition(|(until, _)| until.is_some());
        self.due = held.into_iter().filter_map(|(until, _)| until).min();
        due.into_iter().map(|(_, step)| step).collect()
    }

    /// Keeps what was said.
    pub(super) fn record(&mut self, written: &[Step]) {
        for step in written {
            if let Step::WriteStatus { status, .. } = step {
                self.told.insert(step.key(), (Instant::now(), essence(status)));
            }
        }
    }

    /// How long until the first of those held back is due.
    pub(super) fn next(&self) -> Option<Duration> {
        Some(self.due?.saturating_duration_since(Instant::now()))
    }
}

/// A status without numbers, and without the messages that contain them.
fn essence(status: &Value) -> Value {
    match status {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, value)| match name.as_str() {
                "observedGeneration" => true,
                "message" | "lastTransitionTime" => false,
                _ => !value.is_number(),
            });
            kept.map(|(name, value)| (name.clone(), essence(value))).collect()
        }
        Value::Array(items) => items.iter().map(essence).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::reasons::Reason;
    use crate::plan::Notice;

    fn status(name: &str, status: Value) -> Step {
        Step::WriteStatus { kind: "SensitivityLevel", namespace: None, name: name.into(), uid: None, status, notices: Vec::new() }
    }

    fn counts(pods: u32, ready: &str) -> Value {
        let ready = json!({"type": "Ready", "status": ready, "message": format!("{pods} pods"), "observedGeneration": 1});
        json!({"pods": {"running": pods}, "nodes": pods, "clouds": ["snc"], "conditions": [ready]})
    }

    #[test]
    fn numbers_wait_for_more_of_them_and_what_they_mean_does_not() {
        let mut pace = Pace::default();
        let first = status("a", counts(1, "True"));
        assert_eq!(pace.due(vec![first.clone()]).len(), 1);
        pace.record(&[first]);
        let more = || status("a", counts(2, "True"));
        assert!(pace.due(vec![more()]).is_empty());
        assert!(pace.next().is_some_and(|wait| wait <= PACE && wait > PACE / 2), "it is not forgotten");
        assert_eq!(pace.due(vec![status("b", counts(2, "True"))]).len(), 1, "another object");
        assert_eq!(pace.due(vec![status("a", counts(2, "False"))]).len(), 1, "a condition turned");
        let mut generation = counts(2, "True");
        generation["conditions"][0]["observedGeneration"] = 2.into();
        assert_eq!(pace.due(vec![status("a", generation)]).len(), 1, "it speaks of another spec");
        let mut told = more();
        if let Step::WriteStatus { notices, .. } = &mut told {
            notices.push(Notice { warning: true, reason: Reason::PutBack, note: "news".into() });
        }
        assert_eq!(pace.due(vec![told]).len(), 1, "there is something to tell");
        assert_eq!(pace.next(), None, "nothing waits");

        pace.told.get_mut("SensitivityLevel/a status").unwrap().0 -= PACE;
        assert_eq!(pace.due(vec![more()]).len(), 1);
    }
}
