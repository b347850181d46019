//! api.md, "State of a qualification at instant t, first match wins".

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;

use super::{Reference, calendar};
use crate::api::qualification::{EventType, Qualification, QualificationEvent, Scope};
use crate::api::trusted_cloud::TrustedCloudSpec;

/// States in which a qualification counts.
const COUNT: [&str; 2] = ["Expiring", "Valid"];

impl Reference<'_> {
    /// Whether a cloud holds a qualification of `scheme` of which `what` is true.
    pub(super) fn holds(&self, cloud: &str, scheme: &str, at: Timestamp, what: impl Fn(&Qualification) -> bool) -> bool {
        let Some(spec) = self.known(cloud) else { return false };
        let mut qualifications = spec.qualifications.iter().filter(|qualification| qualification.scheme.0 == scheme);
        qualifications.any(|held| what(held) && COUNT.contains(&self.state(spec, held, at)))
    }

    pub(super) fn state(&self, cloud: &TrustedCloudSpec, held: &Qualification, at: Timestamp) -> &'static str {
        let today = calendar::day(at, &cloud.time_zone);
        let past = past(held, at);
        let has = |type_: EventType| past.iter().any(|event| event.type_ == type_);
        let last_day = last_day(held, at);
        if held.milestone.is_some() {
            "Candidate"
        } else if has(EventType::Withdrawn) {
            "Withdrawn"
        } else if is_suspended(&past) {
            "Suspended"
        } else if held.valid_from.is_none_or(|first_day| today < first_day) {
            "NotYetValid"
        } else if last_day.is_none_or(|last_day| today > last_day) {
            "Expired"
        } else if is_stale(cloud, held, at) {
            "Stale"
        } else if !is_in_scope(cloud, held, &past) {
            "OutOfScope"
        } else if cloud.relies_on.iter().any(|layer| !self.holds(&layer.cloud.0, &held.scheme.0, at, |_| true)) {
            "Broken"
        } else if last_day.is_some_and(|last_day| calendar::end(last_day, &cloud.time_zone) - calendar::length(&cloud.warn_before) <= at) {
            "Expiring"
        } else {
            "Valid"
        }
    }
}

/// What has happened by `at`, in the order in which it took effect.
fn past(held: &Qualification, at: Timestamp) -> Vec<&QualificationEvent> {
    let mut past: Vec<_> = held.events.iter().filter(|event| event.effective_at <= at).collect();
    past.sort_by_key(|event| event.effective_at);
    past
}

/// Whether it is suspended and nobody has reinstated it since.
fn is_suspended(past: &[&QualificationEvent]) -> bool {
    let when = |type_: EventType| past.iter().filter(|event| event.type_ == type_).map(|event| event.effective_at).max();
    match (when(EventType::Suspended), when(EventType::Reinstated)) {
        (Some(suspended), Some(reinstated)) => suspended >= reinstated,
        (suspended, _) => suspended.is_some(),
    }
}

/// The last day: that of the decision, or of the latest renewal.
pub(super) fn last_day(held: &Qualification, at: Timestamp) -> Option<Date> {
    let past = past(held, at);
    let renewed = past.iter().filter(|event| event.type_ == EventType::Renewed);
    let latest = renewed.clone().map(|event| event.effective_at).max();
    // Of two that take effect together, the one that ends first.
    let renewed = renewed.filter(|event| Some(event.effective_at) == latest).filter_map(|event| event.valid_until).min();
    renewed.or(held.valid_until)
}

/// Whether nobody has seen it in the register for longer than the cloud allows. One that was never seen is, and what is to be
/// seen on a day to come has not been seen.
fn is_stale(cloud: &TrustedCloudSpec, held: &Qualification, at: Timestamp) -> bool {
    let Some(most) = &cloud.register_max_age else { return false };
    !held.verified_at.is_some_and(|seen| calendar::is_fresh(seen, most, &cloud.time_zone, at))
}

/// Whether what is offered is among what the decision covers, and among what was last said to be still covered. Of two that
/// take effect together, both.
fn is_in_scope(cloud: &TrustedCloudSpec, held: &Qualification, past: &[&QualificationEvent]) -> bool {
    let has_it = |scope: &Scope| scope.models.contains(&cloud.offering.model);
    let reductions = past.iter().filter(|event| event.type_ == EventType::ScopeReduced);
    let latest = reductions.clone().map(|event| event.effective_at).max();
    let mut in_effect = reductions.filter(|event| Some(event.effective_at) == latest);
    held.covers.as_ref().is_none_or(has_it) && in_effect.all(|event| event.covers.as_ref().is_some_and(has_it))
}

/// Instants at which the state of a qualification may change.
pub(super) fn turning_points(cloud: &TrustedCloudSpec, held: &Qualification) -> BTreeSet<Timestamp> {
    let zone = &cloud.time_zone;
    let last_days = held.valid_until.into_iter().chain(held.events.iter().filter_map(|event| event.valid_until));
    let ends: Vec<Timestamp> = last_days.map(|day| calendar::end(day, zone)).collect();
    let warnings = ends.iter().map(|end| *end - calendar::length(&cloud.warn_before)).collect::<Vec<_>>();
    let first = held.valid_from.map(|day| calendar::start(day, zone));
    let seen = held.verified_at.zip(cloud.register_max_age.as_ref());
    let stale = seen.into_iter().flat_map(|(day, most)| calendar::freshness(day, most, zone));
    let events = held.events.iter().map(|event| event.effective_at);
    ends.into_iter().chain(warnings).chain(first).chain(stale).chain(events).collect()
}
