//! Who says what a node is cleared for.

use http::Method;
use serde_json::{Value, json};

use super::*;

pub(super) fn nodes() -> Vec<Case> {
    let binding = "rempart-node";
    let label = |value: Value| json!({"metadata": {"labels": {"rempart.node-restriction.kubernetes.io/restreint": value}}});
    let taint = json!({"spec": {"taints": [{"key": "rempart.dev/x", "effect": "NoSchedule"}]}});
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-9", "labels": {"rempart.node-restriction.kubernetes.io/restreint": "cleared"}}});
    vec![
        patch(
            binding,
            "B2 a tenant with all rights on nodes clears one",
            Who::Tenant,
            "/api/v1/nodes/node-5",
            label(json!("cleared")),
            Refused("node node-5: label rempart.node-restriction.kubernetes.io/restreint may not be set, changed or removed by tenant"),
        ),
        patch(
            binding,
            "B2 through nodes/status",
            Who::Tenant,
            "/api/v1/nodes/node-5/status",
            label(json!("cleared")),
            Refused("the rempart operator alone says what a node is cleared for"),
        ),
        patch(
            binding,
            "B2 an administrator clears a node",
            Who::Admin,
            "/api/v1/nodes/node-5",
            label(json!("cleared")),
            Refused("may not be set, changed or removed by"),
        ),
        patch(
            binding,
            "B2 the cloud of a node",
            Who::Tenant,
            "/api/v1/nodes/node-5",
            json!({"metadata": {"labels": {"rempart.node-restriction.kubernetes.io/cloud": "alpha"}}}),
            Refused("rempart.node-restriction.kubernetes.io/cloud may not be set"),
        ),
        patch(
            binding,
            "B1 a clearance label is removed",
            Who::Tenant,
            "/api/v1/nodes/node-0",
            label(Value::Null),
            Refused("may not be set, changed or removed by tenant"),
        ),
        patch(
            "",
            "B2 a kubelet clears its node",
            Who::Kubelet,
            "/api/v1/nodes/node-5",
            label(json!("cleared")),
            RefusedByOthers("is not allowed to modify labels: rempart.node-restriction.kubernetes.io/restreint"),
        ),
        patch(
            "",
            "B2 a kubelet clears its node through nodes/status",
            Who::Kubelet,
            "/api/v1/nodes/node-5/status",
            label(json!("cleared")),
            RefusedByOthers("is not allowed to modify labels"),
        ),
        request(
            binding,
            "B3 a node is registered with its clearance",
            Who::Tenant,
            Method::POST,
            "/api/v1/nodes",
            node,
            Refused("node node-9: label rempart.node-restriction.kubernetes.io/restreint"),
        ),
        patch(
            binding,
            "B6 our taint is removed",
            Who::Tenant,
            "/api/v1/nodes/node-7",
            json!({"spec": {"taints": null}}),
            Refused("taint rempart.dev/hold:NoSchedule"),
        ),
        patch(
            binding,
            "attack B8 our taint is added",
            Who::Tenant,
            "/api/v1/nodes/node-5",
            taint.clone(),
            Refused("taint rempart.dev/x:NoSchedule"),
        ),
        patch("", "the operator clears a node", Who::Operator, "/api/v1/nodes/node-5", label(json!("cleared")), Accepted),
        patch("", "the operator taints a node", Who::Operator, "/api/v1/nodes/node-5", taint, Accepted),
        patch(
            "",
            "other labels and taints of a node are free",
            Who::Tenant,
            "/api/v1/nodes/node-0",
            json!({"metadata": {"labels": {"disk": "fast"}}, "spec": {"taints": [{"key": "example.com/x", "effect": "NoSchedule"}]}}),
            Accepted,
        ),
        patch(
            "",
            "E7 a kubelet writes the status of its node",
            Who::Kubelet,
            "/api/v1/nodes/node-5/status",
            json!({"status": {"nodeInfo": {"kernelVersion": "6"}}}),
            Accepted,
        ),
        patch(
            "",
            "E7 a kubelet labels its node with what is its own",
            Who::Kubelet,
            "/api/v1/nodes/node-5",
            json!({"metadata": {"labels": {"kubernetes.io/os": "linux"}}}),
            Accepted,
        ),
    ]
}
