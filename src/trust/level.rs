//! What one level requires by itself.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use crate::api::SensitivityLevelSpec;
use crate::api::sensitivity_level::{RequiredQualification, Requires};
use crate::api::values::{self, Place};

use super::alternatives::{Alternatives, MOST, Member, TooMany};
use super::calendar::Span;
use super::percent::Percent;
use super::places::Places;
use super::problem::{Problem, Problems};
use super::requirements::{Requirements, Where};
use super::schemes::{self, ISO27001};
use super::version::Version;

/// Reads what `spec` requires, the levels that it extends left aside, or says everything that is wrong with it.
pub(super) fn parse(spec: &SensitivityLevelSpec) -> Result<Requirements, Vec<Problem>> {
    let mut problems = Problems::default();
    let requires = &spec.requires;
    let qualifications = qualifications(requires, &mut problems);
    let places = places(requires, &mut problems);
    let ownership = requires.non_european_ownership.clone().unwrap_or_default();
    let mut percent = |name: &str, written: Option<&values::Percent>| {
        let percent = Percent::parse(&written?.0);
        problems.sift(format!("spec.requires.nonEuropeanOwnership.{name}"), percent)
    };
    let largest_percent = percent("largestPercent", ownership.largest_percent.as_ref());
    let total_percent = percent("totalPercent", ownership.total_percent.as_ref());
    let maximum_age =
        ownership.maximum_age.and_then(|span| problems.sift("spec.requires.nonEuropeanOwnership.maximumAge", Span::parse(&span)));
    problems.sift("spec.unattendedFor", unattended_for(spec));
    let requirements = qualifications.map(|qualifications| Requirements {
        qualifications,
        places,
        largest_percent,
        total_percent,
        veto: ownership.veto,
        maximum_age,
        key_custody: requires.key_custody,
        isolation: requires.isolation,
    });
    problems.or(requirements)
}

/// How long the level is accepted with nobody to renew that, or what to write instead.
pub fn unattended_for(spec: &SensitivityLevelSpec) -> Result<SignedDuration, String> {
    const LONGEST: SignedDuration = SignedDuration::from_hours(30 * 24);
    let length = Span::parse(&spec.unattended_for)?.duration();
    let text = &spec.unattended_for;
    if length > LONGEST { Err(format!("{text} is more than 30d: write a length from 1m to 30d")) } else { Ok(length) }
}

fn qualifications(requires: &Requires, problems: &mut Problems) -> Option<Alternatives> {
    for (index, alternative) in requires.qualifications.iter().enumerate() {
        if alternative.all_of.is_empty() {
            problems.note(
                format!("spec.requires.qualifications[{index}].allOf"),
                "is empty, which every cloud satisfies: name a scheme, or remove the entry",
            );
        }
    }
    let written = requires.qualifications.iter().map(|alternative| alternative.all_of.iter().map(member).collect());
    let alternatives = Alternatives::of(written).map_err(|TooMany| too_many());
    problems.sift("spec.requires.qualifications", alternatives)
}

/// What to say where alternatives multiply out to too many.
pub(super) fn too_many() -> String {
    format!("comes to more than {MOST} alternatives: require fewer, or extend fewer levels that have some")
}

fn member(required: &RequiredQualification) -> Member {
    Member {
        scheme: required.scheme.0.clone(),
        minimum: required.minimum_version.as_deref().map(Version::of),
        levels: required.levels.iter().cloned().collect(),
    }
}

fn places(requires: &Requires, problems: &mut Problems) -> BTreeMap<Where, Places> {
    let operator = requires.operator.clone().unwrap_or_default();
    let locations = &requires.locations;
    let written: [(Where, &[Place]); 9] = [
        (Where::Seats, &operator.seats_in),
        (Where::Parent, &operator.parent_in),
        (Where::Storage, &locations.storage),
        (Where::Processing, &locations.processing),
        (Where::Backup, &locations.backup),
        (Where::TechnicalData, &locations.technical_data),
        (Where::Administration, &locations.administration),
        (Where::Supervision, &locations.supervision),
        (Where::Support, &locations.support),
    ];
    let mut places = BTreeMap::new();
    for (place, names) in written {
        let sets: Vec<Places> = names
            .iter()
            .enumerate()
            .filter_map(|(index, name)| problems.sift(format!("spec.requires.{}[{index}]", place.path()), Places::parse(&name.0)))
            .collect();
        if !names.is_empty() {
            places.insert(place, Places::union(sets));
        }
    }
    places
}

/// What is allowed but deserves a look.
pub(super) fn warnings(spec: &SensitivityLevelSpec) -> Vec<Problem> {
    let mut warnings = Vec::new();
    for (index, alternative) in spec.requires.qualifications.iter().enumerate() {
        let path = format!("spec.requires.qualifications[{index}].allOf");
        let distinct: BTreeSet<&str> = alternative.all_of.iter().map(|required| required.scheme.0.as_str()).collect();
        if distinct == BTreeSet::from([ISO27001]) {
            warnings.push(Problem::new(
                path.clone(),
                format!(
                    "{ISO27001} alone says how security is managed, nothing about sovereignty: require seats, parent and locations as well"
                ),
            ));
        }
        for (member, required) in alternative.all_of.iter().enumerate() {
            let scheme = required.scheme.0.as_str();
            let message = match schemes::maturity(scheme) {
                None => schemes::unknown(scheme),
                Some(_) if schemes::in_force(scheme) => continue,
                Some(_) => format!("{scheme} is not in force: no cloud satisfies this alternative until it is"),
            };
            warnings.push(Problem::new(format!("{path}[{member}].scheme"), message));
        }
    }
    warnings
}

/// Names of the levels that are extended directly.
pub(super) fn extended(spec: &SensitivityLevelSpec) -> BTreeSet<&str> {
    spec.extends.iter().map(|level| level.0.as_str()).collect()
}
