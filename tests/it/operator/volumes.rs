//! Data lands where it may: whatever makes a claim, and whatever the claim says, its volume is of a cleared class and leads to the
//! cloud of that class, or it is refused with a message that names the classes to use.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::Method;
use kube::Client;
use serde_json::{Value, json};

use super::world::{World, level, merged, namespace, plain_cloud, pod, qualified_cloud, restreint};
use crate::cluster::{Answer, Cluster, apply, expect_refused, has_mutation, send, wait_until, yaml};

/// The API of snapshots as far as the policies read it.
const SNAPSHOTS: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: volumesnapshots.snapshot.storage.k8s.io, annotations: {api-approved.kubernetes.io: unapproved}}
spec: &spec
  group: snapshot.storage.k8s.io
  scope: Namespaced
  names: {kind: VolumeSnapshot, plural: volumesnapshots}
  versions: &versions
  - {name: v1, served: true, storage: true, subresources: {status: {}}, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: volumesnapshotclasses.snapshot.storage.k8s.io, annotations: {api-approved.kubernetes.io: unapproved}}
spec:
  group: snapshot.storage.k8s.io
  scope: Cluster
  names: {kind: VolumeSnapshotClass, plural: volumesnapshotclasses}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
";

fn class(name: &str, default: bool) -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "csi.aws.example",
        "metadata": {"name": name, "annotations": {"storageclass.kubernetes.io/is-default-class": default.to_string()}},
    })
}

fn claim(name: &str, spec: Value) -> Value {
    let spec = merged(json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}), spec);
    json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec})
}

async fn create_claim(client: &Client, namespace: &str, claim: &Value) -> Answer {
    let path = format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims");
    send(client, Method::POST, &path, Some(claim)).await.expect("the API server answers")
}

/// Two clouds with a class each, of which one is cleared; the default of the cluster is of neither.
async fn furnished(cluster: Cluster) -> World {
    let mut world = World::installed_on(cluster).await;
    world.start().await;
    let storage = |cloud: &str, driver: &str| {
        let classes = json!([{"name": "block", "provisioner": driver, "volumeNames": "ClaimUid"}]);
        json!({"spec": {"storage": classes, "snapshots": [{"driver": driver, "classes": [format!("{cloud}-snap")]}]}})
    };
    let snc = merged(qualified_cloud("snc"), storage("snc", "csi.snc.example"));
    let aws = merged(plain_cloud("aws"), storage("aws", "csi.aws.example"));
    let unset = merged(restreint(), json!({"spec": {"storage": {"whenUnset": "snc-block"}}}));
    apply(&world.admin, &[snc, aws, unset, class("standard", true)]).await;
    world.nodes("snc", 3, "snc").await;
    world.nodes("aws", 3, "aws").await;
    world.wait_nodes("snc", "restreint", true).await;
    world.wait_condition("trustedclouds/snc", "Ready", "True", "").await;
    wait_until("the classes are written", async || world.get("/apis/storage.k8s.io/v1/storageclasses/aws-block").await).await;
    apply(&world.admin, &[namespace("secret", Some("restreint")), namespace("open", None)]).await;
    world.settled().await;
    let tried = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "tried"},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "storageClassName": "snc-block",
            "csi": {"driver": "csi.snc.example", "volumeHandle": "tried"}, "claimRef": {"namespace": "secret", "name": "tried"},
        },
    });
    for server in world.cluster.servers() {
        let client = world.cluster.admin_at(&server).await;
        // The provisioner of these tests does not try twice.
        wait_until("volumes of the class get the affinity of its cloud, and are handed to the namespace", async || {
            let answer = send(&client, Method::POST, "/api/v1/persistentvolumes?dryRun=All", Some(&tried)).await;
            let volume = answer.map_err(|error| error.to_string())?.accepted()?;
            if volume["spec"]["nodeAffinity"] == leads_to("snc") { Ok(()) } else { Err(volume.to_string()) }
        })
        .await;
    }
    world
}

