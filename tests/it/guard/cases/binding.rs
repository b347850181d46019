//! Bindings, and the canary that shows that they are judged.

use http::Method;
use serde_json::json;

use super::*;

pub(super) fn binding() -> Vec<Case> {
    let refused = |row, who, path: &str, binding, words| request("rempart-bind", row, who, Method::POST, path, binding, Refused(words));
    let subresource = "/api/v1/namespaces/emr/pods/ghost/binding";
    let legacy = "/api/v1/namespaces/emr/bindings";
    let not_cleared = "node node-5 is not cleared for restreint: let the scheduler choose among the nodes that are";
    vec![
        refused("A2 an administrator binds to a node that is not cleared", Who::Admin, subresource, bind("node-5"), not_cleared),
        refused("A2 a tenant binds", Who::Tenant, subresource, bind("node-5"), not_cleared),
        refused("A3 legacy bindings", Who::Admin, legacy, bind("node-5"), not_cleared),
        refused("A3 legacy bindings, the scheduler asks", Who::Scheduler, legacy, bind("node-5"), not_cleared),
        refused(
            "A4 another scheduler",
            Who::OtherScheduler,
            subresource,
            bind("node-0"),
            "other-scheduler is not a scheduler of this level: only kube-scheduler and those in its spec.schedulers bind",
        ),
        refused("A5 an extender answers a foreign node", Who::Scheduler, subresource, bind("node-5"), not_cleared),
        refused(
            "a cloud that is cleared for another level",
            Who::Scheduler,
            subresource,
            bind("node-4"),
            "node node-4 of cloud beta is not cleared for restreint",
        ),
        refused(
            "A6 a Binding carries our annotation",
            Who::Scheduler,
            subresource,
            with(bind("node-0"), "/metadata/annotations", json!({"rempart.dev/declared-by": "x"})),
            "a binding must not carry rempart.dev labels or annotations",
        ),
        refused("the operator binds for real", Who::OtherScheduler, subresource, bind("node-5"), not_cleared),
        request(
            "rempart-bind-label",
            "A6 a Binding carries our label",
            Who::Admin,
            Method::POST,
            "/api/v1/namespaces/plain/pods/ghost/binding",
            with(bind("node-0"), "/metadata/labels", json!({"rempart.dev/sensitivity": "interne"})),
            Refused("a binding must not carry the label rempart.dev/sensitivity"),
        ),
        request(
            "rempart-bind-label",
            "A6 the same through legacy bindings",
            Who::Admin,
            Method::POST,
            "/api/v1/namespaces/plain/bindings",
            with(bind("node-0"), "/metadata/labels", json!({"rempart.dev/sensitivity": ""})),
            Refused("it would overwrite that of the pod"),
        ),
        request("", "the scheduler binds to a cleared node", Who::Scheduler, Method::POST, subresource, bind("node-0"), NotFound),
        request(
            "",
            "a scheduler of the level binds",
            Who::OtherScheduler,
            Method::POST,
            "/api/v1/namespaces/plain/pods/ghost/binding",
            bind("node-5"),
            NotFound,
        ),
        request(
            "",
            "the scheduler binds in a plain namespace",
            Who::Scheduler,
            Method::POST,
            "/api/v1/namespaces/plain/pods/ghost/binding",
            bind("node-5"),
            NotFound,
        ),
    ]
}

pub(super) fn canary() -> Vec<Case> {
    let binding = "/api/v1/namespaces/rempart-canary/pods/ghost/binding";
    vec![
        request("", "the canary: the node of this write of the Clearance", Who::Operator, Method::POST, binding, bind("epoch-7"), NotFound),
        request(
            "rempart-bind",
            "the canary: the node of another write",
            Who::Operator,
            Method::POST,
            binding,
            bind("epoch-6"),
            Refused("node epoch-6 is not cleared for rempart-canary"),
        ),
        request(
            "rempart-bind",
            "the canary: a real node",
            Who::Operator,
            Method::POST,
            binding,
            bind("node-0"),
            Refused("node node-0 of cloud alpha is not cleared for rempart-canary"),
        ),
        request(
            "rempart-bind",
            "the canary: somebody else",
            Who::Tenant,
            Method::POST,
            binding,
            bind("epoch-7"),
            Refused("tenant is not a scheduler of this level"),
        ),
        by(
            Who::Operator,
            create(
                "rempart-pod",
                "the canary: nodeName",
                "rempart-canary",
                pod(&json!({}), json!({"nodeName": "epoch-7"})),
                Refused("sensitivity rempart-canary (label of namespace rempart-canary): spec.nodeName epoch-7"),
            ),
        ),
        by(Who::Operator, create("", "the canary: a pod", "rempart-canary", pod(&json!({}), json!({})), Accepted)),
    ]
}
