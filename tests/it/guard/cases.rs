//! The table: ways around the guard and rightful uses, each with its row in the catalogue, who asks, what happens, and
//! the binding without which it would happen otherwise.
//!
//! Every request is a dry run, so that it can be made again and again.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use http::Method;
use serde_json::{Value, json};

use super::world::{Clients, Who};
use crate::cluster::{Cluster, send};

pub(super) struct Case {
    /// Row of the catalogue, and what is tried.
    pub(super) row: &'static str,
    /// Name of the binding that decides; empty where something else would decide alike.
    pub(super) binding: &'static str,
    who: Who,
    method: Method,
    path: String,
    body: Value,
    expected: Expected,
    /// The object that must be there; empty for those that need none.
    pub(super) needs: &'static str,
}

enum Expected {
    /// 403, with these words in the message.
    Refused(&'static str),
    /// Refused with these words by a lock of the platform that stands before ours.
    RefusedByOthers(&'static str),
    /// Stored, if it were no dry run.
    Accepted,
    /// Past admission: what it is about does not exist.
    NotFound,
    /// Accepted, and this is in the object: a JSON pointer, and the value there.
    Carries(Vec<(&'static str, Value)>),
    /// Accepted, with these words in a warning.
    Warned(&'static str),
    /// Past admission, with no warning, and these words in the audit log.
    Audited(&'static str),
}
use Expected::{Accepted, Audited, Carries, NotFound, Refused, RefusedByOthers, Warned};

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?}: {} {})", self.row, self.who, self.method, self.path)
    }
}

/// How a case went otherwise than it should.
#[derive(Debug)]
pub(super) struct Deviation {
    /// What should have been refused, changed or reported was not.
    pub(super) got_through: bool,
    pub(super) text: String,
}

impl Case {
    /// Whether a mutation decides, rather than a validation.
    pub(super) fn is_about_a_mutation(&self) -> bool {
        matches!(self.expected, Carries(_))
    }

    /// Makes the request; an error says how it went otherwise than it should.
    pub(super) async fn holds(&self, cluster: &Cluster, clients: &Clients) -> Result<(), Deviation> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // Finds the request in the audit log.
        let marker = format!("case-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = format!("{}?dryRun=All&fieldManager={marker}", self.path);
        let body = (!self.body.is_null()).then_some(&self.body);
        let answer = send(clients.client(self.who), self.method.clone(), &path, body).await.map_err(|error| Deviation { got_through: false, text: format!("{self}: {error}") })?;
        let right = match &self.expected {
            Refused(words) => answer.status == 403 && answer.refusal().contains(words) && answer.refusal().contains(&format!("binding '{}'", self.binding)),
            RefusedByOthers(words) => [403, 422].contains(&answer.status) && answer.refusal().contains(words),
            Accepted => answer.status < 300 && answer.warnings.is_empty(),
            NotFound => answer.status == 404,
            Carries(values) => answer.status < 300 && values.iter().all(|(pointer, value)| answer.body.pointer(pointer).unwrap_or(&Value::Null) == value),
            Warned(words) => answer.status < 300 && answer.warnings.iter().any(|text| text.contains(words) && text.contains(self.binding)),
            Audited(words) => {
                let recorded = || cluster.audited(&marker).iter().any(|line| line.contains(words) && line.contains(self.binding));
                let mut tries = (0..20).map(|_| std::thread::sleep(std::time::Duration::from_millis(10)));
                answer.status != 403 && answer.warnings.is_empty() && tries.any(|()| recorded())
            }
        };
        let text = || format!("{self}: {} {} {}", answer.status, answer.body, answer.warnings.join("; "));
        if right { Ok(()) } else { Err(Deviation { got_through: answer.status != 403 || self.is_about_a_mutation(), text: text() }) }
    }

    fn needs(mut self, object: &'static str) -> Self {
        self.needs = object;
        self
    }
}

const SELECTOR: &str = "/spec/nodeSelector/rempart.node-restriction.kubernetes.io~1restreint";
const SELECTOR_SANTE: &str = "/spec/nodeSelector/rempart.node-restriction.kubernetes.io~1sante";
const SELECTOR_INTERNE: &str = "/spec/nodeSelector/rempart.node-restriction.kubernetes.io~1interne";
const LEVEL: &str = "/metadata/labels/rempart.dev~1sensitivity";

pub(super) fn cases() -> Vec<Case> {
    [creation(), declarations(), updates(), binding(), namespaces(), nodes(), unenforced(), canary()].into_iter().flatten().collect()
}

fn creation() -> Vec<Case> {
    let emr = "rempart-pod";
    let raised = "rempart-pod-raised";
    let labelled = |level: &str, spec: Value| pod(&json!({"rempart.dev/sensitivity": level}), spec);
    vec![
        create(emr, "A1 nodeName at creation", "emr", pod(&json!({}), json!({"nodeName": "node-5"})), Refused("spec.nodeName node-5 bypasses the scheduler: remove it")),
        create(emr, "A1 nodeName of a cleared node", "emr", pod(&json!({}), json!({"nodeName": "node-0"})), Refused("spec.nodeName node-0 bypasses the scheduler")),
        create(emr, "A14 mirror pod", "emr", annotated("kubernetes.io/config.mirror", json!({"nodeName": "node-5"})), Refused("static pods are not allowed")),
        by(Who::JobController, create(emr, "A15 a controller makes the pod", "emr", pod(&json!({}), json!({"nodeName": "node-5"})), Refused("bypasses the scheduler"))),
        by(Who::Admin, create(emr, "A15 an administrator makes the pod", "emr", pod(&json!({}), json!({"nodeName": "node-5"})), Refused("bypasses the scheduler"))),
        by(Who::Operator, create(emr, "A15 the operator makes the pod", "emr", pod(&json!({}), json!({"nodeName": "node-5"})), Refused("bypasses the scheduler"))),
        create(emr, "A17 toleration of our taints", "emr", pod(&json!({}), json!({"tolerations": [{"key": "rempart.dev/hold", "operator": "Exists"}]})), Refused("toleration of rempart.dev/hold is not allowed")),
        create(emr, "A17 wildcard toleration", "emr", pod(&json!({}), json!({"tolerations": [{"operator": "Exists"}]})), Refused("toleration of every taint (no key)")),
        create(emr, "A17 wildcard toleration of one effect", "emr", pod(&json!({}), json!({"tolerations": [{"operator": "Exists", "effect": "NoExecute"}]})), Refused("toleration of every taint (no key)")),
        create(emr, "A19 a webhook strips the selector", "emr", pod(&json!({"strip": "selector"}), json!({})), Refused("nodeSelector rempart.node-restriction.kubernetes.io/restreint: cleared is missing")),
        create(emr, "A19 another value for the selector", "emr", pod(&json!({}), json!({"nodeSelector": {"rempart.node-restriction.kubernetes.io/restreint": "no"}})), Refused("restreint: cleared is missing")),
        create(emr, "C12 hostPath", "emr", volumes(&json!([{"name": "root", "hostPath": {"path": "/"}}])), Refused("volume root is of a kind that is not allowed")),
        create(emr, "C13 NFS", "emr", volumes(&json!([{"name": "share", "nfs": {"server": "a", "path": "/"}}])), Refused("volume share is of a kind")),
        create(emr, "C13 inline volume of a driver that the level does not allow", "emr", volumes(&json!([{"name": "disk", "csi": {"driver": "disk.example"}}])), Refused("volume disk is of a kind")),
        create("", "C13 inline volume of a driver that the level allows", "emr", volumes(&json!([{"name": "keys", "csi": {"driver": "secrets.example"}}])), Accepted),
        create("", "ordinary volumes", "emr", volumes(&json!([{"name": "a", "emptyDir": {}}, {"name": "b", "secret": {"secretName": "s"}}, {"name": "c", "configMap": {"name": "c"}}, {"name": "d", "persistentVolumeClaim": {"claimName": "d"}}])), Accepted),
        create("", "tolerations of a DaemonSet's pod", "emr", pod(&json!({}), json!({"tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}]})), Accepted),
        create(emr, "500 volumes do not drown the message", "emr", volumes(&(0..500).map(|i| json!({"name": format!("v{i:03}"), "hostPath": {"path": "/"}})).collect()), Refused("volume v000, v001, v002, v003, v004 and 495 more is of a kind")),
        create(emr, "100 tolerations do not drown the message", "emr", pod(&json!({}), json!({"tolerations": (0..100).map(|i| json!({"key": format!("rempart.dev/t{i:03}"), "operator": "Exists"})).collect::<Vec<_>>()})), Refused("toleration of rempart.dev/t000, rempart.dev/t001, rempart.dev/t002, rempart.dev/t003, rempart.dev/t004 and 95 more is not allowed")),
        create(emr, "everything at once, in one message", "emr", pod(&json!({"strip": "selector"}), json!({"nodeName": "node-5", "tolerations": [{"operator": "Exists"}], "volumes": [{"name": "root", "hostPath": {"path": "/"}}]})), Refused("sensitivity restreint (label of namespace emr): nodeSelector rempart.node-restriction.kubernetes.io/restreint: cleared is missing: try again, write it into the pod, or find the webhook that takes it off; spec.nodeName node-5 bypasses the scheduler: remove it; the scheduler chooses among the nodes that are cleared; toleration of every taint (no key) is not allowed: name the taints that the pod needs; volume root is of a kind that is not allowed: use a claim, configMap, secret, emptyDir, projected, downwardAPI or image volume")),
        create(emr, "operator dead: the clearance of the level ran out", "lapsed", pod(&json!({}), json!({})), Refused("its clearance ended at 2020-01-01T00:00:00Z and nothing new is accepted until the rempart operator renews it")),
        create(emr, "mistyped level of a namespace", "typo", pod(&json!({}), json!({})), Refused("sensitivity restreitn (label of namespace typo): no sensitivity level has this name: use one of interne, late, observe, restreint, sante")),
        create(emr, "attack A8 empty level of a namespace", "blank", pod(&json!({}), json!({"nodeName": "node-5"})), Refused("the label rempart.dev/sensitivity is empty: use one of interne")),
        create(raised, "raised pod in a plain namespace: nodeName", "plain", labelled("restreint", json!({"nodeName": "node-5"})), Refused("sensitivity restreint (label of the pod): spec.nodeName node-5")),
        create(raised, "raised pod in a namespace whose level is in Warn: nodeName", "watched", labelled("restreint", json!({"nodeName": "node-5"})), Refused("sensitivity restreint (label of the pod): spec.nodeName node-5")),
        create(raised, "raised pod, selector stripped", "plain", pod(&json!({"rempart.dev/sensitivity": "restreint", "strip": "selector"}), json!({})), Refused("restreint: cleared is missing")),
        create(raised, "raised pod, hostPath", "plain", labelled("restreint", json!({"volumes": [{"name": "root", "hostPath": {"path": "/"}}]})), Refused("volume root is of a kind")),
        create(raised, "raised pod, wildcard toleration", "plain", labelled("restreint", json!({"tolerations": [{"operator": "Exists"}]})), Refused("toleration of every taint")),
        create(raised, "mistyped level of a pod", "plain", labelled("restreitn", json!({})), Refused("sensitivity restreitn (label of the pod): no sensitivity level has this name: use one of interne, late, observe, restreint, sante")),
        create(raised, "attack A8 empty level of a pod", "plain", labelled("", json!({})), Refused("the label rempart.dev/sensitivity is empty")),
        create(raised, "a pod takes the reserved level", "plain", labelled("rempart-canary", json!({})), Refused("no sensitivity level has this name")),
        create(raised, "level that ran out, on a pod", "plain", labelled("late", json!({})), Refused("its clearance ended at")),
        create(raised, "a pod lowers itself below its namespace: it needs both", "emr", labelled("late", json!({})), Refused("sensitivity late (label of the pod)")),
        create("rempart-pod-selector", "A20 a manifest without our key", "emr", pod(&json!({}), json!({})), Carries(vec![(SELECTOR, json!("cleared"))])),
        create("rempart-pod-selector", "the selector is added to others", "emr", pod(&json!({}), json!({"nodeSelector": {"disk": "fast"}})), Carries(vec![(SELECTOR, json!("cleared")), ("/spec/nodeSelector/disk", json!("fast"))])),
        create("rempart-pod-selector-raised", "raised pod gets its selector", "plain", labelled("restreint", json!({})), Carries(vec![(SELECTOR, json!("cleared"))])),
        create("rempart-pod-selector-raised", "raised pod gets both selectors", "emr", labelled("sante", json!({})), Carries(vec![(SELECTOR, json!("cleared")), (SELECTOR_SANTE, json!("cleared"))])),
        create("", "a pod that carries its selector", "emr", pod(&json!({}), json!({"nodeSelector": {"rempart.node-restriction.kubernetes.io/restreint": "cleared"}})), Carries(vec![("/spec/nodeSelector", json!({"rempart.node-restriction.kubernetes.io/restreint": "cleared"}))])),
        create("", "E6 kube-public was given a level before: nothing is held against its pods", "kube-public", pod(&json!({"app": "ledger"}), json!({"nodeName": "node-5"})), Carries(vec![("/spec/nodeSelector", Value::Null), (LEVEL, Value::Null)])),
        create("", "E6 kube-system: nothing is held against a labelled pod", "kube-system", labelled("restreint", json!({"nodeName": "node-5"})), Carries(vec![("/spec/nodeSelector", Value::Null)])),
        daemonset("rempart-daemonset-selector", "A13 DaemonSet of a sensitive namespace", "emr", &json!({"app": "agent"}), vec![("/spec/template/spec/nodeSelector/rempart.node-restriction.kubernetes.io~1restreint", json!("cleared"))]),
        daemonset("rempart-daemonset-selector", "A13 DaemonSet of raised pods", "plain", &json!({"app": "agent", "rempart.dev/sensitivity": "sante"}), vec![("/spec/template/spec/nodeSelector/rempart.node-restriction.kubernetes.io~1sante", json!("cleared"))]),
        daemonset("", "A13 DaemonSet of a level in Warn", "watched", &json!({"app": "agent"}), vec![("/spec/template/spec/nodeSelector", Value::Null)]),
        daemonset("", "A13 DaemonSet of a plain namespace", "plain", &json!({"app": "agent"}), vec![("/spec/template/spec/nodeSelector", Value::Null)]),
    ]
}

fn declarations() -> Vec<Case> {
    let ledger = json!({"app": "ledger"});
    let both = json!({"app": "ledger", "team": "billing"});
    let declared_by = "/metadata/annotations/rempart.dev~1declared-by";
    let (one, marked) = ("/apis/rempart.dev/v1alpha1/namespaces/marked/datadeclarations/ledger", "rempart-declaration");
    let declaration = |name: &str, level: &str| json!({"apiVersion": "rempart.dev/v1alpha1", "kind": "DataDeclaration", "metadata": {"name": name}, "spec": {"level": level}});
    vec![
        create("rempart-declared", "A12 a declaration holds at once, with no operator", "fresh", pod(&ledger, json!({})), Carries(vec![(SELECTOR, json!("cleared")), (LEVEL, json!("restreint")), (declared_by, json!("ledger"))])),
        create("rempart-declared", "A12 a declaration of the whole namespace", "whole", pod(&json!({}), json!({})), Carries(vec![(SELECTOR, json!("cleared"))])),
        create("", "a pod that no declaration selects", "fresh", pod(&json!({"app": "other"}), json!({})), Carries(vec![("/spec/nodeSelector", Value::Null), (LEVEL, Value::Null)])),
        create("rempart-declared", "a declaration selects an empty value", "fresh", pod(&json!({"flag": ""}), json!({})), Carries(vec![(LEVEL, json!("restreint"))])),
        create("rempart-pod-raised", "attack A3 declared pod: nodeName", "fresh", pod(&ledger, json!({"nodeName": "node-5"})), Refused("sensitivity restreint (declaration ledger): spec.nodeName node-5")),
        create("rempart-pod-raised", "attack A3 declared pod: mirror", "fresh", with(pod(&ledger, json!({"nodeName": "node-5"})), "/metadata/annotations", json!({"kubernetes.io/config.mirror": "x"})), Refused("static pods are not allowed")),
        create("rempart-pod-raised", "attack A3 declared pod: toleration", "fresh", pod(&ledger, json!({"tolerations": [{"operator": "Exists"}]})), Refused("(declaration ledger): toleration of every taint")),
        create("rempart-pod-raised", "attack A3 declared pod: NFS", "fresh", pod(&ledger, json!({"volumes": [{"name": "share", "nfs": {"server": "a", "path": "/"}}]})), Refused("(declaration ledger): volume share")),
        create("rempart-pod-raised", "mistyped level of a declaration", "fresh", pod(&json!({"app": "mistyped"}), json!({})), Refused("sensitivity restreitn (declaration mistyped): no sensitivity level has this name: use one of interne")),
        create("rempart-declared", "two declarations of different levels select one pod", "marked", pod(&both, json!({})), Refused("declare a level that extends both")),
        create("rempart-declared", "a pod takes another level than declared", "marked", pod(&json!({"app": "ledger", "rempart.dev/sensitivity": "sante"}), json!({})), Refused("sensitivity restreint (declaration ledger): it selects this pod, which has the level sante already from its label: declare a level that extends both")),
        create("rempart-declared", "A19 a webhook strips what a declaration added", "marked", pod(&json!({"app": "ledger", "strip": "all"}), json!({})), Refused("sensitivity restreint (declaration ledger): the label rempart.dev/sensitivity: restreint is missing: write it into the pod, or find the webhook that takes it off; nodeSelector")),
        create("", "a declaration in Warn changes nothing", "marked", pod(&json!({"app": "visits"}), json!({"nodeName": "node-5"})), Carries(vec![("/spec/nodeSelector", Value::Null), (LEVEL, Value::Null)])),
        create("", "an ordinary pod in a marked namespace", "marked", pod(&json!({"app": "other"}), json!({"nodeName": "node-5"})), Carries(vec![("/spec/nodeSelector", Value::Null)])),
        patch("rempart-declared-join", "attack A4 a pod joins a declaration later", Who::Tenant, "/api/v1/namespaces/marked/pods/bystander", json!({"metadata": {"labels": {"app": "ledger"}}}), Refused("these labels would put the pod under declaration ledger (sensitivity restreint)")),
        patch("rempart-declared-join", "attack A4 the same through pods/status", Who::Tenant, "/api/v1/namespaces/marked/pods/bystander/status", json!({"metadata": {"labels": {"app": "ledger"}}}), Refused("create a new pod with them")),
        patch("", "a pod in a marked namespace changes other labels", Who::Tenant, "/api/v1/namespaces/marked/pods/bystander", json!({"metadata": {"labels": {"role": "primary"}}}), Accepted),
        patch(marked, "a tenant changes the level of a declaration", Who::Tenant, one, json!({"spec": {"level": "sante"}}), Refused("tenant may not change the level or the workloads of declaration ledger: this needs the verb declassify on sensitivitylevels.rempart.dev/restreint")),
        patch(marked, "a tenant narrows the workloads of a declaration", Who::Tenant, one, json!({"spec": {"workloads": {"matchLabels": {"app": "other"}}}}), Refused("needs the verb declassify")),
        patch(marked, "a tenant widens a declaration to the namespace", Who::Tenant, one, json!({"spec": {"workloads": null}}), Refused("needs the verb declassify")),
        request(marked, "a tenant deletes a declaration", Who::Tenant, Method::DELETE, one, Value::Null, Refused("tenant may not remove declaration ledger")),
        patch("", "a tenant changes the rest of a declaration", Who::Tenant, one, json!({"spec": {"dataOwner": "dpo@hospital.example"}}), Accepted),
        patch("", "an officer changes the level of a declaration", Who::Officer, one, json!({"spec": {"level": "sante"}}), Accepted),
        request("", "an officer deletes a declaration", Who::Officer, Method::DELETE, one, Value::Null, Accepted),
        request("", "a tenant declares", Who::Tenant, Method::POST, "/apis/rempart.dev/v1alpha1/namespaces/plain/datadeclarations", declaration("new", "restreint"), Accepted),
        request(marked, "attack B9 kube-system is declared", Who::Tenant, Method::POST, "/apis/rempart.dev/v1alpha1/namespaces/kube-system/datadeclarations", declaration("new", "restreint"), Refused("namespace kube-system runs the cluster or its guard")),
    ]
}

fn updates() -> Vec<Case> {
    let (by_namespace, by_pod) = ("rempart-pod-update-by-namespace", "rempart-pod-update-by-pod");
    let kept = "/api/v1/namespaces/emr/pods/kept";
    let raised = "/api/v1/namespaces/plain/pods/raised";
    let level = |value: Value| json!({"metadata": {"labels": {"rempart.dev/sensitivity": value}}});
    let tolerate = json!([{"op": "add", "path": "/spec/tolerations/-", "value": {"operator": "Exists"}}]);
    vec![
        patch(by_pod, "A7 label of a pod changed", Who::Tenant, raised, level(json!("interne")), Refused("the label rempart.dev/sensitivity of a pod is fixed when the pod is created")).needs("pods/raised"),
        patch(by_pod, "A7 label of a pod removed", Who::Admin, raised, level(Value::Null), Refused("fixed when the pod is created")).needs("pods/raised"),
        patch(by_pod, "A7 label of a pod added", Who::Tenant, "/api/v1/namespaces/plain/pods/ordinary", level(json!("restreint")), Refused("fixed when the pod is created")).needs("pods/ordinary"),
        patch(by_pod, "A8 label of a pod removed through pods/status", Who::Tenant, &format!("{raised}/status"), level(Value::Null), Refused("fixed when the pod is created")).needs("pods/raised"),
        patch(by_pod, "A17 toleration added to a raised pod", Who::Tenant, raised, tolerate.clone(), Refused("toleration of every taint (no key) is not allowed")).needs("pods/raised"),
        patch(by_namespace, "A17 toleration added later", Who::Tenant, kept, tolerate.clone(), Refused("toleration of every taint (no key) is not allowed")).needs("pods/kept"),
        patch(by_namespace, "A18 our gate removed", Who::Tenant, kept, json!([{"op": "remove", "path": "/spec/schedulingGates/0"}]), Refused("the scheduling gate rempart.dev/hold is for the rempart operator to remove")).needs("pods/kept"),
        patch("", "the selector of a gated pod removed", Who::Tenant, kept, json!([{"op": "remove", "path": "/spec/nodeSelector"}]), RefusedByOthers("only additions to spec.nodeSelector are allowed")).needs("pods/kept"),
        patch(by_namespace, "attack A5 a gated pod made before the level starts", Who::Tenant, "/api/v1/namespaces/emr/pods/old-gated", json!([{"op": "remove", "path": "/spec/schedulingGates"}, {"op": "add", "path": "/spec/nodeSelector", "value": {"rempart.node-restriction.kubernetes.io/restreint": "cleared"}}]), Refused("toleration of every taint (no key) is not allowed: name the taints that the pod needs; volume root is of a kind")),
        patch(by_namespace, "attack A5 the same without the selector", Who::Tenant, "/api/v1/namespaces/emr/pods/older", json!([{"op": "remove", "path": "/spec/schedulingGates"}]), Refused("restreint: cleared is missing: write it into the pod before its last gate goes")),
        patch("", "a gated pod made before the level starts with the selector", Who::Tenant, "/api/v1/namespaces/emr/pods/older", json!([{"op": "remove", "path": "/spec/schedulingGates"}, {"op": "add", "path": "/spec/nodeSelector", "value": {"rempart.node-restriction.kubernetes.io/restreint": "cleared"}}]), Accepted),
        patch("", "a gated pod starts", Who::Tenant, "/api/v1/namespaces/emr/pods/waiting", json!([{"op": "remove", "path": "/spec/schedulingGates"}]), Accepted).needs("pods/waiting"),
        patch("", "the operator removes its gate", Who::Operator, kept, json!([{"op": "remove", "path": "/spec/schedulingGates/0"}]), Accepted).needs("pods/kept"),
        patch("", "a pod older than the level stays editable", Who::Tenant, "/api/v1/namespaces/emr/pods/old-gated", json!({"metadata": {"labels": {"note": "seen"}, "finalizers": ["example.com/keep"]}}), Accepted),
        patch("", "a toleration with a key is added", Who::Tenant, kept, json!([{"op": "add", "path": "/spec/tolerations/-", "value": {"key": "example.com/gpu", "operator": "Exists"}}]), Accepted).needs("pods/kept"),
        patch("", "the same in a plain namespace", Who::Tenant, "/api/v1/namespaces/plain/pods/ordinary", tolerate, Accepted).needs("pods/ordinary"),
        request("", "eviction of a pod", Who::Tenant, Method::POST, &format!("{kept}/eviction"), json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "kept", "namespace": "emr"}}), Accepted).needs("pods/kept"),
        request("", "deletion of a pod", Who::Tenant, Method::DELETE, kept, Value::Null, Accepted).needs("pods/kept"),
    ]
}

fn binding() -> Vec<Case> {
    let refused = |row, who, path: &str, binding, words| request("rempart-bind", row, who, Method::POST, path, binding, Refused(words));
    let subresource = "/api/v1/namespaces/emr/pods/ghost/binding";
    let legacy = "/api/v1/namespaces/emr/bindings";
    let not_cleared = "node node-5 is not cleared for restreint: let the scheduler choose among the nodes that are";
    vec![
        refused("A2 an administrator binds to a node that is not cleared", Who::Admin, subresource, bind("node-5"), not_cleared),
        refused("A2 a tenant binds", Who::Tenant, subresource, bind("node-5"), not_cleared),
        refused("A3 legacy bindings", Who::Admin, legacy, bind("node-5"), not_cleared),
        refused("A3 legacy bindings, the scheduler asks", Who::Scheduler, legacy, bind("node-5"), not_cleared),
        refused("A4 another scheduler", Who::OtherScheduler, subresource, bind("node-0"), "other-scheduler is not a scheduler of this level: only kube-scheduler and those in its spec.schedulers bind"),
        refused("A5 an extender answers a foreign node", Who::Scheduler, subresource, bind("node-5"), not_cleared),
        refused("a cloud that is cleared for another level", Who::Scheduler, subresource, bind("node-4"), "node node-4 of cloud beta is not cleared for restreint"),
        refused("A6 a Binding carries our annotation", Who::Scheduler, subresource, with(bind("node-0"), "/metadata/annotations", json!({"rempart.dev/declared-by": "x"})), "a binding must not carry rempart.dev labels or annotations"),
        refused("the operator binds for real", Who::OtherScheduler, subresource, bind("node-5"), not_cleared),
        request("rempart-bind-label", "A6 a Binding carries our label", Who::Admin, Method::POST, "/api/v1/namespaces/plain/pods/ghost/binding", with(bind("node-0"), "/metadata/labels", json!({"rempart.dev/sensitivity": "interne"})), Refused("a binding must not carry the label rempart.dev/sensitivity")),
        request("rempart-bind-label", "A6 the same through legacy bindings", Who::Admin, Method::POST, "/api/v1/namespaces/plain/bindings", with(bind("node-0"), "/metadata/labels", json!({"rempart.dev/sensitivity": ""})), Refused("it would overwrite that of the pod")),
        request("", "the scheduler binds to a cleared node", Who::Scheduler, Method::POST, subresource, bind("node-0"), NotFound),
        request("", "a scheduler of the level binds", Who::OtherScheduler, Method::POST, "/api/v1/namespaces/plain/pods/ghost/binding", bind("node-5"), NotFound),
        request("", "the scheduler binds in a plain namespace", Who::Scheduler, Method::POST, "/api/v1/namespaces/plain/pods/ghost/binding", bind("node-5"), NotFound),
    ]
}

fn namespaces() -> Vec<Case> {
    let binding = "rempart-namespace";
    let level = |value: Value| json!({"metadata": {"labels": {"rempart.dev/sensitivity": value}}});
    let mark = |value: Value| json!({"metadata": {"labels": {"rempart.dev/declared": value}}});
    let emr = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "emr"}, "spec": {"finalizers": ["kubernetes"]}});
    let new = |name: &str, labels: Value| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
    let may_not = "tenant may not take it out of level restreint: this needs the verb declassify on sensitivitylevels.rempart.dev/restreint";
    vec![
        patch(binding, "A9 level of a namespace removed", Who::Tenant, "/api/v1/namespaces/emr", level(Value::Null), Refused(may_not)),
        patch(binding, "A9 level of a namespace changed", Who::Tenant, "/api/v1/namespaces/emr", level(json!("interne")), Refused(may_not)),
        patch(binding, "A9 the same through /status", Who::Tenant, "/api/v1/namespaces/emr/status", level(Value::Null), Refused(may_not)),
        request(binding, "A9 the same through /finalize", Who::Tenant, Method::PUT, "/api/v1/namespaces/emr/finalize", emr.clone(), Refused(may_not)),
        request(binding, "A9 the same by a replacement", Who::Tenant, Method::PUT, "/api/v1/namespaces/emr", emr, Refused(may_not)),
        patch(binding, "A9 a level that is not enforced is removed", Who::Tenant, "/api/v1/namespaces/watched", level(Value::Null), Refused("take it out of level interne")),
        patch("", "a holder of declassify removes a level", Who::Officer, "/api/v1/namespaces/emr", level(Value::Null), Accepted),
        patch("", "the operator changes a level", Who::Operator, "/api/v1/namespaces/emr", level(json!("sante")), Accepted),
        patch("", "a tenant gives a level", Who::Tenant, "/api/v1/namespaces/plain", level(json!("restreint")), Accepted),
        patch("", "a tenant changes other labels of a sensitive namespace", Who::Tenant, "/api/v1/namespaces/emr", json!({"metadata": {"labels": {"team": "a"}, "annotations": {"b": "c"}}}), Accepted),
        patch(binding, "attack A8 empty level", Who::Tenant, "/api/v1/namespaces/plain", level(json!("")), Refused("the label rempart.dev/sensitivity is empty: name a level or leave the label out")),
        patch("", "attack A8 an empty level is removed", Who::Tenant, "/api/v1/namespaces/blank", level(Value::Null), Accepted),
        patch(binding, "a reserved level", Who::Admin, "/api/v1/namespaces/plain", level(json!("rempart-none")), Refused("levels whose name starts with rempart are reserved")),
        patch(binding, "the canary's level elsewhere", Who::Admin, "/api/v1/namespaces/plain", level(json!("rempart-canary")), Refused("levels whose name starts with rempart are reserved")),
        patch(binding, "E6 kube-system is given a level", Who::Admin, "/api/v1/namespaces/kube-system", level(json!("restreint")), Refused("namespace kube-system: it runs the cluster or its guard")),
        patch(binding, "E6 even by the operator", Who::Operator, "/api/v1/namespaces/kube-system", level(json!("restreint")), Refused("it can neither be given a level nor be declared")),
        patch(binding, "attack B9 kube-system is marked", Who::Operator, "/api/v1/namespaces/kube-system", mark(json!("true")), Refused("it can neither be given a level nor be declared")),
        patch("", "attack B9 a mark is taken off a system namespace", Who::Operator, "/api/v1/namespaces/kube-public", json!({"metadata": {"labels": {"rempart.dev/declared": null, "rempart.dev/sensitivity": null}}}), Accepted),
        patch(binding, "attack B9 a tenant marks a namespace", Who::Tenant, "/api/v1/namespaces/plain", mark(json!("true")), Refused("the label rempart.dev/declared is for the rempart operator alone")),
        patch(binding, "a tenant takes the mark off", Who::Tenant, "/api/v1/namespaces/marked", mark(Value::Null), Refused("for the rempart operator alone")),
        patch("", "the operator takes the mark off", Who::Operator, "/api/v1/namespaces/marked", mark(Value::Null), Accepted),
        request(binding, "a namespace is created with the mark", Who::Tenant, Method::POST, "/api/v1/namespaces", new("new", json!({"rempart.dev/declared": "true"})), Refused("for the rempart operator alone")),
        request("", "a namespace is created with a level", Who::Tenant, Method::POST, "/api/v1/namespaces", new("new", json!({"rempart.dev/sensitivity": "restreint"})), Accepted),
        request("", "a namespace is created", Who::Tenant, Method::POST, "/api/v1/namespaces", new("new", json!({})), Accepted),
        request("rempart-namespace-pin", "A10 deleted and created again without its level", Who::Tenant, Method::POST, "/api/v1/namespaces", new("gone", json!({})), Refused("namespace gone had the level restreint: write the label rempart.dev/sensitivity: restreint")),
        request("rempart-namespace-pin", "A10 with another level", Who::Tenant, Method::POST, "/api/v1/namespaces", new("gone", json!({"rempart.dev/sensitivity": "interne"})), Refused("namespace gone had the level restreint")),
        request("", "A10 with its level", Who::Tenant, Method::POST, "/api/v1/namespaces", new("gone", json!({"rempart.dev/sensitivity": "restreint"})), Accepted),
        request("", "A10 by a holder of declassify", Who::Officer, Method::POST, "/api/v1/namespaces", new("gone", json!({})), Accepted),
        patch("", "a namespace passes itself off as kube-system", Who::Tenant, "/api/v1/namespaces/emr", json!({"metadata": {"labels": {"kubernetes.io/metadata.name": "kube-system"}}}), Carries(vec![("/metadata/labels/kubernetes.io~1metadata.name", json!("emr"))])),
    ]
}

