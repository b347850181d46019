//! Conditions in the shape of the API conventions: one per type, whose transition time moves only with its status.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::conditions::{CONFLICT, ENFORCED, MIGRATION_REQUIRED, READY, RECONCILING, REVIEW_DUE, STALLED, Truth, may_say};
use crate::api::reasons::Reason;
use crate::plan::steps::Notice;
use crate::trust::Problem;

/// Longest message that the API conventions allow, in bytes.
const LONGEST_MESSAGE: usize = 32_768;

/// The conditions of one object, as they are being found.
pub(super) struct Conditions<'a> {
    before: &'a [Condition],
    generation: i64,
    now: Timestamp,
    found: Vec<(Reason, Condition)>,
}

impl<'a> Conditions<'a> {
    pub(super) fn new(before: &'a [Condition], generation: Option<i64>, now: Timestamp) -> Self {
        Self { before, generation: generation.unwrap_or_default(), now, found: Vec::new() }
    }

    pub(super) fn set(&mut self, type_: &str, truth: Truth, reason: Reason, message: impl Into<String>) {
        debug_assert!(may_say(type_, truth, reason), "{type_} {truth:?} {reason:?} is not in the table of conditions");
        let status = truth.as_str();
        let since = self.before.iter().find(|before| before.type_ == type_ && before.status == status);
        let condition = Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.as_str().to_owned(),
            message: shortened(message.into()),
            observed_generation: Some(self.generation),
            last_transition_time: since.map_or_else(|| Time(self.now), |before| before.last_transition_time.clone()),
        };
        self.found.push((reason, condition));
    }

    /// `Ready` with its kstatus companions: a spec that must change is stalled; work that is under way, and what waits for
    /// another object, is reconciling.
    pub(super) fn readiness(&mut self, problems: &[Problem], under_way: Option<(Reason, String)>, accepted: impl Into<String>) {
        if let Some((reason, message)) = under_way.filter(|_| problems.is_empty()) {
            self.reconciling(reason, &message);
        } else if problems.is_empty() {
            self.set(READY, Truth::True, Reason::Accepted, accepted);
        } else {
            let message = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            match fault(problems) {
                reason @ Reason::UnresolvedReference => self.reconciling(reason, &message),
                reason => self.stalled(reason, &message),
            }
        }
    }

    fn reconciling(&mut self, reason: Reason, message: &str) {
        self.set(READY, Truth::False, reason, message);
        self.set(RECONCILING, Truth::True, reason, message);
    }

    /// A condition of which nothing can be said while the object has `problems`.
    pub(super) fn unknown(&mut self, type_: &str, problems: &[Problem]) {
        let reason = fault(problems);
        let first = if reason == Reason::UnresolvedReference { "what the spec names must be there" } else { "the spec must be corrected" };
        self.set(type_, Truth::Unknown, reason, format!("{first} first"));
    }

    pub(super) fn stalled(&mut self, reason: Reason, message: &str) {
        self.set(READY, Truth::False, reason, message);
        self.set(STALLED, Truth::True, reason, message);
    }

    /// The conditions, and a notice for each that turned. Those of an object seen for the first time are told only if they are bad.
    pub(super) fn finish(self) -> (Vec<Condition>, Vec<Notice>) {
        let notices = self.found.iter().filter_map(|(reason, condition)| {
            let before = self.before.iter().find(|before| before.type_ == condition.type_);
            let turned = before.is_none_or(|before| (&before.status, &before.reason) != (&condition.status, &condition.reason));
            let told_elsewhere = [STALLED, RECONCILING].contains(&condition.type_.as_str());
            let bad = is_bad(condition);
            (turned && !told_elsewhere && (bad || before.is_some_and(is_bad))).then(|| Notice {
                warning: bad,
                reason: *reason,
                note: format!("{} is {}: {}", condition.type_, condition.status, condition.message),
            })
        });
        let notices = notices.collect();
        (self.found.into_iter().map(|(_, condition)| condition).collect(), notices)
    }
}

/// What to say of an object that has `problems`.
fn fault(problems: &[Problem]) -> Reason {
    if problems.iter().all(|problem| problem.unresolved) { Reason::UnresolvedReference } else { Reason::InvalidSpec }
}

fn is_bad(condition: &Condition) -> bool {
    let good = if [CONFLICT, MIGRATION_REQUIRED, REVIEW_DUE].contains(&condition.type_.as_str()) { "False" } else { "True" };
    // That a level is not enforced because it says so is no bad news.
    let by_choice =
        condition.type_ == ENFORCED && [Reason::AuditOnly, Reason::Warning].iter().any(|reason| reason.as_str() == condition.reason);
    condition.status != good && condition.status != "Unknown" && !by_choice
}

fn shortened(mut message: String) -> String {
    if message.len() > LONGEST_MESSAGE {
        message.truncate(message.floor_char_boundary(LONGEST_MESSAGE - '…'.len_utf8()));
        message.push('…');
    }
    message
}
