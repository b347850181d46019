//! The table: ways around the guard and rightful uses, each with its row in the catalogue, who asks, what happens, and
//! the binding without which it would happen otherwise.
//!
//! Every request is a dry run, so that it can be made again and again.

#![allow(clippy::too_many_lines, reason = "tables")]

mod binding;
mod claims;
mod creation;
mod declarations;
mod itself;
mod namespaces;
mod nodes;
mod storage;
mod tokens;
mod unenforced;
mod updates;
mod volumes;

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
        // What opens a connection stores nothing, and knows no dry run.
        let path = if self.path.contains('?') { self.path.clone() } else { format!("{}?dryRun=All&fieldManager={marker}", self.path) };
        let body = (!self.body.is_null()).then_some(&self.body);
        let answer = send(clients.client(self.who), self.method.clone(), &path, body)
            .await
            .map_err(|error| Deviation { got_through: false, text: format!("{self}: {error}") })?;
        let right = match &self.expected {
            Refused(words) => {
                answer.status == 403
                    && answer.refusal().contains(words)
                    && answer.refusal().contains(&format!("binding '{}'", self.binding))
            }
            RefusedByOthers(words) => [403, 422].contains(&answer.status) && answer.refusal().contains(words),
            Accepted => answer.status < 300 && answer.warnings.is_empty(),
            NotFound => answer.status == 404,
            Carries(values) => {
                answer.status < 300 && values.iter().all(|(pointer, value)| answer.body.pointer(pointer).unwrap_or(&Value::Null) == value)
            }
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

    /// What two API servers make of the object that is created here, or why they do not: without what differs from one request to the next.
    pub(super) async fn made(&self, one: &Clients, other: &Clients) -> Option<(Value, Value)> {
        const MUTATED: [&str; 4] = ["/pods", "/daemonsets", "/persistentvolumeclaims", "/persistentvolumes"];
        if self.method != Method::POST || !MUTATED.iter().any(|resource| self.path.ends_with(resource)) {
            return None;
        }
        // The token's volume has a random name.
        let token = regex::Regex::new("kube-api-access-[a-z0-9]{5}").expect("it is one");
        let mut made = Vec::new();
        for clients in [one, other] {
            let answer = send(clients.client(self.who), Method::POST, &format!("{}?dryRun=All", self.path), Some(&self.body)).await;
            let mut body = answer.expect("the API server answers").body;
            if let Some(metadata) = body["metadata"].as_object_mut() {
                for field in ["uid", "creationTimestamp", "resourceVersion", "managedFields"] {
                    metadata.remove(field);
                }
            }
            // When it became what it is, to the second: two requests may lie on either side of one.
            if let Some(status) = body["status"].as_object_mut() {
                status.remove("lastPhaseTransitionTime");
            }
            let text = token.replace_all(&body.to_string(), "kube-api-access").into_owned();
            made.push(serde_json::from_str(&text).expect("it was JSON"));
        }
        made.pop().zip(made.pop()).map(|(other, one)| (one, other))
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
    [
        creation::creation(),
        declarations::declarations(),
        updates::updates(),
        binding::binding(),
        binding::canary(),
        namespaces::namespaces(),
        nodes::nodes(),
        itself::itself(),
        tokens::tokens(),
        unenforced::unenforced(),
        claims::claims(),
        volumes::volumes(),
        storage::storage(),
    ]
    .into_iter()
    .flatten()
    .collect()
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
    request(
        binding,
        row,
        Who::Tenant,
        Method::POST,
        &format!("/apis/apps/v1/namespaces/{namespace}/daemonsets"),
        daemonset,
        Carries(carries),
    )
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