fn nodes() -> Vec<Case> {
    let binding = "rempart-node";
    let label = |value: Value| json!({"metadata": {"labels": {"rempart.node-restriction.kubernetes.io/restreint": value}}});
    let taint = json!({"spec": {"taints": [{"key": "rempart.dev/x", "effect": "NoSchedule"}]}});
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-9", "labels": {"rempart.node-restriction.kubernetes.io/restreint": "cleared"}}});
    vec![
        patch(binding, "B2 a tenant with all rights on nodes clears one", Who::Tenant, "/api/v1/nodes/node-5", label(json!("cleared")), Refused("node node-5: label rempart.node-restriction.kubernetes.io/restreint may not be set, changed or removed by tenant")),
        patch(binding, "B2 through nodes/status", Who::Tenant, "/api/v1/nodes/node-5/status", label(json!("cleared")), Refused("the rempart operator alone says what a node is cleared for")),
        patch(binding, "B2 an administrator clears a node", Who::Admin, "/api/v1/nodes/node-5", label(json!("cleared")), Refused("may not be set, changed or removed by")),
        patch(binding, "B2 the cloud of a node", Who::Tenant, "/api/v1/nodes/node-5", json!({"metadata": {"labels": {"rempart.node-restriction.kubernetes.io/cloud": "alpha"}}}), Refused("rempart.node-restriction.kubernetes.io/cloud may not be set")),
        patch(binding, "B1 a clearance label is removed", Who::Tenant, "/api/v1/nodes/node-0", label(Value::Null), Refused("may not be set, changed or removed by tenant")),
        patch("", "B2 a kubelet clears its node", Who::Kubelet, "/api/v1/nodes/node-5", label(json!("cleared")), RefusedByOthers("is not allowed to modify labels: rempart.node-restriction.kubernetes.io/restreint")),
        patch("", "B2 a kubelet clears its node through nodes/status", Who::Kubelet, "/api/v1/nodes/node-5/status", label(json!("cleared")), RefusedByOthers("is not allowed to modify labels")),
        request(binding, "B3 a node is registered with its clearance", Who::Tenant, Method::POST, "/api/v1/nodes", node, Refused("node node-9: label rempart.node-restriction.kubernetes.io/restreint")),
        patch(binding, "B6 our taint is removed", Who::Tenant, "/api/v1/nodes/node-7", json!({"spec": {"taints": null}}), Refused("taint rempart.dev/hold:NoSchedule")),
        patch(binding, "attack B8 our taint is added", Who::Tenant, "/api/v1/nodes/node-5", taint.clone(), Refused("taint rempart.dev/x:NoSchedule")),
        patch("", "the operator clears a node", Who::Operator, "/api/v1/nodes/node-5", label(json!("cleared")), Accepted),
        patch("", "the operator taints a node", Who::Operator, "/api/v1/nodes/node-5", taint, Accepted),
        patch("", "other labels and taints of a node are free", Who::Tenant, "/api/v1/nodes/node-0", json!({"metadata": {"labels": {"disk": "fast"}}, "spec": {"taints": [{"key": "example.com/x", "effect": "NoSchedule"}]}}), Accepted),
        patch("", "E7 a kubelet writes the status of its node", Who::Kubelet, "/api/v1/nodes/node-5/status", json!({"status": {"nodeInfo": {"kernelVersion": "6"}}}), Accepted),
        patch("", "E7 a kubelet labels its node with what is its own", Who::Kubelet, "/api/v1/nodes/node-5", json!({"metadata": {"labels": {"kubernetes.io/os": "linux"}}}), Accepted),
    ]
}

