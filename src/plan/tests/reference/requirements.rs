//! api.md, "SensitivityLevel: what a level requires", and what a mistake in a spec leads to.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Reference, calendar};
use crate::api::qualification::Qualification;
use crate::api::sensitivity_level::{RequiredOperator, RequiredOwnership, RequiredQualification, Requires};
use crate::api::trusted_cloud::{CloudOperator, Locations, Ownership, TrustedCloudSpec};
use crate::api::values::{Country, Percent, Place, Veto};

/// Drafts and proposals (catalogue.md): they satisfy nothing, whatever somebody holds.
const DRAFTS: [&str; 2] = ["eucs", "cada-ual"];

const EU: [&str; 27] = [
    "AT", "BE", "BG", "HR", "CY", "CZ", "DK", "EE", "FI", "FR", "DE", "GR", "HU", "IE", "IT", "LV", "LT", "LU", "MT", "NL", "PL", "PT",
    "RO", "SK", "SI", "ES", "SE",
];
const REST_OF_EEA: [&str; 3] = ["IS", "LI", "NO"];

/// ISO 3166-1 alpha-2, as of 2026.
const COUNTRIES: &str =
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC
CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM
GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR
LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH
PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN
TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

impl<'a> Reference<'a> {
    /// A cloud about which something is known: it can be read, its layers exist, its time zone too, and it does not rely on itself.
    pub(super) fn is_known(&self, cloud: &str) -> bool {
        let spec = self.clouds[cloud];
        let layers = spec.relies_on.iter().all(|layer| self.snapshot.clouds.contains_key(&layer.cloud.0));
        let countries = countries(spec).iter().all(|country| COUNTRIES.split_whitespace().any(|known| known == country.0));
        let sound = layers && countries && calendar::is_zone(&spec.time_zone) && !contradicts_itself(spec);
        sound && !self.below(cloud).contains(cloud)
    }

    /// What a cloud says, if something is known of it.
    pub(super) fn known(&self, cloud: &str) -> Option<&'a TrustedCloudSpec> {
        self.known.get(cloud).map(|cloud| self.clouds[cloud])
    }

    /// Every layer under a cloud, and what is under that.
    pub(super) fn below(&self, cloud: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut next = vec![cloud.to_owned()];
        while let Some(name) = next.pop() {
            let layers = self.clouds.get(name.as_str()).map(|spec| spec.relies_on.iter().map(|layer| layer.cloud.0.clone()));
            next.extend(layers.into_iter().flatten().filter(|layer| found.insert(layer.clone())));
        }
        found
    }

    /// A level and every level that it extends; none if one of them is missing, cannot be read or extends itself.
    fn extended(&self, level: &str) -> Option<Vec<&'a Requires>> {
        let all: BTreeSet<String> = self.above(level).into_iter().chain([level.to_owned()]).collect();
        let requires = |level: &String| Some(&(*self.levels.get(level.as_str())?)?.requires).filter(|_| !self.above(level).contains(level));
        all.iter().map(requires).collect()
    }

    pub(super) fn is_sound_level(&self, level: &str) -> bool {
        self.extended(level).is_some()
    }

    /// Every level that a level extends, and what that extends.
    fn above(&self, level: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut next = vec![level.to_owned()];
        while let Some(name) = next.pop() {
            let spec = self.levels.get(name.as_str()).copied().flatten();
            next.extend(
                spec.iter().flat_map(|spec| &spec.extends).map(|level| level.0.clone()).filter(|level| found.insert(level.clone())),
            );
        }
        found
    }

    /// Requirements add up, and trust follows the chain: what a layer lacks, the cloud lacks.
    pub(super) fn satisfies(&self, cloud: &str, level: &str, at: Timestamp) -> bool {
        let Some(requirements) = self.extended(level) else { return false };
        let chain: Vec<String> = self.below(cloud).into_iter().chain([cloud.to_owned()]).collect();
        self.is_sound(cloud)
            && requirements.iter().all(|requires| self.delivers(cloud, requires, at))
            && chain.iter().all(|cloud| requirements.iter().all(|requires| self.meets(cloud, requires, at)))
    }

    /// What is asked of the service as it is delivered. Its qualifications look at the layers themselves; key custody is an axis
    /// of its own (catalogue.md, rule 6), and so is who else is on the machines.
    fn delivers(&self, cloud: &str, requires: &Requires, at: Timestamp) -> bool {
        let spec = self.known(cloud);
        let mut alternatives = requires.qualifications.iter();
        let qualified = alternatives.any(|one| one.all_of.iter().all(|required| self.is_qualified(cloud, required, at)));
        (requires.qualifications.is_empty() || qualified)
            && requires.key_custody.is_none_or(|least| spec.is_some_and(|spec| spec.key_custody.is_some_and(|found| found >= least)))
            && requires.isolation.is_none_or(|least| spec.is_some_and(|spec| spec.isolation.is_some_and(|found| found >= least)))
    }

    fn meets(&self, cloud: &str, requires: &Requires, at: Timestamp) -> bool {
        let unknown = Locations::default();
        let spec = self.known(cloud);
        let found = spec.map_or(&unknown, |spec| &spec.locations);
        let allowed = &requires.locations;
        let places = [
            (&allowed.storage, &found.storage),
            (&allowed.processing, &found.processing),
            (&allowed.backup, &found.backup),
            (&allowed.technical_data, &found.technical_data),
            (&allowed.administration, &found.administration),
            (&allowed.supervision, &found.supervision),
            (&allowed.support, &found.support),
        ];
        let in_place = |(allowed, found): (&Vec<Place>, &Vec<Country>)| {
            allowed.is_empty() || !found.is_empty() && found.iter().all(|country| is_in(country, allowed))
        };
        let operator = spec.and_then(|spec| spec.operator.as_ref());
        let ownership = operator.and_then(|operator| operator.non_european_ownership.as_ref());
        let zone = spec.map_or("UTC", |spec| &spec.time_zone);
        places.into_iter().all(in_place)
            && requires.operator.as_ref().is_none_or(|required| is_seated(operator, required))
            && requires.non_european_ownership.as_ref().is_none_or(|required| is_held(ownership, required, zone, at))
    }

    /// A qualified layer on a qualified infrastructure (catalogue.md, rule 8): each holds the scheme, in the version that is asked
    /// for. The levels of the scheme are those of the service as it is delivered.
    fn is_qualified(&self, cloud: &str, required: &RequiredQualification, at: Timestamp) -> bool {
        let scheme = required.scheme.0.as_str();
        let in_version = |held: &Qualification| {
            required.minimum_version.as_ref().is_none_or(|least| held.version.as_ref().is_some_and(|version| is_least(version, least)))
        };
        let with_levels = |held: &Qualification| required.levels.iter().all(|level| held.levels.contains(level));
        !DRAFTS.contains(&scheme)
            && self.holds(cloud, scheme, at, |held| in_version(held) && with_levels(held))
            && self.below(cloud).iter().all(|layer| self.holds(layer, scheme, at, in_version))
    }
}

