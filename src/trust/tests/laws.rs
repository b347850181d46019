//! Laws that hold in every world.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::api::SensitivityLevelSpec;
use crate::api::qualification::Qualification;
use crate::api::sensitivity_level::{RequiredLocations, RequiredOperator, RequiredOwnership, Requires};
use crate::api::trusted_cloud::TrustedCloudSpec;

use super::super::requirements::Requirements;
use super::super::{Satisfied, Unmet, level as parsing};
use super::worlds::{World, instants, levels, worlds};
use super::{Register, cloud, level};

/// Until when, where never by itself is the end of time.
fn end(satisfied: Satisfied) -> Timestamp {
    satisfied.until.unwrap_or(Timestamp::MAX)
}

/// Requirements of one kind each, from weak to strict.
const YARDSTICKS: [&[&str]; 14] = [
    &["{operator: {seatsIn: [EEA, US]}}", "{operator: {seatsIn: [EEA]}}", "{operator: {seatsIn: [EU]}}", "{operator: {seatsIn: [FR]}}"],
    &["{operator: {parentIn: [FR, US]}}", "{operator: {parentIn: [FR]}}"],
    &["{locations: {storage: [EEA, US]}}", "{locations: {storage: [EEA]}}", "{locations: {storage: [EU]}}", "{locations: {storage: [FR]}}"],
    &["{locations: {support: [EU]}}", "{locations: {support: [DE, FR]}}", "{locations: {support: [FR]}}"],
    &["{keyCustody: ProviderManaged}", "{keyCustody: ExternalKms}", "{keyCustody: HoldYourOwnKey}"],
    &["{isolation: SharedVirtual}", "{isolation: DedicatedHost}", "{isolation: DedicatedZone}"],
    &["{nonEuropeanOwnership: {largestPercent: '24'}}", "{nonEuropeanOwnership: {largestPercent: '23.9999'}}"],
    &[
        "{nonEuropeanOwnership: {totalPercent: '100'}}",
        "{nonEuropeanOwnership: {totalPercent: '39'}}",
        "{nonEuropeanOwnership: {totalPercent: '24'}}",
    ],
    &["{nonEuropeanOwnership: {veto: Held}}", "{nonEuropeanOwnership: {veto: None}}"],
    &[
        "{nonEuropeanOwnership: {maximumAge: 60d}}",
        "{nonEuropeanOwnership: {maximumAge: 20d}}",
        "{nonEuropeanOwnership: {maximumAge: 36h}}",
    ],
    &[
        "{qualifications: [{allOf: [{scheme: secnumcloud}]}]}",
        "{qualifications: [{allOf: [{scheme: secnumcloud, minimumVersion: '3.1'}]}]}",
        "{qualifications: [{allOf: [{scheme: secnumcloud, minimumVersion: '3.2'}]}]}",
        "{qualifications: [{allOf: [{scheme: secnumcloud, minimumVersion: '3.10'}]}]}",
    ],
    &["{qualifications: [{allOf: [{scheme: hds, levels: [x]}]}]}", "{qualifications: [{allOf: [{scheme: hds, levels: [y, x]}]}]}"],
    &["{qualifications: [{allOf: [{scheme: hds}]}, {allOf: [{scheme: secnumcloud}]}]}", "{qualifications: [{allOf: [{scheme: hds}]}]}"],
    &["{}", "{qualifications: [{allOf: [{scheme: hds}]}]}", "{qualifications: [{allOf: [{scheme: hds}, {scheme: secnumcloud}]}]}"],
];

