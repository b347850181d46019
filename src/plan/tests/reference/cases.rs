//! Worlds about which `plan` and the reference once differed, and what is right.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::compare::{built, differences, pairs};
use super::worlds::{Objects, Scene, Spec};
use crate::placement::NodeFacts;
use crate::plan::plan;

type Specs<'a> = &'a [(&'a str, Value)];

/// What holds, clouds, the level, and which clouds it is cleared for.
type Row = (&'static str, Vec<(&'static str, Value)>, Value, &'static [&'static str]);

/// Clouds and levels at noon in Paris, with a node of each cloud.
fn scene(clouds: Specs<'_>, levels: Specs<'_>) -> Scene {
    let specs = |specs: Specs<'_>| specs.iter().map(|(name, spec)| ((*name).to_owned(), Some(Spec(spec.clone())))).collect();
    let nodes = clouds.iter().map(|(cloud, _)| {
        let name = format!("node-of-{cloud}");
        NodeFacts { uid: name.clone(), provider_id: Some(format!("kwok://{cloud}/n")), labels: BTreeMap::new(), name }
    });
    let objects = Objects { clouds: specs(clouds), levels: specs(levels), nodes: nodes.collect(), ..Objects::default() };
    Scene { now: "2026-11-25T11:00:00Z".parse().unwrap(), objects, later: None }
}

/// A cloud with a qualification that is valid, and whatever `more` says.
fn cloud(more: &Value) -> Value {
    let mut spec = json!({
        "offering": {"service": "any", "model": "IaaS"},
        "locations": {"storage": ["FR"]},
        "qualifications": [{"scheme": "secnumcloud", "version": "3.2", "validFrom": "2026-01-01", "validUntil": "2028-12-31"}],
    });
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    spec
}

fn held(more: &Value) -> Value {
    let mut qualification = json!({"scheme": "secnumcloud", "version": "3.2", "validFrom": "2026-01-01", "validUntil": "2028-12-31"});
    for (key, value) in more.as_object().unwrap() {
        qualification[key] = value.clone();
    }
    json!({"qualifications": [qualification]})
}

fn level(requires: &Value) -> Value {
    json!({"requires": requires})
}

fn qualified() -> Value {
    level(&json!({"qualifications": [{"allOf": [{"scheme": "secnumcloud"}]}]}))
}

fn owned(ownership: &Value) -> Value {
    json!({"operator": {"legalName": "any", "nonEuropeanOwnership": ownership}})
}

#[test]
fn worlds_that_were_once_seen_in_two_ways_are_seen_in_one() {
    let on = |cloud: &str| json!([{"cloud": cloud, "layer": "IaaS"}]);
    let shares = level(&json!({"nonEuropeanOwnership": {"largestPercent": "24", "totalPercent": "39"}}));
    let fresh = level(&json!({"nonEuropeanOwnership": {"maximumAge": "365d"}}));
    let numbered = level(&json!({"qualifications": [{"allOf": [{"scheme": "secnumcloud", "minimumVersion": "3.2"}]}]}));
    let keys = level(&json!({"keyCustody": "ExternalKms", "isolation": "DedicatedHost"}));
    let strong = json!({"keyCustody": "ClientSide", "isolation": "DedicatedZone", "reliesOn": on("base")});
    let empty =
        |operator: &str| json!({"nodes": [{"selector": {"matchExpressions": [{"key": "zone", "operator": operator, "values": []}]}}]});
    let draft = json!({"qualifications": [{"scheme": "eucs", "validFrom": "2026-01-01", "validUntil": "2028-12-31"}]});
    let draft_on = json!({"qualifications": draft["qualifications"], "reliesOn": on("base")});
    let renewed = json!({"events": [{"type": "Renewed", "effectiveAt": "2026-11-01T00:00:00Z", "validUntil": "2025-12-31"}]});
    let candidate = json!({"milestone": "J2", "events": renewed["events"]});
    let any = level(&json!({}));

    let rows: Vec<Row> = vec![
        (
            "a selector NotIn with no values claims no node",
            vec![("a", cloud(&empty("NotIn"))), ("b", cloud(&json!({})))],
            any.clone(),
            &["b"],
        ),
        ("a selector In with no values is a mistake", vec![("a", cloud(&empty("In")))], any.clone(), &[]),
        (
            "a version of many digits is a number",
            vec![("a", cloud(&held(&json!({"version": "99999999999999999999999.1"}))))],
            numbered,
            &["a"],
        ),
        (
            "one holder cannot own more than all together",
            vec![("a", cloud(&owned(&json!({"largestPercent": "24", "totalPercent": "9"}))))],
            shares,
            &[],
        ),
        ("figures of a day to come are not known yet", vec![("a", cloud(&owned(&json!({"asOf": "2026-12-25"}))))], fresh, &[]),
        (
            "a qualification that is to be verified was not",
            vec![("a", {
                let mut spec = cloud(&held(&json!({"verifiedAt": "2026-11-26"})));
                spec["registerMaxAge"] = "35d".into();
                spec
            })],
            qualified(),
            &[],
        ),
        ("a renewal cannot end before the beginning", vec![("a", cloud(&held(&renewed)))], any.clone(), &[]),
        ("the dates of a candidate do not count", vec![("a", cloud(&held(&candidate)))], any.clone(), &["a"]),
        ("keys and isolation are those of the service", vec![("base", cloud(&json!({}))), ("top", cloud(&strong))], keys, &["top"]),
        (
            "a draft satisfies nothing, in no layer",
            vec![("base", cloud(&draft)), ("top", cloud(&draft_on))],
            level(&json!({"qualifications": [{"allOf": [{"scheme": "eucs"}]}]})),
            &[],
        ),
        (
            "a layer with problems lacks nothing of nothing",
            vec![("base", cloud(&json!({"timeZone": "Mars/Base"}))), ("top", cloud(&json!({"reliesOn": on("base")})))],
            level(&json!({"nonEuropeanOwnership": {}, "operator": {"seatsIn": []}})),
            &["top"],
        ),
        (
            "a layer whose nodes cannot be read still holds",
            vec![("base", cloud(&json!({"nodes": [{"providerID": "("}]}))), ("top", cloud(&json!({"reliesOn": on("base")})))],
            qualified(),
            &["top"],
        ),
        (
            "EU is a place but no country",
            vec![("a", cloud(&json!({"locations": {"storage": ["EU"]}})))],
            level(&json!({"locations": {"storage": ["EU"]}})),
            &[],
        ),
    ];
    for (sentence, clouds, level, cleared) in rows {
        let scene = scene(&clouds, &[("l", level)]);
        assert_eq!(differences(&scene), [""; 0], "{sentence}");
        let found = pairs(&plan(&built(&scene.objects).0, scene.now).clearance);
        let found: Vec<&str> = found.iter().map(|(_, cloud)| cloud.as_str()).collect();
        assert_eq!(found, cleared, "{sentence}");
    }
}
