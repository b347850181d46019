//! Classes, and what clouds say of them; claims, their volumes, and what those are attached to.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::{CLOUDS, NAMESPACES, mostly};
use crate::api::names::QUOTA;
use crate::placement::{AttachmentFacts, ClaimFacts, ClassFacts, QuotaFacts, VolumeFacts};

/// What clouds ask the operator for. `alps` with `sud-block` and `alps-sud` with `block` are the same class.
const WRITTEN: [&str; 3] = ["block", "file", "sud-block"];

/// Classes of others that clouds may name.
const FOREIGN: [&str; 5] = ["legacy-alps", "legacy-brie", "legacy-caux", "shared", "standard"];

/// The longest name of a class that a quota can count, and one that is longer.
fn long() -> impl Strategy<Value = String> {
    select(vec!["c".repeat(225), "u".repeat(226)])
}

/// Classes of snapshots and of attributes.
const OTHERS: [&str; 4] = ["of-alps", "of-brie", "of-caux", "shared"];

const DISK: &str = "disk.example";
const DRIVERS: [&str; 3] = ["file.example", NOBODY, "other.example"];

/// Of classes whose volumes people make: `local-<cloud>`.
const NOBODY: &str = "kubernetes.io/no-provisioner";

/// Mostly the same, so that what is of one cloud meets.
fn cloud() -> impl Strategy<Value = &'static str> {
    mostly(60, CLOUDS[0], &CLOUDS[1..])
}

fn driver() -> impl Strategy<Value = &'static str> {
    mostly(85, DISK, DRIVERS)
}

/// `storage`, `snapshots` and `volumeAttributes` of a cloud.
pub(super) fn of_cloud(name: &'static str) -> BoxedStrategy<[Value; 3]> {
    let own = prop_oneof![5 => Just(vec![WRITTEN[0]]), 5 => subsequence(WRITTEN.to_vec(), 0..=3)];
    let existing = prop_oneof![
        12 => Just(vec![]),
        6 => Just(vec![format!("legacy-{name}")]),
        8 => Just(vec![format!("local-{name}")]),
        1 => Just(vec!["not-there".to_owned()]),
        1 => long().prop_map(|class| vec![class]),
        2 => select(vec!["shared", "standard"]).prop_map(|class| vec![class.to_owned()]),
        2 => (select(&CLOUDS[..]), select(&WRITTEN[..])).prop_map(|(cloud, class)| vec![format!("{cloud}-{class}")]),
        1 => select(&WRITTEN[..]).prop_map(move |class| vec![format!("{name}-{class}")]),
    ];
    let twice = prop::bool::weighted(0.02);
    let storage = (own, existing, twice).prop_flat_map(|(own, existing, twice)| {
        let own = own.into_iter().map(|class| written(class).boxed());
        let existing = existing.into_iter().map(|class| existing_class(class).boxed());
        let mut entries: Vec<BoxedStrategy<Value>> = own.chain(existing).collect();
        entries.extend(entries.first().cloned().filter(|_| twice));
        entries
    });
    (storage, listed(name), listed(name)).prop_map(|(storage, snapshots, attributes)| [storage.into(), snapshots, attributes]).boxed()
}

fn uses() -> impl Strategy<Value = Value> {
    let exclusive = mostly(80, json!({}), [json!({"driverUse": "Exclusive"})]);
    let names = mostly(90, json!({}), [json!({"volumeNames": "Any"})]);
    (exclusive, names).prop_map(|(exclusive, names)| joined([exclusive, names]))
}

fn written(class: &'static str) -> impl Strategy<Value = Value> {
    let more = prop_oneof![
        8 => Just(json!({})),
        1 => Just(json!({"parameters": {"type": "ssd"}})),
        1 => Just(json!({"reclaimPolicy": "Retain", "mountOptions": ["ro"]})),
        1 => Just(json!({"reclaimPolicy": "Delete", "allowVolumeExpansion": true})),
        1 => Just(json!({"allowVolumeExpansion": false})),
        1 => Just(json!({"allowedTopologies": [{"matchLabelExpressions": [{"key": "disk.example/zone", "values": ["1"]}]}]})),
    ];
    (driver(), more, uses()).prop_map(move |(driver, more, uses)| joined([json!({"name": class, "provisioner": driver}), more, uses]))
}

