//! An object that does not have the form of its kind, as one stored under an older schema, counts for nothing, says so, and
//! neither hinders the others nor opens anything.

use http::Method;
use serde_json::{Value, json};

use super::input::{assert_neighbours_keep_working, essence, essence_without, settled};
use super::world::{World, condition, level, merged, namespace, node, pod, qualified_cloud};
use crate::cluster::{Answer, apply, expect_refused, send, try_apply, wait_until};

const SPEC_SCHEMA: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";

/// The form that a kind had in another life: anything, but for what the CRD's own rules speak of.
fn loose(plural: &str) -> Value {
    let known = if plural == "datadeclarations" { json!({"level": {"type": "string", "maxLength": 63}}) } else { json!({}) };
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": known})
}

/// Stores an object that the CRD as it is would refuse, and puts the CRD back.
async fn store_malformed(world: &World, plural: &str, object: &Value) {
    let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.rempart.dev");
    let crd = world.get(&path).await.unwrap();
    let set = async |schema: &Value| {
        let replacement = json!([{"op": "replace", "path": SPEC_SCHEMA, "value": schema}]);
        let answer: Answer = send(&world.admin, Method::PATCH, &path, Some(&replacement)).await.unwrap();
        answer.accepted().unwrap();
    };
    set(&loose(plural)).await;
    wait_until("the loose form is served", async || try_apply(world.writer_of(&path_of(plural, object)), object).await).await;
    set(crd.pointer(SPEC_SCHEMA).unwrap()).await;
    let strict = merged(object.clone(), json!({"metadata": {"name": "probe-of-the-form"}}));
    wait_until("the strict form is served again", async || {
        if let Err(refusal) = try_apply(world.writer_of(&path_of(plural, &strict)), &strict).await {
            return Ok(refusal);
        }
        world.delete(&path_of(plural, &strict)).await;
        Err("what is malformed is still accepted")
    })
    .await;
}

/// A pod that is gone at once when it is deleted.
fn passing(name: &str) -> Value {
    merged(pod(name), json!({"spec": {"terminationGracePeriodSeconds": 0}}))
}

