//! Policies and bindings that somebody deletes: nothing opens, with the operator alive or dead, and all is as it was in the end.

use http::Method;
use serde_json::{Value, json};

use super::fire::Fire;
use super::world::{World, interne, namespace, plain_cloud, pod, qualified_cloud, restreint};
use crate::cluster::{apply, send, wait_until};

const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";
const KINDS: [&str; 4] =
    ["validatingadmissionpolicybindings", "validatingadmissionpolicies", "mutatingadmissionpolicybindings", "mutatingadmissionpolicies"];
const OURS: &str = "labelSelector=app.kubernetes.io/managed-by=rempart";

async fn delete_all(world: &World) {
    for kind in KINDS {
        world.delete(&format!("{GROUP}/{kind}?{OURS}")).await;
    }
}

/// Name and whether it is being deleted, of each of ours.
async fn ours(world: &World) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for kind in KINDS {
        let items = world.items(&format!("{GROUP}/{kind}?{OURS}")).await;
        found.extend(items.iter().map(|item| {
            let metadata = &item["metadata"];
            (format!("{kind}/{}", metadata["name"].as_str().unwrap()), !metadata["deletionTimestamp"].is_null())
        }));
    }
    found.sort();
    found
}

async fn wait_healed(world: &World, before: &[(String, bool)]) {
    wait_until("each stands under its own name again", async || {
        let now = ours(world).await;
        if now == before { Ok(()) } else { Err(now) }
    })
    .await;
}

/// What there is to defend; and the policies and bindings that do.
async fn defended(name: &str) -> (World, Vec<(String, bool)>) {
    let world = World::guarded(name).await;
    apply(&world.admin, &[qualified_cloud("snc"), plain_cloud("aws"), restreint(), interne()]).await;
    world.nodes("aws", 1, "aws").await;
    apply(&world.admin, &[namespace("secret", Some("restreint")), namespace("open", None)]).await;
    world.wait_condition("sensitivitylevels/restreint", "Enforced", "True", "").await;
    let mut waits = pod("waits");
    waits["spec"]["schedulingGates"] = json!([{"name": "example.com/wait"}]);
    wait_until("the namespace is there", async || world.create_pod("secret", &waits).await.accepted()).await;
    world.settled().await;
    let before = ours(&world).await;
    assert!(before.len() > 40 && before.iter().all(|(_, deleted)| !deleted), "{before:?}");
    (world, before)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_opens_when_policies_are_deleted_under_fire_with_the_operator_alive_or_dead() {
    let (mut world, before) = defended("deleted").await;
    let fire = Fire::open(&world).await;
    for _ in 0..2 {
        delete_all(&world).await;
        wait_healed(&world, &before).await;
    }
    // Whoever deletes faster than the operator sees its second ones in use only makes it write third ones.
    for _ in 0..5 {
        delete_all(&world).await;
        fire.answers(5).await;
    }
    world.kill();
    delete_all(&world).await;
    fire.answers(300).await;
    world.start().await;
    wait_healed(&world, &before).await;
    fire.cease().await;
    world.wait_condition("sensitivitylevels/restreint", "Enforced", "True", "").await;
    world.create_pod("open", &pod("plain")).await.accepted().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "soak: every policy and binding is deleted twenty times with the operator alive, and twenty times with it dead"]
async fn soak_nothing_opens_when_every_policy_and_binding_is_deleted_twenty_times() {
    let (mut world, before) = defended("deleted-soak").await;
    let fire = Fire::open(&world).await;
    for _ in 0..20 {
        delete_all(&world).await;
        wait_healed(&world, &before).await;
    }
    for _ in 0..20 {
        world.kill();
        delete_all(&world).await;
        fire.answers(200).await;
        world.start().await;
        wait_healed(&world, &before).await;
    }
    fire.cease().await;
}

/// As another version of the operator, or another setting, does: the texts change, and never is one of them missing.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_opens_while_policies_are_replaced_in_place_under_fire() {
    let (mut world, before) = defended("replaced").await;
    let uids = async || {
        let mut uids = Vec::new();
        for kind in KINDS {
            let items = world.items(&format!("{GROUP}/{kind}?{OURS}")).await;
            // What only reports comes and goes with the levels that are not enforced.
            let reports = |name: &str| ["-unenforced", "-audit", "-warn"].iter().any(|part| name.contains(part));
            let name = |item: &Value| item["metadata"]["name"].as_str().unwrap().to_owned();
            let enforce = items.iter().filter(|item| name(item) != "rempart-epoch" && !reports(&name(item)));
            uids.extend(enforce.map(|item| item["metadata"]["uid"].to_string()));
        }
        uids
    };
    let (at_first, fire) = (uids().await, Fire::open(&world).await);
    // Other literals in nearly all of them.
    for enforcement in ["Warn", "Audit", "Enforce", "Warn", "Enforce"] {
        world.patch("/apis/rempart.dev/v1alpha1/sensitivitylevels/interne", json!({"spec": {"enforcement": enforcement}})).await;
        fire.answers(100).await;
        world.settled().await;
    }
    assert_eq!(uids().await, at_first, "none was deleted and made again");

    // Another version stood there before.
    world.kill();
    for (key, _) in before.iter().filter(|(key, _)| key.starts_with("validatingadmissionpolicies/") && !key.ends_with("rempart-epoch")) {
        let older = json!([{"op": "add", "path": "/spec/auditAnnotations", "value": [{"key": "version", "valueExpression": "'older'"}]}]);
        world.patch(&format!("{GROUP}/{key}"), older).await;
    }
    fire.answers(100).await;
    world.launch_with(&["--grants", "enforce"]);
    world.wait_for_log("the guard holds").await;
    wait_healed(&world, &before).await;
    world.settled().await;
    fire.cease().await;
    let policies = world.items(&format!("{GROUP}/validatingadmissionpolicies?{OURS}")).await;
    assert!(policies.iter().all(|policy| !policy["spec"].to_string().contains("'older'")), "{policies:#?}");
    let binding = world.get(&format!("{GROUP}/validatingadmissionpolicybindings/rempart-grants")).await.unwrap();
    assert_eq!(binding["spec"]["validationActions"], json!(["Deny", "Audit"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_changes_a_policy_or_the_clearance_is_named() {
    let world = World::guarded("named").await;
    apply(&world.admin, &[qualified_cloud("snc"), restreint()]).await;
    world.settled().await;
    let change = async |path: &str, body: Value| {
        send(world.writer_of(path), Method::PATCH, &format!("{path}?fieldManager=careless"), Some(&body)).await.unwrap().accepted().unwrap()
    };
    change(&format!("{GROUP}/validatingadmissionpolicies/rempart-pod"), json!({"spec": {"failurePolicy": "Ignore"}})).await;
    change("/apis/rempart.dev/v1alpha1/clearances/cluster", json!({"spec": {"clouds": {"aws": ["restreint"]}}})).await;
    for name in ["rempart-pod", "cluster"] {
        wait_until(&format!("an event names who changed {name}"), async || {
            let events = world.items("/apis/events.k8s.io/v1/namespaces/default/events").await;
            let event = events.iter().find(|event| event["regarding"]["name"] == name && event["reason"] == "PutBack").cloned();
            event.filter(|event| event["note"].as_str().is_some_and(|note| note.contains("careless"))).ok_or(events.len())
        })
        .await;
    }
}