fn existing_class(class: String) -> impl Strategy<Value = Value> {
    let driver = if class.starts_with("local-") { Just(NOBODY).boxed() } else { driver().boxed() };
    (driver, uses()).prop_map(move |(driver, uses)| joined([json!({"existingClass": class, "provisioner": driver}), uses]))
}

fn listed(name: &str) -> impl Strategy<Value = Value> + use<> {
    let classes = prop_oneof![8 => Just(vec![format!("of-{name}")]), 1 => Just(vec!["shared".to_owned(), format!("of-{name}")])];
    let list = (driver(), classes).prop_map(|(driver, classes)| json!({"driver": driver, "classes": classes}));
    prop_oneof![3 => Just(json!([])), 2 => vec(list, 1..3).prop_map(Value::from)]
}

fn joined<const N: usize>(objects: [Value; N]) -> Value {
    let fields = objects.into_iter().flat_map(|object| object.as_object().unwrap().clone());
    Value::Object(fields.collect())
}

/// What a level says of storage.
pub(super) fn of_level() -> impl Strategy<Value = Value> {
    let unset = option::weighted(0.3, select(vec!["alps-block", "alps-sud-block", "legacy-brie", "shared", "not-there"]));
    let volumes = mostly(75, "Refuse", ["Cleared"]);
    (unset, volumes, prop_oneof![3 => Just(vec![]), 1 => Just(vec!["secrets.example"])]).prop_map(|(unset, volumes, drivers)| {
        let mut storage = json!({"staticVolumes": volumes, "inlineDrivers": drivers});
        if let Some(class) = unset {
            storage["whenUnset"] = class.into();
        }
        storage
    })
}

/// A class of storage that is there: the operator's, for one of the clouds or for one that is gone, or somebody else's.
pub(super) fn class() -> BoxedStrategy<ClassFacts> {
    let ours = (prop_oneof![9 => select(&CLOUDS[..]), 1 => Just("gone")], select(&WRITTEN[..]));
    let ours = ours.prop_map(|(cloud, class)| (format!("{cloud}-{class}"), Some(cloud.to_owned())));
    let ours = (
        ours,
        prop_oneof![7 => Just(None), 1 => Just(Some(None)), 1 => select(&CLOUDS[..]).prop_map(|cloud| Some(Some(cloud.to_owned())))],
    );
    let ours = ours.prop_map(|((name, cloud), other)| (name, other.unwrap_or(cloud)));
    let foreign = prop_oneof![6 => select(&FOREIGN[..]).prop_map(ToOwned::to_owned), 1 => long()];
    let foreign = (foreign, option::weighted(0.05, Just("gone".to_owned())));
    let body = prop_oneof![5 => Just(json!({})), 1 => Just(json!({"parameters": {"type": "ssd"}})), 1 => Just(json!({"volumeBindingMode": "Immediate"}))];
    let driven = (prop_oneof![2 => ours, 3 => foreign], driver());
    let local = (cloud(), mostly(80, NOBODY, [DISK])).prop_map(|(cloud, driver)| ((format!("local-{cloud}"), None), driver));
    (prop_oneof![4 => driven, 1 => local], body, prop::bool::weighted(0.1))
        .prop_map(|(((name, written_for), driver), more, default)| {
            let body = json!({"provisioner": driver, "reclaimPolicy": "Delete", "volumeBindingMode": "WaitForFirstConsumer"});
            ClassFacts { uid: name.clone(), name, driver: driver.to_owned(), written_for, default, body: joined([body, more]) }
        })
        .boxed()
}

/// Classes of storage, of snapshots and of attributes.
pub(super) fn classes() -> BoxedStrategy<[Vec<ClassFacts>; 3]> {
    let other = || {
        let class = (select(&OTHERS[..]), driver()).prop_map(|(name, driver)| ClassFacts {
            name: name.to_owned(),
            uid: name.to_owned(),
            driver: driver.to_owned(),
            ..ClassFacts::default()
        });
        vec(class, 0..3)
    };
    (vec(class(), 0..9), other(), other()).prop_map(Into::into).boxed()
}

