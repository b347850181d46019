//! An API server that does not do its part: the operator sees it, and says so.

use http::Method;
use serde_json::json;

use super::world::{World, merged, namespace, node, pod, qualified_cloud, restreint};
use crate::cluster::{Cluster, apply, send, wait_until};

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_without_validating_policies_is_open_and_that_is_said() {
    let flag = "--disable-admission-plugins=ValidatingAdmissionPolicy";
    let mut world = World::installed_on(Cluster::start("no-validation", &["--apiserver-flag", flag])).await;
    world.launch_with(&["--probe-every", "1s"]);
    apply(&world.admin, &[qualified_cloud("snc"), restreint()]).await;
    let level = world.wait_condition("sensitivitylevels/restreint", "Enforced", "False", "was let pass in namespace rempart-canary").await;
    let conditions = level["status"]["conditions"].to_string();
    assert!(conditions.contains("ProbeAdmitted"), "{conditions}");
    world.wait_for_log("the guard is open").await;
}

/// What another policy refuses proves nothing of ours, and one that refuses everything hides what ours do.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_of_somebody_else_that_refuses_the_probe_is_named_and_proves_nothing() {
    const BINDINGS: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/company-rule";
    let mut world = World::installed("foreign-policy").await;
    world.launch_with(&["--probe-every", "1s"]);
    apply(&world.admin, &[qualified_cloud("snc"), restreint()]).await;
    world.wait_condition("sensitivitylevels/restreint", "Enforced", "True", "was seen to refuse").await;
    let all = json!({"apiGroups": ["", "rempart.dev"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["pods", "pods/binding", "bindings", "persistentvolumeclaims", "datadeclarations"]});
    let object = |kind: &str, spec| json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": "company-rule"}, "spec": spec});
    let policy = object(
        "ValidatingAdmissionPolicy",
        json!({"matchConstraints": {"resourceRules": [all]}, "validations": [{"expression": "false", "message": "nothing runs here"}]}),
    );
    let there = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "rempart-canary"}}});
    let binding = json!({"policyName": "company-rule", "validationActions": ["Deny"], "matchResources": there});
    apply(&world.admin, &[policy, object("ValidatingAdmissionPolicyBinding", binding)]).await;
    let said = "another policy refuses the probe: exempt namespace rempart-canary from it";
    let level = world.wait_condition("sensitivitylevels/restreint", "Enforced", "Unknown", said).await;
    let conditions = level["status"]["conditions"].to_string();
    assert!(conditions.contains("ProbeUnclear") && conditions.contains("company-rule"), "{conditions}");

    world.delete(BINDINGS).await;
    world.wait_condition("sensitivitylevels/restreint", "Enforced", "True", "was seen to refuse").await;
}

/// As before Kubernetes 1.36, with the webhook switched off: nothing adds the selector, so manifests carry it, and all that is refused is refused as ever.
#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_without_mutating_policies_refuses_as_ever_and_manifests_carry_the_selector() {
    let mut world = World::installed_on(Cluster::without_mutation("no-mutation", &[])).await;
    world.launch_with(&["--webhook-listen", "none"]);
    world.wait_for_log("the guard holds").await;
    world.cluster.history().promise(&[]);
    apply(&world.admin, &[qualified_cloud("snc"), restreint(), namespace("secret", Some("restreint"))]).await;
    apply(&world.admin, &[node("snc-1", "snc")]).await;
    world.wait_nodes("snc", "restreint", true).await;
    world.wait_condition("sensitivitylevels/restreint", "Enforced", "True", "manifests must carry the nodeSelector themselves").await;

    wait_until("a pod without its selector is refused", async || {
        let answer = send(&world.admin, Method::POST, "/api/v1/namespaces/secret/pods?dryRun=All", Some(&pod("bare"))).await.unwrap();
        if answer.refusal().contains("nodeSelector") { Ok(()) } else { Err(answer.body) }
    })
    .await;
    let selector = json!({"spec": {"nodeSelector": {"rempart.node-restriction.kubernetes.io/restreint": "cleared"}}});
    world.create_pod("secret", &merged(pod("carries"), selector)).await.accepted().unwrap();
    let placed = world.wait_pods("secret", 1).await;
    assert_eq!(placed[0].1.as_deref(), Some("snc-1"));
}
