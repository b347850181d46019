//! Levels: requirements that some clouds meet.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::clouds::{SCHEMES, VERSIONS};
use super::{LEVELS, after, mostly, storage};

pub(super) fn level(name: &'static str) -> BoxedStrategy<Value> {
    let extends = after(&LEVELS, name);
    let enforcement = mostly(70, "Enforce", ["Warn", "Audit"]);
    let loss = mostly(50, "Block", ["Report"]);
    let unattended = mostly(60, "72h", ["1m", "30d", "36h"]);
    let credentials = mostly(80, "Keep", ["Withhold"]);
    let schedulers = mostly(80, vec![], [vec!["batch"], vec!["batch", "other"]]);
    (extends, requires(), (enforcement, loss, credentials), (unattended, schedulers), storage::of_level())
        .prop_map(|(extends, requires, (enforcement, loss, credentials), (unattended, schedulers), storage)| {
            json!({
                "extends": extends, "requires": requires, "enforcement": enforcement, "onTrustLoss": loss, "unattendedFor": unattended,
                "credentials": credentials, "storage": storage, "schedulers": schedulers,
            })
        })
        .boxed()
}

/// A level that asks for a qualification or for nothing.
pub(super) fn plain(name: &'static str) -> BoxedStrategy<Value> {
    let qualified = json!({"qualifications": [{"allOf": [{"scheme": "secnumcloud"}]}]});
    (mostly(70, qualified, [json!({})]), level(name))
        .prop_map(|(requires, mut level)| {
            (level["requires"], level["extends"]) = (requires, json!([]));
            level
        })
        .boxed()
}

fn requires() -> BoxedStrategy<Value> {
    let alternatives = prop_oneof![2 => Just(vec![]), 3 => vec(vec(qualification(), 1..3), 1..4)];
    let seats = || mostly(60, vec!["EU"], [vec![], vec!["EEA"], vec!["FR"], vec!["CH", "EU"]]);
    let operator = option::weighted(0.2, (seats(), seats()));
    let ownership = option::weighted(0.2, ownership());
    let places = option::weighted(0.5, vec(prop_oneof![5 => Just(vec![]), 1 => seats()], 7));
    let custody = option::weighted(0.2, select(vec!["ProviderManaged", "CustomerManaged", "ExternalKms", "ClientSide"]));
    let isolation = option::weighted(0.2, select(vec!["SharedVirtual", "DedicatedHost", "DedicatedZone"]));
    (alternatives, operator, ownership, places, custody, isolation)
        .prop_map(|(alternatives, operator, ownership, places, custody, isolation)| {
            let mut requires = json!({"qualifications": alternatives.into_iter().map(|all| json!({"allOf": all})).collect::<Vec<_>>()});
            if let Some((seats, parent)) = operator {
                requires["operator"] = json!({"seatsIn": seats, "parentIn": parent});
            }
            if let Some(ownership) = ownership {
                requires["nonEuropeanOwnership"] = ownership;
            }
            if let Some(found) = places {
                requires["locations"] = json!({
                    "storage": found[0], "processing": found[1], "backup": found[2], "technicalData": found[3],
                    "administration": found[4], "supervision": found[5], "support": found[6],
                });
            }
            if let Some(custody) = custody {
                requires["keyCustody"] = custody.into();
            }
            if let Some(isolation) = isolation {
                requires["isolation"] = isolation.into();
            }
            requires
        })
        .boxed()
}

fn qualification() -> BoxedStrategy<Value> {
    let version = mostly(70, None, VERSIONS.map(Some));
    let levels = prop_oneof![9 => Just(vec![]), 1 => subsequence(vec!["1", "2", "3"], 1..3)];
    (mostly(70, "secnumcloud", &SCHEMES[1..]), version, levels)
        .prop_map(|(scheme, version, levels)| {
            let mut required = json!({"scheme": scheme, "levels": levels});
            if let Some(version) = version {
                required["minimumVersion"] = version.into();
            }
            required
        })
        .boxed()
}

fn ownership() -> impl Strategy<Value = Value> {
    let fields = [("largestPercent", "24"), ("totalPercent", "39"), ("maximumAge", "365d")];
    (subsequence(fields.to_vec(), 0..=3), option::of(mostly(80, "None", ["Held"]))).prop_map(|(fields, veto)| {
        let mut ownership = json!({});
        for (key, value) in fields {
            ownership[key] = value.into();
        }
        if let Some(veto) = veto {
            ownership["veto"] = veto.into();
        }
        ownership
    })
}
