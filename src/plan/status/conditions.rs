//! Conditions in the shape of the API conventions: one per type, whose transition time moves only with its status.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::conditions::{CONFLICT, ENFORCED, MIGRATION_REQUIRED, READY, RECONCILING, REVIEW_DUE, STALLED};
use crate::plan::steps::Notice;
use crate::trust::Problem;

/// Longest message that the API conventions allow, in bytes.
const LONGEST_MESSAGE: usize = 32_768;

/// A condition's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    /// It holds.
    True,
    /// It does not.
    False,
    /// It cannot be known.
    Unknown,
}

/// The conditions of one object, as they are being found.
pub(super) struct Conditions<'a> {
    before: &'a [Condition],
    generation: i64,
    now: Timestamp,
    found: Vec<Condition>,
}

impl<'a> Conditions<'a> {
    pub(super) fn new(before: &'a [Condition], generation: Option<i64>, now: Timestamp) -> Self {
        Self { before, generation: generation.unwrap_or_default(), now, found: Vec::new() }
    }

    pub(super) fn set(&mut self, type_: &str, truth: Truth, reason: impl Into<String>, message: impl Into<String>) {
        let status = match truth {
            Truth::True => "True",
            Truth::False => "False",
            Truth::Unknown => "Unknown",
        };
        let since = self.before.iter().find(|before| before.type_ == type_ && before.status == status);
        self.found.push(Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.into(),
            message: shortened(message.into()),
            observed_generation: Some(self.generation),
            last_transition_time: since.map_or_else(|| Time(self.now), |before| before.last_transition_time.clone()),
        });
    }

    /// `Ready` with its kstatus companions: a spec that must change is stalled, work that is under way is reconciling.
    pub(super) fn readiness(&mut self, problems: &[Problem], under_way: Option<(String, String)>, accepted: impl Into<String>) {
        if let Some((reason, message)) = under_way.filter(|_| problems.is_empty()) {
            self.set(READY, Truth::False, reason.clone(), message.clone());
            self.set(RECONCILING, Truth::True, reason.clone(), message.clone());
        } else if problems.is_empty() {
            self.set(READY, Truth::True, "Accepted", accepted);
        } else {
            self.stalled("InvalidSpec", &problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
        }
    }

    pub(super) fn stalled(&mut self, reason: &str, message: &str) {
        self.set(READY, Truth::False, reason, message);
        self.set(STALLED, Truth::True, reason, message);
    }

    /// The conditions, and a notice for each that turned. Those of an object seen for the first time are told only if they are bad.
    pub(super) fn finish(self) -> (Vec<Condition>, Vec<Notice>) {
        let notices = self.found.iter().filter_map(|condition| {
            let before = self.before.iter().find(|before| before.type_ == condition.type_);
            let turned = before.is_none_or(|before| (&before.status, &before.reason) != (&condition.status, &condition.reason));
            let told_elsewhere = [STALLED, RECONCILING].contains(&condition.type_.as_str());
            let bad = is_bad(condition);
            (turned && !told_elsewhere && (bad || before.is_some_and(is_bad))).then(|| Notice {
                warning: bad,
                reason: condition.reason.clone(),
                note: format!("{} is {}: {}", condition.type_, condition.status, condition.message),
            })
        });
        let notices = notices.collect();
        (self.found, notices)
    }
}

fn is_bad(condition: &Condition) -> bool {
    let good = if [CONFLICT, MIGRATION_REQUIRED, REVIEW_DUE].contains(&condition.type_.as_str()) { "False" } else { "True" };
    // That a level is not enforced because it says so is no bad news.
    let by_choice = condition.type_ == ENFORCED && ["AuditOnly", "Warning"].contains(&condition.reason.as_str());
    condition.status != good && condition.status != "Unknown" && !by_choice
}

fn shortened(mut message: String) -> String {
    if message.len() > LONGEST_MESSAGE {
        let end = (0..=LONGEST_MESSAGE - 4).rev().find(|end| message.is_char_boundary(*end)).unwrap_or_default();
        message.truncate(end);
        message.push('…');
    }
    message
}
