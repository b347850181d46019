//! What must work as ever, with real controllers and the real scheduler.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use kube::Client;
use serde_json::{Value, json};

use super::world::{Clients, QUIET, Who, namespace, plain_pods};
use crate::cluster::{apply, expect_refused, send, wait_until, yaml};

pub(super) const CLEARED: [&str; 4] = ["node-0", "node-1", "node-2", "node-3"];

#[tokio::test(flavor = "multi_thread")]
async fn workloads_of_every_kind_run_on_cleared_nodes_only() {
    let cluster = &*QUIET.ready().await;
    let clients = Clients::of(cluster).await;
    let tenant = clients.client(Who::Tenant);
    namespace(tenant, "hospital", Some("restreint")).await;
    apply(tenant, &into("hospital", include_str!("workloads.yaml"))).await;
    apply(tenant, &into("hospital", include_str!("hostile.yaml"))).await;
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "nightly-by-hand", "namespace": "hospital", "annotations": {"cronjob.kubernetes.io/instantiate": "manual"}},
        "spec": into("hospital", include_str!("workloads.yaml"))[4]["spec"]["jobTemplate"]["spec"]});
    apply(tenant, &[job]).await;

    let wanted = BTreeMap::from([("web", 10), ("store", 3), ("agent", CLEARED.len()), ("import", 3), ("choosy", 4)]);
    let pods = wait_until("every pod runs that may", async || {
        let pods = pods(tenant, "hospital").await?;
        let running =
            |app: &str| pods.iter().filter(|pod| pod.app == app && ["Running", "Succeeded"].contains(&pod.phase.as_str())).count();
        let lacks: Vec<_> = wanted.iter().filter(|(app, count)| running(app) != **count).collect();
        if lacks.is_empty() && running("nightly") > 0 { Ok(pods) } else { Err(format!("{lacks:?} of {pods:?}")) }
    })
    .await;
    for pod in &pods {
        assert!(pod.node.is_empty() || CLEARED.contains(&pod.node.as_str()), "{pod:?}");
        assert!(
            !["own-selector", "node-name", "wildcard", "stripped", "other-scheduler"].contains(&pod.app.as_str()) || pod.node.is_empty(),
            "{pod:?}"
        );
    }
    // One on each cleared node, and none that waits.
    let agents: Vec<_> = pods.iter().filter(|pod| pod.app == "agent").collect();
    assert_eq!(agents.iter().map(|pod| pod.node.as_str()).collect::<BTreeSet<_>>(), BTreeSet::from(CLEARED));
    assert_eq!(agents.len(), CLEARED.len());

    // The scheduler that the pod asks for may not bind it, even where it may run.
    let waiting = wait_until("the pods of the other scheduler are there", async || {
        let pods = self::pods(tenant, "hospital").await?;
        pods.into_iter().find(|pod| pod.app == "other-scheduler").ok_or_else(|| "none yet".to_owned())
    })
    .await;
    let binding =
        json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": waiting.name}, "target": {"kind": "Node", "name": "node-0"}});
    let path = format!("/api/v1/namespaces/hospital/pods/{}/binding", waiting.name);
    let answer = send(clients.client(Who::OtherScheduler), Method::POST, &path, Some(&binding)).await.expect("the API server answers");
    expect_refused(&answer, "other-scheduler is not a scheduler of this level");

    // The kubelet of a node writes the status of its pods.
    let web = pods.iter().find(|pod| pod.app == "web").expect("it runs");
    let kubelet = cluster.kubelet(&web.node).await;
    let path = format!("/api/v1/namespaces/hospital/pods/{}/status", web.name);
    let answer = send(&kubelet, Method::PATCH, &path, Some(&json!({"status": {"message": "seen by its kubelet"}})))
        .await
        .expect("the API server answers");
    assert_eq!(answer.status, 200, "{}", answer.body);

    // The refusal is told where people look: in an event of the ReplicaSet.
    wait_until("an event says why", async || {
        let events =
            send(tenant, Method::GET, "/api/v1/namespaces/hospital/events", None).await.map_err(|error| error.to_string())?.accepted()?;
        if events.to_string().contains("spec.nodeName node-5 bypasses the scheduler: remove it") {
            Ok(())
        } else {
            Err("no such event".to_owned())
        }
    })
    .await;

    send(tenant, Method::DELETE, "/api/v1/namespaces/hospital", None)
        .await
        .expect("the API server answers")
        .accepted()
        .expect("it may be deleted");
    wait_until("the namespace is gone", async || {
        let answer = send(tenant, Method::GET, "/api/v1/namespaces/hospital", None).await.map_err(|error| error.to_string())?;
        if answer.status == 404 { Ok(()) } else { Err(answer.body["status"].to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn declared_workloads_run_on_cleared_nodes_with_no_operator() {
    let cluster = &*QUIET.ready().await;
    let clients = Clients::of(cluster).await;
    let tenant = clients.client(Who::Tenant);
    namespace(tenant, "shop", None).await;
    let declaration = json!({"apiVersion": "rempart.dev/v1alpha1", "kind": "DataDeclaration", "metadata": {"name": "payments", "namespace": "shop"}, "spec": {"level": "restreint", "workloads": {"matchLabels": {"app": "web"}}}});
    apply(tenant, &[declaration]).await;
    apply(tenant, &into("shop", include_str!("workloads.yaml"))[..1]).await;
    let pods = wait_until("every pod runs", async || {
        let pods = pods(tenant, "shop").await?;
        if pods.iter().filter(|pod| pod.phase == "Running").count() == 10 { Ok(pods) } else { Err(format!("{pods:?}")) }
    })
    .await;
    assert!(pods.iter().all(|pod| CLEARED.contains(&pod.node.as_str())), "{pods:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_plain_namespace_pods_are_stored_as_they_were_before_there_was_a_guard() {
    let cluster = &*QUIET.ready().await;
    let clients = Clients::of(cluster).await;
    let tenant = clients.client(Who::Tenant);
    namespace(tenant, "plain-after", None).await;
    apply(tenant, &plain_pods("plain-after")).await;
    let stored = async |namespace: &str, name: &str| {
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
        let pod = send(tenant, Method::GET, &path, None).await.expect("the API server answers").accepted().expect("it is there");
        json!({"labels": pod["metadata"]["labels"], "annotations": pod["metadata"]["annotations"], "spec": pod["spec"]}).to_string()
    };
    for pod in plain_pods("plain-after") {
        let name = pod["metadata"]["name"].as_str().expect("it has a name");
        assert_eq!(stored("plain-before", name).await, stored("plain-after", name).await);
    }
}

/// B3, with the kubelet's own identity.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_registered_again_under_its_name_is_not_cleared() {
    let cluster = &*QUIET.ready().await;
    let clients = Clients::of(cluster).await;
    let kubelet = cluster.kubelet("node-20").await;
    let label = "rempart.node-restriction.kubernetes.io/restreint";
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-20"}});
    let mut cleared = node.clone();
    cleared["metadata"]["labels"] = json!({label: "cleared"});
    let register = async |node: &Value| send(&kubelet, Method::POST, "/api/v1/nodes", Some(node)).await.expect("the API server answers");

    register(&node).await.accepted().expect("a kubelet registers its node");
    let answer = send(
        clients.client(Who::Operator),
        Method::PATCH,
        "/api/v1/nodes/node-20",
        Some(&json!({"metadata": {"labels": {label: "cleared"}}})),
    )
    .await;
    answer.expect("the API server answers").accepted().expect("the operator clears it");
    let answer = send(clients.client(Who::Tenant), Method::DELETE, "/api/v1/nodes/node-20", None).await;
    answer.expect("the API server answers").accepted().expect("a node may be deleted");
    expect_refused(&register(&cleared).await, "is not allowed to");
    let again = register(&node).await.accepted().expect("a kubelet registers its node again");
    assert!(again["metadata"]["labels"][label].is_null(), "{again}");
}

#[derive(Debug)]
pub(super) struct Pod {
    pub(super) name: String,
    pub(super) app: String,
    pub(super) node: String,
    pub(super) phase: String,
}

pub(super) async fn pods(client: &Client, namespace: &str) -> Result<Vec<Pod>, String> {
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let list = send(client, Method::GET, &path, None).await.map_err(|error| error.to_string())?.accepted()?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let pod = |pod: &Value| Pod {
        name: text(&pod["metadata"]["name"]),
        app: text(&pod["metadata"]["labels"]["app"]),
        node: text(&pod["spec"]["nodeName"]),
        phase: text(&pod["status"]["phase"]),
    };
    Ok(list["items"].as_array().into_iter().flatten().map(pod).collect())
}

/// The objects of a YAML text, in a namespace.
pub(super) fn into(namespace: &str, text: &str) -> Vec<Value> {
    let mut objects = yaml(text);
    for object in &mut objects {
        object["metadata"]["namespace"] = namespace.into();
    }
    objects
}
