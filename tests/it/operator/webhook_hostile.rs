//! What reaches the webhook and is from no API server: anybody may ask it.

use http::Method;
use serde_json::{Value, json};

use super::webhook::{ask, told, world};
use crate::cluster::{apply, wait_until};

fn review(namespace: &str, object: &str) -> Vec<u8> {
    let request = format!(r#"{{"uid": "u", "namespace": "{namespace}", "object": {object}}}"#);
    format!(r#"{{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {request}}}"#).into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_a_malformed_object_is_told_so() {
    let world = world("webhook-malformed", &["--probe-every", "600s"]).await;
    let declaration = json!({
        "apiVersion": "rempart.dev/v1alpha1", "kind": "DataDeclaration", "metadata": {"name": "whole", "namespace": "open"},
        "spec": {"level": "restreint"},
    });
    apply(&world.admin, &[declaration]).await;
    let client = told(&world).await;
    wait_until("the declaration is known", async || {
        let (_, body) = ask(&client, Method::POST, "/rempart-declared", review("open", r#"{"metadata": {}, "spec": {}}"#)).await?;
        let answer: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        if answer["response"]["patchType"] == "JSONPatch" { Ok(()) } else { Err(answer.to_string()) }
    })
    .await;
    for selector in [r#""x""#, "[1]", "1", r#"{"a": 1}"#] {
        let object = format!(r#"{{"metadata": {{}}, "spec": {{"nodeSelector": {selector}}}}}"#);
        assert_eq!(ask(&client, Method::POST, "/rempart-declared", review("open", &object)).await.map(|(status, _)| status), Ok(400));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_object_takes_little_more_memory_than_its_text() {
    let world = world("webhook-large", &["--probe-every", "600s"]).await;
    let client = told(&world).await;
    // Nobody knows the namespace, so that each is waited for.
    let large =
        |item: &str| format!(r#"{{"spec": {{"containers": [{}{item}]}}}}"#, format!("{item},").repeat(4_000_000 / (item.len() + 1)));
    let before = world.memory_kib("VmHWM");
    for object in [large(r#"{"":0}"#), large("[]")] {
        let ask = || ask(&client, Method::POST, "/rempart-pod-selector", review("nowhere", &object));
        let (one, other) = tokio::join!(ask(), ask());
        assert_eq!((one.map(|(status, _)| status), other.map(|(status, _)| status)), (Ok(200), Ok(200)));
    }
    let took = world.memory_kib("VmHWM") - before;
    println!("two requests of 4 MB took {took} KiB at most");
    assert!(took < 64 * 1024, "{took} KiB");
}
