//! What was there before a namespace got its level.

use http::Method;
use serde_json::{Value, json};

use super::world::{World, interne, merged, namespace, plain_cloud, pod, qualified_cloud, restreint};
use crate::cluster::{apply, send, wait_until};

fn workload(kind: &str, name: &str, replicas: Option<u32>, gate: bool) -> Value {
    let mut template = json!({"metadata": {"labels": {"app": name}}, "spec": pod("x")["spec"]});
    if gate {
        template["spec"]["nodeSelector"] = json!({"example.com/nowhere": "yes"});
    }
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": "emr"},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template},
    });
    if let Some(replicas) = replicas {
        object["spec"]["replicas"] = replicas.into();
    }
    object
}

/// What `kubectl rollout restart` does, to a set that the operator has not touched.
async fn restart(world: &World) {
    let set = world.get("/apis/apps/v1/namespaces/emr/daemonsets/each").await.unwrap();
    assert_eq!(set["metadata"]["annotations"]["rempart.dev/touched"], Value::Null);
    let now = json!({"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-11-25T12:00:00Z"}}}}});
    world.patch("/apis/apps/v1/namespaces/emr/daemonsets/each", now).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_gets_its_level_late_loses_no_pod_and_leaves_none_waiting() {
    let world = World::guarded("older").await;
    apply(&world.admin, &[qualified_cloud("snc"), plain_cloud("aws"), restreint(), interne()]).await;
    world.nodes("aws", 3, "aws").await;
    world.wait_nodes("aws", "interne", true).await;
    apply(&world.admin, &[namespace("emr", None)]).await;
    apply(
        &world.admin,
        &[
            workload("DaemonSet", "each", None, false),
            workload("Deployment", "runs", Some(3), false),
            workload("Deployment", "waits", Some(2), true),
        ],
    )
    .await;
    wait_until("six pods run and two wait", async || {
        let pods = world.pods("emr").await;
        let running = pods.iter().filter(|(_, _, phase)| phase == "Running").count();
        if (pods.len(), running) == (8, 6) { Ok(()) } else { Err(pods) }
    })
    .await;
    world
        .create_pod("emr", &{
            let mut alone = pod("alone");
            alone["spec"]["nodeSelector"] = json!({"example.com/nowhere": "yes"});
            alone
        })
        .await
        .accepted()
        .unwrap();
    let mut template = json!({"spec": pod("x")["spec"]});
    template["spec"]["restartPolicy"] = "Never".into();
    template["spec"]["nodeSelector"] = json!({"example.com/nowhere": "yes"});
    apply(
        &world.admin,
        &[json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once", "namespace": "emr"},
            "spec": {"backoffLimit": 0, "template": template},
        })],
    )
    .await;
    wait_until("the Job has a pod that waits", async || {
        let job = world.get("/apis/batch/v1/namespaces/emr/jobs/once").await?;
        if job["status"]["active"] == 1 { Ok(()) } else { Err(job["status"].to_string()) }
    })
    .await;
    let before: Vec<String> =
        world.pods("emr").await.into_iter().filter(|(_, _, phase)| phase == "Running").map(|(name, _, _)| name).collect();

    world.nodes("snc", 2, "snc").await;
    world.wait_nodes("snc", "restreint", true).await;
    apply(&world.admin, &[namespace("emr", Some("restreint"))]).await;

    // Waiting pods come back with the selector; the one without a controller is nobody's to make again, and stays.
    wait_until("waiting pods carry the selector", async || {
        let pods = world.items("/api/v1/namespaces/emr/pods").await;
        let waiting =
            pods.iter().filter(|pod| pod["metadata"]["labels"]["app"] == "waits" && pod["metadata"]["deletionTimestamp"].is_null());
        let selectors: Vec<&Value> =
            waiting.map(|pod| &pod["spec"]["nodeSelector"]["rempart.node-restriction.kubernetes.io/restreint"]).collect();
        if selectors.len() == 2 && selectors.iter().all(|selector| **selector == "cleared") {
            Ok(())
        } else {
            Err(format!("{selectors:?}"))
        }
    })
    .await;
    world.get("/api/v1/namespaces/emr/pods/alone").await.expect("it is still there");
    // A Job counts a deleted pod as failed, and this one allows no failure.
    let job = world.get("/apis/batch/v1/namespaces/emr/jobs/once").await.unwrap();
    assert_eq!(job["status"]["active"], 1, "{}", job["status"]);
    world.wait_condition("sensitivitylevels/restreint", "Ready", "True", "waiting without the selector of the level: 2 pods").await;

    // The DaemonSet's pods run where they should not, and nobody has asked for their end: it is somebody's to roll it out.
    restart(&world).await;
    wait_until("the DaemonSet has a pod on each cleared node", async || {
        let set = world.get("/apis/apps/v1/namespaces/emr/daemonsets/each").await?;
        if set["status"]["desiredNumberScheduled"] == 2 && set["status"]["numberReady"] == 2 {
            Ok(())
        } else {
            Err(set["status"].to_string())
        }
    })
    .await;

    // What runs goes on running, and is reported with its node.
    let running: Vec<String> = world
        .pods("emr")
        .await
        .into_iter()
        .filter(|(name, _, phase)| phase == "Running" && name.starts_with("runs-"))
        .map(|(name, _, _)| name)
        .collect();
    assert_eq!(running, before.iter().filter(|name| name.starts_with("runs-")).cloned().collect::<Vec<_>>());
    let level = world.wait_condition("sensitivitylevels/restreint", "Compliant", "False", "3 pods on nodes that are not cleared").await;
    assert!(level["status"]["conditions"].to_string().contains("on aws-"), "{}", level["status"]);

    // And can be updated, evicted and deleted.
    let name = &running[0];
    world.patch(&format!("/api/v1/namespaces/emr/pods/{name}"), json!({"metadata": {"annotations": {"example.com/seen": "yes"}}})).await;
    world.delete(&format!("/api/v1/namespaces/emr/pods/{name}")).await;
    let pods = wait_until("its successor runs on a cleared node", async || {
        let pods = world.pods("emr").await;
        let moved = pods.iter().any(|(pod, node, phase)| {
            pod.starts_with("runs-") && phase == "Running" && node.as_ref().is_some_and(|node| node.starts_with("snc-"))
        });
        if moved { Ok(pods) } else { Err(pods) }
    })
    .await;
    assert!(pods.iter().all(|(pod, _, _)| pod != name));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_set_gets_its_selector_at_the_next_rollout_when_a_level_turns_from_warn_to_enforce() {
    let world = World::guarded("older-warn").await;
    let mut warning = restreint();
    warning["spec"]["enforcement"] = "Warn".into();
    apply(&world.admin, &[qualified_cloud("snc"), plain_cloud("aws"), warning, namespace("emr", Some("restreint"))]).await;
    world.nodes("snc", 1, "snc").await;
    world.nodes("aws", 1, "aws").await;
    world.wait_nodes("snc", "restreint", true).await;
    world.wait_condition("sensitivitylevels/restreint", "Enforced", "False", "Warning").await;
    // Not before the API server has taken into use that nothing is added for this level.
    wait_until("no selector is added", async || {
        let stranger = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "try-"}, "spec": pod("x")["spec"]});
        let made = world.create_pod("emr", &stranger).await.accepted()?;
        if made["spec"]["nodeSelector"].is_null() { Ok(()) } else { Err(made["spec"]["nodeSelector"].to_string()) }
    })
    .await;
    apply(&world.admin, &[workload("DaemonSet", "each", None, false)]).await;
    wait_until("it runs everywhere", async || {
        let set = world.get("/apis/apps/v1/namespaces/emr/daemonsets/each").await?;
        if set["status"]["numberReady"] == 2 { Ok(()) } else { Err(set["status"].to_string()) }
    })
    .await;

    world.patch("/apis/rempart.dev/v1alpha1/sensitivitylevels/restreint", json!({"spec": {"enforcement": "Enforce"}})).await;
    world.wait_condition("sensitivitylevels/restreint", "Enforced", "True", "ProbeRefused").await;
    restart(&world).await;
    wait_until("it runs on the cleared node alone", async || {
        let set = world.get("/apis/apps/v1/namespaces/emr/daemonsets/each").await?;
        if set["status"]["desiredNumberScheduled"] == 1 && set["status"]["numberReady"] == 1 { Ok(()) } else { Err(set.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_set_whose_pods_all_run_well_gets_its_selector_at_once() {
    let world = World::guarded("older-set").await;
    apply(&world.admin, &[qualified_cloud("snc"), restreint(), namespace("emr", None)]).await;
    world.nodes("snc", 2, "snc").await;
    world.wait_nodes("snc", "restreint", true).await;
    world.wait_condition("sensitivitylevels/restreint", "Enforced", "True", "").await;
    apply(&world.admin, &[workload("DaemonSet", "each", None, false)]).await;
    world.wait_pods("emr", 2).await;
    apply(&world.admin, &[namespace("emr", Some("restreint"))]).await;
    wait_until("its template asks for cleared nodes", async || {
        let set = world.get("/apis/apps/v1/namespaces/emr/daemonsets/each").await?;
        let selector = &set["spec"]["template"]["spec"]["nodeSelector"]["rempart.node-restriction.kubernetes.io/restreint"];
        if selector == "cleared" { Ok(()) } else { Err(set["spec"]["template"].to_string()) }
    })
    .await;
}

/// Pods of `emr` with this suffix are changed, evicted and deleted, and their kubelet is heard.
async fn work(world: &World, suffix: &str) {
    let kubelet = world.cluster.kubelet("aws-1").await;
    let path = |name: &str| format!("/api/v1/namespaces/emr/pods/{name}");
    let named = |name: &str| format!("{name}{suffix}");
    world.patch(&path("stays"), json!({"metadata": {"labels": {"step": named("x")}}})).await;
    world.patch(&path("stays"), json!([{"op": "replace", "path": "/spec/containers/0/image", "value": named("i")}])).await;
    let said = json!({"status": {"message": named("m")}});
    let said = send(&kubelet, Method::PATCH, &format!("{}/status", path("stays")), Some(&said)).await.unwrap();
    said.accepted().expect("its kubelet writes its status");
    let evict = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": named("evicted"), "namespace": "emr"}});
    let evicted = send(&world.admin, Method::POST, &format!("{}/eviction", path(&named("evicted"))), Some(&evict)).await.unwrap();
    evicted.accepted().expect("it can be evicted");
    world.delete(&path(&named("deleted"))).await;
    world.patch(&path(&named("finalized")), json!({"metadata": {"finalizers": ["example.com/f"]}})).await;
    world.delete(&path(&named("finalized"))).await;
    world.patch(&path(&named("finalized")), json!({"metadata": {"finalizers": null}})).await;
    wait_until("they are gone", async || {
        let left = world.items("/api/v1/namespaces/emr/pods").await;
        let left: Vec<_> = left.iter().filter_map(|pod| pod["metadata"]["name"].as_str().map(ToOwned::to_owned)).collect();
        let gone = ["evicted", "deleted", "finalized"].map(named);
        if left.iter().any(|name| gone.contains(name)) { Err(left) } else { Ok(()) }
    })
    .await;
}

/// A pod on a node that is not cleared, from before its namespace had a level: nobody hinders it, and everybody can see it.
#[tokio::test(flavor = "multi_thread")]
async fn pods_older_than_their_level_keep_working_with_and_without_a_clearance() {
    let mut world = World::guarded("older-pods").await;
    apply(&world.admin, &[qualified_cloud("snc"), plain_cloud("aws"), restreint(), namespace("emr", None)]).await;
    world.nodes("aws", 1, "aws").await;
    let names = ["evicted", "deleted", "finalized", "stays", "evicted-late", "deleted-late", "finalized-late"];
    for name in names {
        let quick = merged(pod(name), json!({"spec": {"terminationGracePeriodSeconds": 0}}));
        wait_until("it is accepted", async || world.create_pod("emr", &quick).await.accepted()).await;
    }
    world.wait_pods("emr", names.len()).await;
    apply(&world.admin, &[namespace("emr", Some("restreint"))]).await;
    world.wait_condition("sensitivitylevels/restreint", "Compliant", "False", "7 pods on nodes that are not cleared: ").await;
    world.wait_condition("sensitivitylevels/restreint", "Compliant", "False", "aws-1").await;

    work(&world, "").await;
    world.wait_condition("sensitivitylevels/restreint", "Compliant", "False", "4 pods on nodes that are not cleared: ").await;

    world.kill();
    world.delete("/apis/rempart.dev/v1alpha1/clearances/cluster").await;
    wait_until("new pods are refused", async || {
        let answer = send(&world.admin, Method::POST, "/api/v1/namespaces/emr/pods?dryRun=All", Some(&pod("new"))).await.unwrap();
        if answer.status >= 400 { Ok(()) } else { Err(answer.status) }
    })
    .await;
    work(&world, "-late").await;
}
