//! Worlds about which `plan` and the reference once differed, and what is right.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::compare::{built, differences, pairs};
use super::worlds::{Objects, Scene, Spec};
use crate::placement::{ClassFacts, NodeFacts};
use crate::plan::plan;

type Specs<'a> = &'a [(&'a str, Value)];

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

fn on(cloud: &str) -> Value {
    json!([{"cloud": cloud, "layer": "IaaS"}])
}

fn asks(qualification: &Value) -> Value {
    level(&json!({"qualifications": [{"allOf": [qualification]}]}))
}

fn selected(operator: &str) -> Value {
    cloud(&json!({"nodes": [{"selector": {"matchExpressions": [{"key": "zone", "operator": operator, "values": []}]}}]}))
}

/// One cloud `a`, and whether it is cleared for the level.
fn alone() -> Vec<(&'static str, Value, Value, bool)> {
    let any = level(&json!({}));
    let numbered = asks(&json!({"scheme": "secnumcloud", "minimumVersion": "3.2"}));
    let shares = level(&json!({"nonEuropeanOwnership": {"largestPercent": "24", "totalPercent": "39"}}));
    let fresh = level(&json!({"nonEuropeanOwnership": {"maximumAge": "365d"}}));
    let in_the_union = level(&json!({"locations": {"storage": ["EU"]}}));
    let unlike = owned(&json!({"largestPercent": "24", "totalPercent": "9"}));
    let renewed = json!([{"type": "Renewed", "effectiveAt": "2026-11-01T00:00:00Z", "validUntil": "2025-12-31"}]);
    let mut unseen = cloud(&held(&json!({"verifiedAt": "2026-11-26"})));
    unseen["registerMaxAge"] = "35d".into();
    let reduced = json!([
        {"type": "ScopeReduced", "effectiveAt": "2026-06-01T00:00:00Z", "covers": {"models": ["PaaS"]}},
        {"type": "ScopeReduced", "effectiveAt": "2026-07-01T00:00:00Z", "covers": {"models": ["IaaS", "PaaS"]}},
    ]);
    vec![
        ("a selector NotIn with no values is a mistake", selected("NotIn"), any.clone(), false),
        ("a selector In with no values is a mistake", selected("In"), any.clone(), false),
        ("a version of many digits is a number", cloud(&held(&json!({"version": "99999999999999999999999.1"}))), numbered, true),
        ("one holder cannot own more than all together", cloud(&unlike), shares, false),
        ("figures of a day to come are not known yet", cloud(&owned(&json!({"asOf": "2026-12-25"}))), fresh, false),
        ("a qualification that is to be verified was not", unseen, qualified(), false),
        ("a renewal cannot end before the beginning", cloud(&held(&json!({"events": renewed}))), any.clone(), false),
        ("the dates of a candidate do not count", cloud(&held(&json!({"milestone": "J2", "events": renewed}))), any, true),
        ("what was last said to be still covered is", cloud(&held(&json!({"events": reduced}))), qualified(), true),
        ("EU is a place but no country", cloud(&json!({"locations": {"storage": ["EU"]}})), in_the_union, false),
    ]
}

/// A cloud `top` on a cloud `base`, and whether it is cleared for the level.
fn chained() -> Vec<(&'static str, Value, Value, Value, bool)> {
    let strong = cloud(&json!({"keyCustody": "ClientSide", "isolation": "DedicatedZone", "reliesOn": on("base")}));
    let keys = level(&json!({"keyCustody": "ExternalKms", "isolation": "DedicatedHost"}));
    let nothing = level(&json!({"nonEuropeanOwnership": {}, "operator": {"seatsIn": []}}));
    let plain = cloud(&json!({"reliesOn": on("base")}));
    let draft = |layers: Value| {
        let qualifications = json!([{"scheme": "eucs", "validFrom": "2026-01-01", "validUntil": "2028-12-31"}]);
        cloud(&json!({"qualifications": qualifications, "reliesOn": layers}))
    };
    let mut levelled = cloud(&held(&json!({"levels": ["1", "2"]})));
    levelled["reliesOn"] = on("base");
    let levels = asks(&json!({"scheme": "secnumcloud", "minimumVersion": "3.2", "levels": ["1"]}));
    let old = cloud(&held(&json!({"version": "3.1"})));
    let lost = cloud(&json!({"nodes": [{"providerID": "("}]}));
    let wrong = cloud(&json!({"timeZone": "Mars/Base"}));
    vec![
        ("keys and isolation are those of the service", cloud(&json!({})), strong, keys, true),
        ("a draft satisfies nothing, in no layer", draft(json!([])), draft(on("base")), asks(&json!({"scheme": "eucs"})), false),
        ("a layer with problems lacks nothing where nothing is asked", wrong, plain.clone(), nothing, true),
        ("a layer whose nodes cannot be read still holds", lost, plain, qualified(), true),
        ("levels of a scheme are those of the service", cloud(&json!({})), levelled.clone(), levels.clone(), true),
        ("its version is that of every layer", old, levelled, levels, false),
    ]
}

#[test]
fn worlds_that_were_once_seen_in_two_ways_are_seen_in_one() {
    let alone = alone().into_iter().map(|(sentence, cloud, level, cleared)| (sentence, vec![("a", cloud)], level, cleared));
    let chained =
        chained().into_iter().map(|(sentence, base, top, level, cleared)| (sentence, vec![("base", base), ("top", top)], level, cleared));
    for (sentence, clouds, level, cleared) in alone.chain(chained) {
        let scene = scene(&clouds, &[("l", level)]);
        assert_eq!(differences(&scene), [""; 0], "{sentence}");
        let found = pairs(&plan(&built(&scene.objects).0, scene.now).clearance);
        let last = clouds.last().unwrap().0.to_owned();
        assert_eq!(found.contains(&("l".to_owned(), last)), cleared, "{sentence}");
    }
}

/// A class of this name and driver; of the operator, if a cloud is named.
fn class(name: &str, driver: &str, written_for: Option<&str>) -> ClassFacts {
    let body = json!({"provisioner": driver, "reclaimPolicy": "Delete", "volumeBindingMode": "WaitForFirstConsumer"});
    ClassFacts { name: name.into(), driver: driver.into(), written_for: written_for.map(Into::into), body, ..ClassFacts::default() }
}

fn stocked(storage: &Value) -> Value {
    cloud(&json!({"storage": storage}))
}

/// Clouds, storage classes that are there, and classes that belong to a cloud in the end.
type Stock<'a> = (&'static str, Vec<(&'static str, Value)>, Vec<ClassFacts>, &'a [(&'static str, &'static str)]);

fn stocks() -> Vec<Stock<'static>> {
    let written = |name: &str| stocked(&json!([{"name": name, "provisioner": "csi"}]));
    let existing = |name: &str| stocked(&json!([{"existingClass": name, "provisioner": "csi"}]));
    vec![
        (
            "what is named as existing stays, whoever wrote it",
            vec![("a", existing("a-b"))],
            vec![class("a-b", "csi", Some("a"))],
            &[("a-b", "a")],
        ),
        ("and for whomever", vec![("a", existing("x-b"))], vec![class("x-b", "csi", Some("x"))], &[("x-b", "a")]),
        (
            "what a cloud left behind is in nobody's way",
            vec![("a", written("b-c"))],
            vec![class("a-b-c", "csi", Some("a-b"))],
            &[("a-b-c", "a")],
        ),
        ("what is somebody else's is", vec![("a", written("b-c"))], vec![class("a-b-c", "csi", None)], &[]),
        ("two clouds that ask for one class get none", vec![("a", written("b-c")), ("a-b", written("c"))], vec![], &[]),
        ("one that asks and one that says it is there too", vec![("a", written("b")), ("b", existing("a-b"))], vec![], &[]),
        (
            "a class whose volumes people make is of another driver",
            vec![("a", existing("local"))],
            vec![class("local", "kubernetes.io/no-provisioner", None)],
            &[],
        ),
        ("a class that is altered is written again", vec![("a", written("b"))], vec![class("a-b", "nfs", Some("a"))], &[("a-b", "a")]),
    ]
}

#[test]
fn classes_that_were_once_seen_in_two_ways_are_seen_in_one() {
    for (sentence, clouds, classes, expected) in stocks() {
        let mut scene = scene(&clouds, &[("l", level(&json!({})))]);
        scene.objects.classes[0] = classes;
        assert_eq!(differences(&scene), [""; 0], "{sentence}");
        let settled = built(&scene.objects).settle(scene.now);
        let found = settled.0.clearance().unwrap().spec.storage_classes.clone();
        let expected: BTreeMap<String, String> = expected.iter().map(|(class, cloud)| ((*class).to_owned(), (*cloud).to_owned())).collect();
        assert_eq!(found, expected, "{sentence}");
    }
}

#[test]
fn a_snapshot_class_of_which_a_cloud_says_two_things_is_nobodys() {
    let lists = json!([{"driver": "csi", "classes": ["snap"]}, {"driver": "nfs", "classes": ["snap"]}]);
    let mut scene = scene(&[("a", cloud(&json!({"snapshots": lists})))], &[]);
    scene.objects.classes[1] = vec![class("snap", "csi", None)];
    assert_eq!(differences(&scene), [""; 0]);
    assert!(plan(&built(&scene.objects).0, scene.now).clearance.volume_snapshot_classes.is_empty());
}
