//! What a cloud lacks for a level.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::api::values::Veto;

use super::alternatives::{Alternatives, Member};
use super::cloud::{Cloud, Holdings, Located};
use super::decision::Decision;
use super::percent::Percent;
use super::places::Places;
use super::register::SoundCloud;
use super::requirements::{Requirements, Where};
use super::schemes;

/// A requirement of a level that a cloud does not meet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unmet {
    /// Path of the requirement inside the level's `requires`, such as `operator.seatsIn`. `cloud` or `level` where one of
    /// the two has problems, so that nothing could be compared.
    pub requirement: &'static str,
    /// What was found; `unknown` where the cloud does not say.
    pub found: String,
    /// What is required.
    pub required: String,
}

/// A cloud with all that it relies on.
pub(super) struct Chain<'a> {
    pub(super) own: &'a Cloud,
    pub(super) holdings: &'a Holdings,
    /// Name of each cloud below; without the cloud itself if it has problems, so that nothing is known of it.
    pub(super) below: Vec<(&'a str, Option<&'a SoundCloud>)>,
}

impl Chain<'_> {
    /// Everything that is required and not met at `now`, in the order of the API.
    pub(super) fn unmet(&self, required: &Requirements, now: Timestamp) -> Vec<Unmet> {
        let mut unmet = Vec::new();
        let mut note = |requirement, required: &dyn Fn() -> String, found: Option<String>| {
            if let Some(found) = found {
                unmet.push(Unmet { requirement, found, required: required() });
            }
        };
        note("qualifications", &|| required.qualifications.to_string(), self.qualifications(&required.qualifications, now));
        for (place, places) in &required.places {
            note(place.path(), &|| places.to_string(), self.everywhere(|cloud| misplaced(cloud, *place, places)));
        }
        if let Some(limit) = required.largest_percent {
            let found = self.everywhere(|cloud| above(cloud.ownership.largest, limit));
            note("nonEuropeanOwnership.largestPercent", &|| format!("at most {limit}"), found);
        }
        if let Some(limit) = required.total_percent {
            let found = self.everywhere(|cloud| above(cloud.ownership.total, limit));
            note("nonEuropeanOwnership.totalPercent", &|| format!("at most {limit}"), found);
        }
        if let Some(veto) = required.veto {
            let enough = |found: Veto| found == Veto::None || veto == Veto::Held;
            let found = self.everywhere(|cloud| lacking(cloud.ownership.veto, enough));
            note("nonEuropeanOwnership.veto", &|| if veto == Veto::None { veto.to_string() } else { "known".to_owned() }, found);
        }
        if let Some(age) = required.maximum_age {
            let recent = |cloud: &Cloud| cloud.ownership_is_recent(age, now);
            let found = self.everywhere(|cloud| (!recent(cloud)).then(|| said(cloud.ownership.as_of)));
            note("nonEuropeanOwnership.maximumAge", &|| format!("figures at most {age} old"), found);
        }
        if let Some(least) = required.key_custody {
            note("keyCustody", &|| least.to_string(), lacking(self.own.key_custody, |found| found >= least));
        }
        if let Some(least) = required.isolation {
            note("isolation", &|| least.to_string(), lacking(self.own.isolation, |found| found >= least));
        }
        unmet
    }

    /// What `lacks` finds on the cloud itself and on those below.
    fn everywhere(&self, lacks: impl Fn(&Cloud) -> Option<String>) -> Option<String> {
        let below = self.below.iter().filter_map(|(name, cloud)| {
            let found = cloud.map_or_else(|| Some("unknown".to_owned()), |sound| lacks(&sound.cloud))?;
            Some(format!("{name} (relied on): {found}"))
        });
        joined(lacks(self.own).into_iter().chain(below))
    }

    fn qualifications(&self, required: &Alternatives, now: Timestamp) -> Option<String> {
        let held = |member: &Member| {
            counting(self.own, self.holdings, now).any(|decision| fits(decision, member))
                && self.layers_short_of(member, now).next().is_none()
        };
        if required.any_of().any(|all_of| all_of.iter().all(held)) {
            return None;
        }
        // By scheme, the most telling first: what is there and why it does not count; then what is not there at all.
        let mut wanted: BTreeMap<(usize, &str), Vec<&Member>> = BTreeMap::new();
        for member in required.any_of().flatten().filter(|member| !held(member)) {
            wanted.entry((schemes::rank(&member.scheme), &member.scheme)).or_default().push(member);
        }
        let (present, absent): (Vec<&str>, Vec<&str>) =
            wanted.keys().map(|(_, scheme)| *scheme).partition(|scheme| self.own.decisions.iter().any(|own| own.scheme == *scheme));
        // Sorted and without repetition: the order in which somebody wrote them does not matter.
        let mut found: Vec<String> = Vec::new();
        for scheme in present {
            let under: BTreeSet<String> = at(self.own, self.holdings, now)
                .filter(|(decision, _)| decision.scheme == scheme)
                .map(|(decision, words)| words.map_or_else(|| shown(decision), |words| format!("{}: {words}", decision.name())))
                .collect();
            found.extend(under);
            let members = &wanted[&(schemes::rank(scheme), scheme)];
            let short: BTreeSet<String> = members.iter().flat_map(|member| self.layers_short_of(member, now)).collect();
            found.extend(short);
        }
        if !absent.is_empty() {
            found.push(format!("no {} qualification", absent.join(" or ")));
        }
        joined(found.into_iter())
    }

    /// Layers that do not hold what `member` asks for in the version that it asks for: a service of one version on a layer of
    /// an older one is worth the older one. Levels are those of the service as it is delivered.
    fn layers_short_of(&self, member: &Member, now: Timestamp) -> impl Iterator<Item = String> {
        let reaches = move |layer: &SoundCloud| counting(&layer.cloud, &layer.holdings, now).any(|decision| reaches(decision, member));
        self.below.iter().filter(move |(_, layer)| !layer.is_some_and(reaches)).map(move |(name, layer)| {
            let decisions = layer.iter().flat_map(|layer| &layer.cloud.decisions).filter(|decision| decision.scheme == member.scheme);
            let names: BTreeSet<String> = decisions.map(Decision::name).collect();
            let held = if names.is_empty() {
                format!("no {} qualification", member.scheme)
            } else {
                names.into_iter().collect::<Vec<_>>().join(", ")
            };
            format!("{name} (relied on): {held}")
        })
    }
}

