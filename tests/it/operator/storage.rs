//! Storage classes of clouds, quotas, and what is said of claims that were there before.

use serde_json::{Value, json};

use super::proxied;
use super::world::{World, condition, merged, namespace, plain_cloud, qualified_cloud, restreint};
use crate::cluster::{apply, try_apply, wait_until};
use crate::objects::{claim, class};
use crate::proxy::{Fault, On};

const CLASSES: &str = "/apis/storage.k8s.io/v1/storageclasses";

fn with_storage(mut cloud: Value, storage: Value) -> Value {
    cloud["spec"]["storage"] = storage;
    cloud
}

/// Where the classes of a cloud stand, as its status says.
async fn standings(world: &World, cloud: &str) -> Result<Value, String> {
    Ok(world.get(&format!("/apis/rempart.dev/v1alpha1/trustedclouds/{cloud}")).await?["status"]["storageClasses"].clone())
}

async fn wait_hard(world: &World, namespace: &str, classes: &[&str]) {
    let expected: serde_json::Map<String, Value> =
        classes.iter().map(|class| (format!("{class}.storageclass.storage.k8s.io/persistentvolumeclaims"), "0".into())).collect();
    wait_until(&format!("the quota of {namespace} closes {classes:?}"), async || {
        let quota = world.get(&format!("/api/v1/namespaces/{namespace}/resourcequotas/rempart-classes")).await?;
        if quota["spec"]["hard"] == Value::Object(expected.clone()) { Ok(()) } else { Err(quota["spec"].to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn classes_of_a_cloud_are_written_changed_and_put_back_and_those_of_others_are_left_alone() {
    let world = World::guarded("classes").await;
    let storage = |parameters: Value| {
        json!([
            {"name": "block", "provisioner": "csi.snc.example", "parameters": parameters, "allowVolumeExpansion": true,
             "allowedTopologies": [{"matchLabelExpressions": [{"key": "topology.snc.example/zone", "values": ["fr-1"]}]}]},
            {"existingClass": "legacy", "provisioner": "csi.snc.example"},
            {"name": "taken", "provisioner": "csi.snc.example"},
        ])
    };
    apply(
        &world.admin,
        &[class("standard", "csi.other.example"), class("snc-taken", "csi.snc.example"), class("legacy", "csi.snc.example")],
    )
    .await;
    apply(
        &world.admin,
        &[with_storage(qualified_cloud("snc"), storage(json!({"type": "ssd"}))), restreint(), namespace("emr", Some("restreint"))],
    )
    .await;
    wait_until("the classes stand as they should", async || {
        let found = standings(&world, "snc").await?;
        let expected = json!([
            {"name": "snc-block", "state": "InPlace"}, {"name": "legacy", "state": "InPlace"}, {"name": "snc-taken", "state": "NotOurs"},
        ]);
        if found == expected { Ok(()) } else { Err(found) }
    })
    .await;
    world.wait_condition("trustedclouds/snc", "StorageReady", "False", "snc-taken exists and is not the operator's").await;
    world.wait_condition("trustedclouds/snc", "Ready", "True", "").await;
    world.wait_condition("sensitivitylevels/restreint", "Ready", "True", "").await;
    let level = world.get("/apis/rempart.dev/v1alpha1/sensitivitylevels/restreint").await.unwrap();
    assert_eq!(level["status"]["storageClasses"], json!(["legacy", "snc-block"]));
    assert_eq!(world.clearance().await["storageClasses"], json!({"legacy": "snc", "snc-block": "snc"}));
    wait_hard(&world, "emr", &["snc-taken", "standard"]).await;
    let block = world.get(&format!("{CLASSES}/snc-block")).await.unwrap();
    assert_eq!((&block["volumeBindingMode"], &block["parameters"]["type"]), (&json!("WaitForFirstConsumer"), &json!("ssd")));

    // Another choice of parameters takes another class; that it is the default is somebody's choice, and stays.
    world
        .patch(
            &format!("{CLASSES}/snc-block"),
            json!({"metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}),
        )
        .await;
    let cloud = with_storage(qualified_cloud("snc"), storage(json!({"type": "nvme"})));
    apply(&world.admin, &[cloud]).await;
    let another = wait_until("the class has its new parameters", async || {
        let class = world.get(&format!("{CLASSES}/snc-block")).await?;
        if class["parameters"]["type"] == "nvme" { Ok(class) } else { Err(class["parameters"].to_string()) }
    })
    .await;
    assert_ne!(another["metadata"]["uid"], block["metadata"]["uid"]);
    assert_eq!(another["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"], "true");
    // What can be changed in place is.
    let mut grown = with_storage(qualified_cloud("snc"), storage(json!({"type": "nvme"})));
    grown["spec"]["storage"][0]["allowVolumeExpansion"] = false.into();
    apply(&world.admin, &[grown]).await;
    wait_until("the class does not grow", async || {
        let class = world.get(&format!("{CLASSES}/snc-block")).await?;
        let same = class["metadata"]["uid"] == another["metadata"]["uid"];
        if class["allowVolumeExpansion"] == false && same { Ok(()) } else { Err(class.to_string()) }
    })
    .await;

    // A class that comes back with another driver is no longer the cloud's.
    world.delete(&format!("{CLASSES}/legacy")).await;
    apply(&world.admin, &[class("legacy", "csi.other.example")]).await;
    world.wait_condition("trustedclouds/snc", "StorageReady", "False", "class legacy is of driver csi.other.example").await;
    wait_hard(&world, "emr", &["legacy", "snc-taken", "standard"]).await;
    assert_eq!(world.clearance().await["storageClasses"], json!({"snc-block": "snc"}));

    // One that somebody deletes comes back, and goes when no cloud asks for it any more.
    world.delete(&format!("{CLASSES}/snc-block")).await;
    wait_until("the class is written again", async || world.get(&format!("{CLASSES}/snc-block")).await.map(drop)).await;
    apply(&world.admin, &[qualified_cloud("snc")]).await;
    wait_until("no cloud asks for the class", async || match world.get(&format!("{CLASSES}/snc-block")).await {
        Err(error) if error.contains("404") => Ok(()),
        found => Err(format!("{found:?}")),
    })
    .await;
    let taken = world.get(&format!("{CLASSES}/snc-taken")).await.unwrap();
    assert!(taken["metadata"]["labels"].is_null(), "it never was the operator's: {taken}");
    wait_until("a cloud that names no class says nothing of classes", async || {
        let cloud = world.get("/apis/rempart.dev/v1alpha1/trustedclouds/snc").await?;
        if condition(&cloud, "StorageReady").is_null() { Ok(()) } else { Err(cloud["status"].to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_server_does_not_take_as_a_class_is_said_and_holds_up_nothing() {
    let world = World::guarded("unfit-class").await;
    let (key, unfit) = ("k".repeat(253), json!([{"matchLabelExpressions": [{"key": "a b", "values": ["x"]}]}]));
    let odd = json!({"name": "odd", "provisioner": "csi.snc.example", "parameters": {key: "v"}, "allowedTopologies": unfit});
    let storage = json!([odd, {"name": "block", "provisioner": "csi.snc.example"}]);
    apply(&world.admin, &[with_storage(qualified_cloud("snc"), storage), restreint()]).await;
    world.wait_condition("trustedclouds/snc", "StorageReady", "False", "class snc-odd could not be written").await;
    world.wait_condition("trustedclouds/snc", "Ready", "True", "").await;
    assert_eq!(world.clearance().await["storageClasses"], json!({"snc-block": "snc"}));
    for (entry, why) in [
        (json!({"provisioner": "csi"}), "give either name"),
        (json!({"name": "a", "existingClass": "b", "provisioner": "csi"}), "give either name"),
        (json!({"existingClass": "b", "provisioner": "csi", "parameters": {"a": "b"}}), "never edited"),
        (json!({"name": "Upper", "provisioner": "csi"}), "name"),
        (
            json!({"name": "a", "provisioner": "csi", "allowedTopologies": [{"matchLabelExpressions": [{"key": "rempart.node-restriction.kubernetes.io/cloud", "values": ["snc"]}]}]}),
            "only its own keys",
        ),
    ] {
        let refused = try_apply(&world.admin, &with_storage(plain_cloud("aws"), json!([entry]))).await.unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
}

/// A cloud with one class, and what is different about it.
fn with_block(change: Value) -> Value {
    with_storage(qualified_cloud("snc"), json!([merged(json!({"name": "block", "provisioner": "csi.snc.example"}), change)]))
}

/// Makes the class of this cloud the default, and gives it.
async fn default_block(world: &World) -> Value {
    world.wait_condition("trustedclouds/snc", "StorageReady", "True", "").await;
    let path = format!("{CLASSES}/snc-block");
    world.patch(&path, json!({"metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}})).await;
    world.get(&path).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_the_api_server_does_not_take_leaves_the_class_that_works() {
    let world = World::guarded("unfit-change").await;
    apply(&world.admin, &[with_block(json!({})), restreint()]).await;
    let works = default_block(&world).await;
    let topology = |key: &str| json!({"matchLabelExpressions": [{"key": key, "values": ["x"]}]});
    for unfit in [json!([topology("a b")]), json!([topology("zone"), topology("zone")])] {
        apply(&world.admin, &[with_block(json!({"allowedTopologies": unfit}))]).await;
        world.wait_condition("trustedclouds/snc", "StorageReady", "False", "class snc-block could not be written").await;
        let left = world.get(&format!("{CLASSES}/snc-block")).await.expect("it is still there");
        assert_eq!(left, works);
    }
    apply(&world.admin, &[with_block(json!({}))]).await;
    world.wait_condition("trustedclouds/snc", "StorageReady", "True", "").await;
    assert_eq!(world.get(&format!("{CLASSES}/snc-block")).await.unwrap()["metadata"]["uid"], works["metadata"]["uid"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_that_could_not_be_made_again_at_once_is_still_the_default_in_the_end() {
    let (mut world, proxy) = proxied("still-default").await;
    world.start().await;
    apply(&world.admin, &[with_block(json!({})), restreint()]).await;
    let before = default_block(&world).await;
    let made = proxy.spoil(On::requests("^POST [^?]*/storageclasses[?]&?fieldManager="), |number| number <= 2, Fault::Status(503));
    apply(&world.admin, &[with_block(json!({"parameters": {"type": "nvme"}}))]).await;
    let another = wait_until("the class has its new parameters", async || {
        let class = world.get(&format!("{CLASSES}/snc-block")).await?;
        if class["parameters"]["type"] == "nvme" { Ok(class) } else { Err(class["parameters"].to_string()) }
    })
    .await;
    assert_eq!(proxy.spoilt(made), 2, "it could not be made twice");
    assert_ne!(another["metadata"]["uid"], before["metadata"]["uid"]);
    assert_eq!(another["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"], "true");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_from_before_is_counted_and_said_to_move_and_a_quota_is_put_back() {
    let world = World::guarded("stranded").await;
    apply(&world.admin, &[class("standard", "csi.other.example"), namespace("emr", None), claim("emr", "old", "standard")]).await;
    wait_until("the claim is bound", async || {
        let claim = world.get("/api/v1/namespaces/emr/persistentvolumeclaims/old").await?;
        if claim["status"]["phase"] == "Bound" { Ok(()) } else { Err(claim["status"].to_string()) }
    })
    .await;
    let cloud = with_storage(qualified_cloud("snc"), json!([{"name": "block", "provisioner": "csi.snc.example"}]));
    apply(&world.admin, &[cloud, restreint(), namespace("emr", Some("restreint"))]).await;
    let text = "1 claim with 1Gi on storage that is not cleared for restreint: emr/old (1Gi): class standard belongs to no trusted cloud, restreint requires one; classes that could take it: snc-block";
    let level = world.wait_condition("sensitivitylevels/restreint", "MigrationRequired", "True", text).await;
    assert_eq!(level["status"]["claims"], json!({"compliant": 0, "violating": 1, "unknown": 0}));
    world.get("/api/v1/namespaces/emr/persistentvolumeclaims/old").await.expect("nothing is deleted");
    wait_hard(&world, "emr", &["standard"]).await;

    // The quota alone refuses, whatever becomes of our policies.
    let refused = try_apply(&world.admin, &claim("emr", "new", "standard")).await.unwrap_err().to_string();
    assert!(refused.contains("exceeded quota") || refused.contains("not cleared"), "{refused}");
    let path = "/api/v1/namespaces/emr/resourcequotas/rempart-classes";
    for change in [
        json!({"spec": {"hard": {"standard.storageclass.storage.k8s.io/persistentvolumeclaims": "5"}}}),
        json!({"spec": {"hard": {"pods": "5"}}}),
        json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "me"}}}),
    ] {
        crate::cluster::send(&world.in_its_name, http::Method::PATCH, path, Some(&change)).await.unwrap().accepted().unwrap();
        wait_hard(&world, "emr", &["standard"]).await;
    }
    crate::cluster::send(&world.in_its_name, http::Method::DELETE, path, None).await.unwrap().accepted().unwrap();
    wait_hard(&world, "emr", &["standard"]).await;
    world.patch("/api/v1/namespaces/emr", json!({"metadata": {"labels": {"rempart.dev/sensitivity": null}}})).await;
    wait_until("a namespace without a level has no quota", async || match world.get(path).await {
        Err(error) if error.contains("404") => Ok(()),
        found => Err(format!("{found:?}")),
    })
    .await;
}