fn class_name() -> BoxedStrategy<String> {
    let ours = (cloud(), mostly(80, "block", ["file", "sud-block"])).prop_map(|(cloud, class)| format!("{cloud}-{class}"));
    let local = cloud().prop_map(|cloud| format!("local-{cloud}"));
    prop_oneof![4 => ours, 2 => local, 1 => select(vec!["legacy-alps", "legacy-brie", "legacy-caux", "shared", "standard", "not-there"]).prop_map(ToOwned::to_owned)].boxed()
}

const VOLUMES: usize = 8;

fn volume_name() -> impl Strategy<Value = String> {
    (0..VOLUMES).prop_map(|number| format!("volume-{number}"))
}

pub(super) fn volumes() -> BoxedStrategy<BTreeMap<String, VolumeFacts>> {
    let driver = prop_oneof![10 => Just(Some(DISK)), 1 => Just(None), 2 => select(&DRIVERS[..]).prop_map(Some)];
    let pinned = prop_oneof![3 => Just(true), 3 => Just(false)];
    let elsewhere = option::weighted(0.3, select(&CLOUDS[..]));
    let volume = (option::weighted(0.95, class_name()), driver, pinned, elsewhere).prop_map(|(class, driver, pinned, elsewhere)| {
        let own = || CLOUDS.iter().rev().find(|cloud| class.as_ref().is_some_and(|class| class.starts_with(**cloud))).filter(|_| pinned);
        let pinned = elsewhere.or_else(|| own().copied()).map(ToOwned::to_owned);
        VolumeFacts { class, driver: driver.map(ToOwned::to_owned), pinned }
    });
    prop_oneof![1 => vec(volume.clone(), 0..VOLUMES), 2 => vec(volume, VOLUMES)]
        .prop_map(|found| found.into_iter().enumerate().map(|(number, volume)| (format!("volume-{number}"), volume)).collect())
        .boxed()
}

pub(super) fn claims() -> BoxedStrategy<Vec<ClaimFacts>> {
    let created = option::of((0..3i64).prop_map(|hour| Timestamp::from_second(hour * 3_600).unwrap()));
    let claim = (select(&NAMESPACES[..]), option::of(class_name()), option::weighted(0.9, volume_name()), 0..1u64 << 40, created);
    vec(claim, 0..30)
        .prop_map(|found| {
            let claims = found.into_iter().enumerate().map(|(number, (namespace, class, volume, bytes, created))| {
                let name = format!("claim-{number}");
                ClaimFacts { namespace: namespace.to_owned(), name, class, volume, bytes, created }
            });
            claims.collect()
        })
        .boxed()
}

pub(super) fn attachments() -> BoxedStrategy<Vec<AttachmentFacts>> {
    let volume = prop_oneof![volume_name(), (0..2).prop_map(|number| format!("volume-{number}"))];
    let attachment = (volume, 0..9).prop_map(|(volume, node)| AttachmentFacts { volume, node: format!("node-{node}") });
    vec(attachment, 0..7).boxed()
}

pub(super) fn quota() -> BoxedStrategy<QuotaFacts> {
    let class = prop_oneof![3 => class_name(), 1 => Just("not-there".to_owned())];
    let limit = (class, mostly(80, "0", ["5"]));
    let limit =
        limit.prop_map(|(class, number)| (format!("{class}.storageclass.storage.k8s.io/persistentvolumeclaims"), number.to_owned()));
    (select(&NAMESPACES[..]), vec(limit, 0..4), prop::bool::weighted(0.2))
        .prop_map(|(namespace, limits, scoped)| QuotaFacts {
            namespace: namespace.to_owned(),
            name: QUOTA.to_owned(),
            uid: namespace.to_owned(),
            hard: limits.into_iter().collect(),
            scoped,
        })
        .boxed()
}
