//! With the feature `otel`, what the operator does is sent to a collector as spans.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use prost::Message;
use tokio::net::TcpListener;

use super::world::{World, qualified_cloud, restreint};
use crate::cluster::{apply, wait_until};

/// As much of OTLP as is asked for here.
#[derive(Clone, PartialEq, Message)]
struct Traces {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<OfResource>,
}

#[derive(Clone, PartialEq, Message)]
struct OfResource {
    #[prost(bytes = "vec", tag = "1")]
    resource: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<OfScope>,
}

#[derive(Clone, PartialEq, Message)]
struct OfScope {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(bytes = "vec", tag = "2")]
    id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(bytes = "vec", repeated, tag = "9")]
    attributes: Vec<Vec<u8>>,
}

/// A collector, and what it has collected.
async fn collector() -> (String, Arc<Mutex<Vec<OfResource>>>) {
    let collected = Arc::new(Mutex::new(Vec::new()));
    let kept = collected.clone();
    let take = async move |body: Bytes| match Traces::decode(body) {
        Ok(traces) => {
            kept.lock().unwrap().extend(traces.resources);
            StatusCode::OK
        }
        Err(_) => StatusCode::BAD_REQUEST,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/v1/traces", post(take))).await });
    (url, collected)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_does_is_sent_to_a_collector() {
    let (url, collected) = collector().await;
    let world = World::installed("traces").await;
    let log = File::create(world.cluster.dir().join("operator.log")).unwrap();
    let mut command = world.command();
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", url).env("OTEL_BSP_SCHEDULE_DELAY", "200").stdout(Stdio::null()).stderr(log);
    let mut operator = command.spawn().expect("the operator starts");
    world.wait_for_log("the guard holds").await;
    world.cluster.history().promise(&[]);
    apply(&world.admin, &[qualified_cloud("snc"), restreint()]).await;
    world.nodes("snc", 1, "snc").await;
    world.wait_nodes("snc", "restreint", true).await;
    let wanted = BTreeSet::from(["apply", "lease", "plan", "probe", "round", "write"]);
    wait_until("spans of everything are collected", async || {
        let names: BTreeSet<String> = spans(&collected).into_iter().map(|span| span.name).collect();
        if wanted.iter().all(|name| names.contains(*name)) { Ok(()) } else { Err(names) }
    })
    .await;

    // What is not sent yet is sent when it ends.
    let mut asked = Command::new("kill");
    assert!(asked.arg(operator.id().to_string()).status().expect("kill is everywhere").success());
    assert_eq!(operator.wait().unwrap().code(), Some(0));
    let all = spans(&collected);
    let named: BTreeMap<Vec<u8>, &str> = all.iter().map(|span| (span.id.clone(), span.name.as_str())).collect();
    for (child, parent) in [("plan", "round"), ("apply", "round"), ("write", "apply")] {
        let of: Vec<_> = all.iter().filter(|span| span.name == child).map(|span| named.get(&span.parent)).collect();
        assert!(!of.is_empty() && of.iter().all(|found| *found == Some(&parent)), "{child} belongs to {parent}: {of:?}");
    }
    let says = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    let labels = all.iter().filter(|span| span.name == "write" && span.attributes.iter().any(|attribute| says(attribute, "Node/snc-1")));
    assert!(labels.count() > 0, "a write names what is written");
    let resources = collected.lock().unwrap().clone();
    assert!(resources.iter().all(|of| says(&of.resource, "service.name") && says(&of.resource, "rempart")), "and everything its service");
}

fn spans(collected: &Mutex<Vec<OfResource>>) -> Vec<Span> {
    let collected = collected.lock().unwrap();
    collected.iter().flat_map(|of| &of.scopes).flat_map(|scope| scope.spans.clone()).collect()
}
