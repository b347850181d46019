//! A cloud, parsed: facts about it, and its qualifications over time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;

use crate::api::TrustedCloudSpec;
use crate::api::qualification::Qualification;
use crate::api::trusted_cloud::CloudOperator;
use crate::api::values::{self, Isolation, KeyCustody, Veto};

use super::calendar::{Calendar, Span};
use super::decision::{Decision, Held, Surroundings};
use super::percent::Percent;
use super::places::Country;
use super::problem::{Problem, Problems};
use super::requirements::Where;
use super::schemes::{self, Maturity};
use super::timeline::Timeline;

/// What a cloud says of itself. What is absent is unknown.
#[derive(Clone, Debug)]
pub(super) struct Cloud {
    /// A place that is unknown is absent, or has a country that is.
    pub(super) places: BTreeMap<Where, Vec<Located>>,
    pub(super) ownership: Ownership,
    pub(super) key_custody: Option<KeyCustody>,
    pub(super) isolation: Option<Isolation>,
    pub(super) decisions: Vec<Decision>,
    calendar: Calendar,
}

/// In which country something is.
#[derive(Clone, Debug)]
pub(super) struct Located {
    /// What is there, where that needs saying: which of the three seats.
    pub(super) what: &'static str,
    pub(super) country: Option<Country>,
}

/// What is held from outside the European Union.
#[derive(Clone, Debug, Default)]
pub(super) struct Ownership {
    pub(super) largest: Option<Percent>,
    pub(super) total: Option<Percent>,
    pub(super) veto: Option<Veto>,
    pub(super) as_of: Option<Date>,
}

impl Cloud {
    /// Reads a spec, or says everything that is wrong with it.
    pub(super) fn parse(spec: &TrustedCloudSpec) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::default();
        let places = places(spec, &mut problems);
        let ownership = ownership(spec, &mut problems);
        let register_max_age = spec.register_max_age.as_ref().and_then(|span| problems.sift("spec.registerMaxAge", Span::parse(span)));
        let warn_before = problems.sift("spec.warnBefore", Span::parse(&spec.warn_before));
        let calendar = problems.sift("spec.timeZone", Calendar::of(&spec.time_zone));
        let cloud = calendar.zip(warn_before).map(|(calendar, warn_before)| {
            let around = Surroundings { calendar: &calendar, model: spec.offering.model, register_max_age, warn_before };
            let decisions = spec.qualifications.iter().enumerate().filter_map(|(index, qualification)| {
                Decision::parse(qualification, &format!("spec.qualifications[{index}]"), &around, &mut problems)
            });
            Self { places, ownership, key_custody: spec.key_custody, isolation: spec.isolation, decisions: decisions.collect(), calendar }
        });
        problems.or(cloud)
    }

    /// Its qualifications over time, in the order of the spec. Each of `layers` is the name of a cloud below and what it
    /// holds; none if nothing can be known of it.
    pub(super) fn courses(&self, layers: &[(&str, Option<&Holdings>)]) -> Holdings {
        let held = self.decisions.iter().map(|decision| {
            let scheme = decision.scheme.as_str();
            let below = layers.iter().filter_map(|(_, holdings)| *holdings).flat_map(|holdings| holdings.changes(scheme));
            let lacking = |now| {
                let lacks = |holdings: Option<&Holdings>| !holdings.is_some_and(|holdings| holdings.hold(scheme, now));
                layers.iter().filter(|(_, holdings)| lacks(*holdings)).map(|(name, _)| *name).collect::<Vec<_>>()
            };
            let course = Timeline::sampled(decision.instants().into_iter().chain(below), |now| decision.held(now, &lacking(now)));
            (decision.scheme.clone(), course)
        });
        Holdings { held: held.collect() }
    }

    /// Whether the figures on ownership are of a day that has begun, and not older than `age`.
    pub(super) fn ownership_is_recent(&self, age: Span, now: Timestamp) -> bool {
        self.ownership_window(age).is_some_and(|(begin, end)| begin <= now && now < end)
    }

    /// From when, and until when, the figures on ownership are not older than `age`.
    pub(super) fn ownership_window(&self, age: Span) -> Option<(Timestamp, Timestamp)> {
        let as_of = self.ownership.as_of?;
        Some((self.calendar.begin(as_of), age.after(self.calendar.end(as_of))))
    }
}

/// What a cloud holds, over time.
#[derive(Clone, Debug)]
pub(super) struct Holdings {
    /// Scheme and course of each qualification, in the order of the spec.
    held: Vec<(String, Timeline<Held>)>,
}

impl Holdings {
    /// The course of each qualification, in the order of the spec.
    pub(super) fn courses(&self) -> impl Iterator<Item = &Timeline<Held>> {
        self.held.iter().map(|(_, course)| course)
    }

