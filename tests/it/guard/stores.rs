//! Storage with the real controllers: what is claimed ends where it may be, and what is forged is never bound. The text of the policies knows none of
//! these namespaces: no operator has seen them.

use std::collections::BTreeMap;

use http::Method;
use kube::Client;
use serde_json::{Value, json};

use super::open::{CLEARED, into, pods};
use super::world::{Clients, QUIET, Who, namespace};
use crate::cluster::{Cluster, apply, expect_refused, send, wait_until};
use crate::objects::claim;

const VOLUMES: &str = "/api/v1/persistentvolumes";

#[tokio::test(flavor = "multi_thread")]
async fn stores_of_every_kind_end_on_a_cleared_class_and_node() {
    let cluster = &*QUIET.ready().await;
    let clients = Clients::of(cluster).await;
    let tenant = clients.client(Who::Tenant);
    namespace(tenant, "stores", Some("restreint")).await;
    apply(tenant, &into("stores", include_str!("stores.yaml"))).await;

    let wanted = BTreeMap::from([("ledger", 3), ("queue", 2), ("cache", 2), ("reader", 1)]);
    let pods = wait_until("every pod runs that may", async || {
        let pods = pods(tenant, "stores").await?;
        let running = |app: &str| pods.iter().filter(|pod| pod.app == app && pod.phase == "Running").count();
        let lacks: Vec<_> = wanted.iter().filter(|(app, count)| running(app) != **count).collect();
        if lacks.is_empty() { Ok(pods) } else { Err(format!("{lacks:?} of {pods:?}")) }
    })
    .await;
    for pod in &pods {
        let may = wanted.contains_key(pod.app.as_str());
        assert!(if may { CLEARED.contains(&pod.node.as_str()) } else { pod.node.is_empty() }, "{pod:?}");
    }
    let claims = list(tenant, "/api/v1/namespaces/stores/persistentvolumeclaims").await;
    assert_eq!(claims.len(), 3 + 2 + 2 + 3, "none of a class that is not cleared");
    for claim in &claims {
        assert_eq!(claim["status"]["phase"], "Bound", "{claim}");
        let volume = get(tenant, &format!("{VOLUMES}/{}", text(&claim["spec"]["volumeName"]))).await;
        assert!(["fast", "quick"].contains(&text(&volume["spec"]["storageClassName"])), "{volume}");
        let terms =
            json!([{"matchExpressions": [{"key": "rempart.node-restriction.kubernetes.io/cloud", "operator": "In", "values": ["alpha"]}]}]);
        assert_eq!(volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"], terms);
    }

    // Why, in the events of what asked for it.
    for asked in ["cheap", "spill"] {
        let path = format!("/api/v1/namespaces/stores/events?fieldSelector=involvedObject.name={asked}");
        wait_until("an event says why", async || {
            let events = list(tenant, &path).await;
            let says =
                |event: &Value| text(&event["message"]).contains("storage class standard is not cleared: use one of fast, odd, quick");
            if events.iter().any(says) { Ok(()) } else { Err(events) }
        })
        .await;
    }

    send(tenant, Method::DELETE, "/api/v1/namespaces/stores", None)
        .await
        .expect("the API server answers")
        .accepted()
        .expect("it may be deleted");
    wait_until("the volumes are gone with the namespace", async || {
        let left: Vec<Value> =
            list(tenant, VOLUMES).await.into_iter().filter(|volume| volume["spec"]["claimRef"]["namespace"] == "stores").collect();
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
}

/// Attack B3, before any operator has seen the namespace.
#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_is_forged_for_a_claim_is_never_bound_to_it() {
    let cluster = &*QUIET.ready().await;
    let clients = Clients::of(cluster).await;
    let tenant = clients.client(Who::Tenant);
    // Reserved for a claim before there is a namespace to judge it by.
    apply(tenant, &[volume("early", "standard", "forged", "data")]).await;
    namespace(tenant, "forged", Some("restreint")).await;
    apply(tenant, &[claim("forged", "data", "fast")]).await;
    refused_to_the_binder(cluster, "persistentvolumes", "early").await;

    let waiting = get(tenant, "/api/v1/namespaces/forged/persistentvolumeclaims/data").await;
    assert!(waiting["spec"]["volumeName"].is_null(), "{waiting}");
    let mut forged = volume(&format!("pvc-{}", text(&waiting["metadata"]["uid"])), "standard", "forged", "data");
    forged["spec"]["claimRef"]["uid"] = waiting["metadata"]["uid"].clone();
    let answer = send(tenant, Method::POST, VOLUMES, Some(&forged)).await.expect("the API server answers");
    expect_refused(&answer, "storage class standard is not cleared for restreint, the sensitivity level of namespace forged");
    // Of a class that is cleared, and not made for the claim.
    apply(tenant, &[volume("made-by-hand", "fast", "forged", "other"), claim("forged", "other", "fast")]).await;
    refused_to_the_binder(cluster, "persistentvolumeclaims", "other").await;
    let other = get(tenant, "/api/v1/namespaces/forged/persistentvolumeclaims/other").await;
    assert!(other["spec"]["volumeName"].is_null(), "{other}");

    // Without the forged one, an honest one is made.
    send(tenant, Method::DELETE, &format!("{VOLUMES}/early"), None)
        .await
        .expect("the API server answers")
        .accepted()
        .expect("it may be deleted");
    apply(tenant, &[mounting("forged", "reader", "data")]).await;
    runs_on(tenant, "forged", "reader", &CLEARED).await;
}

/// C2: the controller gives claims that wait the default of the cluster.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_older_than_the_level_gets_no_class_and_no_volume_that_is_not_cleared() {
    let cluster = &*QUIET.ready().await;
    let clients = Clients::of(cluster).await;
    let tenant = clients.client(Who::Tenant);
    namespace(tenant, "grown", None).await;
    apply(tenant, &[claim("grown", "uncleared", "standard"), claim("grown", "cleared", "fast")]).await;
    let level = json!({"metadata": {"labels": {"rempart.dev/sensitivity": "restreint"}}});
    send(tenant, Method::PATCH, "/api/v1/namespaces/grown", Some(&level))
        .await
        .expect("the API server answers")
        .accepted()
        .expect("it may be given");
    wait_until("the level is seen", async || {
        let probe = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "probe"}, "spec": claim("grown", "probe", "standard")["spec"]});
        let answer = send(tenant, Method::POST, "/api/v1/namespaces/grown/persistentvolumeclaims?dryRun=All", Some(&probe)).await.map_err(|e| e.to_string())?;
        if answer.status == 403 { Ok(()) } else { Err(answer.body.to_string()) }
    })
    .await;
    apply(tenant, &[mounting("grown", "good", "cleared"), mounting("grown", "bad", "uncleared")]).await;
    runs_on(tenant, "grown", "good", &CLEARED).await;
    // The provisioner is refused: there is no volume to bind.
    wait_until("the volume is refused", async || {
        let refused = cluster
            .audited("/api/v1/persistentvolumes")
            .iter()
            .any(|line| line.contains("namespace grown") && line.contains("standard is not cleared"));
        if refused { Ok(()) } else { Err("not yet") }
    })
    .await;
    let claim = get(tenant, "/api/v1/namespaces/grown/persistentvolumeclaims/uncleared").await;
    assert!(claim["spec"]["volumeName"].is_null(), "{claim}");
}

