//! Small worlds of clouds and levels, made at random: few names, few dates, so that things meet.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::api::qualification::{EventType, Milestone, Qualification, QualificationEvent, Scope};
use crate::api::sensitivity_level::{
    Alternative, RequiredLocations, RequiredOperator, RequiredOwnership, RequiredQualification, Requires, SensitivityLevelSpec,
};
use crate::api::trusted_cloud::{CloudOperator, Layer, Locations, Ownership, Parent, TrustedCloudSpec};
use crate::api::values::{Country, Isolation, KeyCustody, Model, Percent, Place, Veto};

use super::{Register, cloud, instant, level};

/// Clouds and levels by name.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) clouds: BTreeMap<&'static str, TrustedCloudSpec>,
    pub(super) levels: BTreeMap<&'static str, SensitivityLevelSpec>,
}

impl World {
    pub(super) fn register(&self) -> Register {
        Register::new(self.clouds.iter().map(|(name, spec)| (*name, spec)), self.levels.iter().map(|(name, spec)| (*name, spec)))
    }
}

pub(super) fn worlds() -> impl Strategy<Value = World> {
    let clouds = ["a", "b", "c", "d"].map(|name| clouds().prop_map(move |spec| (name, spec)).boxed());
    let levels = ["k", "l", "m", "n"].map(|name| levels().prop_map(move |spec| (name, spec)).boxed());
    (clouds, levels).prop_map(|(clouds, levels)| {
        let mut world = World { clouds: clouds.into(), levels: levels.into() };
        // Mostly downwards: circles are there, but do not drown everything else.
        for (name, cloud) in &mut world.clouds {
            cloud.relies_on.retain(|layer| layer.cloud.0.as_str() > *name || *name == "d" && layer.cloud.0 == "c");
        }
        for (name, level) in &mut world.levels {
            level.extends.retain(|extended| extended.0.as_str() > *name || *name == "n" && extended.0 == "m");
        }
        world
    })
}

/// Instants around the dates of [`days`], at odd hours.
pub(super) fn instants() -> impl Strategy<Value = Timestamp> {
    (-10_i64 * 24 * 60..110 * 24 * 60).prop_map(|minutes| instant("2026-03-01T00:00:00Z") + jiff::SignedDuration::from_mins(minutes))
}

/// Around the day on which clocks change in Paris, 2026-03-29.
fn days() -> impl Strategy<Value = Date> {
    (0_i32..60).prop_map(|days| jiff::civil::date(2026, 3, 1) + days.days())
}

fn clouds() -> BoxedStrategy<TrustedCloudSpec> {
    let facts = (
        option::weighted(0.9, operators()),
        locations(),
        option::weighted(0.8, select(&[KeyCustody::ProviderManaged, KeyCustody::ExternalKms, KeyCustody::ClientSide])),
        option::weighted(0.8, select(&[Isolation::SharedVirtual, Isolation::DedicatedHost, Isolation::DedicatedZone])),
    );
    let rest = (
        subsequence(vec!["a", "b", "c", "d"], 0..=1),
        vec(qualifications(), 0..5),
        option::weighted(0.2, select(&["12h", "20d"])),
        select(&["1m", "7d", "90d"]),
        select(&["Europe/Paris", "UTC", "America/New_York", "Pacific/Auckland"]),
    );
    (facts, rest)
        .prop_map(|((operator, locations, key_custody, isolation), (layers, qualifications, age, warn, zone))| TrustedCloudSpec {
            operator,
            locations,
            key_custody,
            isolation,
            relies_on: layers.into_iter().map(|layer| Layer { cloud: layer.into(), layer: Model::IaaS }).collect(),
            qualifications,
            register_max_age: age.map(Into::into),
            warn_before: warn.into(),
            time_zone: zone.to_owned(),
            ..cloud("")
        })
        .boxed()
}

fn countries() -> impl Strategy<Value = Vec<Country>> {
    prop_oneof![
        1 => Just(Vec::new()),
        4 => Just(vec![Country::from("FR")]),
        2 => subsequence(vec!["DE", "FR", "NO", "US"], 1..=3).prop_map(|codes| codes.into_iter().map(Country::from).collect()),
    ]
}

fn locations() -> BoxedStrategy<Locations> {
    (countries(), countries(), countries(), countries())
        .prop_map(|(storage, processing, administration, support)| Locations {
            storage,
            processing,
            administration,
            support,
            ..Locations::default()
        })
        .boxed()
}

fn operators() -> BoxedStrategy<CloudOperator> {
    let seat = || option::weighted(0.9, select(&["FR", "FR", "FR", "DE", "US"]).prop_map(Country::from));
    let ownership = (
        // Figures that contradict each other are a problem of the spec, not a matter of these laws.
        option::weighted(0.9, select(&["0", "24"])),
        option::weighted(0.9, select(&["24", "39", "39.0001"])),
        option::weighted(0.9, select(&[Veto::None, Veto::None, Veto::Held])),
        option::weighted(0.9, days()),
    );
    (seat(), seat(), seat(), seat(), option::weighted(0.9, ownership))
        .prop_map(|(office, administration, establishment, parent, owned)| CloudOperator {
            legal_name: "x".to_owned(),
            registered_office: office,
            central_administration: administration,
            principal_establishment: establishment,
            ultimate_parent: parent.map(|country| Parent { legal_name: "y".to_owned(), country }),
            non_european_ownership: owned.map(|(largest, total, veto, as_of)| Ownership {
                largest_percent: largest.map(Percent::from),
                total_percent: total.map(Percent::from),
                veto,
                as_of,
            }),
        })
        .boxed()
}