/// Each qualification of a cloud, and why it does not count at `now`.
fn at<'a>(cloud: &'a Cloud, holdings: &'a Holdings, now: Timestamp) -> impl Iterator<Item = (&'a Decision, Option<&'a str>)> {
    cloud.decisions.iter().zip(holdings.courses()).map(move |(decision, course)| {
        let held = course.at(now);
        let words = if !schemes::in_force(&decision.scheme) {
            Some("the scheme is not in force")
        } else if held.state.satisfies() {
            None
        } else {
            Some(held.words.as_str())
        };
        (decision, words)
    })
}

/// The qualifications of a cloud that count at `now`.
fn counting<'a>(cloud: &'a Cloud, holdings: &'a Holdings, now: Timestamp) -> impl Iterator<Item = &'a Decision> {
    at(cloud, holdings, now).filter(|(_, words)| words.is_none()).map(|(decision, _)| decision)
}

fn reaches(decision: &Decision, member: &Member) -> bool {
    let version = |minimum| decision.version.as_ref().is_some_and(|version| version.reaches(minimum));
    decision.scheme == member.scheme && member.minimum.as_ref().is_none_or(version)
}

fn fits(decision: &Decision, member: &Member) -> bool {
    reaches(decision, member) && decision.levels.is_superset(&member.levels)
}

/// A qualification that counts but is not what is required: `c5 2020 (type1)`.
fn shown(decision: &Decision) -> String {
    let levels = decision.levels.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let name = decision.name();
    if levels.is_empty() { name } else { format!("{name} ({levels})") }
}

/// What is outside of `places`, or unknown.
fn misplaced(cloud: &Cloud, place: Where, places: &Places) -> Option<String> {
    let Some(located) = cloud.places.get(&place) else { return Some("unknown".to_owned()) };
    let outside = located.iter().filter(|located| !located.country.is_some_and(|country| places.contains(country)));
    let words: Vec<String> =
        outside.map(|Located { what, country }| format!("{what} {}", said(*country)).trim_start().to_owned()).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

fn above(found: Option<Percent>, limit: Percent) -> Option<String> {
    lacking(found, |found| found <= limit)
}

/// What was found, unless it is known and enough.
fn lacking<T: Copy + ToString>(found: Option<T>, enough: impl Fn(T) -> bool) -> Option<String> {
    (!found.is_some_and(enough)).then(|| said(found))
}

fn said<T: ToString>(found: Option<T>) -> String {
    found.map_or_else(|| "unknown".to_owned(), |found| found.to_string())
}

/// `one; another`, and after eight how many more.
fn joined(parts: impl Iterator<Item = String>) -> Option<String> {
    const SHOWN: usize = 8;
    let mut parts: Vec<String> = parts.collect();
    if parts.len() > SHOWN {
        let more = parts.split_off(SHOWN).len();
        parts.push(format!("{more} more"));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}