fn unenforced() -> Vec<Case> {
    let labelled = |level: &str, spec: Value| pod(&json!({"rempart.dev/sensitivity": level}), spec);
    let node_name = json!({"nodeName": "node-5"});
    vec![
        create("rempart-pod-warn", "a namespace in Warn: the same verdict as a warning", "watched", pod(&json!({}), node_name.clone()), Warned("sensitivity interne (label of namespace watched): spec.nodeName node-5")),
        create("rempart-pod-audit", "a namespace in Audit: the same verdict in the log", "observed", pod(&json!({}), node_name.clone()), Audited("sensitivity observe (label of namespace observed): spec.nodeName node-5")),
        create("rempart-pod-raised-warn", "a pod in Warn", "plain", labelled("interne", node_name.clone()), Warned("sensitivity interne (label of the pod): spec.nodeName node-5")),
        create("rempart-pod-raised-audit", "a pod in Audit", "plain", labelled("observe", node_name), Audited("sensitivity observe (label of the pod): spec.nodeName node-5")),
        create("", "Warn: no selector is added, and none is missed", "watched", pod(&json!({}), json!({})), Accepted),
        create("", "Warn: the pod is as it was written", "watched", pod(&json!({}), json!({})), Carries(vec![("/spec/nodeSelector", Value::Null)])),
        create("", "a pod in Warn, in a sensitive namespace: only the namespace's selector", "emr", labelled("interne", json!({})), Carries(vec![(SELECTOR, json!("cleared")), (SELECTOR_INTERNE, Value::Null)])),
        create("", "a raised pod in a namespace in Warn: only the pod's selector", "watched", labelled("restreint", json!({})), Carries(vec![(SELECTOR, json!("cleared")), (SELECTOR_INTERNE, Value::Null)])),
        bind_in("observed", "rempart-bind-audit", "a namespace in Audit: binding to any node", "node-5", "node node-5 is not cleared for observe"),
        bind_in("watched", "rempart-bind-audit", "a namespace in Warn: binding to any node", "node-5", "node node-5 is not cleared for interne"),
    ]
}

