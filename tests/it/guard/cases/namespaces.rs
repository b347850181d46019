//! Levels and marks of namespaces.

use http::Method;
use serde_json::{Value, json};

use super::*;

pub(super) fn namespaces() -> Vec<Case> {
    let binding = "rempart-namespace";
    let level = |value: Value| json!({"metadata": {"labels": {"rempart.dev/sensitivity": value}}});
    let mark = |value: Value| json!({"metadata": {"labels": {"rempart.dev/declared": value}}});
    let emr = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "emr"}, "spec": {"finalizers": ["kubernetes"]}});
    let new = |name: &str, labels: Value| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
    let may_not =
        "tenant may not take it out of level restreint: this needs the verb declassify on sensitivitylevels.rempart.dev/restreint";
    vec![
        patch(binding, "A9 level of a namespace removed", Who::Tenant, "/api/v1/namespaces/emr", level(Value::Null), Refused(may_not)),
        patch(binding, "A9 level of a namespace changed", Who::Tenant, "/api/v1/namespaces/emr", level(json!("interne")), Refused(may_not)),
        patch(binding, "A9 the same through /status", Who::Tenant, "/api/v1/namespaces/emr/status", level(Value::Null), Refused(may_not)),
        request(
            binding,
            "A9 the same through /finalize",
            Who::Tenant,
            Method::PUT,
            "/api/v1/namespaces/emr/finalize",
            emr.clone(),
            Refused(may_not),
        ),
        request(binding, "A9 the same by a replacement", Who::Tenant, Method::PUT, "/api/v1/namespaces/emr", emr, Refused(may_not)),
        patch(
            binding,
            "A9 a level that is not enforced is removed",
            Who::Tenant,
            "/api/v1/namespaces/watched",
            level(Value::Null),
            Refused("take it out of level interne"),
        ),
        patch("", "a holder of declassify removes a level", Who::Officer, "/api/v1/namespaces/emr", level(Value::Null), Accepted),
        patch("", "the operator changes a level", Who::Operator, "/api/v1/namespaces/emr", level(json!("sante")), Accepted),
        patch("", "a tenant gives a level", Who::Tenant, "/api/v1/namespaces/plain", level(json!("restreint")), Accepted),
        patch(
            "",
            "a tenant changes other labels of a sensitive namespace",
            Who::Tenant,
            "/api/v1/namespaces/emr",
            json!({"metadata": {"labels": {"team": "a"}, "annotations": {"b": "c"}}}),
            Accepted,
        ),
        patch(
            binding,
            "attack A8 empty level",
            Who::Tenant,
            "/api/v1/namespaces/plain",
            level(json!("")),
            Refused("the label rempart.dev/sensitivity is empty: name a level or leave the label out"),
        ),
        patch("", "attack A8 an empty level is removed", Who::Tenant, "/api/v1/namespaces/blank", level(Value::Null), Accepted),
        patch(
            binding,
            "a reserved level",
            Who::Admin,
            "/api/v1/namespaces/plain",
            level(json!("rempart-none")),
            Refused("levels whose name starts with rempart are reserved"),
        ),
        patch(
            binding,
            "the canary's level elsewhere",
            Who::Admin,
            "/api/v1/namespaces/plain",
            level(json!("rempart-canary")),
            Refused("levels whose name starts with rempart are reserved"),
        ),
        patch(
            binding,
            "E6 kube-system is given a level",
            Who::Admin,
            "/api/v1/namespaces/kube-system",
            level(json!("restreint")),
            Refused("namespace kube-system: it runs the cluster or its guard"),
        ),
        patch(
            binding,
            "E6 even by the operator",
            Who::Operator,
            "/api/v1/namespaces/kube-system",
            level(json!("restreint")),
            Refused("it can neither be given a level nor be declared"),
        ),
        patch(
            binding,
            "attack B9 kube-system is marked",
            Who::Operator,
            "/api/v1/namespaces/kube-system",
            mark(json!("true")),
            Refused("it can neither be given a level nor be declared"),
        ),
        patch(
            "",
            "attack B9 a mark is taken off a system namespace",
            Who::Operator,
            "/api/v1/namespaces/kube-public",
            json!({"metadata": {"labels": {"rempart.dev/declared": null, "rempart.dev/sensitivity": null}}}),
            Accepted,
        ),
        patch(
            binding,
            "attack B9 a tenant marks a namespace",
            Who::Tenant,
            "/api/v1/namespaces/plain",
            mark(json!("true")),
            Refused("the label rempart.dev/declared is for the rempart operator alone"),
        ),
        patch(
            binding,
            "a tenant takes the mark off",
            Who::Tenant,
            "/api/v1/namespaces/marked",
            mark(Value::Null),
            Refused("for the rempart operator alone"),
        ),
        patch("", "the operator takes the mark off", Who::Operator, "/api/v1/namespaces/marked", mark(Value::Null), Accepted),
        request(
            binding,
            "a namespace is created with the mark",
            Who::Tenant,
            Method::POST,
            "/api/v1/namespaces",
            new("new", json!({"rempart.dev/declared": "true"})),
            Refused("for the rempart operator alone"),
        ),
        request(
            "",
            "a namespace is created with a level",
            Who::Tenant,
            Method::POST,
            "/api/v1/namespaces",
            new("new", json!({"rempart.dev/sensitivity": "restreint"})),
            Accepted,
        ),
        request("", "a namespace is created", Who::Tenant, Method::POST, "/api/v1/namespaces", new("new", json!({})), Accepted),
        request(
            "rempart-namespace-pin",
            "A10 deleted and created again without its level",
            Who::Tenant,
            Method::POST,
            "/api/v1/namespaces",
            new("gone", json!({})),
            Refused("namespace gone had the level restreint: write the label rempart.dev/sensitivity: restreint"),
        ),
        request(
            "rempart-namespace-pin",
            "A10 with another level",
            Who::Tenant,
            Method::POST,
            "/api/v1/namespaces",
            new("gone", json!({"rempart.dev/sensitivity": "interne"})),
            Refused("namespace gone had the level restreint"),
        ),
        request(
            "",
            "A10 with its level",
            Who::Tenant,
            Method::POST,
            "/api/v1/namespaces",
            new("gone", json!({"rempart.dev/sensitivity": "restreint"})),
            Accepted,
        ),
        request("", "A10 by a holder of declassify", Who::Officer, Method::POST, "/api/v1/namespaces", new("gone", json!({})), Accepted),
        patch(
            "",
            "a namespace passes itself off as kube-system",
            Who::Tenant,
            "/api/v1/namespaces/emr",
            json!({"metadata": {"labels": {"kubernetes.io/metadata.name": "kube-system"}}}),
            Carries(vec![("/metadata/labels/kubernetes.io~1metadata.name", json!("emr"))]),
        ),
    ]
}