/// A level for each of them, which it is named after.
fn yardsticks() -> BTreeMap<&'static str, SensitivityLevelSpec> {
    YARDSTICKS.iter().copied().flatten().map(|requires| (*requires, level(requires))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn unknown_satisfies_nothing_that_is_required(mut world in worlds(), now in instants()) {
        world.clouds = BTreeMap::from([("a", cloud(""))]);
        let register = world.register();
        let asked = |name: &str| asks_for_something(&world.levels[name].requires);
        for (name, result) in &register.assess(now).clouds["a"].levels {
            let below = reached(&world, name);
            let anything = below.iter().any(|name| asked(name)) || !register.level_problems(name).is_empty();
            prop_assert_eq!(result.is_err(), anything, "{}: {:?}", name, result);
        }
    }

    #[test]
    fn a_level_is_what_it_requires_and_all_that_it_extends(mut world in worlds(), now in instants()) {
        let alone: Vec<(&str, SensitivityLevelSpec)> = world.levels.iter().map(|(name, spec)| (*name, spec.clone())).collect();
        let together = world.register();
        let extended = alone.iter().map(|(name, _)| (*name, reached(&world, name))).collect::<BTreeMap<_, _>>();
        for spec in world.levels.values_mut() {
            spec.extends.clear();
        }
        let apart = world.register().assess(now);
        for (name, standing) in &together.assess(now).clouds {
            for (level, result) in &standing.levels {
                if !together.level_problems(level).is_empty() {
                    prop_assert!(result.is_err());
                    continue;
                }
                let parts: Option<Vec<Satisfied>> = extended[level.as_str()].iter().map(|part| apart.clouds[name].satisfies(part)).collect();
                let earliest = parts.map(|parts| parts.into_iter().map(end).min().unwrap_or(Timestamp::MAX));
                prop_assert_eq!(result.as_ref().ok().map(|satisfied| end(*satisfied)), earliest, "{} for {}", name, level);
            }
        }
    }

    #[test]
    fn a_stricter_level_never_admits_more(mut world in worlds(), now in instants()) {
        world.levels = yardsticks();
        for (name, cloud) in &world.register().assess(now).clouds {
            for [weaker, stricter] in YARDSTICKS.iter().flat_map(|chain| chain.array_windows()) {
                if let Some(satisfied) = cloud.satisfies(stricter) {
                    let weaker = cloud.satisfies(weaker);
                    prop_assert!(weaker.is_some_and(|weaker| end(satisfied) <= end(weaker)), "{}, {}: {:?}", name, stricter, weaker);
                }
            }
        }
    }

    #[test]
    fn losing_a_fact_never_admits_more(mut world in worlds(), now in instants(), which in any::<Index>(), fact in 0..21_usize, entry in any::<Index>()) {
        world.levels = yardsticks();
        let mut poorer = world.clone();
        let names: Vec<&str> = world.clouds.keys().copied().collect();
        lose(poorer.clouds.get_mut(which.get(&names)).unwrap(), fact, entry);
        let (richer, poorer) = (world.register().assess(now), poorer.register().assess(now));
        for (name, cloud) in &poorer.clouds {
            for (level, result) in &cloud.levels {
                let Ok(satisfied) = result else { continue };
                let before = richer.clouds[name].satisfies(level);
                prop_assert!(before.is_some_and(|before| end(*satisfied) <= end(before)), "{}, {}: was {:?}", name, level, before);
            }
        }
    }

    #[test]
    fn the_order_of_lists_is_irrelevant(world in worlds(), now in instants()) {
        let mut turned = world.clone();
        turned.clouds.values_mut().for_each(turn_cloud);
        for spec in turned.levels.values_mut() {
            spec.extends.reverse();
            let requires = &mut spec.requires;
            requires.qualifications.iter_mut().for_each(|alternative| alternative.all_of.reverse());
            requires.qualifications.reverse();
            requires.locations.storage.reverse();
            requires.locations.support.reverse();
            if let Some(operator) = &mut requires.operator {
                operator.seats_in.reverse();
                operator.parent_in.reverse();
            }
        }
        let backwards = Register::new(
            turned.clouds.iter().rev().map(|(name, spec)| (*name, spec)),
            turned.levels.iter().rev().map(|(name, spec)| (*name, spec)),
        );
        prop_assert_eq!(essence(&backwards, now), essence(&world.register(), now));
    }

    #[test]
    fn until_is_the_first_instant_at_which_it_stops(world in worlds(), now in instants(), part in 1..1000_i32) {
        let register = world.register();
        for (name, cloud) in &register.assess(now).clouds {
            for (level, result) in &cloud.levels {
                let Ok(satisfied) = result else { continue };
                let until = satisfied.until.unwrap_or_else(|| "2027-01-01T00:00:00Z".parse().unwrap());
                prop_assert!(now < until);
                for then in [now + (until.duration_since(now) * part / 1000), until - jiff::SignedDuration::from_nanos(1)] {
                    let still = register.assess(then).clouds[name].satisfies(level);
                    prop_assert_eq!(still, Some(*satisfied), "{} for {} at {}", name, level, then);
                }
                if let Some(until) = satisfied.until {
                    prop_assert_eq!(register.assess(until).clouds[name].satisfies(level), None, "{} for {}", name, level);
                }
            }
        }
    }

    /// Against the definition: what a qualification is at an instant, worked out anew and recursively.
    #[test]
    fn a_timeline_says_what_the_definition_says(world in worlds(), now in instants()) {
        let register = world.register();
        for (name, standing) in &register.assess(now).clouds {
            for (index, qualification) in standing.qualifications.iter().enumerate() {
                let words = definition(&register, &world, name, index, now);
                prop_assert_eq!(&qualification.words, &words, "{} {}", name, index);
            }
        }
    }

    #[test]
    fn meet_is_associative_commutative_and_idempotent(a in levels(), b in levels(), c in levels()) {
        let [a, b, c] = [a, b, c].map(|spec| parsing::parse(&spec).unwrap());
        let meet = |one: &Requirements, other: &Requirements| one.meet(other).unwrap();
        prop_assert_eq!(meet(&meet(&a, &b), &c), meet(&a, &meet(&b, &c)));
        prop_assert_eq!(meet(&a, &b), meet(&b, &a));
        prop_assert_eq!(meet(&a, &a), a.clone());
        prop_assert_eq!(meet(&a, &Requirements::nothing()), a.clone());
        prop_assert_eq!(meet(&meet(&a, &b), &b), meet(&a, &b));
    }

    /// Whatever the schema lets through: no panic, and an answer for every pair.
    #[test]
    fn absurd_numbers_are_answered(
        mut world in worlds(), now in (Timestamp::MIN.as_second()..Timestamp::MAX.as_second()),
        day in -9999_i16..=9999, number in 1..=99_999_u32, unit in prop::sample::select(&["m", "h", "d"])
    ) {
        let span = format!("{number}{unit}");
        for spec in world.clouds.values_mut() {
            spec.warn_before = span.as_str().into();
            spec.register_max_age = Some(span.as_str().into());
            for qualification in &mut spec.qualifications {
                qualification.valid_from = Some(jiff::civil::date(day.min(0), 1, 1));
                qualification.valid_until = Some(jiff::civil::date(9999, 12, 31));
                qualification.verified_at = Some(jiff::civil::date(day, 12, 31));
            }
        }
        let assessment = world.register().assess(Timestamp::from_second(now).unwrap());
        prop_assert!(assessment.clouds.values().all(|cloud| cloud.levels.len() == world.levels.len()));
    }
}

