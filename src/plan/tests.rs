use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::api::names::{CLEARANCE, GUARD, NODE_CLOUD, clearance_label};
use crate::api::{Clearance, DataDeclaration, SensitivityLevel, TrustedCloud};
use crate::placement::{DaemonSetFacts, NamespaceFacts, NodeFacts, Owner, PodFacts};

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
            Step::LabelNode(change) => {
                let node = Arc::make_mut(&mut snapshot.nodes).get_mut(&change.name).unwrap();
                relabel(&mut Arc::make_mut(node).labels, change);
            }
            Step::LabelNamespace(change) => {
                let namespace = Arc::make_mut(&mut snapshot.namespaces).get_mut(&change.name).unwrap();
                relabel(&mut Arc::make_mut(namespace).labels, change);
            }
            Step::HoldLevel { name, finalizers, .. } => {
                change(&mut snapshot.levels, name, |level| level.metadata.finalizers = Some(finalizers.clone()));
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
        for _ in 0..5 {
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
        self.0.probe =
            Some(Probe { policies: plan.policies, outcome: Outcome::Holds("the API server was seen to refuse a violation".into()) });
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

#[test]
fn a_cluster_that_is_as_it_should_be_gets_no_step() {
    let world = hospital().settle(now());
    assert_eq!(keys(&plan(&world.0, now())), Vec::<String>::new());
}

#[test]
fn the_clearance_comes_first_and_what_permits_comes_after_what_restricts() {
    let mut world = hospital().cloud("snc", &suspended("snc"));
    let node = Arc::make_mut(Arc::make_mut(&mut world.0.nodes).get_mut("snc-1").unwrap());
    node.labels = [(clearance_label("restreint"), "cleared".to_owned()), (NODE_CLOUD.to_owned(), "snc".to_owned())].into();
    let plan = plan(&world.0, now());
    let phases: Vec<Phase> = plan.steps.iter().map(Step::phase).collect();
    assert!(phases.is_sorted(), "{phases:?}");
    let keys = keys(&plan);
    assert_eq!(keys[..2], ["Clearance/cluster", "Node/snc-1 -"]);
    let place = |key: &str| keys.iter().position(|found| found == key).unwrap_or_else(|| panic!("{key} is not in {keys:?}"));
    assert!(place("ValidatingAdmissionPolicy/rempart-pod") < place("ValidatingAdmissionPolicyBinding/rempart-pod"));
    assert!(place("ValidatingAdmissionPolicyBinding/rempart-pod") < place("Node/other-1 +"));
}

#[test]
fn a_suspension_changes_one_list_however_many_nodes_there_are() {
    let before = hospital().settle(now());
    let after = plan(&hospital().cloud("snc", &suspended("snc")).settle(now()).0, now());
    let before = plan(&before.0, now());
    assert_eq!(before.clearance.clouds["snc"], ["restreint"]);
    assert_eq!(after.clearance.clouds["snc"], [""; 0]);
    let without_epoch = |nodes: &BTreeMap<String, String>| {
        nodes.iter().filter(|(name, _)| !name.starts_with("epoch-")).map(|(a, b)| (a.clone(), b.clone())).collect::<Vec<_>>()
    };
    assert_eq!(without_epoch(&before.clearance.nodes), without_epoch(&after.clearance.nodes));
}

#[test]
fn a_level_that_only_reports_keeps_the_cloud_and_says_so() {
    let mut level = restreint();
    level["onTrustLoss"] = "Report".into();
    let mut world = hospital().level("restreint", &level).settle(now());
    change(&mut world.0.clouds, "snc", |cloud| cloud.spec = serde_json::from_value(suspended("snc")).unwrap());
    let world = world.settle(now());
    let found = plan(&world.0, now());
    assert_eq!(found.clearance.clouds["snc"], ["restreint"]);
    let ready = &world.0.clouds["snc"].as_ref().as_ref().unwrap().status.as_ref().unwrap().conditions[0];
    assert!(ready.message.contains("no longer satisfies restreint"), "{}", ready.message);

    let never_cleared = hospital().level("restreint", &level).cloud("snc", &suspended("snc")).settle(now());
    assert_eq!(plan(&never_cleared.0, now()).clearance.clouds["snc"], [""; 0], "to keep is not to admit");
}

#[test]
fn what_is_kept_is_what_was_seen_to_be_cleared_not_what_somebody_wrote_or_an_object_of_the_same_name() {
    let mut level = restreint();
    level["onTrustLoss"] = "Report".into();
    let reporting = || hospital().level("restreint", &level);

    let mut forged = reporting().cloud("snc", &suspended("snc")).settle(now());
    change(&mut forged.0.clearances, CLEARANCE, |clearance| {
        clearance.spec.clouds.insert("snc".into(), vec!["restreint".into()]);
    });
    assert_eq!(plan(&forged.0, now()).clearance.clouds["snc"], [""; 0], "a Clearance edited by hand is repaired");

    // `cloud` and `level` put a new object, without a status, in the place of the old one.
    let recreated = reporting().settle(now()).cloud("snc", &suspended("snc"));
    assert_eq!(plan(&recreated.0, now()).clearance.clouds["snc"], [""; 0], "another cloud of the same name");
    let mut suspended_in_place = reporting().settle(now());
    change(&mut suspended_in_place.0.clouds, "snc", |cloud| cloud.spec = serde_json::from_value(suspended("snc")).unwrap());
    assert_eq!(plan(&suspended_in_place.0, now()).clearance.clouds["snc"], ["restreint"]);
    let recreated = suspended_in_place.level("restreint", &level);
    assert_eq!(plan(&recreated.0, now()).clearance.clouds["snc"], [""; 0], "another level of the same name");
}

#[test]
fn a_node_that_is_nobodys_loses_what_labels_it_has() {
    let mut world = hospital();
    let node = Arc::make_mut(Arc::make_mut(&mut world.0.nodes).get_mut("stray-1").unwrap());
    node.labels = [(clearance_label("restreint"), "cleared".to_owned()), ("zone".to_owned(), "a".to_owned())].into();
    let world = world.settle(now());
    assert_eq!(world.0.nodes["stray-1"].labels, [("zone".to_owned(), "a".to_owned())].into());
}

#[test]
fn a_namespace_gets_the_level_and_the_mark_of_its_declaration_but_keeps_the_level_it_has() {
    let world = hospital()
        .declaration("web", "form", &json!({"level": "restreint"}))
        .level("other", &json!({}))
        .declaration("emr", "second", &json!({"level": "other"}))
        .declaration("kube-system", "trap", &json!({"level": "restreint"}))
        .settle(now());
    let labels = |name: &str| world.0.namespaces[name].labels.clone();
    let both = |level: &str| BTreeMap::from([(SENSITIVITY.to_owned(), level.to_owned()), (DECLARED.to_owned(), "true".to_owned())]);
    assert_eq!(labels("web"), both("restreint"));
    assert_eq!(labels("emr"), both("restreint"));
    assert_eq!(labels("kube-system"), BTreeMap::new());
}

#[test]
fn only_selected_pods_count_for_a_declaration_with_workloads() {
    let world = hospital()
        .declaration("web", "form", &json!({"level": "restreint", "workloads": {"matchLabels": {"app": "form"}}}))
        .pod("web", "form-1", |pod| {
            pod.node = Some("stray-1".into());
            pod.labels.insert("app".into(), "form".into());
        })
        .settle(now());
    let status = world.0.declarations["web/form"].as_ref().as_ref().unwrap().status.clone().unwrap();
    assert_eq!(
        (status.pods.violating, status.violations[0].name.as_str(), status.violations[0].reason.as_str()),
        (1, "form-1", "NodeUnknown")
    );
    assert!(world.0.namespaces["web"].level().is_none());
}

#[test]
fn pods_that_wait_without_their_selector_come_back_and_running_ones_stay() {
    let controlled = |pod: &mut PodFacts| pod.controller = Some(Owner { kind: "ReplicaSet".into(), name: "r".into() });
    let world = hospital()
        .pod("emr", "waits", controlled)
        .pod("emr", "alone", |_| {})
        .pod("emr", "of-a-job", |pod| pod.controller = Some(Owner { kind: "Job".into(), name: "j".into() }))
        .pod("emr", "has-it", |pod| {
            controlled(pod);
            pod.selects = vec!["restreint".into()];
        })
        .pod("emr", "runs", |pod| {
            controlled(pod);
            pod.node = Some("stray-1".into());
        })
        .pod("web", "plain", controlled)
        .daemon_set("emr", "each")
        .daemon_set("emr", "strays")
        .pod("emr", "strays-1", |pod| {
            pod.controller = Some(Owner { kind: "DaemonSet".into(), name: "strays".into() });
            pod.node = Some("stray-1".into());
        })
        .daemon_set("web", "each");
    let world = world.settle(now());
    assert_eq!(world.0.daemon_sets["emr/each"].touched_for, None, "not before the policies that give the selector were seen in use");
    assert!(world.0.pods.contains_key("emr/waits"));
    let world = world.probed().settle(now());
    let pods: Vec<&String> = world.0.pods.keys().collect();
    assert_eq!(
        pods,
        ["emr/alone", "emr/good", "emr/has-it", "emr/of-a-job", "emr/old", "emr/runs", "emr/strays-1", "web/any", "web/plain"]
    );
    let level = world.0.levels["restreint"].as_ref().as_ref().unwrap().status.as_ref().unwrap();
    assert!(level.conditions[0].message.contains("2 pods, such as emr/alone, emr/of-a-job"), "{}", level.conditions[0].message);
    assert_eq!(world.0.daemon_sets["emr/each"].touched_for.as_deref(), Some("restreint"));
    assert_eq!(world.0.daemon_sets["web/each"].touched_for, None);
    assert_eq!(world.0.daemon_sets["emr/strays"].touched_for, None, "its rollout would end a pod that runs");
}

#[test]
fn without_mutating_policies_the_rest_works() {
    let mut world = hospital().pod("emr", "waits", |pod| pod.controller = Some(Owner { kind: "ReplicaSet".into(), name: "r".into() }));
    world.0.host.mutates = false;
    let world = world.settle(now()).probed().settle(now());
    assert!(world.0.admission.keys().all(|key| key.starts_with("Validating")));
    assert!(world.0.pods.contains_key("emr/waits"), "it would come back no better");
    let status = world.0.levels["restreint"].as_ref().as_ref().unwrap().status.clone().unwrap();
    let enforced = status.conditions.iter().find(|condition| condition.type_ == "Enforced").unwrap();
    assert_eq!(enforced.status, "True");
}

#[test]
fn an_operator_that_has_just_started_goes_by_what_was_seen_of_the_same_policies() {
    let mut world = hospital().settle(now()).probed().settle(now());
    world.0.probe = None;
    assert_eq!(keys(&plan(&world.0, now())), Vec::<String>::new());
    world.0.host.namespace = "elsewhere".into();
    let world = world.settle(now());
    let status = world.0.levels["restreint"].as_ref().as_ref().unwrap().status.clone().unwrap();
    assert_eq!(
        status.conditions.iter().find(|condition| condition.type_ == "Enforced").unwrap().status,
        "Unknown",
        "of other policies nothing was seen"
    );
}

#[test]
fn a_level_that_is_not_enforced_by_choice_is_no_bad_news() {
    let mut level = restreint();
    level["enforcement"] = "Warn".into();
    let mut world = hospital().level("restreint", &level);
    let guard = plan(&world.0, now()).steps;
    for step in guard.iter().filter(|step| matches!(step, Step::WriteClearance(_) | Step::WriteAdmission(_))) {
        world.apply(step);
    }
    let told: Vec<String> = plan(&world.0, now())
        .steps
        .into_iter()
        .filter_map(|step| if let Step::WriteStatus { kind: "SensitivityLevel", notices, .. } = step { Some(notices) } else { None })
        .flatten()
        .map(|notice| notice.reason)
        .collect();
    assert_eq!(told, ["PlacedBadly"]);
}

#[test]
fn whatever_alters_a_policy_is_put_right() {
    let world = hospital().settle(now());
    let weakened: [fn(&mut Value); 3] = [
        |spec| spec["failurePolicy"] = "Ignore".into(),
        |spec| spec["matchConditions"] = json!([{"name": "never", "expression": "false"}]),
        |spec| spec["matchConstraints"]["namespaceSelector"]["matchLabels"] = json!({"no": "where"}),
    ];
    for weaken in weakened {
        let mut altered = world.0.clone();
        let policy = Arc::make_mut(Arc::make_mut(&mut altered.admission).get_mut("ValidatingAdmissionPolicy/rempart-pod").unwrap());
        weaken(&mut policy.spec);
        let plan = plan(&altered, now());
        assert_eq!(keys(&plan), ["ValidatingAdmissionPolicy/rempart-pod"]);
        assert!(!plan.guarded);
    }
}

/// Whether each policy and binding of the whole set is in force under one of its names, together with what it belongs to.
fn in_force(world: &World) -> bool {
    let wanted = crate::guard::policies(&crate::guard::Settings::default());
    crate::guard::sets(&wanted).iter().all(|set| {
        (1..9).any(|slot| {
            set.in_slot(slot).iter().all(|object| {
                world.0.admission.get(&object.key()).is_some_and(|stored| stored.spec == with_defaults(&object.object["spec"]))
            })
        })
    })
}

#[test]
fn what_is_deleted_stays_in_force_until_another_was_seen_in_use_in_its_place() {
    let mut world = hospital().settle(now()).probed().settle(now());
    let first: Vec<String> = world.0.admission.keys().cloned().collect();
    for key in &first {
        world.delete_admission(key, false);
    }
    // Twice more, before anything was seen: by then there are three of each.
    for _ in 0..2 {
        world = world.settle(now());
        assert!(in_force(&world));
        let live: Vec<String> = world.0.admission.iter().filter(|(_, stored)| !stored.deleting).map(|(key, _)| key.clone()).collect();
        for key in live {
            world.delete_admission(&key, false);
        }
    }
    for round in 0..20 {
        assert!(in_force(&world), "round {round}");
        let plan = plan(&world.0, now());
        for step in &plan.steps {
            world.apply(step);
            assert!(in_force(&world), "round {round}, after {}", step.key());
        }
        if plan.steps.is_empty() {
            world = world.probed();
        }
    }
    let last: Vec<String> = world.0.admission.keys().cloned().collect();
    assert_eq!(last, first, "and in the end each has its own name again");
    assert!(world.0.admission.values().all(|stored| !stored.deleting));
    assert!(plan(&world.0, now()).steps.is_empty());
}

#[test]
fn a_policy_of_ours_that_is_no_longer_one_goes_when_the_others_are_in_use_and_one_of_somebody_else_stays() {
    let mut world = hospital().settle(now()).probed().settle(now());
    let key = |name: &str| format!("ValidatingAdmissionPolicy/{name}");
    let table = Arc::make_mut(&mut world.0.admission);
    let mut old = table[&key("rempart-pod")].as_ref().clone();
    old.name = "rempart-of-an-older-version".to_owned();
    table.insert(key(&old.name), Arc::new(old));
    let mut upgraded = world.settle(now());
    assert!(!upgraded.0.admission.contains_key(&key("rempart-of-an-older-version")), "deleted, and then let go");
    let table = Arc::make_mut(&mut upgraded.0.admission);
    let mut other = table[&key("rempart-pod")].as_ref().clone();
    other.name = "somebody-elses".to_owned();
    table.insert(key(&other.name), Arc::new(other));
    assert!(plan(&upgraded.0, now()).steps.iter().all(|step| !matches!(step, Step::RetireAdmission { .. })));
}

#[test]
fn a_level_is_held_while_something_names_it() {
    let mut world = hospital().level("unused", &json!({})).settle(now());
    for level in ["restreint", "unused"] {
        change(&mut world.0.levels, level, |level| {
            level.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now()));
        });
    }
    let keys = keys(&plan(&world.0, now()));
    assert!(keys.contains(&"SensitivityLevel/unused finalizers".to_owned()), "{keys:?}");
    assert!(!keys.contains(&"SensitivityLevel/restreint finalizers".to_owned()), "{keys:?}");
}