fn canary() -> Vec<Case> {
    let binding = "/api/v1/namespaces/rempart-canary/pods/ghost/binding";
    vec![
        request("", "the canary: the node of this write of the Clearance", Who::Operator, Method::POST, binding, bind("epoch-7"), NotFound),
        request("rempart-bind", "the canary: the node of another write", Who::Operator, Method::POST, binding, bind("epoch-6"), Refused("node epoch-6 is not cleared for rempart-canary")),
        request("rempart-bind", "the canary: a real node", Who::Operator, Method::POST, binding, bind("node-0"), Refused("node node-0 of cloud alpha is not cleared for rempart-canary")),
        request("rempart-bind", "the canary: somebody else", Who::Tenant, Method::POST, binding, bind("epoch-7"), Refused("tenant is not a scheduler of this level")),
        by(Who::Operator, create("rempart-pod", "the canary: nodeName", "rempart-canary", pod(&json!({}), json!({"nodeName": "epoch-7"})), Refused("sensitivity rempart-canary (label of namespace rempart-canary): spec.nodeName epoch-7"))),
        by(Who::Operator, create("", "the canary: a pod", "rempart-canary", pod(&json!({}), json!({})), Accepted)),
    ]
}

fn request(binding: &'static str, row: &'static str, who: Who, method: Method, path: &str, body: Value, expected: Expected) -> Case {
    Case { row, binding, who, method, path: path.to_owned(), body, expected, needs: "" }
}

