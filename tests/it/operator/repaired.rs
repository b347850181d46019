//! A Clearance, a policy or a label that somebody edits or deletes closes sensitive namespaces, never opens them, and is put right.

use http::Method;
use serde_json::{Value, json};

use super::world::{World, interne, namespace, plain_cloud, pod, qualified_cloud, restreint};
use crate::cluster::{apply, expect_refused, send, wait_until};

const CLEARANCE: &str = "/apis/rempart.dev/v1alpha1/clearances/cluster";

async fn world(name: &str) -> World {
    let world = World::guarded(name).await;
    apply(&world.admin, &[qualified_cloud("snc"), plain_cloud("aws"), restreint(), interne()]).await;
    world.nodes("snc", 2, "snc").await;
    world.nodes("aws", 1, "aws").await;
    world.wait_nodes("snc", "restreint", true).await;
    apply(&world.admin, &[namespace("secret", Some("restreint")), namespace("open", None)]).await;
    world.wait_condition("sensitivitylevels/restreint", "Enforced", "True", "").await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_clearance_closes_and_hinders_nothing_else() {
    let mut world = world("no-clearance").await;
    world.create_pod("secret", &pod("before")).await.accepted().unwrap();
    world.wait_pods("secret", 1).await;
    world.kill();
    world.delete(CLEARANCE).await;

    let refusal = wait_until("pods are refused", async || {
        let answer = world.create_pod("secret", &pod("after")).await;
        if answer.status >= 400 {
            return Ok(answer);
        }
        Err(send(&world.admin, Method::DELETE, "/api/v1/namespaces/secret/pods/after", None).await.unwrap().status)
    })
    .await;
    eprintln!("{}", refusal.refusal());
    world.create_pod("open", &pod("plain")).await.accepted().expect("plain namespaces notice nothing");
    world.wait_pods("open", 1).await;
    world
        .patch(
            "/api/v1/namespaces/secret/pods/before",
            json!({"metadata": {"annotations": {"example.com/a": "b"}, "finalizers": ["example.com/f"]}}),
        )
        .await;
    world.delete("/api/v1/namespaces/secret/pods/before").await;
    world.patch("/api/v1/namespaces/secret/pods/before", json!({"metadata": {"finalizers": null}})).await;
    wait_until(
        "the pod is gone",
        async || if world.get("/api/v1/namespaces/secret/pods/before").await.is_err() { Ok(()) } else { Err(()) },
    )
    .await;
    world.patch("/api/v1/nodes/snc-1", json!({"metadata": {"annotations": {"example.com/a": "b"}}})).await;

    world.start().await;
    wait_until("pods are accepted again", async || world.create_pod("secret", &pod("again")).await.accepted().map(drop)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_edited_by_hand_is_put_right() {
    let world = world("edited").await;
    let right = world.clearance().await;

    world.patch(CLEARANCE, json!({"spec": {"clouds": {"aws": ["interne", "restreint"]}}})).await;
    wait_until("the Clearance is right again", async || {
        let now = world.clearance().await;
        if now["clouds"] == right["clouds"] { Ok(()) } else { Err(now["clouds"].clone()) }
    })
    .await;
    world.delete(CLEARANCE).await;
    wait_until("the Clearance is back", async || if world.clearance().await["clouds"] == right["clouds"] { Ok(()) } else { Err(()) }).await;

    let label = "rempart.node-restriction.kubernetes.io/restreint";
    world.patch("/api/v1/nodes/snc-1", json!({"metadata": {"labels": {"example.com/x": "y"}}})).await;
    let operator = world.cluster.user("system:serviceaccount:rempart-system:rempart", &[]).await;
    let off = json!({"metadata": {"labels": {label: null}}});
    send(&operator, Method::PATCH, "/api/v1/nodes/snc-1", Some(&off))
        .await
        .unwrap()
        .accepted()
        .expect("as the operator itself, since nobody else may");
    world.wait_nodes("snc", "restreint", true).await;

    // Between such an edit and its repair the guard is weaker: docs/src/limits.md.
    let excused = world.cluster.history().excuse();
    let policy = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/rempart-pod";
    let before: Value = world.get(policy).await.unwrap()["spec"].clone();
    world.patch(policy, json!({"spec": {"failurePolicy": "Ignore", "matchConditions": [{"name": "never", "expression": "false"}]}})).await;
    wait_until("the policy is right again", async || {
        let now = world.get(policy).await?["spec"].clone();
        if now == before { Ok(()) } else { Err(now.to_string()) }
    })
    .await;
    let binding = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/rempart-bind";
    let before: Value = world.get(binding).await.unwrap()["spec"].clone();
    world.patch(binding, json!({"spec": {"validationActions": ["Warn"]}})).await;
    wait_until("the binding is right again", async || {
        let now = world.get(binding).await?["spec"].clone();
        if now == before { Ok(()) } else { Err(now.to_string()) }
    })
    .await;
    wait_until("and it bites", async || {
        let mut named = pod("named");
        named["spec"]["nodeName"] = "aws-1".into();
        let answer = world.create_pod("secret", &named).await;
        if answer.status == 403 {
            expect_refused(&answer, "spec.nodeName");
            Ok(())
        } else {
            Err(answer.status)
        }
    })
    .await;
    drop(excused);
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_c2_a_policy_that_alters_what_the_operator_writes_is_noticed_and_does_not_make_it_spin() {
    let world = World::guarded("altered").await;
    apply(&world.admin, &[qualified_cloud("snc"), plain_cloud("aws"), restreint()]).await;
    world.nodes("snc", 1, "snc").await;
    world.wait_nodes("snc", "restreint", true).await;
    world.wait_condition("sensitivitylevels/restreint", "Enforced", "True", "").await;
    world.settled().await;
    let right = world.clearance().await;

    let hostile = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies/hostile";
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": {"name": "hostile"},
        "spec": {
            "failurePolicy": "Ignore", "reinvocationPolicy": "Never",
            "matchConstraints": {"resourceRules": [{"apiGroups": ["rempart.dev"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "resources": ["clearances"]}]},
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'replace', path: '/spec/clouds/aws', value: ['restreint']}]"}}],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": "hostile"},
        "spec": {"policyName": "hostile"},
    });
    apply(&world.admin, &[policy, binding]).await;
    wait_until("the Clearance is altered on its way", async || {
        world.patch(CLEARANCE, json!({"metadata": {"annotations": {"example.com/touched": "yes"}}})).await;
        let now = world.clearance().await;
        if now["clouds"]["aws"] == json!(["restreint"]) { Ok(()) } else { Err(now["clouds"].clone()) }
    })
    .await;
    world.wait_condition("sensitivitylevels/restreint", "Enforced", "False", "Clearance").await;
    world.wait_condition("sensitivitylevels/restreint", "Ready", "False", "stored otherwise than it was written").await;
    // Ever more seldom: after 0.5, 1, 2, 4 s. Without a brake it would be some twenty a second.
    let tries = || world.log().matches("not written what=\"Clearance/cluster\"").count();
    wait_until("it has tried a few times", async || if tries() >= 4 { Ok(()) } else { Err(tries()) }).await;
    let plans = world.log().matches("planned steps=").count();
    assert!(plans < 200, "{plans} plans for {} tries", tries());

    world.delete("/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings/hostile").await;
    world.delete(hostile).await;
    wait_until("the Clearance is right again", async || {
        let now = world.clearance().await;
        if now["clouds"] == right["clouds"] { Ok(()) } else { Err(now["clouds"].clone()) }
    })
    .await;
    world.wait_condition("sensitivitylevels/restreint", "Enforced", "True", "").await;
}