#[test]
fn what_cannot_be_read_counts_for_nothing_and_affects_nothing_else() {
    let mut world = hospital();
    let malformed = Malformed {
        metadata: world.0.clouds["snc"].as_ref().as_ref().unwrap().metadata.clone(),
        conditions: vec![],
        error: "missing field `offering`".into(),
    };
    Arc::make_mut(&mut world.0.clouds).insert("snc".into(), Arc::new(Err(Box::new(malformed))));
    let plan = plan(&world.settle(now()).0, now());
    assert!(!plan.clearance.clouds.contains_key("snc"));
    assert_eq!(plan.clearance.clouds["other"], ["restreint"]);
}

#[test]
fn a_mistake_in_one_cloud_gives_no_node_to_another() {
    let mut wrong = snc("snc");
    wrong["nodes"].as_array_mut().unwrap().push(json!({"providerID": "("}));
    let shared = hospital().cloud("twin", &snc("snc"));
    let found = plan(&shared.0, now()).clearance.nodes;
    assert!(!found.contains_key("snc-1"), "of two clouds, so of none");
    let found = plan(&shared.cloud("twin", &wrong).0, now()).clearance.nodes;
    assert!(!found.contains_key("snc-1"), "{found:?}");
    let alone = plan(&hospital().cloud("snc", &wrong).0, now()).clearance;
    assert!(!alone.nodes.contains_key("snc-1") && !alone.clouds.contains_key("snc"));
}