/// Where a level takes static volumes, they are judged by their class and driver, and not by their name.
#[tokio::test(flavor = "multi_thread")]
async fn a_static_volume_is_bound_where_the_level_takes_them() {
    let cluster = &*QUIET.ready().await;
    let clients = Clients::of(cluster).await;
    let tenant = clients.client(Who::Tenant);
    namespace(tenant, "vault", Some("sante")).await;
    let chosen = |name: &str, volume: &str| {
        let mut claim = claim("vault", name, "quick");
        claim["spec"]["volumeName"] = volume.into();
        claim
    };
    let free = |name: &str, class: &str, driver: &str| {
        let mut volume = volume(name, class, "", "");
        volume["spec"]["csi"]["driver"] = driver.into();
        volume
    };
    apply(tenant, &[free("vault-good", "quick", "disk.example"), free("vault-foreign", "quick", "other.example")]).await;
    apply(tenant, &[chosen("good", "vault-good"), chosen("foreign", "vault-foreign"), mounting("vault", "reader", "good")]).await;
    runs_on(tenant, "vault", "reader", &CLEARED).await;
    refused_to_the_binder(cluster, "persistentvolumes", "vault-foreign").await;
    let foreign = get(tenant, "/api/v1/namespaces/vault/persistentvolumeclaims/foreign").await;
    assert_eq!(foreign["status"]["phase"], "Pending", "{foreign}");
}

