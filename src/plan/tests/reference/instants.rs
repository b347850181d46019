//! api.md, "notAfter" and "Every state has an instant at which it may next change; the operator wakes at the earliest of them".

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::{Reference, calendar, qualifications};

impl Reference<'_> {
    /// Every instant at which anything that a cloud or a level says may begin or end.
    pub(super) fn turning_points(&self) -> BTreeSet<Timestamp> {
        let mut found = BTreeSet::new();
        let ages: Vec<_> =
            self.levels.values().flatten().filter_map(|l| l.requires.non_european_ownership.as_ref()?.maximum_age.as_ref()).collect();
        for (_, cloud) in self.clouds.iter().filter(|(name, _)| self.known(name).is_some()) {
            found.extend(cloud.qualifications.iter().flat_map(|held| qualifications::turning_points(cloud, held)));
            let ownership = cloud.operator.as_ref().and_then(|operator| operator.non_european_ownership.as_ref());
            if let Some(day) = ownership.and_then(|ownership| ownership.as_of) {
                found.extend(ages.iter().flat_map(|age| calendar::freshness(day, age, &cloud.time_zone)));
            }
        }
        let reviews = self.declarations.iter().filter(|(_, found)| calendar::is_zone(&found.spec.time_zone));
        found.extend(reviews.filter_map(|(_, found)| Some(calendar::end(found.spec.review_by?, &found.spec.time_zone))));
        found
    }

    /// States of the qualifications of each cloud of which something is known, in the order of its spec.
    pub(super) fn states(&self, at: Timestamp) -> BTreeMap<String, Vec<&'static str>> {
        let sound = self.clouds.iter().filter(|(name, _)| self.is_sound(name));
        let states = sound.map(|(name, cloud)| {
            let states = cloud.qualifications.iter().map(|held| self.state(cloud, held, at));
            ((*name).to_owned(), states.collect())
        });
        states.collect()
    }

    /// Whether the review of each declaration is due, as a condition says it.
    pub(super) fn reviews(&self, at: Timestamp) -> BTreeMap<String, &'static str> {
        let due = self.declarations.iter().filter_map(|(key, found)| {
            let (zone, last_day) = (&found.spec.time_zone, found.spec.review_by?);
            let due = match calendar::is_zone(zone) {
                true if calendar::day(at, zone) > last_day => "True",
                true => "False",
                false => "Unknown",
            };
            Some(((*key).to_owned(), due))
        });
        due.collect()
    }

    /// The first instant after `at` at which something is different from what it is at `at`.
    pub(super) fn next_change(&self, at: Timestamp) -> Option<Timestamp> {
        let answer = |at| (self.states(at), self.satisfied(at), self.reviews(at));
        let present = answer(at);
        self.turning_points().into_iter().filter(|point| *point > at).find(|point| answer(*point) != present)
    }

    /// Of each level, the first instant after `at` at which a cloud that satisfies it no longer does.
    pub(super) fn ends(&self, at: Timestamp) -> BTreeMap<String, Timestamp> {
        let mut ends = BTreeMap::new();
        let present = self.satisfied(at);
        for point in self.turning_points().into_iter().filter(|point| *point > at) {
            let then = self.satisfied(point);
            for (level, _) in present.difference(&then) {
                ends.entry(level.clone()).or_insert(point);
            }
        }
        ends
    }

    /// How long the clearance of each level is valid with no operator.
    pub(super) fn unattended(&self) -> BTreeMap<String, SignedDuration> {
        let lengths = self.levels.iter().map(|(name, level)| {
            let length = level.map_or_else(|| "72h".into(), |level| level.unattended_for.clone());
            ((*name).to_owned(), calendar::length(&length))
        });
        lengths.collect()
    }
}