#[test]
fn facts_that_may_be_old_renew_nothing_but_pods_are_no_such_facts() {
    let settled = hospital().settle(now());
    let later: Timestamp = "2026-11-27T12:00:00Z".parse().unwrap();
    let with_old = |kind: &'static str| {
        let mut world = settled.0.clone();
        world.stale = vec![kind];
        plan(&world, later)
    };
    let renewed = plan(&settled.0, later).clearance;
    assert_ne!(Some(&renewed), settled.0.clearance().map(|clearance| &clearance.spec), "half of its time is over");
    for kind in ["trustedclouds", "sensitivitylevels", "nodes"] {
        let plan = with_old(kind);
        assert!(plan.steps.iter().all(|step| matches!(step, Step::WriteStatus { .. })), "{kind}: {:?}", keys(&plan));
    }
    for kind in ["pods", "daemonsets", "namespaces", "datadeclarations"] {
        assert_eq!(with_old(kind).clearance, renewed, "{kind}");
    }
}

#[test]
fn facts_that_may_be_old_promise_nothing_new() {
    let mut world = hospital().settle(now()).level("new", &restreint());
    world.0.stale = vec!["trustedclouds"];
    let clearance = plan(&world.0, now()).clearance;
    assert_eq!(clearance.levels["new"].not_after, now());
    assert_eq!(clearance.levels["restreint"], world.0.clearance().unwrap().spec.levels["restreint"]);
    world.0.clearances = Table::default();
    assert_eq!(plan(&world.0, now()).clearance.levels["restreint"].not_after, now(), "the Clearance was deleted");
}

#[test]
fn the_next_instant_is_that_of_the_first_change() {
    let plan = plan(&hospital().settle(now()).0, now());
    assert_eq!(plan.wake_at, Some("2026-11-27T00:00:00Z".parse().unwrap()), "the lease of 72 h is renewed at half of its time");
}

#[test]
fn statuses_read_like_this() {
    let world = hospital().cloud("snc", &suspended("snc")).settle(now()).probed().settle(now());
    let status = json!({
        "cloud": world.0.clouds["snc"].as_ref().as_ref().unwrap().status,
        "level": world.0.levels["restreint"].as_ref().as_ref().unwrap().status,
        "declaration": world.0.declarations["emr/records"].as_ref().as_ref().unwrap().status,
    });
    insta::assert_yaml_snapshot!(status, {".level.policyDigest" => "[digest]"});
}