    /// Whether a qualification under `scheme` counts at `now`.
    fn hold(&self, scheme: &str, now: Timestamp) -> bool {
        self.under(scheme).any(|course| course.at(now).state.satisfies())
    }

    fn changes(&self, scheme: &str) -> impl Iterator<Item = Timestamp> {
        self.under(scheme).flat_map(Timeline::changes)
    }

    fn under(&self, scheme: &str) -> impl Iterator<Item = &Timeline<Held>> {
        self.held.iter().filter(move |(own, _)| own == scheme).map(|(_, course)| course)
    }
}

fn places(spec: &TrustedCloudSpec, problems: &mut Problems) -> BTreeMap<Where, Vec<Located>> {
    let mut places = BTreeMap::new();
    let mut locate = |what, field: String, country: Option<&values::Country>| {
        let country = country.and_then(|country| problems.sift(field, Country::parse(&country.0)));
        Located { what, country }
    };
    let unknown = CloudOperator::default();
    let operator = spec.operator.as_ref().unwrap_or(&unknown);
    let seats = [
        ("registeredOffice", &operator.registered_office),
        ("centralAdministration", &operator.central_administration),
        ("principalEstablishment", &operator.principal_establishment),
    ];
    places.insert(Where::Seats, seats.map(|(what, country)| locate(what, format!("spec.operator.{what}"), country.as_ref())).into());
    if let Some(parent) = &operator.ultimate_parent {
        places.insert(Where::Parent, vec![locate("", "spec.operator.ultimateParent.country".to_owned(), Some(&parent.country))]);
    }
    let locations = [
        (Where::Storage, &spec.locations.storage),
        (Where::Processing, &spec.locations.processing),
        (Where::Backup, &spec.locations.backup),
        (Where::TechnicalData, &spec.locations.technical_data),
        (Where::Administration, &spec.locations.administration),
        (Where::Supervision, &spec.locations.supervision),
        (Where::Support, &spec.locations.support),
    ];
    for (place, countries) in locations {
        let distinct: BTreeMap<&values::Country, usize> = countries.iter().enumerate().map(|(index, country)| (country, index)).collect();
        let located: Vec<Located> =
            distinct.into_iter().map(|(country, index)| locate("", format!("spec.{}[{index}]", place.path()), Some(country))).collect();
        if !located.is_empty() {
            places.insert(place, located);
        }
    }
    places
}

fn ownership(spec: &TrustedCloudSpec, problems: &mut Problems) -> Ownership {
    let Some(written) = spec.operator.as_ref().and_then(|operator| operator.non_european_ownership.as_ref()) else {
        return Ownership::default();
    };
    let mut percent = |name: &str, written: Option<&values::Percent>| {
        let percent = Percent::parse(&written?.0);
        problems.sift(format!("spec.operator.nonEuropeanOwnership.{name}"), percent)
    };
    let largest = percent("largestPercent", written.largest_percent.as_ref());
    let total = percent("totalPercent", written.total_percent.as_ref());
    if let Some((largest, total)) = largest.zip(total).filter(|(largest, total)| largest > total) {
        problems.note(
            "spec.operator.nonEuropeanOwnership.totalPercent",
            format!("the largest holder ({largest}) cannot hold more than all of them together ({total}): correct one of the two"),
        );
    }
    Ownership { largest, total, veto: written.veto, as_of: written.as_of }
}

/// Names of the clouds directly below.
pub(super) fn layers(spec: &TrustedCloudSpec) -> BTreeSet<&str> {
    spec.relies_on.iter().map(|layer| layer.cloud.0.as_str()).collect()
}

/// What is allowed but deserves a look.
pub(super) fn warnings(spec: &TrustedCloudSpec) -> Vec<Problem> {
    let warn = |(index, qualification): (usize, &Qualification)| {
        let path = format!("spec.qualifications[{index}]");
        let scheme = qualification.scheme.0.as_str();
        let about_scheme = match schemes::maturity(scheme) {
            Some(Maturity::InForce) => None,
            Some(Maturity::Draft) => Some(format!("{scheme} is a draft: it satisfies nothing until it is in force")),
            Some(Maturity::Proposal) => Some(format!("{scheme} is a proposal: it satisfies nothing until it is in force")),
            None => Some(schemes::unknown(scheme)),
        };
        let dated = qualification.valid_from.is_some() || qualification.valid_until.is_some();
        let about_milestone = (qualification.milestone.is_some() && dated)
            .then(|| "makes this a candidate, whose dates do not count: remove it once there is a decision".to_owned());
        [
            about_scheme.map(|message| Problem::new(format!("{path}.scheme"), message)),
            about_milestone.map(|message| Problem::new(format!("{path}.milestone"), message)),
        ]
    };
    spec.qualifications.iter().enumerate().flat_map(warn).flatten().collect()
}
