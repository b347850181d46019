//! What an operator does that has nothing to do: it watches, sees for itself that the guard holds, and puts off the end of the
//! clearances and renews its lease. Nothing else, however long it takes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::input::essence;
use super::world::{World, interne, level, merged, namespace, plain_cloud, pod, qualified_cloud, restreint};
use crate::cluster::{apply, wait_until};
use crate::rights::OPERATOR;

/// What the operator asked for since the audit log had `from` lines about it, by what it is good for.
fn requests(world: &World, from: usize) -> BTreeMap<&'static str, Vec<String>> {
    let mut found: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for line in &world.cluster.audited(OPERATOR)[from..] {
        let entry: Value = serde_json::from_str(line).expect("a line is an event");
        let (verb, uri) = (entry["verb"].as_str().unwrap_or_default(), entry["requestURI"].as_str().unwrap_or_default());
        let kind = match (verb, uri.split_once('?').unwrap_or((uri, ""))) {
            ("watch", _) => "watch",
            // A kind that is not served is asked for as often as a watch ends.
            ("list", (path, _)) if path.ends_with("/volumesnapshotclasses") => "watch",
            ("create", (path, "dryRun=All")) if path.contains("/namespaces/rempart-canary/") => "probe",
            ("get", ("/apis/admissionregistration.k8s.io/v1", _)) => "served",
            // Each probe begins with the addresses of the API servers, and so does each look at what they serve.
            ("get", ("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes", _)) => "addresses",
            ("patch", ("/apis/rempart.dev/v1alpha1/clearances/cluster", _)) => "renewal",
            // That of a level says until when it is accepted.
            ("patch", ("/apis/rempart.dev/v1alpha1/sensitivitylevels/short/status", _)) => "status",
            ("update", ("/apis/coordination.k8s.io/v1/namespaces/rempart-system/leases/rempart", _)) => "lease",
            _ => "other",
        };
        found.entry(kind).or_default().push(format!("{verb} {uri}"));
    }
    found
}

/// Something of everything, settled; one level is renewed every half minute.
async fn furnished(name: &str) -> World {
    let mut world = World::installed(name).await;
    world.launch_with(&["--probe-every", "2s"]);
    let short = level("short", json!({"locations": {"storage": ["EEA"]}}), json!({"unattendedFor": "1m"}));
    let watched = merged(interne(), json!({"metadata": {"name": "watched"}, "spec": {"enforcement": "Warn"}}));
    apply(&world.admin, &[qualified_cloud("snc"), plain_cloud("aws"), restreint(), interne(), short, watched]).await;
    world.nodes("snc", 2, "snc").await;
    world.nodes("aws", 2, "aws").await;
    world.wait_nodes("snc", "restreint", true).await;
    let declaration = json!({
        "apiVersion": "rempart.dev/v1alpha1", "kind": "DataDeclaration", "metadata": {"name": "records", "namespace": "declared"},
        "spec": {"level": "short", "reviewBy": "2099-01-01"},
    });
    apply(&world.admin, &[namespace("secret", Some("restreint")), namespace("declared", None), declaration]).await;
    world.wait_condition("namespaces/declared/datadeclarations/records", "Enforced", "True", "").await;
    for namespace in ["secret", "declared"] {
        world.create_pod(namespace, &pod("runs")).await.accepted().unwrap();
        world.wait_pods(namespace, 1).await;
    }
    world.wait_condition("sensitivitylevels/short", "Compliant", "True", "1 pod on cleared nodes").await;
    world.settled().await;
    world
}

/// Sees that nothing else is asked for until the clearances were put off once, two probes were made, and `at_least` is over.
async fn assert_idle(world: &World, at_least: Duration) {
    let (before, from, begin) = (essence(world).await, world.cluster.audited(OPERATOR).len(), Instant::now());
    let mut not_after = world.clearance().await["levels"]["short"]["notAfter"].clone();
    let mut renewals = 0;
    while renewals == 0 || begin.elapsed() < at_least {
        not_after = wait_until("the clearance is renewed", async || {
            let now = world.clearance().await["levels"]["short"]["notAfter"].clone();
            if now == not_after { Err(now) } else { Ok(now) }
        })
        .await;
        renewals += 1;
    }
    let probes = |made: &BTreeMap<_, Vec<String>>| made.get("addresses").map_or(0, Vec::len);
    let until_then = probes(&requests(world, from));
    let made = wait_until("two probes since then, and as many looks at what is served", async || {
        let made = requests(world, from);
        if probes(&made) >= until_then + 4 && made.contains_key("served") { Ok(made) } else { Err(made) }
    })
    .await;
    let lengths: BTreeMap<_, _> = made.iter().map(|(kind, made)| (*kind, made.len())).collect();
    eprintln!("idle for {:?}: {lengths:?}", begin.elapsed());
    assert_eq!(made.get("other"), None, "an idle operator has nothing else to ask for");
    assert_eq!(lengths["renewal"], renewals, "it writes the Clearance to put off its end, and for nothing else");
    assert_eq!(lengths["status"], renewals, "each time it says so, once");
    assert_eq!(essence(world).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_operator_asks_for_nothing_but_watches_probes_and_renewals() {
    assert_idle(&furnished("idle").await, Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "soak: ten minutes"]
async fn soak_an_operator_is_idle_for_ten_minutes() {
    assert_idle(&furnished("idle-soak").await, Duration::from_mins(10)).await;
}
