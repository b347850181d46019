//! Nodes, namespaces, declarations and pods.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::{CLOUDS, LEVELS, NAMESPACES, Spec, ZONES, days, mostly, mostly_read};
use crate::api::names::{NODE_CLOUD, SENSITIVITY, clearance_label};
use crate::placement::{NamespaceFacts, NodeFacts, PodFacts};

pub(super) fn nodes() -> BoxedStrategy<Vec<NodeFacts>> {
    let provider = prop_oneof![
        20 => select(&CLOUDS[..]).prop_map(|cloud| Some(format!("kwok://{cloud}/n"))),
        3 => Just(None),
        1 => select(vec!["alps", "kwok://alps/n1", "kwok://alps/n\n", "xkwok://brie/n", "kwok://CAUX/n", "kwok://nowhere/n", ""])
            .prop_map(|id| Some(id.to_owned())),
    ];
    let label = prop_oneof![
        6 => select(vec!["a", "b", "c"]).prop_map(|zone| ("zone".to_owned(), zone.to_owned())),
        2 => Just(("rack".to_owned(), "1".to_owned())),
        1 => select(&LEVELS[..]).prop_map(|level| (clearance_label(level), "cleared".to_owned())),
        1 => select(&CLOUDS[..]).prop_map(|cloud| (NODE_CLOUD.to_owned(), cloud.to_owned())),
        1 => Just((clearance_label("gone"), "maybe".to_owned())),
    ];
    vec((provider, vec(label, 0..3)), 0..9)
        .prop_map(|found| {
            let nodes = found.into_iter().enumerate().map(|(number, (provider_id, labels))| {
                let name = format!("node-{number}");
                NodeFacts { uid: name.clone(), name, provider_id, labels: labels.into_iter().collect() }
            });
            nodes.collect()
        })
        .boxed()
}

pub(super) fn namespaces() -> BoxedStrategy<Vec<NamespaceFacts>> {
    let each: Vec<_> =
        NAMESPACES.iter().map(|name| (Just(*name), level_label(), prop::bool::weighted(0.1), prop::bool::weighted(0.9))).collect();
    each.prop_map(|found| {
        let there = found.into_iter().filter(|(.., there)| *there);
        let namespaces = there.map(|(name, level, deleting, _)| {
            let level = level.filter(|_| name != "kube-system");
            let labels = level.map(|level| (SENSITIVITY.to_owned(), level.to_owned())).into_iter().collect();
            NamespaceFacts { name: name.to_owned(), uid: name.to_owned(), labels, deleting }
        });
        namespaces.collect()
    })
    .boxed()
}

fn level_label() -> impl Strategy<Value = Option<&'static str>> {
    prop_oneof![10 => Just(None), 10 => select(&LEVELS[..]).prop_map(Some), 1 => select(vec!["nowhere", ""]).prop_map(Some)]
}

pub(super) fn declarations(day: Date) -> BoxedStrategy<BTreeMap<(String, String), Option<Spec>>> {
    let key = (select(&NAMESPACES[..]), select(vec!["first", "second", "third"])).prop_map(|(a, b)| (a.to_owned(), b.to_owned()));
    let level = mostly(95, None, [Some("nowhere")]);
    let workloads =
        option::weighted(0.5, select(vec![json!({"app": "api"}), json!({"app": "db"}), json!({"app": "api", "tier": "front"})]));
    let zone = prop_oneof![20 => select(&ZONES[..]), 1 => Just("Mars/Base")];
    let review = option::of(days(day, &[-2, -1, 0, 1, 2]));
    let spec = (select(&LEVELS[..]), level, workloads, review, zone).prop_map(|(level, unknown, workloads, review, zone)| {
        let mut spec = json!({"level": unknown.unwrap_or(level), "timeZone": zone});
        if let Some(labels) = workloads {
            spec["workloads"] = json!({"matchLabels": labels});
        }
        if let Some(day) = review {
            spec["reviewBy"] = day.into();
        }
        spec
    });
    btree_map(key, mostly_read(spec), 0..5).boxed()
}

pub(super) fn pods() -> BoxedStrategy<Vec<PodFacts>> {
    let node = prop_oneof![8 => (0..9).prop_map(|number| Some(format!("node-{number}"))), 2 => Just(None)];
    let app = option::of(select(vec!["api", "db", "web"]));
    let created = option::of((0..3i64).prop_map(|hour| Timestamp::from_second(hour * 3_600).unwrap()));
    let states = (prop::bool::weighted(0.1), prop::bool::weighted(0.1), created);
    let pod = (select(&NAMESPACES[..]), node, level_label(), app, option::of(Just("front")), states);
    vec(pod, 0..10)
        .prop_map(|found| {
            let pods = found.into_iter().enumerate().map(|(number, (namespace, node, level, app, tier, (finished, deleting, created)))| {
                let labels = [(SENSITIVITY, level), ("app", app), ("tier", tier)];
                let labels = labels.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned()))).collect();
                let name = format!("pod-{number}");
                PodFacts {
                    namespace: namespace.to_owned(),
                    uid: name.clone(),
                    name,
                    labels,
                    node,
                    finished,
                    created,
                    deleting,
                    ..PodFacts::default()
                }
            });
            pods.collect()
        })
        .boxed()
}