fn path_of(plural: &str, object: &Value) -> String {
    let namespace = object["metadata"]["namespace"].as_str().map(|name| format!("namespaces/{name}/")).unwrap_or_default();
    format!("/apis/rempart.dev/v1alpha1/{namespace}{plural}/{}", object["metadata"]["name"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_cloud_is_no_cloud_until_it_is_repaired() {
    let (world, before) = settled("malformed-cloud").await;
    apply(&world.admin, &[node("bad-1", "bad")]).await;
    let bad = merged(qualified_cloud("bad"), json!({"spec": {"offering": "IaaS"}}));
    store_malformed(&world, "trustedclouds", &bad).await;
    let cloud = world.wait_condition("trustedclouds/bad", "Ready", "False", "Malformed: spec.offering: invalid type").await;
    let stalled = condition(&cloud, "Stalled");
    assert_eq!(stalled["status"], "True");
    assert!(
        stalled["message"].as_str().unwrap().contains("write the object again in the form of its CRD, with kubectl replace or patch"),
        "{stalled}"
    );
    assert_eq!(essence(&world).await, before);
    assert_neighbours_keep_working(&world, "a malformed cloud").await;
    let above = json!({"spec": {"nodes": null, "reliesOn": [{"cloud": "bad", "layer": "IaaS"}]}});
    apply(&world.admin, &[merged(qualified_cloud("above"), above)]).await;
    let said = "spec.reliesOn[0].cloud: bad has problems, so nothing is known of it and no qualification of this cloud counts: correct bad";
    let above = world.wait_condition("trustedclouds/above", "Ready", "True", said).await;
    assert!(above["status"]["clears"].is_null(), "{above}");

    // Server-side apply cannot: it fails on what is there.
    world.patch(&path_of("trustedclouds", &bad), json!({"spec": {"offering": {"service": "Test cloud", "model": "IaaS"}}})).await;
    world.wait_condition("trustedclouds/bad", "Ready", "True", "1 node, cleared for interne, restreint").await;
    world.wait_condition("trustedclouds/above", "Ready", "True", "cleared for interne, restreint").await;
    world.delete("/apis/rempart.dev/v1alpha1/trustedclouds/above").await;
    world.wait_nodes("bad", "restreint", true).await;

    // What the CRD cannot see, because Kubernetes takes any digits for an offset.
    let events = json!([{"type": "Suspended", "effectiveAt": "2026-12-01T00:00:00+99:99"}]);
    let mut qualifications = bad["spec"]["qualifications"].clone();
    qualifications[0]["events"] = events;
    world.patch(&path_of("trustedclouds", &bad), json!({"spec": {"qualifications": qualifications}})).await;
    world.wait_condition("trustedclouds/bad", "Ready", "False", "Malformed: spec.qualifications[0].events[0].effectiveAt").await;
    world.wait_nodes("bad", "restreint", false).await;
    assert_eq!(essence(&world).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_level_is_satisfied_by_nobody_and_can_be_deleted() {
    let (world, before) = settled("malformed-level").await;
    apply(&world.admin, &[level("bad", json!({}), json!({})), namespace("held", Some("bad"))]).await;
    world.wait_nodes("snc", "bad", true).await;
    wait_until("pods of the level are let in", async || world.create_pod("held", &passing("good")).await.accepted()).await;

    let bad = merged(level("bad", json!({}), json!({})), json!({"spec": {"requires": {"keyCustody": ["ExternalKms"]}}}));
    store_malformed(&world, "sensitivitylevels", &bad).await;
    world.wait_condition("sensitivitylevels/bad", "Ready", "False", "Malformed: spec.requires.keyCustody: invalid type").await;
    world.wait_nodes("snc", "bad", false).await;
    let found = essence_without(&world, &["bad"]).await;
    assert_eq!((&found["clouds"], &found["nodes"]), (&before["clouds"], &before["nodes"]), "nobody is cleared for it");
    assert_neighbours_keep_working(&world, "a malformed level").await;
    apply(&world.admin, &[level("stricter", json!({}), json!({"extends": ["bad"]}))]).await;
    let said = "spec.extends[0]: bad has problems, so what it requires is not known: correct bad";
    world.wait_condition("sensitivitylevels/stricter", "Ready", "False", said).await;
    world.delete("/apis/rempart.dev/v1alpha1/sensitivitylevels/stricter").await;
    // It goes on asking for a cleared node, of which there are none.
    let pod = world.create_pod("held", &passing("waits")).await.accepted().unwrap();
    assert_eq!(pod["spec"]["nodeSelector"]["rempart.node-restriction.kubernetes.io/bad"], "cleared");

    world.delete("/apis/rempart.dev/v1alpha1/sensitivitylevels/bad").await;
    world.delete("/api/v1/namespaces/held").await;
    wait_until("a malformed level is deleted when nothing names it", async || {
        match world.get("/apis/rempart.dev/v1alpha1/sensitivitylevels/bad").await {
            Err(why) if why.starts_with("404") => Ok(()),
            found => Err(found),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_declaration_opens_nothing_and_closes_no_other_namespace() {
    let (world, before) = settled("malformed-declaration").await;
    apply(&world.admin, &[namespace("emr", None), namespace("plain", None)]).await;
    let declared = |name: &str| {
        json!({
            "apiVersion": "rempart.dev/v1alpha1", "kind": "DataDeclaration", "metadata": {"name": name, "namespace": "emr"},
            "spec": {"level": "restreint", "workloads": {"matchLabels": {"app": "ledger"}}},
        })
    };
    apply(&world.admin, &[declared("bad")]).await;
    let marked = async || world.get("/api/v1/namespaces/emr").await.unwrap()["metadata"]["labels"]["rempart.dev/declared"] == "true";
    wait_until("the namespace is marked", async || if marked().await { Ok(()) } else { Err(()) }).await;

    let bad = merged(declared("bad"), json!({"spec": {"dataOwner": {"mail": "dpo@hospital.example"}}}));
    store_malformed(&world, "datadeclarations", &bad).await;
    world.wait_condition("namespaces/emr/datadeclarations/bad", "Ready", "False", "Malformed: spec.dataOwner: invalid type").await;
    // The API server can still read its level, so it still holds: also what does not come from the mutation.
    let bypassing = merged(pod("bypassing"), json!({"metadata": {"labels": {"app": "ledger"}}, "spec": {"nodeName": "aws-1"}}));
    apply(&world.admin, &[level("later", json!({}), json!({}))]).await;
    world.wait_condition("sensitivitylevels/later", "Ready", "True", "").await;
    assert!(marked().await, "the mark stays");
    expect_refused(&world.create_pod("emr", &bypassing).await, "spec.nodeName aws-1 bypasses the scheduler");
    world.create_pod("emr", &pod("other")).await.accepted().unwrap();
    world.create_pod("plain", &bypassing).await.accepted().unwrap();
    assert_eq!(essence_without(&world, &["later"]).await["namespaces"], before["namespaces"]);

    world.patch(&path_of("datadeclarations", &bad), json!({"spec": {"dataOwner": "dpo@hospital.example"}})).await;
    world.wait_condition("namespaces/emr/datadeclarations/bad", "Ready", "True", "the pods selected have level restreint").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_clearance_closes_what_is_sensitive_until_the_operator_is_back() {
    let (mut world, before) = settled("malformed-clearance").await;
    world.kill();
    let mut spec = world.clearance().await;
    spec["nodes"]["aws-1"] = json!(["snc"]);
    let bad = json!({"apiVersion": "rempart.dev/v1alpha1", "kind": "Clearance", "metadata": {"name": "cluster"}, "spec": spec});
    store_malformed(&world, "clearances", &bad).await;
    world.create_pod("secret", &pod("bound")).await.accepted().unwrap();
    let target = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "bound"}, "target": {"kind": "Node", "name": "aws-1"}});
    let answer = send(&world.admin, Method::POST, "/api/v1/namespaces/secret/pods/bound/binding", Some(&target)).await.unwrap();
    assert!(answer.refusal().contains("'rempart-bind' denied request"), "{}", answer.body);
    world.start().await;
    wait_until("the Clearance is repaired", async || {
        let found = essence(&world).await;
        if found == before { Ok(()) } else { Err(found) }
    })
    .await;
    assert_neighbours_keep_working(&world, "a Clearance that was malformed").await;
}