fn patch(binding: &'static str, row: &'static str, who: Who, path: &str, body: Value, expected: Expected) -> Case {
    request(binding, row, who, Method::PATCH, path, body, expected)
}

/// A tenant creates a pod.
fn create(binding: &'static str, row: &'static str, namespace: &str, pod: Value, expected: Expected) -> Case {
    request(binding, row, Who::Tenant, Method::POST, &format!("/api/v1/namespaces/{namespace}/pods"), pod, expected)
}

fn daemonset(binding: &'static str, row: &'static str, namespace: &str, labels: &Value, carries: Vec<(&'static str, Value)>) -> Case {
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "example.com/main"}]}});
    let daemonset = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent"}, "spec": {"selector": {"matchLabels": {"app": "agent"}}, "template": template}});
    request(binding, row, Who::Tenant, Method::POST, &format!("/apis/apps/v1/namespaces/{namespace}/daemonsets"), daemonset, Carries(carries))
}

fn bind_in(namespace: &str, binding: &'static str, row: &'static str, node: &str, words: &'static str) -> Case {
    request(binding, row, Who::Scheduler, Method::POST, &format!("/api/v1/namespaces/{namespace}/bindings"), bind(node), Audited(words))
}

fn by(who: Who, case: Case) -> Case {
    Case { who, ..case }
}

fn pod(labels: &Value, mut spec: Value) -> Value {
    spec["containers"] = json!([{"name": "main", "image": "example.com/main"}]);
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe", "labels": labels}, "spec": spec})
}

fn annotated(annotation: &str, spec: Value) -> Value {
    with(pod(&json!({}), spec), "/metadata/annotations", json!({annotation: "x"}))
}

fn volumes(volumes: &Value) -> Value {
    pod(&json!({}), json!({"volumes": volumes}))
}

fn bind(node: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "ghost"}, "target": {"kind": "Node", "name": node}})
}

/// `object` with `value` at a place of two steps, `/metadata/labels`.
fn with(mut object: Value, place: &str, value: Value) -> Value {
    let mut steps = place.trim_start_matches('/').splitn(2, '/');
    if let (Some(first), Some(second)) = (steps.next(), steps.next()) {
        object[first][second] = value;
    }
    object
}
