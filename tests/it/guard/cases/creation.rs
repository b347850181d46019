//! Pods, when they are created.

use serde_json::{Value, json};

use super::*;

pub(super) fn creation() -> Vec<Case> {
    let emr = "rempart-pod";
    let raised = "rempart-pod-raised";
    let labelled = |level: &str, spec: Value| pod(&json!({"rempart.dev/sensitivity": level}), spec);
    vec![
        create(
            emr,
            "A1 nodeName at creation",
            "emr",
            pod(&json!({}), json!({"nodeName": "node-5"})),
            Refused("spec.nodeName node-5 bypasses the scheduler: remove it"),
        ),
        create(
            emr,
            "A1 nodeName of a cleared node",
            "emr",
            pod(&json!({}), json!({"nodeName": "node-0"})),
            Refused("spec.nodeName node-0 bypasses the scheduler"),
        ),
        create(
            emr,
            "A14 mirror pod",
            "emr",
            annotated("kubernetes.io/config.mirror", json!({"nodeName": "node-5"})),
            Refused("static pods are not allowed"),
        ),
        by(
            Who::JobController,
            create(
                emr,
                "A15 a controller makes the pod",
                "emr",
                pod(&json!({}), json!({"nodeName": "node-5"})),
                Refused("bypasses the scheduler"),
            ),
        ),
        by(
            Who::Admin,
            create(
                emr,
                "A15 an administrator makes the pod",
                "emr",
                pod(&json!({}), json!({"nodeName": "node-5"})),
                Refused("bypasses the scheduler"),
            ),
        ),
        by(
            Who::Operator,
            create(
                emr,
                "A15 the operator makes the pod",
                "emr",
                pod(&json!({}), json!({"nodeName": "node-5"})),
                Refused("bypasses the scheduler"),
            ),
        ),
        create(
            emr,
            "A17 toleration of our taints",
            "emr",
            pod(&json!({}), json!({"tolerations": [{"key": "rempart.dev/hold", "operator": "Exists"}]})),
            Refused("toleration of rempart.dev/hold is not allowed"),
        ),
        create(
            emr,
            "A17 wildcard toleration",
            "emr",
            pod(&json!({}), json!({"tolerations": [{"operator": "Exists"}]})),
            Refused("toleration of every taint (no key)"),
        ),
        create(
            emr,
            "A17 wildcard toleration of one effect",
            "emr",
            pod(&json!({}), json!({"tolerations": [{"operator": "Exists", "effect": "NoExecute"}]})),
            Refused("toleration of every taint (no key)"),
        ),
        create(
            emr,
            "A19 a webhook strips the selector",
            "emr",
            pod(&json!({"strip": "selector"}), json!({})),
            Refused("nodeSelector rempart.node-restriction.kubernetes.io/restreint: cleared is missing"),
        ),
        create(
            emr,
            "A19 another value for the selector",
            "emr",
            pod(&json!({}), json!({"nodeSelector": {"rempart.node-restriction.kubernetes.io/restreint": "no"}})),
            Refused("restreint: cleared is missing"),
        ),
        create(
            emr,
            "C12 hostPath",
            "emr",
            volumes(&json!([{"name": "root", "hostPath": {"path": "/"}}])),
            Refused("volume root is of a kind that is not allowed"),
        ),
        create(
            emr,
            "C13 NFS",
            "emr",
            volumes(&json!([{"name": "share", "nfs": {"server": "a", "path": "/"}}])),
            Refused("volume share is of a kind"),
        ),
        create(
            emr,
            "C13 inline volume of a driver that the level does not allow",
            "emr",
            volumes(&json!([{"name": "disk", "csi": {"driver": "disk.example"}}])),
            Refused("volume disk is of a kind"),
        ),
        create(
            "",
            "C13 inline volume of a driver that the level allows",
            "emr",
            volumes(&json!([{"name": "keys", "csi": {"driver": "secrets.example"}}])),
            Accepted,
        ),
        create(
            "",
            "ordinary volumes",
            "emr",
            volumes(
                &json!([{"name": "a", "emptyDir": {}}, {"name": "b", "secret": {"secretName": "s"}}, {"name": "c", "configMap": {"name": "c"}}, {"name": "d", "persistentVolumeClaim": {"claimName": "d"}}]),
            ),
            Accepted,
        ),
        create(
            "",
            "tolerations of a DaemonSet's pod",
            "emr",
            pod(&json!({}), json!({"tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}]})),
            Accepted,
        ),
        create(
            emr,
            "500 volumes do not drown the message",
            "emr",
            volumes(&(0..500).map(|i| json!({"name": format!("v{i:03}"), "hostPath": {"path": "/"}})).collect()),
            Refused("volume v000, v001, v002, v003, v004 and 495 more is of a kind"),
        ),
        create(
            emr,
            "100 tolerations do not drown the message",
            "emr",
            pod(
                &json!({}),
                json!({"tolerations": (0..100).map(|i| json!({"key": format!("rempart.dev/t{i:03}"), "operator": "Exists"})).collect::<Vec<_>>()}),
            ),
            Refused(
                "toleration of rempart.dev/t000, rempart.dev/t001, rempart.dev/t002, rempart.dev/t003, rempart.dev/t004 and 95 more is not allowed",
            ),
        ),
        create(
            emr,
            "everything at once, in one message",
            "emr",
            pod(
                &json!({"strip": "selector"}),
                json!({"nodeName": "node-5", "tolerations": [{"operator": "Exists"}], "volumes": [{"name": "root", "hostPath": {"path": "/"}}]}),
            ),
            Refused(
                "sensitivity restreint (label of namespace emr): nodeSelector rempart.node-restriction.kubernetes.io/restreint: cleared is missing: try again, write it into the pod, or find the webhook that takes it off; spec.nodeName node-5 bypasses the scheduler: remove it; the scheduler chooses among the nodes that are cleared; toleration of every taint (no key) is not allowed: name the taints that the pod needs; volume root is of a kind that is not allowed: use a claim, configMap, secret, emptyDir, projected, downwardAPI or image volume",
            ),
        ),
        create(
            emr,
            "operator dead: the clearance of the level ran out",
            "lapsed",
            pod(&json!({}), json!({})),
            Refused("its clearance ended at 2020-01-01T00:00:00Z and nothing new is accepted until the rempart operator renews it"),
        ),
        create(
            emr,
            "mistyped level of a namespace",
            "typo",
            pod(&json!({}), json!({})),
            Refused(
                "sensitivity restreitn (label of namespace typo): no sensitivity level has this name: use one of interne, late, observe, restreint, sante",
            ),
        ),
        create(
            emr,
            "attack A8 empty level of a namespace",
            "blank",
            pod(&json!({}), json!({"nodeName": "node-5"})),
            Refused("the label rempart.dev/sensitivity is empty: use one of interne"),
        ),
        create(
            raised,
            "raised pod in a plain namespace: nodeName",
            "plain",
            labelled("restreint", json!({"nodeName": "node-5"})),
            Refused("sensitivity restreint (label of the pod): spec.nodeName node-5"),
        ),
        create(
            raised,
            "raised pod in a namespace whose level is in Warn: nodeName",
            "watched",
            labelled("restreint", json!({"nodeName": "node-5"})),
            Refused("sensitivity restreint (label of the pod): spec.nodeName node-5"),
        ),
        create(
            raised,
            "raised pod, selector stripped",
            "plain",
            pod(&json!({"rempart.dev/sensitivity": "restreint", "strip": "selector"}), json!({})),
            Refused("restreint: cleared is missing"),
        ),
        create(
            raised,
            "raised pod, hostPath",
            "plain",
            labelled("restreint", json!({"volumes": [{"name": "root", "hostPath": {"path": "/"}}]})),
            Refused("volume root is of a kind"),
        ),
        create(
            raised,
            "attack A7 raised pod, a claim in its manifest of a class that is not cleared",
            "plain",
            labelled("restreint", ephemeral("standard")),
            Refused("volume scratch is to be made of a storage class that is not cleared: use one of fast, odd, quick"),
        ),
        create(
            raised,
            "attack A7 the same of no class",
            "plain",
            labelled("restreint", json!({"volumes": [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": claim_spec()}}}]})),
            Refused("volume scratch is to be made of a storage class that is not cleared"),
        ),
        create("", "raised pod, a claim of a class that is cleared", "plain", labelled("restreint", ephemeral("fast")), Accepted),
        create("", "C14 a claim in the manifest, which becomes one", "emr", pod(&json!({}), ephemeral("standard")), Accepted),
        create("", "a pod of no level, a claim of any class", "plain", pod(&json!({}), ephemeral("standard")), Accepted),
        create(
            raised,
            "raised pod, wildcard toleration",
            "plain",
            labelled("restreint", json!({"tolerations": [{"operator": "Exists"}]})),
            Refused("toleration of every taint"),
        ),
        create(
            raised,
            "mistyped level of a pod",
            "plain",
            labelled("restreitn", json!({})),
            Refused(
                "sensitivity restreitn (label of the pod): no sensitivity level has this name: use one of interne, late, observe, restreint, sante",
            ),
        ),
        create(
            raised,
            "attack A8 empty level of a pod",
            "plain",
            labelled("", json!({})),
            Refused("the label rempart.dev/sensitivity is empty"),
        ),
        create(
            raised,
            "a pod takes the reserved level",
            "plain",
            labelled("rempart-canary", json!({})),
            Refused("no sensitivity level has this name"),
        ),
        create(raised, "level that ran out, on a pod", "plain", labelled("late", json!({})), Refused("its clearance ended at")),
        create(
            raised,
            "a pod lowers itself below its namespace: it needs both",
            "emr",
            labelled("late", json!({})),
            Refused("sensitivity late (label of the pod)"),
        ),
        create(
            "rempart-pod-selector",
            "A20 a manifest without our key",
            "emr",
            pod(&json!({}), json!({})),
            Carries(vec![(SELECTOR, json!("cleared"))]),
        ),
        create(
            "rempart-pod-selector",
            "the selector is added to others",
            "emr",
            pod(&json!({}), json!({"nodeSelector": {"disk": "fast"}})),
            Carries(vec![(SELECTOR, json!("cleared")), ("/spec/nodeSelector/disk", json!("fast"))]),
        ),
        create(
            "rempart-pod-selector-raised",
            "raised pod gets its selector",
            "plain",
            labelled("restreint", json!({})),
            Carries(vec![(SELECTOR, json!("cleared"))]),
        ),
        create(
            "rempart-pod-selector-raised",
            "raised pod gets both selectors",
            "emr",
            labelled("sante", json!({})),
            Carries(vec![(SELECTOR, json!("cleared")), (SELECTOR_SANTE, json!("cleared"))]),
        ),
        create(
            "",
            "a pod that carries its selector",
            "emr",
            pod(&json!({}), json!({"nodeSelector": {"rempart.node-restriction.kubernetes.io/restreint": "cleared"}})),
            Carries(vec![("/spec/nodeSelector", json!({"rempart.node-restriction.kubernetes.io/restreint": "cleared"}))]),
        ),
        create(
            "",
            "E6 kube-public was given a level before: nothing is held against its pods",
            "kube-public",
            pod(&json!({"app": "ledger"}), json!({"nodeName": "node-5"})),
            Carries(vec![("/spec/nodeSelector", Value::Null), (LEVEL, Value::Null)]),
        ),
        create(
            "",
            "E6 kube-system: nothing is held against a labelled pod",
            "kube-system",
            labelled("restreint", json!({"nodeName": "node-5"})),
            Carries(vec![("/spec/nodeSelector", Value::Null)]),
        ),
        daemonset(
            "rempart-daemonset-selector",
            "A13 DaemonSet of a sensitive namespace",
            "emr",
            &json!({"app": "agent"}),
            vec![("/spec/template/spec/nodeSelector/rempart.node-restriction.kubernetes.io~1restreint", json!("cleared"))],
        ),
        daemonset(
            "rempart-daemonset-selector",
            "A13 DaemonSet of raised pods",
            "plain",
            &json!({"app": "agent", "rempart.dev/sensitivity": "sante"}),
            vec![("/spec/template/spec/nodeSelector/rempart.node-restriction.kubernetes.io~1sante", json!("cleared"))],
        ),
        daemonset(
            "",
            "A13 DaemonSet of a level in Warn",
            "watched",
            &json!({"app": "agent"}),
            vec![("/spec/template/spec/nodeSelector", Value::Null)],
        ),
        daemonset(
            "",
            "A13 DaemonSet of a plain namespace",
            "plain",
            &json!({"app": "agent"}),
            vec![("/spec/template/spec/nodeSelector", Value::Null)],
        ),
    ]
}

fn claim_spec() -> Value {
    json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}})
}

/// A volume that becomes a claim.
fn ephemeral(class: &str) -> Value {
    let mut spec = claim_spec();
    spec["storageClassName"] = class.into();
    json!({"volumes": [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": spec}}}]})
}
