//! Conditions that GitOps tools understand (kstatus), columns and events for people, and no write that says nothing new.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::world::{World, condition, interne, level, merged, namespace, node, plain_cloud, pod, qualified_cloud, restreint};
use super::{ROLE, take_nodes_away};
use crate::cluster::{apply, wait_until};
use crate::kstatus::standing;

const CLOUD: &str = "/apis/rempart.dev/v1alpha1/trustedclouds/snc";
const LEVEL: &str = "/apis/rempart.dev/v1alpha1/sensitivitylevels/restreint";
const DECLARATION: &str = "/apis/rempart.dev/v1alpha1/namespaces/emr/datadeclarations/records";

fn declaration(spec: Value) -> Value {
    let spec = merged(json!({"level": "restreint", "dataOwner": "dpo@hospital.example", "reviewBy": "2099-06-30"}), spec);
    json!({"apiVersion": "rempart.dev/v1alpha1", "kind": "DataDeclaration", "metadata": {"name": "records", "namespace": "emr"}, "spec": spec})
}

/// Waits until an object stands like this, and sees to it that it never stands like `never` before.
async fn wait_standing(world: &World, path: &str, wanted: &str, never: &str) -> Value {
    wait_until(&format!("{path} is {wanted}"), async || {
        let object = world.get(path).await?;
        let found = standing(&object);
        assert_ne!(found, never, "{path} on its way to {wanted}: {object:#}");
        if found == wanted { Ok(object) } else { Err(format!("{found}: {:#}", object["status"])) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_waits_for_what_is_new_fails_on_what_is_wrong_and_never_hangs_on_compliance() {
    let mut world = World::installed("conditions-kstatus").await;
    apply(&world.admin, &[qualified_cloud("snc"), restreint(), namespace("emr", None), declaration(json!({}))]).await;
    for path in [CLOUD, LEVEL, DECLARATION] {
        let object = world.get(path).await.unwrap();
        assert_eq!(object["status"]["observedGeneration"], -1, "{path}");
        assert_eq!(standing(&object), "InProgress", "nobody has looked at {path} yet");
    }
    // One that runs where it may not, from before there was a level.
    apply(&world.admin, &[node("aws-1", "aws"), node("snc-1", "snc")]).await;
    let stray = merged(pod("stray"), json!({"spec": {"nodeName": "aws-1"}}));
    world.create_pod("emr", &stray).await.accepted().unwrap();
    world.wait_pods("emr", 1).await;

    world.start().await;
    for path in [CLOUD, LEVEL, DECLARATION] {
        let object = wait_standing(&world, path, "Current", "Failed").await;
        assert_eq!(condition(&object, "Ready")["status"], "True", "{path}");
        for absent in ["Stalled", "Reconciling"] {
            assert!(condition(&object, absent).is_null(), "{path} has {absent}, which is there only while it is true");
        }
    }
    for path in [LEVEL, DECLARATION] {
        let path = path.trim_start_matches("/apis/rempart.dev/v1alpha1/");
        let object =
            world.wait_condition(path, "Compliant", "False", "PlacedBadly: 1 pod on nodes that are not cleared: emr/stray on aws-1").await;
        assert_eq!(standing(&object), "Current", "{path} is not compliant, which concerns no sync");
    }
    let clearance = world.get("/apis/rempart.dev/v1alpha1/clearances/cluster").await.unwrap();
    assert_eq!(standing(&clearance), "Current", "an object without status has nothing to wait for");

    for (path, wrong, right) in [
        (CLOUD, json!({"timeZone": "Europe/Pariss"}), json!({"timeZone": "Europe/Paris"})),
        (LEVEL, json!({"extends": ["restreint"]}), json!({"extends": []})),
        (DECLARATION, json!({"timeZone": "Europe/Pariss"}), json!({"timeZone": "Europe/Paris"})),
    ] {
        world.patch(path, json!({"spec": wrong})).await;
        let object = wait_standing(&world, path, "Failed", "Current").await;
        assert_eq!(condition(&object, "Ready")["status"], "False", "{path}");
        world.patch(path, json!({"spec": right})).await;
        let object = wait_standing(&world, path, "Current", "Failed").await;
        assert_eq!(condition(&object, "Ready")["status"], "True", "{path}");
    }
    // The declaration names it, so it stays for as long as that does.
    world.delete(LEVEL).await;
    assert_eq!(standing(&world.get(LEVEL).await.unwrap()), "Terminating");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_is_reconciling_and_not_failed() {
    let world = World::guarded("conditions-reconciling").await;
    apply(&world.admin, &[qualified_cloud("snc"), plain_cloud("aws"), restreint(), namespace("emr", None), namespace("other", None)]).await;
    wait_standing(&world, CLOUD, "Current", "Failed").await;
    let rules = take_nodes_away(&world).await;
    apply(&world.admin, &[node("snc-1", "snc"), declaration(json!({}))]).await;
    let elsewhere = merged(
        declaration(json!({"workloads": {"matchLabels": {"app": "none"}}, "level": "watched"})),
        json!({"metadata": {"namespace": "other"}}),
    );
    apply(&world.admin, &[level("watched", json!({}), json!({"enforcement": "Audit"})), elsewhere]).await;
    let cloud = wait_standing(&world, CLOUD, "InProgress", "Failed").await;
    let declared = wait_standing(&world, DECLARATION, "InProgress", "Failed").await;
    assert!(condition(&declared, "Reconciling")["message"].as_str().unwrap().contains("writing Namespace/emr failed"), "{declared:#}");
    for bystander in
        [LEVEL, "/apis/rempart.dev/v1alpha1/trustedclouds/aws", "/apis/rempart.dev/v1alpha1/namespaces/other/datadeclarations/records"]
    {
        let object = wait_standing(&world, bystander, "Current", "Failed").await;
        assert!(condition(&object, "Reconciling").is_null(), "{bystander} has nothing to do with it: {object:#}");
    }
    let message = condition(&cloud, "Reconciling")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("writing Node/snc-1 + failed and is tried again") && message.contains("cannot patch"), "{message}");
    world.patch(ROLE, json!({"rules": rules})).await;
    for path in [CLOUD, DECLARATION] {
        let object = wait_standing(&world, path, "Current", "Failed").await;
        assert!(condition(&object, "Reconciling").is_null(), "{path}");
    }
}

/// The tables that kubectl prints, with one blank between columns and no ages.
fn tables(world: &World, arguments: &[&str]) -> String {
    let dir = world.cluster.dir();
    let cluster: Value = serde_json::from_slice(&std::fs::read(dir.join("cluster.json")).unwrap()).unwrap();
    let output = Command::new(cluster["kubectl"].as_str().unwrap())
        .arg("--kubeconfig")
        .arg(dir.join("kubeconfig"))
        .arg("--cache-dir")
        .arg(dir.join("kubectl-cache"))
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| {
        let (rest, age) = line.trim_end().rsplit_once(' ').unwrap_or((line, ""));
        let age = if age.ends_with('s') || age.ends_with('m') { "-" } else { age };
        format!("{} {age}", rest.split_whitespace().collect::<Vec<_>>().join(" ")).trim().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_shows_on_one_screen_what_matters() {
    let world = World::guarded("conditions-columns").await;
    apply(&world.admin, &[qualified_cloud("snc"), plain_cloud("aws"), restreint(), interne()]).await;
    apply(&world.admin, &[merged(qualified_cloud("wrong"), json!({"spec": {"timeZone": "Mars"}}))]).await;
    apply(&world.admin, &[node("snc-1", "snc"), node("aws-1", "aws"), namespace("emr", None), declaration(json!({}))]).await;
    world.wait_nodes("snc", "restreint", true).await;
    world.wait_condition("namespaces/emr/datadeclarations/records", "Enforced", "True", "").await;
    world.create_pod("emr", &pod("ledger")).await.accepted().unwrap();
    world.wait_pods("emr", 1).await;
    world.wait_condition("sensitivitylevels/restreint", "Compliant", "True", "1 pod on cleared nodes").await;
    world.wait_condition("trustedclouds/wrong", "Ready", "False", "").await;
    world.settled().await;
    insta::assert_snapshot!(tables(&world, &["get", "rempart", "-A"]), @r#"
    NAME AGE
    clearance.rempart.dev/cluster -

    NAMESPACE NAME LEVEL OWNER VIOLATING ENFORCED COMPLIANT READY AGE
    emr datadeclaration.rempart.dev/records restreint dpo@hospital.example 0 True True True -

    NAMESPACE NAME ENFORCEMENT CLOUDS NODES NAMESPACES VIOLATING COMPLIANT READY AGE
    sensitivitylevel.rempart.dev/interne Enforce ["aws","snc"] 2 0 0 True True -
    sensitivitylevel.rempart.dev/restreint Enforce ["snc"] 1 1 0 True True -

    NAMESPACE NAME QUALIFIED UNTIL CLEARS NODES READY AGE
    trustedcloud.rempart.dev/aws ["interne"] 1 True -
    trustedcloud.rempart.dev/snc secnumcloud 3.2 Valid 2099-12-31T23:00:00Z ["interne","restreint"] 1 True -
    trustedcloud.rempart.dev/wrong 0 False -
    "#);
    insta::assert_snapshot!(tables(&world, &["get", "tcl", "wrong", "-o", "wide"]), @r#"
    NAME QUALIFIED UNTIL CLEARS NODES READY MESSAGE AGE
    wrong 0 False spec.timeZone: "Mars" is not a time zone: write an IANA name such as Europe/Paris -
    "#);
}

/// Events about an object, as type and reason, with how often they were repeated.
async fn events(world: &World, kind: &str, name: &str) -> BTreeMap<(String, String), u64> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found = BTreeMap::new();
    for event in world.items("/apis/events.k8s.io/v1/events").await {
        if event["regarding"]["kind"] == kind && event["regarding"]["name"] == name {
            *found.entry((text(&event["type"]), text(&event["reason"]))).or_default() += event["series"]["count"].as_u64().unwrap_or(1);
        }
    }
    found
}

/// Has the operator make a plan that has nothing to do: a pod that concerns nobody comes and goes.
async fn provoke_a_plan(world: &World, number: usize) {
    let plans = || world.log().matches("planned steps=0").count();
    let before = plans();
    world.create_pod("plain", &pod(&format!("p-{number}"))).await.accepted().unwrap();
    wait_until("a plan was made", async || if plans() > before { Ok(()) } else { Err(plans()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_tell_what_turned_and_tell_it_once() {
    let world = World::guarded("conditions-events").await;
    apply(&world.admin, &[qualified_cloud("snc"), restreint(), namespace("plain", None)]).await;
    wait_standing(&world, CLOUD, "Current", "Failed").await;

    let qualifications = qualified_cloud("snc")["spec"]["qualifications"].clone();
    let mut suspended = qualifications.clone();
    suspended[0]["events"] = json!([{"type": "Suspended", "effectiveAt": Timestamp::now().to_string()}]);
    let told = async |type_: &str, reason: &str| {
        wait_until(&format!("{type_} {reason}"), async || {
            let found = events(&world, "TrustedCloud", "snc").await;
            if found.contains_key(&(type_.to_owned(), reason.to_owned())) { Ok(found) } else { Err(found) }
        })
        .await
    };
    let event = |type_: &str, reason: &str| ((type_.to_owned(), reason.to_owned()), 1);
    world.patch(CLOUD, json!({"spec": {"qualifications": suspended}})).await;
    // Events are sent one after the other: had there been anything to tell of what was well, that would be there by now.
    let first = told("Warning", "Suspended").await;
    assert_eq!(first, BTreeMap::from([event("Warning", "Suspended")]), "all was well before: nothing to tell");
    for number in 0..3 {
        // Its status is written again, because its generation is another one, but nothing has turned.
        world.patch(CLOUD, json!({"spec": {"description": format!("version {number}")}})).await;
        world.wait_condition("trustedclouds/snc", "Qualified", "False", "Suspended").await;
        provoke_a_plan(&world, number).await;
    }
    assert_eq!(told("Warning", "Suspended").await, BTreeMap::from([event("Warning", "Suspended")]), "once, and nothing else");

    world.patch(CLOUD, json!({"spec": {"qualifications": qualifications}})).await;
    told("Normal", "Valid").await;
    for number in 3..6 {
        provoke_a_plan(&world, number).await;
    }
    assert_eq!(told("Normal", "Valid").await, BTreeMap::from([event("Warning", "Suspended"), event("Normal", "Valid")]));
}

/// Writes of the operator so far; its probes are dry runs and write nothing.
fn writes(world: &World) -> Vec<String> {
    let lines = world.cluster.audited("\"username\":\"system:serviceaccount:rempart-system:rempart\"");
    let written = lines.iter().filter_map(|line| {
        let entry: Value = serde_json::from_str(line).ok()?;
        let verb = entry["verb"].as_str()?;
        let uri = entry["requestURI"].as_str()?;
        let says_something = ["dryRun=All", "selfsubjectreviews", "/leases/"].iter().all(|nothing| !uri.contains(nothing));
        (["create", "update", "patch", "delete"].contains(&verb) && says_something).then(|| format!("{verb} {uri}"))
    });
    written.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_that_says_nothing_new() {
    let mut world = World::guarded("conditions-quiet").await;
    apply(
        &world.admin,
        &[qualified_cloud("snc"), plain_cloud("aws"), restreint(), level("later", json!({}), json!({"enforcement": "Warn"}))],
    )
    .await;
    apply(&world.admin, &[node("snc-1", "snc"), namespace("emr", None), namespace("plain", None), declaration(json!({}))]).await;
    world.wait_nodes("snc", "restreint", true).await;
    for path in [CLOUD, LEVEL, DECLARATION] {
        wait_standing(&world, path, "Current", "Failed").await;
    }
    world.wait_condition("namespaces/emr/datadeclarations/records", "Enforced", "True", "ProbeRefused").await;
    provoke_a_plan(&world, 0).await;
    world.settled().await;
    let before = writes(&world);
    assert!(before.iter().any(|write| write.contains("trustedclouds/snc/status")), "the audit log shows what is written: {before:?}");
    for number in 1..6 {
        provoke_a_plan(&world, number).await;
    }
    assert_eq!(writes(&world), before);

    world.kill();
    world.start().await;
    for number in 6..9 {
        provoke_a_plan(&world, number).await;
    }
    assert_eq!(writes(&world)[before.len()..], Vec::<String>::new()[..], "after its return, nothing that was already right");
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_come_one_after_the_other_do_not_each_have_a_status_written() {
    let world = World::guarded("conditions-counted").await;
    apply(&world.admin, &[qualified_cloud("snc"), restreint(), node("snc-1", "snc"), namespace("secret", Some("restreint"))]).await;
    world.wait_nodes("snc", "restreint", true).await;
    world.create_pod("secret", &pod("first")).await.accepted().unwrap();
    world.wait_condition("sensitivitylevels/restreint", "Compliant", "True", "1 pod on cleared nodes").await;
    world.settled().await;
    let made = || writes(&world).iter().filter(|write| write.contains("sensitivitylevels/restreint/status")).count();
    let (before, begin) = (made(), Instant::now());
    for number in 2..=40 {
        world.create_pod("secret", &pod(&format!("pod-{number}"))).await.accepted().unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    world.wait_condition("sensitivitylevels/restreint", "Compliant", "True", "40 pods on cleared nodes").await;
    let (made, took) = (made() - before, begin.elapsed());
    // Two seconds apart, but for the first of all.
    assert!(made as u64 <= took.as_secs() / 2 + 2, "{made} in {took:?}");
}
