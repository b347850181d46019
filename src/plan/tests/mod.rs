//! Tests of the room as a whole: a world in, a plan out; and what the API server would hold after it.

mod admission;
mod clearance;
mod kstatus;
mod labels;
mod large;
mod order;
mod pods;
mod reference;
mod status;
mod storage;
mod webhook;

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::api::names::{CLEARANCE, CLOUD, GUARD, NODE_CLOUD, QUOTA, clearance_label};
use crate::api::{Clearance, DataDeclaration, SensitivityLevel, TrustedCloud};
use crate::placement::{ClassFacts, DaemonSetFacts, NamespaceFacts, NodeFacts, Owner, PodFacts, QuotaFacts, Unschedulable};

fn now() -> Timestamp {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

fn object<K: serde::de::DeserializeOwned>(kind: &str, namespace: Option<&str>, name: &str, spec: &Value) -> K {
    serde_json::from_value(json!({
        "apiVersion": "rempart.dev/v1alpha1", "kind": kind, "spec": spec,
        "metadata": {"name": name, "namespace": namespace, "generation": 1, "uid": name, "resourceVersion": "1"},
    }))
    .unwrap()
}

/// A cluster in the making, and the uid of the next object in it.
#[derive(Default)]
struct World(Snapshot, u32);

impl World {
    fn cloud(mut self, name: &str, spec: &Value) -> Self {
        let cloud: TrustedCloud = object("TrustedCloud", None, name, spec);
        Arc::make_mut(&mut self.0.clouds).insert(name.into(), Arc::new(Ok(cloud)));
        self
    }

    fn level(mut self, name: &str, spec: &Value) -> Self {
        let level: SensitivityLevel = object("SensitivityLevel", None, name, spec);
        Arc::make_mut(&mut self.0.levels).insert(name.into(), Arc::new(Ok(level)));
        self
    }

    fn declaration(mut self, namespace: &str, name: &str, spec: &Value) -> Self {
        let declaration: DataDeclaration = object("DataDeclaration", Some(namespace), name, spec);
        Arc::make_mut(&mut self.0.declarations).insert(format!("{namespace}/{name}"), Arc::new(Ok(declaration)));
        self
    }

    fn namespace(mut self, name: &str, level: Option<&str>) -> Self {
        let labels = level.map(|level| (SENSITIVITY.to_owned(), level.to_owned())).into_iter().collect();
        let namespace = NamespaceFacts { name: name.into(), uid: name.into(), labels, deleting: false };
        Arc::make_mut(&mut self.0.namespaces).insert(name.into(), Arc::new(namespace));
        self
    }

    fn node(mut self, name: &str, cloud: &str) -> Self {
        let node =
            NodeFacts { name: name.into(), uid: name.into(), provider_id: Some(format!("kwok://{cloud}/{name}")), ..NodeFacts::default() };
        Arc::make_mut(&mut self.0.nodes).insert(name.into(), Arc::new(node));
        self
    }

    fn pod(mut self, namespace: &str, name: &str, change: impl FnOnce(&mut PodFacts)) -> Self {
        let mut pod = PodFacts { namespace: namespace.into(), name: name.into(), uid: name.into(), ..PodFacts::default() };
        change(&mut pod);
        Arc::make_mut(&mut self.0.pods).insert(format!("{namespace}/{name}"), Arc::new(pod));
        self
    }

    fn daemon_set(mut self, namespace: &str, name: &str) -> Self {
        let set = DaemonSetFacts { namespace: namespace.into(), name: name.into(), uid: name.into(), ..DaemonSetFacts::default() };
        Arc::make_mut(&mut self.0.daemon_sets).insert(format!("{namespace}/{name}"), Arc::new(set));
        self
    }

    /// What the API server would hold after a step.
    fn apply(&mut self, step: &Step) {
        let snapshot = &mut self.0;
        let relabel = |labels: &mut BTreeMap<String, String>, relabel: &Relabel| {
            for (key, value) in &relabel.labels {
                match value {
                    Some(value) => drop(labels.insert(key.clone(), value.clone())),
                    None => drop(labels.remove(key)),
                }
            }
        };
        match step {
            Step::WriteClearance(spec) => {
                let clearance = Clearance::new(CLEARANCE, spec.as_ref().clone());
                Arc::make_mut(&mut snapshot.clearances).insert(CLEARANCE.into(), Arc::new(Ok(clearance)));
            }
            Step::WriteAdmission(object) => {
                let before = snapshot.admission.get(&object.key());
                let generation = before.map_or(1, |before| before.version.generation + 1);
                let stored = Stored {
                    kind: object.kind,
                    name: object.name.clone(),
                    spec: with_defaults(&object.object["spec"]),
                    version: Version { uid: before.map_or_else(|| self.1.to_string(), |before| before.version.uid.clone()), generation },
                    held: object.object["metadata"]["finalizers"] == json!([GUARD]),
                    deleting: before.is_some_and(|before| before.deleting),
                };
                self.1 += 1;
                Arc::make_mut(&mut snapshot.admission).insert(object.key(), Arc::new(stored));
            }
            Step::RetireAdmission { kind, name, deleted, .. } => self.delete_admission(&format!("{}/{name}", kind.as_str()), *deleted),
            Step::WriteWebhook(object) => {
                let stored = StoredWebhook { uid: "webhook".into(), webhooks: object["webhooks"].clone(), deleting: false };
                Arc::make_mut(&mut snapshot.webhooks).insert("rempart".into(), Arc::new(stored));
            }
            Step::DeleteWebhook { .. } => drop(Arc::make_mut(&mut snapshot.webhooks).remove("rempart")),
            Step::LabelNode(change) => {
                let node = Arc::make_mut(&mut snapshot.nodes).get_mut(&change.name).unwrap();
                relabel(&mut Arc::make_mut(node).labels, change);
            }
            Step::LabelNamespace(change) => {
                let namespace = Arc::make_mut(&mut snapshot.namespaces).get_mut(&change.name).unwrap();
                relabel(&mut Arc::make_mut(namespace).labels, change);
            }
            Step::WriteStorageClass { .. } | Step::DeleteStorageClass { .. } | Step::WriteQuota { .. } | Step::DeleteQuota { .. } => {
                apply_storage(snapshot, step);
            }
            Step::HoldLevel { name, finalizers, .. } => {
                let level = Arc::make_mut(Arc::make_mut(&mut snapshot.levels).get_mut(name).unwrap());
                let metadata = level.as_mut().map_or_else(|malformed| &mut malformed.metadata, |level| &mut level.metadata);
                metadata.finalizers = Some(finalizers.clone());
            }
            Step::TouchDaemonSet { namespace, name, levels, .. } => {
                let set = Arc::make_mut(&mut snapshot.daemon_sets).get_mut(&format!("{namespace}/{name}")).unwrap();
                let set = Arc::make_mut(set);
                set.touched_for = Some(levels.clone());
                set.selector.extend(levels.split(',').map(|level| (clearance_label(level), "cleared".to_owned())));
            }
            Step::ReplacePod { namespace, name, .. } => drop(Arc::make_mut(&mut snapshot.pods).remove(&format!("{namespace}/{name}"))),
            Step::WriteStatus { kind, namespace, name, status, .. } => match *kind {
                "TrustedCloud" => {
                    write_status(&mut snapshot.clouds, name, status, |cloud| {
                        cloud.status = serde_json::from_value(status.clone()).unwrap();
                    });
                }
                "SensitivityLevel" => {
                    write_status(&mut snapshot.levels, name, status, |level| {
                        level.status = serde_json::from_value(status.clone()).unwrap();
                    });
                }
                _ => {
                    let key = format!("{}/{name}", namespace.as_deref().unwrap());
                    write_status(&mut snapshot.declarations, &key, status, |declaration| {
                        declaration.status = serde_json::from_value(status.clone()).unwrap();
                    });
                }
            },
        }
    }

    /// Plans and applies until there is nothing left to do; fails if there always is.
    fn settle(mut self, now: Timestamp) -> Self {
        for _ in 0..8 {
            let steps = plan(&self.0, now).steps;
            if steps.is_empty() {
                return self;
            }
            for step in &steps {
                self.apply(step);
            }
        }
        panic!("it never settles: {:?}", keys(&plan(&self.0, now)));
    }

    /// Every API server was seen to use what is in place.
    fn probed(mut self) -> Self {
        let plan = plan(&self.0, now());
        self.0.probe = Some(Probe {
            policies: plan.policies,
            outcome: Outcome::Holds("the API server was seen to refuse a violation".into()),
            adds: false,
        });
        self.0.in_use = plan.epoch.expect("there is nothing to write").versions;
        self
    }

    /// What the API server makes of a deletion: what a finalizer holds stays. `release` takes it off first.
    fn delete_admission(&mut self, key: &str, release: bool) {
        let table = Arc::make_mut(&mut self.0.admission);
        let stored = Arc::make_mut(table.get_mut(key).unwrap());
        let policy = stored.spec["policyName"].as_str().map(|name| format!("{}/{name}", stored.kind.policy().as_str()));
        stored.deleting = true;
        stored.held &= !release;
        stored.version.generation += 1;
        if !stored.held {
            table.remove(key);
            assert!(!release || policy.is_none_or(|policy| table.contains_key(&policy)), "{key} was updated when its policy was gone");
        }
    }
}

fn apply_storage(snapshot: &mut Snapshot, step: &Step) {
    match step {
        Step::WriteStorageClass { name, object, .. } => {
            let mut body = object.clone();
            for field in ["apiVersion", "kind", "metadata"] {
                body.as_object_mut().unwrap().remove(field);
            }
            let class = ClassFacts {
                name: name.clone(),
                uid: name.clone(),
                driver: object["provisioner"].as_str().unwrap().into(),
                written_for: object["metadata"]["labels"][CLOUD].as_str().map(Into::into),
                default: false,
                body,
            };
            Arc::make_mut(&mut snapshot.storage_classes).insert(name.clone(), Arc::new(class));
        }
        Step::DeleteStorageClass { name, .. } => drop(Arc::make_mut(&mut snapshot.storage_classes).remove(name)),
        Step::WriteQuota { namespace, hard } => {
            let quota = QuotaFacts { namespace: namespace.clone(), name: QUOTA.into(), hard: hard.clone(), ..QuotaFacts::default() };
            Arc::make_mut(&mut snapshot.quotas).insert(format!("{namespace}/{QUOTA}"), Arc::new(quota));
        }
        Step::DeleteQuota { namespace, .. } => drop(Arc::make_mut(&mut snapshot.quotas).remove(&format!("{namespace}/{QUOTA}"))),
        _ => unreachable!("not of storage"),
    }
}

fn change<K: Clone>(table: &mut Table<Read<K>>, key: &str, change: impl FnOnce(&mut K)) {
    let read = Arc::make_mut(Arc::make_mut(table).get_mut(key).unwrap());
    change(read.as_mut().unwrap());
}

/// Writes a status, or as much of it as is known of an object that cannot be read.
fn write_status<K: Clone>(table: &mut Table<Read<K>>, key: &str, status: &Value, write: impl FnOnce(&mut K)) {
    match Arc::make_mut(Arc::make_mut(table).get_mut(key).unwrap()) {
        Ok(object) => write(object),
        Err(malformed) => malformed.conditions = serde_json::from_value(status["conditions"].clone()).unwrap(),
    }
}

fn keys(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(Step::key).collect()
}

fn snc(name: &str) -> Value {
    json!({
        "offering": {"service": "Test cloud", "model": "IaaS"},
        "locations": {"storage": ["FR"], "processing": ["FR"]},
        "qualifications": [{"scheme": "secnumcloud", "version": "3.2", "validFrom": "2025-01-01", "validUntil": "2028-05-30"}],
        "nodes": [{"providerID": format!("kwok://{name}/.*")}],
    })
}

fn suspended(name: &str) -> Value {
    let mut spec = snc(name);
    spec["qualifications"][0]["events"] = json!([{"type": "Suspended", "effectiveAt": "2026-11-25T11:00:00Z"}]);
    spec
}

fn restreint() -> Value {
    json!({"requires": {"qualifications": [{"allOf": [{"scheme": "secnumcloud", "minimumVersion": "3.2"}]}]}})
}

fn hospital() -> World {
    World::default()
        .cloud("snc", &snc("snc"))
        .cloud("other", &snc("other"))
        .level("restreint", &restreint())
        .node("snc-1", "snc")
        .node("snc-2", "snc")
        .node("other-1", "other")
        .node("stray-1", "nowhere")
        .namespace("emr", Some("restreint"))
        .namespace("web", None)
        .namespace("kube-system", None)
        .declaration("emr", "records", &json!({"level": "restreint", "reviewBy": "2027-06-30"}))
        .pod("emr", "good", |pod| pod.node = Some("snc-1".into()))
        .pod("emr", "old", |pod| pod.node = Some("stray-1".into()))
        .pod("web", "any", |pod| pod.node = Some("stray-1".into()))
}
