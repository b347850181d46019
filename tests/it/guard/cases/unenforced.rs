//! Levels in Audit or Warn: the same verdicts, and nothing refused.

use serde_json::{Value, json};

use super::*;

pub(super) fn unenforced() -> Vec<Case> {
    let labelled = |level: &str, spec: Value| pod(&json!({"rempart.dev/sensitivity": level}), spec);
    let node_name = json!({"nodeName": "node-5"});
    vec![
        create(
            "rempart-pod-warn",
            "a namespace in Warn: the same verdict as a warning",
            "watched",
            pod(&json!({}), node_name.clone()),
            Warned("sensitivity interne (label of namespace watched): spec.nodeName node-5"),
        ),
        create(
            "rempart-pod-audit",
            "a namespace in Audit: the same verdict in the log",
            "observed",
            pod(&json!({}), node_name.clone()),
            Audited("sensitivity observe (label of namespace observed): spec.nodeName node-5"),
        ),
        create(
            "rempart-pod-raised-warn",
            "a pod in Warn",
            "plain",
            labelled("interne", node_name.clone()),
            Warned("sensitivity interne (label of the pod): spec.nodeName node-5"),
        ),
        create(
            "rempart-pod-raised-audit",
            "a pod in Audit",
            "plain",
            labelled("observe", node_name),
            Audited("sensitivity observe (label of the pod): spec.nodeName node-5"),
        ),
        create("", "Warn: no selector is added, and none is missed", "watched", pod(&json!({}), json!({})), Accepted),
        create(
            "",
            "Warn: the pod is as it was written",
            "watched",
            pod(&json!({}), json!({})),
            Carries(vec![("/spec/nodeSelector", Value::Null)]),
        ),
        create(
            "",
            "a pod in Warn, in a sensitive namespace: only the namespace's selector",
            "emr",
            labelled("interne", json!({})),
            Carries(vec![(SELECTOR, json!("cleared")), (SELECTOR_INTERNE, Value::Null)]),
        ),
        create(
            "",
            "a raised pod in a namespace in Warn: only the pod's selector",
            "watched",
            labelled("restreint", json!({})),
            Carries(vec![(SELECTOR, json!("cleared")), (SELECTOR_INTERNE, Value::Null)]),
        ),
        bind_in(
            "observed",
            "rempart-bind-audit",
            "a namespace in Audit: binding to any node",
            "node-5",
            "node node-5 is not cleared for observe",
        ),
        bind_in(
            "watched",
            "rempart-bind-audit",
            "a namespace in Warn: binding to any node",
            "node-5",
            "node node-5 is not cleared for interne",
        ),
    ]
}
