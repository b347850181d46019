//! One qualification: what was decided, what happened since, and its state at an instant.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;

use crate::api::trusted_cloud::{EventType, Milestone, Qualification, QualificationEvent, Scope};
use crate::api::values::Model;

use super::calendar::{Calendar, Span};
use super::problem::Problems;
use super::state::QualificationState as State;
use super::version::Version;

/// A qualification of a cloud.
#[derive(Clone, Debug)]
pub(super) struct Decision {
    /// Its scheme.
    pub(super) scheme: String,
    /// Its version as written.
    pub(super) written_version: Option<String>,
    /// Its version.
    pub(super) version: Option<Version>,
    /// Its levels of the scheme.
    pub(super) levels: BTreeSet<String>,
    /// Number of the decision.
    pub(super) number: Option<String>,
    course: Course,
    calendar: Calendar,
}

/// A state, and the words that explain it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) state: State,
    /// Begins with the name of the state.
    pub(super) words: String,
}

/// What of its cloud matters to a qualification.
pub(super) struct Surroundings<'a> {
    pub(super) calendar: &'a Calendar,
    pub(super) model: Model,
    pub(super) register_max_age: Option<Span>,
    pub(super) warn_before: Span,
}

#[derive(Clone, Debug)]
enum Course {
    /// There is no decision.
    Applied(Milestone),
    Decided(Dates),
}

#[derive(Clone, Debug)]
struct Dates {
    valid_from: Date,
    valid_until: Date,
    /// From when there is another last day; at the same instant the earlier one.
    renewals: BTreeMap<Timestamp, Date>,
    withdrawn: Option<Timestamp>,
    /// From when it is suspended or not; at the same instant it is.
    suspended: BTreeMap<Timestamp, bool>,
    model: Model,
    covered: bool,
    /// From when the offering is still covered or not; at the same instant it is not.
    reductions: BTreeMap<Timestamp, bool>,
    seen: Option<Date>,
    register_max_age: Option<Span>,
    warn_before: Span,
}

impl Decision {
    /// Reads the qualification at `path`, or notes what is wrong with it.
    pub(super) fn parse(spec: &Qualification, path: &str, around: &Surroundings<'_>, problems: &mut Problems) -> Option<Self> {
        let course = match spec.milestone {
            Some(milestone) => Some(Course::Applied(milestone)),
            None => dates(spec, path, around, problems).map(Course::Decided),
        };
        Some(Self {
            scheme: spec.scheme.0.clone(),
            written_version: spec.version.clone(),
            version: spec.version.as_deref().map(Version::of),
            levels: spec.levels.iter().cloned().collect(),
            number: spec.decision.clone().filter(|number| !number.is_empty()),
            course: course?,
            calendar: around.calendar.clone(),
        })
    }

    /// The state at `now`: the first that applies. `lacking` names the layers below that do not hold the scheme then.
    pub(super) fn held(&self, now: Timestamp, lacking: &[&str]) -> Held {
        let (state, more) = match &self.course {
            Course::Applied(milestone) => (State::Candidate, format!(" ({milestone:?}), there is no decision")),
            Course::Decided(dates) => dates.state(now, &self.calendar, &self.scheme, lacking),
        };
        Held { state, words: format!("{state}{more}") }
    }

    /// Every instant at which the state may change, layers below left aside.
    pub(super) fn instants(&self) -> Vec<Timestamp> {
        match &self.course {
            Course::Applied(_) => Vec::new(),
            Course::Decided(dates) => dates.instants(&self.calendar),
        }
    }

    /// `secnumcloud 3.2`.
    pub(super) fn name(&self) -> String {
        [Some(&self.scheme), self.written_version.as_ref()].into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}

impl Dates {
    fn state(&self, now: Timestamp, calendar: &Calendar, scheme: &str, lacking: &[&str]) -> (State, String) {
        if let Some(since) = self.withdrawn.filter(|since| *since <= now) {
            return (State::Withdrawn, format!(" since {}", calendar.day(since)));
        }
        if let Some(since) = self.suspended_since(now) {
            return (State::Suspended, format!(" since {}", calendar.day(since)));
        }
        if now < calendar.begin(self.valid_from) {
            return (State::NotYetValid, format!(" before {}", self.valid_from));
        }
        let last_day = in_effect(&self.renewals, now).copied().unwrap_or(self.valid_until);
        let end = calendar.end(last_day);
        if now >= end {
            return (State::Expired, format!(" after {last_day}"));
        }
        if self.register_max_age.is_some() && self.stale(now, calendar) {
            return (State::Stale, self.last_seen(now, calendar));
        }
        if !self.covered || in_effect(&self.reductions, now) == Some(&false) {
            return (State::OutOfScope, format!(": {} is not covered", self.model));
        }
        if !lacking.is_empty() {
            return (State::Broken, format!(": {} below holds no valid {scheme}", lacking.join(", ")));
        }
        let state = if now >= self.warn_before.before(end) { State::Expiring } else { State::Valid };
        (state, format!(" until {last_day}"))
    }