fn qualifications() -> BoxedStrategy<Qualification> {
    let what = (
        select(&["secnumcloud", "secnumcloud", "hds", "eucs"]),
        option::weighted(0.9, select(&["3.1", "3.2", "3.10", "RD"])),
        subsequence(vec!["x", "y"], 0..=2),
        option::weighted(0.05, Just(Milestone::J1)),
    );
    let when = (
        days(),
        prop_oneof![1 => 0_i64..60, 2 => 50_i64..90],
        scopes(),
        option::weighted(0.8, days()),
        prop_oneof![Just(Vec::new()), vec(events(), 1..4)],
    );
    (what, when)
        .prop_map(|((scheme, version, levels, milestone), (from, length, covers, verified_at, events))| Qualification {
            scheme: scheme.into(),
            version: version.map(str::to_owned),
            levels: levels.into_iter().map(str::to_owned).collect(),
            decision: None,
            issuer: None,
            valid_from: Some(from),
            valid_until: Some(from + length.days()),
            covers,
            verified_at,
            document: None,
            milestone,
            events,
        })
        .boxed()
}

fn scopes() -> impl Strategy<Value = Option<Scope>> {
    option::weighted(0.3, subsequence(vec![Model::IaaS, Model::PaaS], 1..=2).prop_map(|models| Scope { models }))
}

fn events() -> BoxedStrategy<QualificationEvent> {
    use EventType::{Reinstated, Renewed, ScopeReduced, Suspended, Withdrawn};
    // Whole days, so that two events fall on the same instant often enough.
    let kind = select(&[Suspended, Suspended, Reinstated, Reinstated, Withdrawn, ScopeReduced, Renewed, Renewed]);
    (kind, days(), 60_i64..90, scopes())
        .prop_map(|(type_, day, later, covers)| QualificationEvent {
            type_,
            effective_at: instant(&format!("{day}T00:00:00Z")),
            known_at: None,
            source: None,
            valid_until: (type_ == Renewed).then(|| jiff::civil::date(2026, 3, 1) + later.days()),
            covers: covers.filter(|_| type_ == ScopeReduced),
        })
        .boxed()
}

pub(super) fn levels() -> BoxedStrategy<SensitivityLevelSpec> {
    (subsequence(vec!["k", "l", "m", "n"], 0..=1), requires())
        .prop_map(|(extends, requires)| SensitivityLevelSpec {
            extends: extends.into_iter().map(Into::into).collect(),
            requires,
            ..level("{}")
        })
        .boxed()
}

fn requires() -> BoxedStrategy<Requires> {
    let places = || {
        prop_oneof![
            1 => Just(Vec::new()),
            1 => subsequence(vec!["EU", "EEA", "FR", "DE", "US"], 1..=3).prop_map(|names| names.into_iter().map(Place::from).collect()),
        ]
    };
    let member = (
        select(&["secnumcloud", "hds", "eucs"]),
        option::weighted(0.3, select(&["3.1", "3.2", "3.10", "RD"])),
        prop_oneof![2 => Just(Vec::new()), 1 => subsequence(vec!["x", "y"], 1..=1)],
    )
        .prop_map(|(scheme, minimum, levels)| RequiredQualification {
            scheme: scheme.into(),
            minimum_version: minimum.map(str::to_owned),
            levels: levels.into_iter().map(str::to_owned).collect(),
        });
    let alternatives = vec(vec(member, 1..3).prop_map(|all_of| Alternative { all_of }), 0..3);
    let ownership = (
        option::weighted(0.5, select(&["0", "24"])),
        option::weighted(0.5, select(&["24", "39"])),
        option::weighted(0.5, select(&[Veto::None, Veto::Held])),
        option::weighted(0.5, select(&["36h", "60d"])),
    )
        .prop_map(|(largest, total, veto, age)| RequiredOwnership {
            largest_percent: largest.map(Percent::from),
            total_percent: total.map(Percent::from),
            veto,
            maximum_age: age.map(Into::into),
        });
    let operator = (places(), places()).prop_map(|(seats_in, parent_in)| RequiredOperator { seats_in, parent_in });
    let locations =
        (places(), places()).prop_map(|(storage, support)| RequiredLocations { storage, support, ..RequiredLocations::default() });
    // Few at a time, or hardly any cloud would ever satisfy a level.
    (
        option::weighted(0.4, alternatives),
        option::weighted(0.3, operator),
        option::weighted(0.3, ownership),
        option::weighted(0.3, locations),
        option::weighted(0.15, select(&[KeyCustody::CustomerManaged, KeyCustody::ExternalKms])),
        option::weighted(0.15, select(&[Isolation::SharedVirtual, Isolation::DedicatedHost])),
    )
        .prop_map(|(qualifications, operator, non_european_ownership, locations, key_custody, isolation)| Requires {
            qualifications: qualifications.unwrap_or_default(),
            operator,
            non_european_ownership,
            locations: locations.unwrap_or_default(),
            key_custody,
            isolation,
        })
        .boxed()
}