/// A disk lives in one place: pods follow it, whatever their own manifests and namespaces say.
#[tokio::test(flavor = "multi_thread")]
async fn data_pulls_the_pod() {
    let cluster = &*QUIET.ready().await;
    let clients = Clients::of(cluster).await;
    let tenant = clients.client(Who::Tenant);
    namespace(tenant, "pulled", None).await;
    let claims: Vec<Value> = (0..6).map(|i| claim("pulled", &format!("data-{i}"), "quick")).collect();
    apply(tenant, &claims).await;
    for i in 0..6 {
        let path = format!("/api/v1/namespaces/pulled/persistentvolumeclaims/data-{i}");
        wait_until("it is bound", async || {
            let claim = get(tenant, &path).await;
            if claim["status"]["phase"] == "Bound" { Ok(()) } else { Err(claim["status"].to_string()) }
        })
        .await;
        let mut pod = mounting("pulled", &format!("pod-{i}"), &format!("data-{i}"));
        // It would rather be elsewhere.
        let wish = json!({"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["node-5", "node-6"]}]});
        pod["spec"]["affinity"] =
            json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": wish}]}});
        apply(tenant, &[pod]).await;
    }
    for i in 0..6 {
        runs_on(tenant, "pulled", &format!("pod-{i}"), &CLEARED).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_plain_namespace_claims_and_volumes_are_stored_as_they_were_before_there_was_a_guard() {
    let cluster = &*QUIET.ready().await;
    let clients = Clients::of(cluster).await;
    let tenant = clients.client(Who::Tenant);
    namespace(tenant, "plain-stores", None).await;
    let mut after = claim("plain-stores", "data", "standard");
    after["metadata"]["annotations"] = json!({"example.com/note": "as it is"});
    let mut plain = volume("plain-after", "standard", "", "");
    plain["spec"]["csi"]["driver"] = "plain.example".into();
    plain["spec"]["csi"]["volumeHandle"] = "plain".into();
    plain["spec"]["accessModes"] = json!(["ReadWriteMany"]);
    plain["spec"]["capacity"]["storage"] = "1Mi".into();
    plain["spec"]["persistentVolumeReclaimPolicy"] = "Retain".into();
    apply(tenant, &[after, plain]).await;
    let stored = async |path: &str| {
        let object = get(tenant, path).await;
        json!({"labels": object["metadata"]["labels"], "annotations": object["metadata"]["annotations"], "spec": object["spec"]})
            .to_string()
    };
    let claims = ["plain", "plain-stores"].map(|namespace| format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims/data"));
    assert_eq!(stored(&claims[0]).await, stored(&claims[1]).await);
    assert_eq!(stored(&format!("{VOLUMES}/plain")).await, stored(&format!("{VOLUMES}/plain-after")).await);
}

/// The binder asked, and was told no: not a moment in which it had not asked yet.
async fn refused_to_the_binder(cluster: &Cluster, resource: &str, name: &str) {
    wait_until(&format!("the binder is refused {name}"), async || {
        let lines = cluster.audited("persistent-volume-binder");
        let refused = lines.iter().any(|line| line.contains(&format!("/{resource}/{name}")) && line.contains("\"code\":403"));
        if refused { Ok(()) } else { Err(lines.last().cloned()) }
    })
    .await;
}

async fn runs_on(client: &Client, namespace: &str, pod: &str, nodes: &[&str]) {
    let node = wait_until(&format!("{namespace}/{pod} runs"), async || {
        let pod = get(client, &format!("/api/v1/namespaces/{namespace}/pods/{pod}")).await;
        if pod["status"]["phase"] == "Running" { Ok(text(&pod["spec"]["nodeName"]).to_owned()) } else { Err(pod["status"].to_string()) }
    })
    .await;
    assert!(nodes.contains(&node.as_str()), "{namespace}/{pod} runs on {node}");
}

/// A volume, reserved for a claim if one is named.
fn volume(name: &str, class: &str, namespace: &str, claim: &str) -> Value {
    let mut spec = json!({
        "storageClassName": class, "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"},
        "csi": {"driver": "disk.example", "volumeHandle": name},
    });
    if !claim.is_empty() {
        spec["claimRef"] = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": claim});
    }
    json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec})
}

fn mounting(namespace: &str, name: &str, claim: &str) -> Value {
    let volumes = json!([{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]);
    let spec = json!({"containers": [{"name": "main", "image": "example.com/main"}], "volumes": volumes});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}}, "spec": spec})
}

async fn get(client: &Client, path: &str) -> Value {
    let answer = send(client, Method::GET, path, None).await.expect("the API server answers");
    answer.accepted().unwrap_or_else(|refusal| panic!("{path}: {refusal}"))
}

async fn list(client: &Client, path: &str) -> Vec<Value> {
    get(client, path).await["items"].as_array().cloned().unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
