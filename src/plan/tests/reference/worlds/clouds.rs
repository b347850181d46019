//! Clouds: mostly good ones, each with something about it.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::{CLOUDS, ZONES, after, days, mostly, storage};

const MODELS: [&str; 5] = ["IaaS", "CaaS", "PaaS", "SaaS", "OnPremises"];

pub(super) const SCHEMES: [&str; 4] = ["secnumcloud", "hds", "on-premises", "eucs"];

pub(super) const VERSIONS: [&str; 10] =
    ["3.2", "3.10", "3.1", "3", "3.2.0", "03.2", "3.2-draft", "21007/24", "3.", "99999999999999999999999.1"];

pub(super) fn cloud(name: &'static str, day: Date, now: Timestamp) -> BoxedStrategy<Value> {
    let zone = prop_oneof![80 => select(&ZONES[..]), 1 => Just("Mars/Base")];
    let dates = (zone, option::weighted(0.25, mostly(70, "35d", ["1d", "24h"])), select(vec!["90d", "1d", "30m"]));
    let facts = (
        mostly(80, "IaaS", &MODELS[1..]),
        option::weighted(0.9, operator(day)),
        option::weighted(0.9, places()),
        option::weighted(0.9, mostly(70, "ExternalKms", ["ProviderManaged", "CustomerManaged", "HoldYourOwnKey", "ClientSide"])),
        option::weighted(0.9, mostly(70, "DedicatedHost", ["SharedVirtual", "DedicatedZone"])),
    );
    let entries = prop_oneof![12 => vec(entry(name), 1..3), 1 => Just(vec![])];
    (dates, facts, after(&CLOUDS, name), vec(qualification(day, now), 0..4), entries, storage::of_cloud(name))
        .prop_map(|(dates, facts, layers, qualifications, nodes, [storage, snapshots, attributes])| {
            let (zone, register_max_age, warn_before) = dates;
            let (model, operator, locations, key_custody, isolation) = facts;
            let layers: Vec<Value> = layers.iter().map(|cloud| json!({"cloud": cloud, "layer": "IaaS"})).collect();
            present(json!({
                "offering": {"service": "made up", "model": model}, "operator": operator, "locations": locations, "keyCustody": key_custody,
                "isolation": isolation, "reliesOn": layers, "qualifications": qualifications, "registerMaxAge": register_max_age,
                "warnBefore": warn_before, "timeZone": zone, "nodes": nodes, "storage": storage, "snapshots": snapshots,
                "volumeAttributes": attributes,
            }))
        })
        .boxed()
}

/// A cloud that has a qualification, or none, and that is all there is to say of whether it is trusted.
pub(super) fn plain(name: &'static str) -> BoxedStrategy<Value> {
    let held = json!([{"scheme": "secnumcloud", "validFrom": "2000-01-01", "validUntil": "2099-12-31"}]);
    let qualifications = mostly(75, held, [json!([])]);
    (qualifications, storage::of_cloud(name))
        .prop_map(move |(qualifications, [storage, snapshots, attributes])| {
            json!({
                "offering": {"service": "made up", "model": "IaaS"}, "nodes": [{"providerID": format!("kwok://{name}/.*")}],
                "qualifications": qualifications, "storage": storage, "snapshots": snapshots, "volumeAttributes": attributes,
            })
        })
        .boxed()
}

/// Fields that are not null.
fn present(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.retain(|_, field| !field.is_null());
    }
    object
}

fn country() -> impl Strategy<Value = Option<&'static str>> {
    prop_oneof![
        80 => mostly(93, Some("FR"), [Some("DE"), Some("NO"), Some("CH"), Some("US"), None]),
        1 => select(vec![Some("EU"), Some("ZZ"), Some("UK"), Some("XK")]),
    ]
}

fn operator(day: Date) -> BoxedStrategy<Value> {
    let largest = option::weighted(0.9, mostly(80, "24", ["0", "24.0000", "24.0001", "39", "9", "00.5"]));
    let total = option::weighted(0.9, mostly(80, "39", ["0", "24", "39.0", "39.0001", "100.0"]));
    let as_of = option::weighted(0.9, prop_oneof![days(day, &[-30]), days(day, &[-400, -367, -366, -365, -364, 0, 30])]);
    let veto = mostly(90, Some("None"), [Some("Held"), None]);
    let ownership = option::weighted(0.9, (largest, total, veto, as_of));
    (country(), country(), country(), option::weighted(0.9, country()), ownership).prop_map(|(office, administration, seat, parent, ownership)| {
        let ownership = ownership.map(|(largest, total, veto, as_of)| {
            present(json!({"largestPercent": largest, "totalPercent": total, "veto": veto, "asOf": as_of}))
        });
        let parent = parent.flatten().map(|country| json!({"legalName": "Group", "country": country}));
        present(json!({
            "legalName": "Operator", "registeredOffice": office, "centralAdministration": administration, "principalEstablishment": seat,
            "ultimateParent": parent, "nonEuropeanOwnership": ownership,
        }))
    })
    .boxed()
}

