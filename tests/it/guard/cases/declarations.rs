//! Pods that a declaration selects, and the declarations themselves.

use http::Method;
use serde_json::{Value, json};

use super::*;

pub(super) fn declarations() -> Vec<Case> {
    let ledger = json!({"app": "ledger"});
    let both = json!({"app": "ledger", "team": "billing"});
    let declared_by = "/metadata/annotations/rempart.dev~1declared-by";
    let (one, marked) = ("/apis/rempart.dev/v1alpha1/namespaces/marked/datadeclarations/ledger", "rempart-declaration");
    let declaration = |name: &str, level: &str| json!({"apiVersion": "rempart.dev/v1alpha1", "kind": "DataDeclaration", "metadata": {"name": name}, "spec": {"level": level}});
    vec![
        create(
            "rempart-declared",
            "A12 a declaration holds at once, with no operator",
            "fresh",
            pod(&ledger, json!({})),
            Carries(vec![(SELECTOR, json!("cleared")), (LEVEL, json!("restreint")), (declared_by, json!("ledger"))]),
        ),
        create(
            "rempart-declared",
            "A12 a declaration of the whole namespace",
            "whole",
            pod(&json!({}), json!({})),
            Carries(vec![(SELECTOR, json!("cleared"))]),
        ),
        create(
            "",
            "a pod that no declaration selects",
            "fresh",
            pod(&json!({"app": "other"}), json!({})),
            Carries(vec![("/spec/nodeSelector", Value::Null), (LEVEL, Value::Null)]),
        ),
        create(
            "rempart-declared",
            "a declaration selects an empty value",
            "fresh",
            pod(&json!({"flag": ""}), json!({})),
            Carries(vec![(LEVEL, json!("restreint"))]),
        ),
        create(
            "rempart-pod-raised",
            "attack A3 declared pod: nodeName",
            "fresh",
            pod(&ledger, json!({"nodeName": "node-5"})),
            Refused("sensitivity restreint (declaration ledger): spec.nodeName node-5"),
        ),
        create(
            "rempart-pod-raised",
            "attack A3 declared pod: mirror",
            "fresh",
            with(pod(&ledger, json!({"nodeName": "node-5"})), "/metadata/annotations", json!({"kubernetes.io/config.mirror": "x"})),
            Refused("static pods are not allowed"),
        ),
        create(
            "rempart-pod-raised",
            "attack A3 declared pod: toleration",
            "fresh",
            pod(&ledger, json!({"tolerations": [{"operator": "Exists"}]})),
            Refused("(declaration ledger): toleration of every taint"),
        ),
        create(
            "rempart-pod-raised",
            "attack A3 declared pod: NFS",
            "fresh",
            pod(&ledger, json!({"volumes": [{"name": "share", "nfs": {"server": "a", "path": "/"}}]})),
            Refused("(declaration ledger): volume share"),
        ),
        create(
            "rempart-pod-raised",
            "mistyped level of a declaration",
            "fresh",
            pod(&json!({"app": "mistyped"}), json!({})),
            Refused("sensitivity restreitn (declaration mistyped): no sensitivity level has this name: use one of interne"),
        ),
        create(
            "rempart-declared",
            "two declarations of different levels select one pod",
            "marked",
            pod(&both, json!({})),
            Refused("declare a level that extends both"),
        ),
        create(
            "rempart-declared",
            "a pod takes another level than declared",
            "marked",
            pod(&json!({"app": "ledger", "rempart.dev/sensitivity": "sante"}), json!({})),
            Refused(
                "sensitivity restreint (declaration ledger): it selects this pod, which has the level sante already from its label: declare a level that extends both",
            ),
        ),
        create(
            "rempart-declared",
            "A19 a webhook strips what a declaration added",
            "marked",
            pod(&json!({"app": "ledger", "strip": "all"}), json!({})),
            Refused(
                "sensitivity restreint (declaration ledger): the label rempart.dev/sensitivity: restreint is missing: write it into the pod, or find the webhook that takes it off; nodeSelector",
            ),
        ),
        create(
            "",
            "a declaration in Warn changes nothing",
            "marked",
            pod(&json!({"app": "visits"}), json!({"nodeName": "node-5"})),
            Carries(vec![("/spec/nodeSelector", Value::Null), (LEVEL, Value::Null)]),
        ),
        create(
            "",
            "an ordinary pod in a marked namespace",
            "marked",
            pod(&json!({"app": "other"}), json!({"nodeName": "node-5"})),
            Carries(vec![("/spec/nodeSelector", Value::Null)]),
        ),
        patch(
            "rempart-declared-join",
            "attack A4 a pod joins a declaration later",
            Who::Tenant,
            "/api/v1/namespaces/marked/pods/bystander",
            json!({"metadata": {"labels": {"app": "ledger"}}}),
            Refused("these labels would put the pod under declaration ledger (sensitivity restreint)"),
        ),
        patch(
            "rempart-declared-join",
            "attack A4 the same through pods/status",
            Who::Tenant,
            "/api/v1/namespaces/marked/pods/bystander/status",
            json!({"metadata": {"labels": {"app": "ledger"}}}),
            Refused("create a new pod with them"),
        ),
        patch(
            "",
            "a pod in a marked namespace changes other labels",
            Who::Tenant,
            "/api/v1/namespaces/marked/pods/bystander",
            json!({"metadata": {"labels": {"role": "primary"}}}),
            Accepted,
        ),
        patch(
            marked,
            "a tenant changes the level of a declaration",
            Who::Tenant,
            one,
            json!({"spec": {"level": "sante"}}),
            Refused(
                "tenant may not change the level or the workloads of declaration ledger: this needs the verb declassify on sensitivitylevels.rempart.dev/restreint",
            ),
        ),
        patch(
            marked,
            "a tenant narrows the workloads of a declaration",
            Who::Tenant,
            one,
            json!({"spec": {"workloads": {"matchLabels": {"app": "other"}}}}),
            Refused("needs the verb declassify"),
        ),
        patch(
            marked,
            "a tenant widens a declaration to the namespace",
            Who::Tenant,
            one,
            json!({"spec": {"workloads": null}}),
            Refused("needs the verb declassify"),
        ),
        request(
            marked,
            "a tenant deletes a declaration",
            Who::Tenant,
            Method::DELETE,
            one,
            Value::Null,
            Refused("tenant may not remove declaration ledger"),
        ),
        patch(
            "",
            "a tenant changes the rest of a declaration",
            Who::Tenant,
            one,
            json!({"spec": {"dataOwner": "dpo@hospital.example"}}),
            Accepted,
        ),
        patch("", "an officer changes the level of a declaration", Who::Officer, one, json!({"spec": {"level": "sante"}}), Accepted),
        request("", "an officer deletes a declaration", Who::Officer, Method::DELETE, one, Value::Null, Accepted),
        request(
            "",
            "a tenant declares",
            Who::Tenant,
            Method::POST,
            "/apis/rempart.dev/v1alpha1/namespaces/plain/datadeclarations",
            declaration("new", "restreint"),
            Accepted,
        ),
        request(
            "rempart-declaration-level",
            "a declaration of a level that does not exist",
            Who::Tenant,
            Method::POST,
            "/apis/rempart.dev/v1alpha1/namespaces/plain/datadeclarations",
            declaration("new", "restrient"),
            Warned("no sensitivity level is named restrient"),
        ),
        malformed("attack A9 a declaration with no level", &json!({}), "spec.level: Required value"),
        malformed("attack A9 an empty level", &json!({"level": ""}), "spec.level: Invalid value"),
        malformed("attack A9 a level that is no name", &json!({"level": "a b/c"}), "spec.level: Invalid value"),
        malformed("attack A9 a level of 300 letters", &json!({"level": "a".repeat(300)}), "spec.level: Too long"),
        malformed("attack A9 a reserved level", &json!({"level": "rempart-canary"}), "names that start with rempart are reserved"),
        malformed(
            "attack A9 workloads with no labels",
            &json!({"level": "restreint", "workloads": {}}),
            "spec.workloads.matchLabels: Required value",
        ),
        malformed(
            "attack A9 workloads with empty labels",
            &json!({"level": "restreint", "workloads": {"matchLabels": {}}}),
            "should have at least 1 properties",
        ),
        request(
            marked,
            "attack B9 kube-system is declared",
            Who::Tenant,
            Method::POST,
            "/apis/rempart.dev/v1alpha1/namespaces/kube-system/datadeclarations",
            declaration("new", "restreint"),
            Refused("namespace kube-system runs the cluster or its guard"),
        ),
    ]
}

fn malformed(row: &'static str, spec: &Value, words: &'static str) -> Case {
    let declaration = json!({"apiVersion": "rempart.dev/v1alpha1", "kind": "DataDeclaration", "metadata": {"name": "new"}, "spec": spec});
    let path = "/apis/rempart.dev/v1alpha1/namespaces/plain/datadeclarations";
    request("", row, Who::Tenant, Method::POST, path, declaration, RefusedByOthers(words))
}
