//! What happens to a pod afterwards.

use http::Method;
use serde_json::{Value, json};

use super::*;

pub(super) fn updates() -> Vec<Case> {
    let (by_namespace, by_pod) = ("rempart-pod-update-by-namespace", "rempart-pod-update-by-pod");
    let kept = "/api/v1/namespaces/emr/pods/kept";
    let raised = "/api/v1/namespaces/plain/pods/raised";
    let level = |value: Value| json!({"metadata": {"labels": {"rempart.dev/sensitivity": value}}});
    let tolerate = json!([{"op": "add", "path": "/spec/tolerations/-", "value": {"operator": "Exists"}}]);
    vec![
        patch(
            by_pod,
            "A7 label of a pod changed",
            Who::Tenant,
            raised,
            level(json!("interne")),
            Refused("the label rempart.dev/sensitivity of a pod is fixed when the pod is created"),
        )
        .needs("pods/raised"),
        patch(by_pod, "A7 label of a pod removed", Who::Admin, raised, level(Value::Null), Refused("fixed when the pod is created"))
            .needs("pods/raised"),
        patch(
            by_pod,
            "A7 label of a pod added",
            Who::Tenant,
            "/api/v1/namespaces/plain/pods/ordinary",
            level(json!("restreint")),
            Refused("fixed when the pod is created"),
        )
        .needs("pods/ordinary"),
        patch(
            by_pod,
            "A8 label of a pod removed through pods/status",
            Who::Tenant,
            &format!("{raised}/status"),
            level(Value::Null),
            Refused("fixed when the pod is created"),
        )
        .needs("pods/raised"),
        patch(
            by_pod,
            "A17 toleration added to a raised pod",
            Who::Tenant,
            raised,
            tolerate.clone(),
            Refused("toleration of every taint (no key) is not allowed"),
        )
        .needs("pods/raised"),
        patch(
            by_namespace,
            "A17 toleration added later",
            Who::Tenant,
            kept,
            tolerate.clone(),
            Refused("toleration of every taint (no key) is not allowed"),
        )
        .needs("pods/kept"),
        patch(
            by_namespace,
            "A18 our gate removed",
            Who::Tenant,
            kept,
            json!([{"op": "remove", "path": "/spec/schedulingGates/0"}]),
            Refused("the scheduling gate rempart.dev/hold is for the rempart operator to remove"),
        )
        .needs("pods/kept"),
        patch(
            "",
            "the selector of a gated pod removed",
            Who::Tenant,
            kept,
            json!([{"op": "remove", "path": "/spec/nodeSelector"}]),
            RefusedByOthers("only additions to spec.nodeSelector are allowed"),
        )
        .needs("pods/kept"),
        patch(
            by_namespace,
            "attack A5 a gated pod made before the level starts",
            Who::Tenant,
            "/api/v1/namespaces/emr/pods/old-gated",
            json!([{"op": "remove", "path": "/spec/schedulingGates"}, {"op": "add", "path": "/spec/nodeSelector", "value": {"rempart.node-restriction.kubernetes.io/restreint": "cleared"}}]),
            Refused("toleration of every taint (no key) is not allowed: name the taints that the pod needs; volume root is of a kind"),
        ),
        patch(
            by_namespace,
            "attack A5 the same without the selector",
            Who::Tenant,
            "/api/v1/namespaces/emr/pods/older",
            json!([{"op": "remove", "path": "/spec/schedulingGates"}]),
            Refused("restreint: cleared is missing: write it into the pod before its last gate goes"),
        ),
        patch(
            "",
            "a gated pod made before the level starts with the selector",
            Who::Tenant,
            "/api/v1/namespaces/emr/pods/older",
            json!([{"op": "remove", "path": "/spec/schedulingGates"}, {"op": "add", "path": "/spec/nodeSelector", "value": {"rempart.node-restriction.kubernetes.io/restreint": "cleared"}}]),
            Accepted,
        ),
        patch(
            "",
            "a gated pod starts",
            Who::Tenant,
            "/api/v1/namespaces/emr/pods/waiting",
            json!([{"op": "remove", "path": "/spec/schedulingGates"}]),
            Accepted,
        )
        .needs("pods/waiting"),
        patch(
            "",
            "the operator removes its gate",
            Who::Operator,
            kept,
            json!([{"op": "remove", "path": "/spec/schedulingGates/0"}]),
            Accepted,
        )
        .needs("pods/kept"),
        patch(
            "",
            "a pod older than the level stays editable",
            Who::Tenant,
            "/api/v1/namespaces/emr/pods/old-gated",
            json!({"metadata": {"labels": {"note": "seen"}, "finalizers": ["example.com/keep"]}}),
            Accepted,
        ),
        patch(
            "",
            "a toleration with a key is added",
            Who::Tenant,
            kept,
            json!([{"op": "add", "path": "/spec/tolerations/-", "value": {"key": "example.com/gpu", "operator": "Exists"}}]),
            Accepted,
        )
        .needs("pods/kept"),
        patch("", "the same in a plain namespace", Who::Tenant, "/api/v1/namespaces/plain/pods/ordinary", tolerate, Accepted)
            .needs("pods/ordinary"),
        request(
            "",
            "eviction of a pod",
            Who::Tenant,
            Method::POST,
            &format!("{kept}/eviction"),
            json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "kept", "namespace": "emr"}}),
            Accepted,
        )
        .needs("pods/kept"),
        request("", "deletion of a pod", Who::Tenant, Method::DELETE, kept, Value::Null, Accepted).needs("pods/kept"),
    ]
}