fn places() -> BoxedStrategy<Value> {
    let countries = || mostly(92, vec!["FR"], [vec![], vec!["FR", "DE"], vec!["NO"], vec!["FR", "US"], vec!["CH"]]);
    vec(countries(), 7)
        .prop_map(|found| {
            json!({
                "storage": found[0], "processing": found[1], "backup": found[2], "technicalData": found[3], "administration": found[4],
                "supervision": found[5], "support": found[6],
            })
        })
        .boxed()
}

fn qualification(day: Date, now: Timestamp) -> BoxedStrategy<Value> {
    let what = (
        mostly(70, "secnumcloud", &SCHEMES[1..]),
        mostly(70, Some("3.2"), VERSIONS.iter().copied().map(Some).chain([None]).collect::<Vec<_>>()),
        prop_oneof![Just(vec![]), subsequence(vec!["1", "2", "3"], 1..4)],
    );
    let from = mostly(85, -300, [-1, 0, 1, 2, 40]);
    let length = mostly(65, 700, [0, 1, 90, 299, 300, 301, 302, 389, 390, 391]);
    let covers = mostly(85, None, [Some(vec!["IaaS"]), Some(vec!["PaaS", "SaaS"]), Some(MODELS.to_vec())]);
    let verified = option::weighted(0.9, prop_oneof![days(day, &[-5]), days(day, &[-36, -35, -34, -2, -1, 0, 1])]);
    let milestone = mostly(95, None, [Some("J0"), Some("J2")]);
    (what, from, length, covers, verified, milestone, events(day, now))
        .prop_map(move |((scheme, version, levels), from, length, covers, verified, milestone, events)| {
            let date = |offset: i32| day.checked_add(jiff::Span::new().days(offset)).unwrap().to_string();
            present(json!({
                "scheme": scheme, "version": version, "levels": levels, "validFrom": date(from), "validUntil": date(from + length),
                "covers": covers.map(|models| json!({"models": models})), "verifiedAt": verified, "milestone": milestone, "events": events,
            }))
        })
        .boxed()
}

fn events(day: Date, now: Timestamp) -> BoxedStrategy<Vec<Value>> {
    let event = prop_oneof![
        4 => Just(json!({"type": "Suspended"})),
        4 => Just(json!({"type": "Reinstated"})),
        1 => Just(json!({"type": "Withdrawn"})),
        2 => select(vec![json!({}), json!({"models": ["IaaS"]}), json!({"models": ["IaaS", "PaaS"]})]).prop_map(|covers| {
            if covers == json!({}) { json!({"type": "ScopeReduced"}) } else { json!({"type": "ScopeReduced", "covers": covers}) }
        }),
        4 => days(day, &[-1, 0, 1, 30, 700]).prop_map(|until| json!({"type": "Renewed", "validUntil": until})),
    ];
    let at = select(vec![-172_800_000, -3_600_000, -3_600_000, -1, 0, 0, 1, 500, 3_600_000, 129_600_000, 300_000_000]);
    let event = (event, at).prop_map(move |(mut event, milliseconds)| {
        event["effectiveAt"] = (now + SignedDuration::from_millis(milliseconds)).to_string().into();
        event
    });
    prop_oneof![7 => Just(vec![]), 3 => vec(event, 1..4)].boxed()
}

fn entry(name: &'static str) -> BoxedStrategy<Value> {
    let own = format!("kwok://{name}/.*");
    let pattern = prop_oneof![
        40 => Just(own),
        3 => select(vec!["kwok://alps/n[1-3]", "kwok://(alps|brie)/.*", "alps|kwok://brie/.*", "(?i)KWOK://caux/.*", "^kwok://alps/n1$"])
            .prop_map(ToOwned::to_owned),
        1 => Just("(".to_owned()),
    ];
    let selector = prop_oneof![
        20 => select(vec!["a", "b"]).prop_map(|zone| json!({"matchLabels": {"zone": zone}})),
        3 => Just(json!({"matchExpressions": [{"key": "zone", "operator": "In", "values": ["b", "c"]}]})),
        3 => Just(json!({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}], "matchLabels": {"rack": "1"}})),
        3 => Just(json!({"matchExpressions": [{"key": "zone", "operator": "Exists"}, {"key": "rack", "operator": "DoesNotExist"}]})),
        1 => select(vec!["in", "Gt", "Exists"]).prop_map(|operator| json!({"matchExpressions": [{"key": "zone", "operator": operator, "values": ["1"]}]})),
        1 => select(vec!["In", "NotIn"]).prop_map(|operator| json!({"matchExpressions": [{"key": "zone", "operator": operator, "values": []}]})),
    ];
    prop_oneof![
        20 => pattern.clone().prop_map(|pattern| json!({"providerID": pattern})),
        1 => selector.clone().prop_map(|selector| json!({"selector": selector})),
        4 => (pattern, selector).prop_map(|(pattern, selector)| json!({"providerID": pattern, "selector": selector})),
    ]
    .boxed()
}