proptest! {
    // Each case walks through six wake-ups of a whole world.
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_sleeps_past_a_change(world in worlds(), start in instants(), part in 1..1000_i32) {
        let register = world.register();
        let mut now = start;
        for _ in 0..6 {
            let present = register.assess(now);
            let wake = present.next_change();
            let later = wake.unwrap_or_else(|| "2027-01-01T00:00:00Z".parse().unwrap());
            prop_assert!(now < later);
            let just_before = later - jiff::SignedDuration::from_nanos(1);
            for then in [now + (later.duration_since(now) * part / 1000), just_before] {
                prop_assert_eq!(&register.assess(then), &present, "{} is {}", then, now);
            }
            for (name, cloud) in &present.clouds {
                if let Some(change) = cloud.next_change {
                    let before = &register.assess(change - jiff::SignedDuration::from_nanos(1)).clouds[name];
                    prop_assert_eq!(before, cloud);
                    prop_assert_ne!(&register.assess(change).clouds[name], cloud, "woken for nothing at {}", change);
                }
            }
            let Some(wake) = wake else { return Ok(()) };
            now = wake;
        }
    }
}

/// `level` and all that it extends, directly or not.
fn reached(world: &World, level: &str) -> Vec<String> {
    let mut names = vec![level.to_owned()];
    let mut next = 0;
    while let Some(name) = names.get(next).cloned() {
        next += 1;
        for extended in &world.levels[name.as_str()].extends {
            if !names.contains(&extended.0) {
                names.push(extended.0.clone());
            }
        }
    }
    names
}

fn asks_for_something(requires: &Requires) -> bool {
    let empty = |requires: &Requires| {
        let ownership = requires.non_european_ownership.clone().unwrap_or_default();
        let operator = requires.operator.clone().unwrap_or_default();
        requires.qualifications.is_empty()
            && operator == RequiredOperator::default()
            && ownership == RequiredOwnership::default()
            && requires.locations == RequiredLocations::default()
            && requires.key_custody.is_none()
            && requires.isolation.is_none()
    };
    !empty(requires)
}

