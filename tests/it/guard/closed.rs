//! Everything in the table, one after the other.

use http::Method;
use kube::api::{Patch, PatchParams};
use rempart::guard::{AdmissionObject, Kind, Settings, policies};
use serde_json::{Value, json};

use super::cases::cases;
use super::world::{Clients, QUIET, Who, guard};
use crate::cluster::{api_of, apply, send, wait_until};

#[tokio::test(flavor = "multi_thread")]
async fn every_way_around_is_closed_and_every_rightful_use_works() {
    let cluster = &*QUIET.ready().await;
    let clients = Clients::of(cluster).await;
    let mut wrong = Vec::new();
    let all = cases();
    for case in &all {
        if let Err(deviation) = case.holds(cluster, &clients).await {
            wrong.push(deviation.text);
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases went otherwise:\n{}", wrong.len(), all.len(), wrong.join("\n"));
}

/// An API server compares validations with the types of what they concern, and notes what cannot be right. Variables it does not
/// look at by themselves, so here each of them is a validation.
#[tokio::test(flavor = "multi_thread")]
async fn the_types_of_every_expression_are_right() {
    let cluster = &*QUIET.ready().await;
    let clients = Clients::of(cluster).await;
    let admin = clients.client(Who::Admin);
    let of_the_guard = guard().into_iter().filter(|object| object.kind == Kind::ValidatingPolicy);
    for AdmissionObject { name, mut object, .. } in of_the_guard {
        let expressions = ["matchConditions", "variables"].map(|field| object["spec"][field].as_array().cloned().unwrap_or_default());
        let checked = expressions
            .iter()
            .flatten()
            .map(|item| json!({"expression": format!("dyn({}) == null || true", item["expression"].as_str().unwrap_or_default())}));
        let validations: Vec<Value> =
            object["spec"]["validations"].as_array().cloned().unwrap_or_default().into_iter().chain(checked).collect();
        object["metadata"]["name"] = format!("types-of-{name}").into();
        object["spec"]["validations"] = validations.into();
        apply(admin, &[object]).await;
        let path = format!("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/types-of-{name}");
        let status = wait_until("it was looked at", async || {
            let policy = send(admin, Method::GET, &path, None).await.map_err(|error| error.to_string())?.accepted()?;
            if policy["status"]["observedGeneration"] == policy["metadata"]["generation"] {
                Ok(policy["status"].clone())
            } else {
                Err("not yet".to_owned())
            }
        })
        .await;
        assert_eq!(status["typeChecking"], json!({}), "{name}");
    }
}

/// However large the fleet is: an API server takes expressions of 100,000 characters.
#[tokio::test(flavor = "multi_thread")]
async fn the_text_of_a_large_fleet_is_accepted() {
    let cluster = &*QUIET.ready().await;
    let clients = Clients::of(cluster).await;
    let long = |kind: &str, i: usize| format!("{kind}{i:0>width$}", width = 63 - kind.len());
    let many = |kind: &str, count: usize| -> Vec<String> { (0..count).map(|i| long(kind, i)).collect() };
    let to = |names: Vec<String>, value: &str| names.into_iter().map(|name| (name, value.repeat(63))).collect();
    let fleet = Settings {
        classes: to(many("class", 2_000), "c"),
        snapshot_classes: many("snapshots", 200).into_iter().collect(),
        attributes_classes: many("attributes", 200).into_iter().collect(),
        attributes_clouds: to(many("attributes", 200), "c"),
        cleared: many("cloud", 100).into_iter().map(|cloud| (cloud, many("level", 10).into_iter().collect())).collect(),
        drivers: many("driver", 100).into_iter().collect(),
        exclusive_drivers: many("driver", 100).into_iter().collect(),
        named_otherwise: many("class", 200).into_iter().collect(),
        namespaces: to(many("namespace", 5_000), "l"),
        ..Settings::default()
    };
    let dry = PatchParams { dry_run: true, ..PatchParams::apply("test").force() };
    for object in policies(&fleet) {
        let written = api_of(clients.client(Who::Operator), &object.object).patch(&object.name, &dry, &Patch::Apply(&object.object)).await;
        assert!(written.is_ok(), "{}: {}", object.key(), written.unwrap_err().to_string().chars().take(2_000).collect::<String>());
    }
}
