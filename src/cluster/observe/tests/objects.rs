//! Objects of Kubernetes as an API server may hold them, whatever is written into what is not checked.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::string::string_regex;
use serde_json::{Map, Value, json};

use super::schema::{NAMES, instant, text};
use crate::api::names::{DECLARED, NODE_CLOUD, SENSITIVITY, TOUCHED, clearance_label};

/// The fields that are there.
fn object(fields: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let fields: Vec<_> = fields.into_iter().map(|(name, value)| (Just(name), option::weighted(0.8, value))).collect();
    fields
        .prop_map(|fields| fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect::<Map<_, _>>().into())
        .boxed()
}

/// A name that the rules of our kinds let through; the API server has kept to them from the first.
pub(super) fn label() -> BoxedStrategy<String> {
    let any = string_regex("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?").unwrap();
    prop_oneof![6 => select(&NAMES[..]).prop_map(ToOwned::to_owned), 1 => any].boxed()
}

/// A name that Kubernetes would or would not take.
pub(super) fn name() -> BoxedStrategy<String> {
    prop_oneof![6 => select(&NAMES[..]).prop_map(ToOwned::to_owned), 1 => Just("kube-system".to_owned()), 1 => text(0, 253)].boxed()
}

fn json_text() -> BoxedStrategy<Value> {
    text(0, 300).prop_map(Value::from).boxed()
}

/// Labels, ours among them, with values that Kubernetes would and would not take.
fn labels() -> BoxedStrategy<Value> {
    let ours = [SENSITIVITY, DECLARED, NODE_CLOUD, TOUCHED].map(ToOwned::to_owned).into_iter().chain(NAMES.map(clearance_label));
    let key = prop_oneof![6 => select(ours.collect::<Vec<_>>()), 1 => text(0, 317), 1 => Just(clearance_label(""))];
    let value = prop_oneof![3 => select(&NAMES[..]).prop_map(ToOwned::to_owned), 1 => Just("cleared".to_owned()), 1 => text(0, 63)];
    btree_map(key, value, 0..4).prop_map(|labels| json!(labels)).boxed()
}

/// Metadata of an object, with or without what an API server always sets.
pub(super) fn metadata(namespaced: bool, named: BoxedStrategy<String>) -> BoxedStrategy<Value> {
    let owner = (name(), text(0, 63), option::of(any::<bool>()))
        .prop_map(|(name, kind, controller)| json!({"apiVersion": "v1", "kind": kind, "name": name, "uid": "u", "controller": controller}));
    let time = || instant().prop_filter_map("an API server writes times that it can read", readable).boxed();
    let fields = vec![
        ("uid", json_text()),
        ("resourceVersion", json_text()),
        ("generation", any::<i64>().prop_map(Value::from).boxed()),
        ("labels", labels()),
        ("annotations", labels()),
        ("creationTimestamp", time()),
        ("finalizers", vec(json_text(), 0..3).prop_map(Value::Array).boxed()),
        ("ownerReferences", vec(owner, 0..3).prop_map(Value::Array).boxed()),
    ];
    let deletion = option::weighted(0.2, time());
    (object(fields), named, name(), deletion)
        .prop_map(move |(mut metadata, name, namespace, deletion)| {
            metadata["name"] = name.into();
            if namespaced {
                metadata["namespace"] = namespace.into();
            }
            if let Some(deletion) = deletion {
                metadata["deletionTimestamp"] = deletion;
            }
            metadata
        })
        .boxed()
}

fn readable(text: String) -> Option<Value> {
    let is_one = text.parse::<jiff::Timestamp>().is_ok();
    is_one.then_some(Value::String(text))
}

pub(super) fn node() -> BoxedStrategy<Value> {
    let id = prop_oneof![3 => select(&NAMES[..]).prop_map(|cloud| Value::from(format!("kwok://{cloud}/n"))), 1 => json_text()].boxed();
    let spec = object(vec![("providerID", id), ("podCIDR", json_text())]);
    whole(metadata(false, name()), vec![("spec", spec), ("status", object(vec![("phase", json_text())]))])
}