/// Forgets one fact. What restricts (`covers`, `events`, `reliesOn`, `milestone`) is not a fact in this sense.
fn lose(cloud: &mut TrustedCloudSpec, fact: usize, entry: Index) {
    let operator = cloud.operator.get_or_insert_default();
    let mut on_one = |change: fn(&mut Qualification)| {
        if !cloud.qualifications.is_empty() {
            let index = entry.index(cloud.qualifications.len());
            change(&mut cloud.qualifications[index]);
        }
    };
    match fact {
        0 => cloud.operator = None,
        1 => operator.registered_office = None,
        2 => operator.central_administration = None,
        3 => operator.principal_establishment = None,
        4 => operator.ultimate_parent = None,
        5 => operator.non_european_ownership = None,
        6 => operator.non_european_ownership.get_or_insert_with(nothing_known).largest_percent = None,
        7 => operator.non_european_ownership.get_or_insert_with(nothing_known).total_percent = None,
        8 => operator.non_european_ownership.get_or_insert_with(nothing_known).veto = None,
        9 => operator.non_european_ownership.get_or_insert_with(nothing_known).as_of = None,
        10 => cloud.locations.storage.clear(),
        11 => cloud.locations.support.clear(),
        12 => cloud.key_custody = None,
        13 => cloud.isolation = None,
        14 => on_one(|qualification| qualification.version = None),
        15 => on_one(|qualification| qualification.levels.clear()),
        16 => on_one(|qualification| qualification.verified_at = None),
        17 => on_one(|qualification| qualification.valid_from = None),
        18 => on_one(|qualification| qualification.valid_until = None),
        19 => on_one(|qualification| drop(qualification.levels.pop())),
        _ if cloud.qualifications.is_empty() => {}
        _ => drop(cloud.qualifications.remove(entry.index(cloud.qualifications.len()))),
    }
}

fn nothing_known() -> crate::api::trusted_cloud::Ownership {
    crate::api::trusted_cloud::Ownership { largest_percent: None, total_percent: None, veto: None, as_of: None }
}

fn turn_cloud(cloud: &mut TrustedCloudSpec) {
    for qualification in &mut cloud.qualifications {
        qualification.events.reverse();
        qualification.levels.reverse();
    }
    cloud.qualifications.reverse();
    cloud.relies_on.reverse();
    cloud.locations.storage.reverse();
    cloud.locations.support.reverse();
}

type Levels = BTreeMap<String, Result<Satisfied, Vec<Unmet>>>;
/// Name, levels, states in any order, the best of them, next change.
type Essence = (String, Levels, Vec<String>, Option<String>, Option<Timestamp>);

/// All that does not speak of positions in a list.
fn essence(register: &Register, now: Timestamp) -> Vec<Essence> {
    let clouds = register.assess(now).clouds.into_iter();
    clouds
        .map(|(name, mut cloud)| {
            for unmet in cloud.levels.values_mut().filter_map(|result| result.as_mut().err()).flatten() {
                if ["cloud", "level"].contains(&unmet.requirement) {
                    unmet.found.clear();
                }
            }
            let best = cloud.best().map(|best| format!("{} {} {:?}", best.name(), best.words, best.counts_until));
            let mut states: Vec<String> = cloud.qualifications.iter().map(|standing| format!("{standing:?}")).collect();
            states.sort();
            (name, cloud.levels, states, best, cloud.next_change)
        })
        .collect()
}

/// The words for qualification `index` of `name` at `now`.
fn definition(register: &Register, world: &World, name: &str, index: usize, now: Timestamp) -> String {
    let Some(Ok(sound)) = register.clouds().get(name).map(|entry| &entry.sound) else { return "problems".to_owned() };
    let scheme = &world.clouds[name].qualifications[index].scheme;
    let holds = |layer: &str| {
        let qualifications = world.clouds.get(layer).map_or(&[][..], |spec| &spec.qualifications);
        let mut same = qualifications.iter().enumerate().filter(|(_, qualification)| qualification.scheme == *scheme);
        same.any(|(index, _)| {
            let words = definition(register, world, layer, index, now);
            words.starts_with("Valid") || words.starts_with("Expiring")
        })
    };
    let layers = super::super::cloud::layers(&world.clouds[name]);
    let lacking: Vec<&str> = layers.into_iter().filter(|layer| !holds(layer)).collect();
    sound.cloud.decisions[index].held(now, &lacking).words
}