/// Waits until every one of `count` claims is bound; gives name, class and the affinity of the volume of each.
async fn wait_bound(world: &World, namespace: &str, count: usize) -> Vec<(String, String, Value)> {
    wait_until(&format!("{count} claims are bound in {namespace}"), async || {
        let claims = world.items(&format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims")).await;
        let bound = claims.iter().filter(|claim| claim["status"]["phase"] == "Bound").count();
        if bound != count || claims.len() != count {
            return Err(claims.iter().map(|claim| format!("{} {}", claim["metadata"]["name"], claim["status"])).collect::<Vec<_>>());
        }
        let mut found = Vec::new();
        for claim in claims {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let volume =
                world.get(&format!("/api/v1/persistentvolumes/{}", text(&claim["spec"]["volumeName"]))).await.map_err(|e| vec![e])?;
            found.push((
                text(&claim["metadata"]["name"]),
                text(&volume["spec"]["storageClassName"]),
                volume["spec"]["nodeAffinity"].clone(),
            ));
        }
        Ok(found)
    })
    .await
}

fn leads_to(cloud: &str) -> Value {
    let expression = json!({"key": "rempart.node-restriction.kubernetes.io/cloud", "operator": "In", "values": [cloud]});
    json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}})
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_makes_a_claim_its_volume_is_of_a_cleared_class_and_its_pod_beside_it() {
    let world = furnished(Cluster::start("volumes", &[])).await;
    let sets = |namespace: &str| {
        let text = format!(
            r"
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: named, namespace: {namespace}}}
spec:
  replicas: 2
  serviceName: named
  podManagementPolicy: Parallel
  selector: {{matchLabels: {{app: named}}}}
  template: {{metadata: {{labels: {{app: named}}}}, spec: {{containers: [{{name: c, image: i}}]}}}}
  volumeClaimTemplates:
  - {{metadata: {{name: data}}, spec: {{storageClassName: snc-block, accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: unset, namespace: {namespace}}}
spec:
  replicas: 1
  serviceName: unset
  selector: {{matchLabels: {{app: unset}}}}
  template: {{metadata: {{labels: {{app: unset}}}}, spec: {{containers: [{{name: c, image: i}}]}}}}
  volumeClaimTemplates:
  - {{metadata: {{name: data}}, spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}}}
"
        );
        yaml(&text)
    };
    let scratch = |class: &str| {
        let template =
            json!({"spec": {"storageClassName": class, "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
        merged(pod("scratch"), json!({"spec": {"volumes": [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}}]}}))
    };
    apply(&world.admin, &sets("secret")).await;
    world.create_pod("secret", &scratch("snc-block")).await.accepted().unwrap();
    let pods = world.wait_pods("secret", 4).await;
    assert!(pods.iter().all(|(_, node, _)| node.as_ref().unwrap().starts_with("snc-")), "{pods:?}");
    for (name, class, affinity) in wait_bound(&world, "secret", 4).await {
        assert_eq!((class.as_str(), &affinity), ("snc-block", &leads_to("snc")), "{name}");
    }

    // A clone is of the data beside it.
    let source = json!({"kind": "PersistentVolumeClaim", "name": "data-named-0"});
    let mounts = |claim: &str| json!({"spec": {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]}});
    create_claim(&world.admin, "secret", &claim("clone", json!({"storageClassName": "snc-block", "dataSource": source})))
        .await
        .accepted()
        .unwrap();
    world.create_pod("secret", &merged(pod("reads-clone"), mounts("clone"))).await.accepted().unwrap();
    wait_bound(&world, "secret", 5).await;

    // Data pulls the pod: in a plain namespace, too, what mounts a disk of the cloud runs there.
    create_claim(&world.admin, "open", &claim("shared", json!({"storageClassName": "snc-block"}))).await.accepted().unwrap();
    world.create_pod("open", &merged(pod("reader"), mounts("shared"))).await.accepted().unwrap();
    let pods = world.wait_pods("open", 1).await;
    assert!(pods[0].1.as_ref().unwrap().starts_with("snc-"), "{pods:?}");
    // And what is of no trusted cloud is nobody's business there.
    create_claim(&world.admin, "open", &claim("plain", json!({}))).await.accepted().unwrap();
    let plain = wait_bound(&world, "open", 2).await.into_iter().find(|(name, ..)| name == "plain").unwrap();
    assert_eq!((plain.1.as_str(), plain.2), ("standard", Value::Null));

    let level = world.wait_condition("sensitivitylevels/restreint", "Compliant", "True", "5 claims on cleared storage").await;
    assert_eq!(level["status"]["claims"]["compliant"], 5);
    let seen = world.cluster.verdict().unwrap();
    assert!(seen.claims_judged >= 5 && seen.claims_bound >= 7, "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_operator_dead_every_claim_of_another_class_is_refused_and_told_what_to_use() {
    let mut world = furnished(Cluster::start("refused-claims", &[])).await;
    apply(&world.admin, &yaml(SNAPSHOTS)).await;
    let snapshot_class = |name: &str, driver: &str| json!({"apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshotClass", "metadata": {"name": name}, "driver": driver, "deletionPolicy": "Delete"});
    for class in [snapshot_class("snc-snap", "csi.snc.example"), snapshot_class("aws-snap", "csi.aws.example")] {
        wait_until("snapshot classes are served", async || {
            crate::cluster::try_apply(&world.admin, &class).await.map_err(|error| error.to_string())
        })
        .await;
    }
    wait_until("the snapshot class is cleared", async || {
        let clearance = world.clearance().await;
        if clearance["volumeSnapshotClasses"]["snc-snap"] == "snc" { Ok(()) } else { Err(clearance["volumeSnapshotClasses"].clone()) }
    })
    .await;
    world.settled().await;
    world.kill();
    let use_this = "use one of snc-block";
    let old = |mut claim: Value, class: &str| {
        claim["metadata"]["annotations"] = json!({"volume.beta.kubernetes.io/storage-class": class});
        claim
    };
    for (made, says) in [
        (claim("c", json!({"storageClassName": "standard"})), use_this),
        (claim("c", json!({"storageClassName": "aws-block"})), use_this),
        (claim("c", json!({"storageClassName": "nosuch"})), use_this),
        (claim("c", json!({"storageClassName": ""})), use_this),
        (old(claim("c", json!({"storageClassName": "snc-block"})), "standard"), use_this),
        (claim("c", json!({"storageClassName": "snc-block", "volumeName": "mine"})), "spec.volumeName"),
    ] {
        expect_refused(&create_claim(&world.admin, "secret", &made).await, says);
    }
    let snapshot = |class: &str| {
        json!({
            "apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshot", "metadata": {"name": "s", "namespace": "secret"},
            "spec": {"volumeSnapshotClassName": class, "source": {"persistentVolumeClaimName": "good"}},
        })
    };
    let path = "/apis/snapshot.storage.k8s.io/v1/namespaces/secret/volumesnapshots";
    expect_refused(&send(&world.admin, Method::POST, path, Some(&snapshot("aws-snap"))).await.unwrap(), "use one of snc-snap");
    send(&world.admin, Method::POST, path, Some(&snapshot("snc-snap"))).await.unwrap().accepted().unwrap();

    if !has_mutation() {
        // Before Kubernetes 1.36 it is the operator that adds class and affinity: what lacks them is refused, and nothing is lost.
        expect_refused(&create_claim(&world.admin, "secret", &claim("good", json!({}))).await, use_this);
        return;
    }
    create_claim(&world.admin, "secret", &claim("good", json!({}))).await.accepted().unwrap();
    let restored = json!({"storageClassName": "snc-block", "dataSource": {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "s"}});
    create_claim(&world.admin, "secret", &claim("restored", restored)).await.accepted().unwrap();
    for name in ["good", "restored"] {
        let mounts = json!({"spec": {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": name}}]}});
        world.create_pod("secret", &merged(pod(name), mounts)).await.accepted().unwrap();
    }
    wait_bound(&world, "secret", 2).await;
    // The operator being dead, a new namespace has no quota yet, and is held to its level all the same.
    apply(&world.admin, &[namespace("newer", Some("restreint"))]).await;
    wait_until("the API server has seen the level", async || {
        let refusal = create_claim(&world.admin, "newer", &claim("c", json!({"storageClassName": "standard"}))).await.refusal();
        if refusal.contains(use_this) { Ok(()) } else { Err(refusal) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_made_by_hand_are_taken_only_where_the_level_says_so_and_only_of_a_cleared_class() {
    let world = furnished(Cluster::start("static-volumes", &[])).await;
    let lenient = level("lenient", json!({"locations": {"storage": ["EEA"]}}), json!({"storage": {"staticVolumes": "Cleared"}}));
    apply(&world.admin, &[lenient, namespace("archive", Some("lenient"))]).await;
    world.wait_condition("sensitivitylevels/lenient", "Enforced", "True", "").await;
    world.settled().await;
    let volume = |name: &str, class: &str, claim: (&str, &str)| {
        let driver = if class == "snc-block" { "csi.snc.example" } else { "csi.other.example" };
        json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
            "spec": {
                "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "storageClassName": class,
                "csi": {"driver": driver, "volumeHandle": name}, "claimRef": {"namespace": claim.0, "name": claim.1},
            },
        })
    };
    let make = async |volume: &Value| send(&world.admin, Method::POST, "/api/v1/persistentvolumes", Some(volume)).await.unwrap();
    expect_refused(&make(&volume("stolen", "standard", ("archive", "static"))).await, "standard is not cleared for lenient");
    make(&volume("by-hand", "snc-block", ("archive", "static"))).await.accepted().unwrap();
    let wanted = claim("static", json!({"storageClassName": "snc-block", "volumeName": "by-hand"}));
    create_claim(&world.admin, "archive", &wanted).await.accepted().unwrap();
    let bound = wait_bound(&world, "archive", 1).await;
    assert_eq!(bound[0].2, leads_to("snc"));
    make(&volume("by-hand-2", "snc-block", ("secret", "static"))).await.accepted().unwrap();
    expect_refused(&create_claim(&world.admin, "secret", &wanted).await, "spec.volumeName");
}

/// Claims made at each of two API servers.
const EACH: usize = 500;

/// The class that claims get when they name none is moved to and fro, at one API server, while claims are made at both.
#[tokio::test(flavor = "multi_thread")]
async fn wherever_the_default_class_is_moved_no_claim_of_a_level_gets_another() {
    let mut world = furnished(Cluster::start("default-class", &["--apiservers", "2"])).await;
    // Without a class of the level, so that the default is all there is.
    world.patch("/apis/rempart.dev/v1alpha1/sensitivitylevels/restreint", json!({"spec": {"storage": {"whenUnset": null}}})).await;
    wait_until("claims that name no class have none", async || {
        let clearance = world.clearance().await;
        if clearance["levels"]["restreint"]["whenUnset"] == "" { Ok(()) } else { Err(clearance["levels"].clone()) }
    })
    .await;
    world.settled().await;
    world.kill();
    let mut clients = Vec::new();
    for server in world.cluster.servers() {
        clients.push(world.cluster.admin_at(&server).await);
    }
    assert_eq!(clients.len(), 2);
    let default = async |name: &str, is: bool| {
        let change = json!({"metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": is.to_string()}}});
        world.patch(&format!("/apis/storage.k8s.io/v1/storageclasses/{name}"), change).await;
    };
    let (made, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let fire = async |client: &Client, server: usize| {
        for number in 0..EACH {
            let answer = create_claim(client, "secret", &claim(&format!("c-{server}-{number}"), json!({}))).await;
            match answer.status {
                201 => {
                    assert_eq!(answer.body["spec"]["storageClassName"], "snc-block", "{}", answer.body);
                    made.fetch_add(1, Ordering::Relaxed);
                }
                403 => drop(refused.fetch_add(1, Ordering::Relaxed)),
                _ => panic!("{}", answer.body),
            }
        }
    };
    let move_about = async {
        while made.load(Ordering::Relaxed) + refused.load(Ordering::Relaxed) < 2 * EACH {
            for (from, to) in [("standard", "snc-block"), ("snc-block", "aws-block"), ("aws-block", "standard")] {
                default(from, false).await;
                default(to, true).await;
            }
        }
    };
    futures::join!(fire(&clients[0], 0), fire(&clients[1], 1), move_about);
    let (made, refused) = (made.into_inner(), refused.into_inner());
    eprintln!("{made} claims were made, {refused} refused");
    assert!(made > 0 && refused > 0, "the default was moved in time for both");
    let all = world.items("/api/v1/namespaces/secret/persistentvolumeclaims").await;
    assert_eq!(all.len(), made);
    // Not at creation, and not later either, when Kubernetes gives the default to claims that have none.
    assert!(all.iter().all(|claim| claim["spec"]["storageClassName"] == "snc-block"));
}