pub(super) fn namespace() -> BoxedStrategy<Value> {
    whole(metadata(false, name()), vec![("spec", object(vec![("finalizers", labels())])), ("status", object(vec![("phase", json_text())]))])
}

pub(super) fn pod() -> BoxedStrategy<Value> {
    let node = name().prop_map(Value::from).boxed();
    let phase = prop_oneof![select(vec!["Pending", "Running", "Succeeded", "Failed"]).prop_map(Value::from), json_text()].boxed();
    let spec = object(vec![("nodeName", node), ("nodeSelector", labels()), ("schedulerName", json_text())]);
    whole(metadata(true, name()), vec![("spec", spec), ("status", object(vec![("phase", phase)]))])
}

pub(super) fn daemon_set() -> BoxedStrategy<Value> {
    let template = object(vec![("metadata", metadata(false, name())), ("spec", object(vec![("nodeSelector", labels())]))]);
    whole(metadata(true, name()), vec![("spec", object(vec![("template", template)]))])
}

/// A quantity, or what was stored as one before anybody looked.
fn quantities() -> BoxedStrategy<Value> {
    let quantity =
        prop_oneof![select(vec!["40Gi", "1.5T", "1e3", "100m"]).prop_map(Value::from), any::<i64>().prop_map(Value::from), json_text()];
    btree_map(Just("storage".to_owned()), quantity, 0..2).prop_map(|found| json!(found)).boxed()
}

fn named() -> BoxedStrategy<Value> {
    name().prop_map(Value::from).boxed()
}

pub(super) fn claim() -> BoxedStrategy<Value> {
    let resources = object(vec![("requests", quantities())]);
    let spec = object(vec![("storageClassName", named()), ("volumeName", named()), ("resources", resources)]);
    whole(metadata(true, name()), vec![("spec", spec), ("status", object(vec![("capacity", quantities())]))])
}

pub(super) fn volume() -> BoxedStrategy<Value> {
    let values = vec(named(), 0..3).prop_map(Value::Array).boxed();
    let key = prop_oneof![Just(Value::from(NODE_CLOUD)), json_text()].boxed();
    let operator = prop_oneof![Just(Value::from("In")), json_text()].boxed();
    let expressions = vec(object(vec![("key", key), ("operator", operator), ("values", values)]), 0..3).prop_map(Value::Array).boxed();
    let terms = vec(object(vec![("matchExpressions", expressions)]), 0..3).prop_map(Value::Array).boxed();
    let affinity = object(vec![("required", object(vec![("nodeSelectorTerms", terms)]))]);
    let affinity = prop_oneof![3 => affinity, 1 => json_text()].boxed();
    let csi = object(vec![("driver", named())]);
    whole(metadata(false, name()), vec![("spec", object(vec![("storageClassName", named()), ("csi", csi), ("nodeAffinity", affinity)]))])
}

pub(super) fn attachment() -> BoxedStrategy<Value> {
    let source = object(vec![("persistentVolumeName", named())]);
    whole(metadata(false, name()), vec![("spec", object(vec![("nodeName", named()), ("source", source)]))])
}

pub(super) fn quota() -> BoxedStrategy<Value> {
    let scopes = vec(json_text(), 0..2).prop_map(Value::Array).boxed();
    whole(metadata(true, name()), vec![("spec", object(vec![("hard", quantities()), ("scopes", scopes)]))])
}

/// A class of any kind, ours or not.
pub(super) fn class() -> BoxedStrategy<Value> {
    let names: Vec<String> = NAMES.iter().flat_map(|cloud| NAMES.map(|class| format!("{cloud}-{class}"))).collect();
    let name = prop_oneof![select(names), name()].boxed();
    let fields = ["provisioner", "driver", "driverName"].map(|field| (field, named())).into_iter();
    whole(metadata(false, name), fields.chain([("parameters", labels())]).collect())
}

fn whole(metadata: BoxedStrategy<Value>, fields: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    (metadata, object(fields))
        .prop_map(|(metadata, mut object)| {
            object["metadata"] = metadata;
            object
        })
        .boxed()
}