    fn instants(&self, calendar: &Calendar) -> Vec<Timestamp> {
        let ends = self.renewals.values().chain([&self.valid_until]).map(|day| calendar.end(*day));
        let mut instants: Vec<Timestamp> = ends.flat_map(|end| [end, self.warn_before.before(end)]).collect();
        instants.push(calendar.begin(self.valid_from));
        instants.extend(self.renewals.keys());
        instants.extend(self.withdrawn);
        instants.extend(self.suspended.keys());
        instants.extend(self.reductions.keys());
        if let (Some(seen), Some(age)) = (self.seen, self.register_max_age) {
            instants.extend([calendar.begin(seen), age.after(calendar.end(seen))]);
        }
        instants
    }

    /// When the suspension of now began.
    fn suspended_since(&self, now: Timestamp) -> Option<Timestamp> {
        self.suspended.range(..=now).fold(None, |since, (at, suspended)| suspended.then(|| since.unwrap_or(*at)))
    }

    /// Not seen yet, or for too long. A day that is yet to come was not seen.
    fn stale(&self, now: Timestamp, calendar: &Calendar) -> bool {
        let fresh = |seen: Date, age: Span| calendar.begin(seen) <= now && now < age.after(calendar.end(seen));
        !self.seen.zip(self.register_max_age).is_some_and(|(seen, age)| fresh(seen, age))
    }

    fn last_seen(&self, now: Timestamp, calendar: &Calendar) -> String {
        match self.seen.filter(|seen| calendar.begin(*seen) <= now) {
            Some(seen) => format!(": last seen in its register on {seen}"),
            None => ": never seen in its register".to_owned(),
        }
    }
}

/// The value that was set last, at or before `now`.
fn in_effect<T>(changes: &BTreeMap<Timestamp, T>, now: Timestamp) -> Option<&T> {
    changes.range(..=now).next_back().map(|(_, value)| value)
}

/// Reads the dates and events of a decision. The schema refuses most of what is refused here, but files that are
/// checked before they are applied have not been through it.
fn dates(spec: &Qualification, path: &str, around: &Surroundings<'_>, problems: &mut Problems) -> Option<Dates> {
    for (day, name) in [(spec.valid_from, "validFrom"), (spec.valid_until, "validUntil")] {
        if day.is_none() {
            problems.note(format!("{path}.{name}"), "is missing: copy it from the decision, or set milestone while there is none");
        }
    }
    let (valid_from, valid_until) = spec.valid_from.zip(spec.valid_until)?;
    let until_after_from = |day: Date, field: String, problems: &mut Problems| {
        if day < valid_from {
            problems.note(field, format!("{day} lies before validFrom {valid_from}: copy both dates from the decision"));
        }
    };
    until_after_from(valid_until, format!("{path}.validUntil"), problems);
    let covers = |scope: &Scope| scope.models.contains(&around.model);
    let mut dates = Dates {
        valid_from,
        valid_until,
        renewals: BTreeMap::new(),
        withdrawn: None,
        suspended: BTreeMap::new(),
        model: around.model,
        covered: spec.covers.as_ref().is_none_or(covers),
        reductions: BTreeMap::new(),
        seen: spec.verified_at,
        register_max_age: around.register_max_age,
        warn_before: around.warn_before,
    };
    for (index, event) in spec.events.iter().enumerate() {
        let field = format!("{path}.events[{index}].validUntil");
        match (event.type_, event.valid_until) {
            (EventType::Renewed, None) => problems.note(field, "is missing: a Renewed event needs it, copied from the new decision"),
            (EventType::Renewed, Some(day)) => until_after_from(day, field, problems),
            _ => {}
        }
        dates.happened(event, event.covers.as_ref().is_some_and(covers));
    }
    Some(dates)
}

impl Dates {
    /// Takes in an event. In whatever order they come, of two at the same instant the stricter counts.
    fn happened(&mut self, event: &QualificationEvent, still_covered: bool) {
        let at = event.effective_at;
        match event.type_ {
            EventType::Withdrawn => self.withdrawn = Some(self.withdrawn.map_or(at, |earlier| earlier.min(at))),
            EventType::Suspended => {
                self.suspended.insert(at, true);
            }
            EventType::Reinstated => {
                self.suspended.entry(at).or_insert(false);
            }
            EventType::ScopeReduced => {
                self.reductions.entry(at).and_modify(|covered| *covered &= still_covered).or_insert(still_covered);
            }
            EventType::Renewed => {
                if let Some(day) = event.valid_until {
                    self.renewals.entry(at).and_modify(|earlier| *earlier = day.min(*earlier)).or_insert(day);
                }
            }
        }
    }
}
