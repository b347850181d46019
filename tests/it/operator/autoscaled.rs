//! Where an autoscaler makes the nodes: it may put a clearance label on a node, and the Clearance remains what decides.

use http::Method;
use serde_json::{Value, json};

use super::world::{World, merged, namespace, node, plain_cloud, pod, qualified_cloud, restreint};
use crate::cluster::{apply, expect_refused, send, wait_until};

const AUTOSCALER: &str = "system:serviceaccount:karpenter:karpenter";
const LABEL: &str = "rempart.node-restriction.kubernetes.io/restreint";
const POD: &str = "/api/v1/namespaces/secret/pods/ledger";

/// A node that comes with the labels of its pool, as Karpenter makes them.
fn of_pool(name: &str, cloud: &str) -> Value {
    merged(node(name, cloud), json!({"metadata": {"labels": {LABEL: "cleared"}}}))
}

fn may_write_nodes(user: &str) -> Vec<Value> {
    let rule = json!({"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "create", "patch"]});
    let role =
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "makes-nodes"}, "rules": [rule]});
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": user.replace(':', "-")},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "makes-nodes"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    });
    vec![role, binding]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_autoscaler_buys_nodes_by_their_label_and_the_clearance_decides() {
    let mut world = World::installed("autoscaled").await;
    world.launch_with(&["--node-labeler", AUTOSCALER]);
    apply(&world.admin, &[qualified_cloud("snc"), plain_cloud("aws"), restreint(), namespace("secret", Some("restreint"))]).await;
    world.wait_condition("sensitivitylevels/restreint", "Enforced", "True", "").await;
    apply(&world.admin, &[may_write_nodes(AUTOSCALER), may_write_nodes("somebody")].concat()).await;
    let (autoscaler, somebody) = (world.cluster.user(AUTOSCALER, &[]).await, world.cluster.user("somebody", &[]).await);

    wait_until("a pod is accepted", async || world.create_pod("secret", &pod("ledger")).await.accepted()).await;
    wait_until("the scheduler finds no node for it, and that is old", async || {
        let pod = world.get(POD).await?;
        let mut conditions = pod["status"]["conditions"].clone();
        let waits = conditions.as_array_mut().and_then(|all| all.iter_mut().find(|condition| condition["reason"] == "Unschedulable"));
        let waits = waits.ok_or_else(|| pod.to_string())?;
        waits["lastTransitionTime"] = "2026-01-01T00:00:00Z".into();
        let backdated = json!({"status": {"conditions": conditions}});
        send(&world.admin, Method::PATCH, &format!("{POD}/status"), Some(&backdated)).await.expect("the API server answers").accepted()
    })
    .await;
    let said = "NoRoom: 1 pod waiting for a node, and 0 nodes cleared; secret/ledger since 2026-01-01T00:00:00Z: no nodes available";
    world.wait_condition("sensitivitylevels/restreint", "Schedulable", "False", said).await;

    let foreign = send(&somebody, Method::POST, "/api/v1/nodes", Some(&of_pool("snc-0", "snc"))).await.expect("the API server answers");
    expect_refused(&foreign, LABEL);
    for (name, cloud) in [("aws-1", "aws"), ("stray-1", "nowhere")] {
        let made = send(&autoscaler, Method::POST, "/api/v1/nodes", Some(&of_pool(name, cloud))).await.expect("the API server answers");
        made.accepted().unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        world.wait_nodes(name.trim_end_matches("-1"), "restreint", false).await;
    }
    let waiting = world.get(POD).await.expect("it is there");
    assert!(waiting["spec"]["nodeName"].is_null(), "{waiting}");

    let made = send(&autoscaler, Method::POST, "/api/v1/nodes", Some(&of_pool("snc-1", "snc"))).await.expect("the API server answers");
    made.accepted().unwrap_or_else(|refusal| panic!("{refusal}"));
    let pods = world.wait_pods("secret", 1).await;
    assert_eq!(pods[0].1.as_deref(), Some("snc-1"));
    world.wait_condition("sensitivitylevels/restreint", "Schedulable", "True", "NoPodWaits").await;
    // A pool whose label nobody deserves puts it back for ever, and changes nothing.
    for _ in 0..3 {
        let again = json!({"metadata": {"labels": {LABEL: "cleared"}}});
        let patched = send(&autoscaler, Method::PATCH, "/api/v1/nodes/aws-1", Some(&again)).await.expect("the API server answers");
        patched.accepted().unwrap_or_else(|refusal| panic!("{refusal}"));
        world.wait_nodes("aws", "restreint", false).await;
    }
}
