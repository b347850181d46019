//! What the policies add to the creation of a claim, and how long the quotas of many namespaces take to follow a class.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use kube::Client;
use serde_json::{Value, json};

use super::admission::{Contender, compete, unlike};
use super::{Report, dry_run};
use crate::cluster::{Cluster, PATIENCE, apply, send, wait_for, wait_until};
use crate::objects::class;
use crate::operator::world::{World, merged, namespace, qualified_cloud, restreint};
use crate::rights::OPERATOR;

const SPACES: usize = 500;
const CLASSES: usize = 200;
const STORAGE_CLASSES: &str = "/apis/storage.k8s.io/v1/storageclasses";

fn claims_of(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims")
}

/// A claim that names a class, or none.
fn claim(class: Option<&str>) -> Value {
    let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    let named = class.map_or_else(|| json!({}), |class| json!({"storageClassName": class}));
    json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": merged(spec, named)})
}

fn cloud() -> Value {
    merged(qualified_cloud("snc"), json!({"spec": {"storage": [{"name": "block", "provisioner": "csi.snc.example"}]}}))
}

fn level() -> Value {
    merged(restreint(), json!({"spec": {"storage": {"whenUnset": "snc-block"}}}))
}

/// Waits until claims can be created with each of these classes.
async fn ready(client: &Client, namespace: &str, classes: &[Option<&str>]) {
    for class in classes {
        wait_until("claims can be created", async || dry_run(client, &claims_of(namespace), &claim(*class)).await.accepted()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "bench: some minutes, on a machine that does nothing else"]
async fn bench_storage() {
    let mut report = Report::new("storage");
    let (without, guarded) = (Cluster::start("bench-no-storage", &[]), Cluster::start("bench-storage", &[]));
    let (bare, with) = (without.admin().await, guarded.admin().await);
    for client in [&bare, &with] {
        apply(client, &[namespace("plain", None), class("standard", "csi.other.example")]).await;
        ready(client, "plain", &[Some("standard"), None]).await;
    }
    let contender = |client, namespace, class| Contender::of(client, claims_of(namespace), claim(class));
    let unlike = unlike(&mut report, contender(&bare, "plain", Some("standard")), contender(&with, "plain", Some("standard"))).await;

    let mut world = World::installed_on(guarded).await;
    apply(&world.admin, &[cloud(), level()]).await;
    world.start().await;
    apply(&world.admin, &[namespace("secret", Some("restreint"))]).await;
    ready(&with, "secret", &[Some("snc-block"), None]).await;
    world.settled().await;

    let [before, again, plain, secret, unset, plain_unset] = compete([
        contender(&bare, "plain", Some("standard")),
        contender(&bare, "plain", Some("standard")),
        contender(&with, "plain", Some("standard")),
        contender(&with, "secret", Some("snc-block")),
        contender(&with, "secret", None),
        contender(&with, "plain", None),
    ])
    .await;
    report.row("claim CREATE (dry run), no Rempart, p50", &format!("{before:.2} ms"), "", false);
    report.ratio("the same once more: what chance amounts to", again / before, 1.02);
    report.ratio("plain namespace, with Rempart against without", plain / before / unlike, 1.03);
    report.ratio("`restreint` namespace against a plain one", secret / plain, 2.0);
    report.ratio("`restreint` namespace against a plain one, no class is named and that of the level is added", unset / plain_unset, 2.0);
    drop(without);
    quotas(&world, &mut report).await;
}

/// A class comes and goes where there are 200 others and 500 namespaces that it is closed to.
async fn quotas(world: &World, report: &mut Report) {
    let classes: Vec<Value> = (2..CLASSES).map(|number| class(&format!("class-{number}"), "csi.other.example")).collect();
    apply(&world.admin, &classes).await;
    for space in 0..SPACES - 1 {
        apply(&world.admin, &[namespace(&format!("secret-{space}"), Some("restreint"))]).await;
    }
    closed(world, "spec", "standard", true).await;
    world.settled().await;
    closed(world, "status", "standard", true).await;

    for (what, comes) in [("a class comes", true), ("it goes", false)] {
        let from = world.cluster.audited(OPERATOR).len();
        let begin = Timestamp::now();
        if comes {
            apply(&world.admin, &[class("new", "csi.other.example")]).await;
        } else {
            world.delete(&format!("{STORAGE_CLASSES}/new")).await;
        }
        closed(world, "spec", "new", comes).await;
        world.settled().await;
        let (writes, last) = writes(world, from);
        let most = writes.values().max().copied().unwrap_or_default();
        let took = Duration::try_from(last.duration_since(begin)).unwrap_or_default();
        let place = format!("{CLASSES} classes, {SPACES} `restreint` namespaces, {what}");
        report.time(&format!("{place}: the last of their quotas says so after"), took, Duration::from_secs(30));
        report.row(&format!("{place}: writes per quota, at most"), &most.to_string(), "1", most > 1 || writes.len() != SPACES);
        closed(world, "status", "new", comes).await;
        let took = Duration::try_from(Timestamp::now().duration_since(begin)).unwrap_or_default();
        report.row(
            &format!("{place}: the controller manager has followed after"),
            &format!("{:.0} ms", took.as_secs_f64() * 1e3),
            "",
            false,
        );
    }
}

/// Waits until each quota of the operator's closes a class, or none does. What admission goes by is the status.
async fn closed(world: &World, part: &str, class: &str, wanted: bool) {
    let key = format!("{class}.storageclass.storage.k8s.io/persistentvolumeclaims");
    wait_for(10 * PATIENCE, &format!("the {part} of each quota closes {class}: {wanted}"), async || {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let path = "/api/v1/resourcequotas?fieldSelector=metadata.name%3Drempart-classes&resourceVersion=0";
        let found = send(&world.admin, Method::GET, path, None).await.map_err(|error| error.to_string())?.accepted()?;
        let quotas = found["items"].as_array().map_or(&[][..], Vec::as_slice);
        let right = quotas.iter().filter(|quota| quota[part]["hard"].get(&key).is_some() == wanted).count();
        if right == SPACES { Ok(()) } else { Err(format!("{right} of {}", quotas.len())) }
    })
    .await;
}

/// Writes of quotas that the operator made since the audit log had `from` lines about it, by namespace, and when the last was done.
fn writes(world: &World, from: usize) -> (BTreeMap<String, usize>, Timestamp) {
    let (mut writes, mut last) = (BTreeMap::new(), Timestamp::MIN);
    for line in &world.cluster.audited(OPERATOR)[from..] {
        let entry: Value = serde_json::from_str(line).expect("a line is an event");
        let written = ["create", "update", "patch", "delete"].iter().any(|verb| entry["verb"] == *verb);
        if entry["objectRef"]["resource"] == "resourcequotas" && written {
            *writes.entry(entry["objectRef"]["namespace"].to_string()).or_default() += 1;
            let done = entry["stageTimestamp"].as_str().and_then(|text| text.parse().ok());
            last = last.max(done.expect("an event has an instant"));
        }
    }
    (writes, last)
}