/// Figures and dates that cannot both be right: none of them counts.
fn contradicts_itself(spec: &TrustedCloudSpec) -> bool {
    let ownership = spec.operator.as_ref().and_then(|operator| operator.non_european_ownership.as_ref());
    let shares = ownership.and_then(|ownership| ownership.largest_percent.as_ref().zip(ownership.total_percent.as_ref()));
    let ends_before_it_begins = |held: &Qualification| {
        let mut ends = held.events.iter().filter_map(|event| event.valid_until).chain(held.valid_until);
        // The dates of a candidate do not count.
        held.milestone.is_none() && held.valid_from.is_some_and(|begin| ends.any(|end| end < begin))
    };
    shares.is_some_and(|(largest, total)| parts(largest) > parts(total)) || spec.qualifications.iter().any(ends_before_it_begins)
}

/// Every country that a cloud names.
fn countries(spec: &TrustedCloudSpec) -> Vec<&Country> {
    let at = &spec.locations;
    let lists = [&at.storage, &at.processing, &at.backup, &at.technical_data, &at.administration, &at.supervision, &at.support];
    let seats = spec.operator.iter().flat_map(|o| [&o.registered_office, &o.central_administration, &o.principal_establishment]);
    let parent = spec.operator.iter().filter_map(|operator| operator.ultimate_parent.as_ref()).map(|parent| &parent.country);
    lists.into_iter().flatten().chain(seats.flatten()).chain(parent).collect()
}

fn is_in(country: &Country, allowed: &[Place]) -> bool {
    let country = country.0.as_str();
    allowed.iter().any(|place| match place.0.as_str() {
        "EU" => EU.contains(&country),
        "EEA" => EU.contains(&country) || REST_OF_EEA.contains(&country),
        place => place == country,
    })
}

fn is_seated(operator: Option<&CloudOperator>, required: &RequiredOperator) -> bool {
    let seats = operator.map(|o| [&o.registered_office, &o.central_administration, &o.principal_establishment]);
    let seats_known = seats.is_some_and(|seats| seats.iter().all(|seat| seat.as_ref().is_some_and(|seat| is_in(seat, &required.seats_in))));
    let parent = operator.and_then(|operator| operator.ultimate_parent.as_ref());
    (required.seats_in.is_empty() || seats_known)
        && (required.parent_in.is_empty() || parent.is_some_and(|parent| is_in(&parent.country, &required.parent_in)))
}

fn is_held(found: Option<&Ownership>, required: &RequiredOwnership, zone: &str, at: Timestamp) -> bool {
    let most = |most: &Option<Percent>, share: Option<&Percent>| most.as_ref().is_none_or(|m| share.is_some_and(|s| parts(s) <= parts(m)));
    most(&required.largest_percent, found.and_then(|found| found.largest_percent.as_ref()))
        && most(&required.total_percent, found.and_then(|found| found.total_percent.as_ref()))
        && required.veto.is_none_or(|veto| found.and_then(|found| found.veto).is_some_and(|found| veto == Veto::Held || found == veto))
        && required
            .maximum_age
            .as_ref()
            .is_none_or(|age| found.and_then(|found| found.as_of).is_some_and(|day| calendar::is_fresh(day, age, zone, at)))
}

/// A percentage in parts of a million.
fn parts(percent: &Percent) -> u32 {
    let (whole, rest) = percent.0.split_once('.').unwrap_or((&percent.0, ""));
    format!("{whole}{rest:0<4}").parse().unwrap()
}

/// Versions compare as dotted numbers, else exactly.
fn is_least(found: &str, least: &str) -> bool {
    match (numbers(found), numbers(least)) {
        (Some(found), Some(least)) => found.cmp(&least) != Ordering::Less,
        _ => found == least,
    }
}

/// Numbers between dots, each as its length and its digits, so that none is too large. `3.2.0` is `3.2`.
fn numbers(version: &str) -> Option<Vec<(usize, &str)>> {
    let parts = version.split('.').map(|part| {
        let digits = part.trim_start_matches('0');
        (!part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())).then_some((digits.len(), digits))
    });
    let mut numbers = parts.collect::<Option<Vec<_>>>()?;
    while numbers.last() == Some(&(0, "")) {
        numbers.pop();
    }
    Some(numbers)
}
