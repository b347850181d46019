//! How long the operator thinks: a plan is made for whatever changes, and is nothing but computing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rempart::api::{Clearance, SensitivityLevel, TrustedCloud};
use rempart::guard::{Settings, policies};
use rempart::placement::{AttachmentFacts, ClaimFacts, ClassFacts, NamespaceFacts, NodeFacts, PodFacts, QuotaFacts, VolumeFacts};
use rempart::plan::{Plan, Read, Relabel, Snapshot, Step, Stored, Table, Version, plan, with_defaults};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Report, median};

const CLOUDS: usize = 20;
const LEVELS: usize = 5;
const NODES: usize = 2_000;
const PODS: usize = 10_000;
const NAMESPACES: usize = 500;
const CLASSES: usize = 200;
const CLAIMS: usize = 5_000;

fn now() -> Timestamp {
    "2026-11-25T12:00:00Z".parse().expect("it is an instant")
}

fn table<T>(objects: impl IntoIterator<Item = (String, T)>) -> Table<T> {
    Arc::new(objects.into_iter().map(|(key, object)| (key, Arc::new(object))).collect())
}

fn read<K: DeserializeOwned>(kind: &str, name: &str, spec: &Value) -> (String, Read<K>) {
    let metadata = json!({"name": name, "generation": 1, "uid": name, "resourceVersion": "1"});
    let object = json!({"apiVersion": "rempart.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
    (name.to_owned(), Ok(serde_json::from_value(object).expect("it has the form of its kind")))
}

/// A cloud with ten classes that were there before.
fn cloud(number: usize) -> Value {
    let classes = (0..CLASSES / CLOUDS).map(|class| json!({"existingClass": format!("class-{number}-{class}"), "provisioner": "csi"}));
    json!({
        "offering": {"service": "made up", "model": "IaaS"}, "locations": {"storage": ["FR"]},
        "qualifications": [{"scheme": "secnumcloud", "version": "3.2", "validFrom": "2025-01-01", "validUntil": "2028-05-30"}],
        "nodes": [{"providerID": format!("kwok://cloud-{number}/.*")}], "storage": classes.collect::<Vec<_>>(),
    })
}

/// A fleet in which a claim in ten has its data where it may not be, and a pod in ten runs there.
fn fleet() -> Snapshot {
    let requires = json!({"requires": {"qualifications": [{"allOf": [{"scheme": "secnumcloud"}]}]}});
    let class = |number: usize| format!("class-{}-{}", number % CLOUDS, number / CLOUDS % (CLASSES / CLOUDS));
    let space = |number: usize| format!("secret-{}", number % NAMESPACES);
    let classes = (0..CLASSES).map(|number| (class(number), "csi")).chain([("standard".to_owned(), "other")]);
    let nodes = (0..NODES).map(|number| {
        let provider_id = Some(format!("kwok://cloud-{}/n", number % (CLOUDS + CLOUDS / 10)));
        let name = format!("node-{number}");
        (name.clone(), NodeFacts { uid: name.clone(), name, provider_id, ..NodeFacts::default() })
    });
    let namespaces = (0..NAMESPACES).map(|number| {
        let labels = [("rempart.dev/sensitivity".to_owned(), format!("level-{}", number % LEVELS))].into();
        (space(number), NamespaceFacts { name: space(number), uid: space(number), labels, deleting: false })
    });
    let pods = (0..PODS).map(|number| {
        let (name, node) = (format!("pod-{number}"), Some(format!("node-{}", number % NODES)));
        (format!("{}/{name}", space(number)), PodFacts { namespace: space(number), uid: name.clone(), name, node, ..PodFacts::default() })
    });
    let class_of = |number: usize| if number.is_multiple_of(10) { "standard".to_owned() } else { class(number) };
    let claims = (0..CLAIMS).map(|number| {
        let (name, volume, bytes) = (format!("claim-{number}"), Some(format!("pvc-{number}")), 1 << 30);
        let claim =
            ClaimFacts { namespace: space(number), name: name.clone(), class: Some(class_of(number)), volume, bytes, created: None };
        (format!("{}/{name}", space(number)), claim)
    });
    let volumes = (0..CLAIMS).map(|number| {
        let (class, pinned) = (Some(class_of(number)), Some(format!("cloud-{}", number % CLOUDS)));
        (format!("pvc-{number}"), VolumeFacts { class, driver: Some("csi".to_owned()), pinned })
    });
    let attached = |number: usize| AttachmentFacts { volume: format!("pvc-{number}"), node: format!("node-{}", number % NODES) };
    let class_facts = |(name, driver): (String, &str)| {
        (name.clone(), ClassFacts { uid: name.clone(), name, driver: driver.to_owned(), ..ClassFacts::default() })
    };
    Snapshot {
        clouds: table((0..CLOUDS).map(|number| read("TrustedCloud", &format!("cloud-{number}"), &cloud(number)))),
        levels: table((0..LEVELS).map(|number| read("SensitivityLevel", &format!("level-{number}"), &requires))),
        storage_classes: table(classes.map(class_facts)),
        nodes: table(nodes),
        namespaces: table(namespaces),
        pods: table(pods),
        claims: table(claims),
        volumes: table(volumes),
        attachments: table((0..CLAIMS).map(|number| (format!("attachment-{number}"), attached(number)))),
        ..Snapshot::default()
    }
}

/// What the API server would hold after a plan.
fn apply(snapshot: &mut Snapshot, plan: &Plan) {
    let relabel = |labels: &mut BTreeMap<String, String>, change: &Relabel| {
        labels.extend(change.labels.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?))));
    };
    for step in &plan.steps {
        match step {
            Step::WriteClearance(spec) => {
                snapshot.clearances = table([("cluster".to_owned(), Ok(Clearance::new("cluster", spec.as_ref().clone())))]);
            }
            Step::WriteAdmission(object) => {
                let version = Version { uid: object.name.clone(), generation: 1 };
                let (name, spec) = (object.name.clone(), with_defaults(&object.object["spec"]));
                let stored = Stored { kind: object.kind, name, spec, version, held: true, deleting: false };
                Arc::make_mut(&mut snapshot.admission).insert(object.key(), Arc::new(stored));
            }
            Step::LabelNode(change) => {
                let node = Arc::make_mut(&mut snapshot.nodes).get_mut(&change.name).expect("it is there");
                relabel(&mut Arc::make_mut(node).labels, change);
            }
            Step::WriteQuota { namespace, hard } => {
                let quota = QuotaFacts { namespace: namespace.clone(), hard: hard.clone(), ..QuotaFacts::default() };
                Arc::make_mut(&mut snapshot.quotas).insert(format!("{namespace}/rempart-classes"), Arc::new(quota));
            }
            Step::HoldLevel { name, finalizers, .. } => {
                change(&mut snapshot.levels, name, |level: &mut SensitivityLevel| level.metadata.finalizers = Some(finalizers.clone()));
            }
            Step::WriteStatus { kind: "TrustedCloud", name, status, .. } => {
                let status = serde_json::from_value(status.clone()).expect("it is a status");
                change(&mut snapshot.clouds, name, |cloud: &mut TrustedCloud| cloud.status = Some(status));
            }
            Step::WriteStatus { name, status, .. } => {
                let status = serde_json::from_value(status.clone()).expect("it is a status");
                change(&mut snapshot.levels, name, |level: &mut SensitivityLevel| level.status = Some(status));
            }
            other => panic!("nobody asked for {}", other.key()),
        }
    }
}

fn change<K: Clone>(table: &mut Table<Read<K>>, name: &str, change: impl FnOnce(&mut K)) {
    let read = Arc::make_mut(Arc::make_mut(table).get_mut(name).expect("it is there"));
    change(read.as_mut().expect("it can be read"));
}

/// How long this thread has been computing, whatever else the machine does.
fn computed() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells");
    Duration::from_nanos(told.split(' ').next().and_then(|first| first.parse().ok()).expect("nanoseconds come first"))
}

/// How long this takes to compute: the middle of 21 times.
fn timed<T>(mut what: impl FnMut() -> T) -> Duration {
    let times = (0..21).map(|_| {
        let begin = computed();
        std::hint::black_box(what());
        computed().saturating_sub(begin)
    });
    median(times.collect())
}

#[test]
#[ignore = "bench: on a machine that does nothing else"]
fn bench_plan() {
    let mut report = Report::new("plan");
    let mut snapshot = fleet();
    for _ in 0..4 {
        let next = plan(&snapshot, now());
        apply(&mut snapshot, &next);
    }
    let last = plan(&snapshot, now());
    assert!(last.guarded && last.steps.is_empty(), "{:?}", last.steps.first().map(Step::key));
    let judged = |verdict: usize| last.summary.claims.values().map(|claims| claims[verdict]).sum::<usize>();
    assert!(judged(0) > CLAIMS / 2 && judged(1) > CLAIMS / 10 && judged(0) + judged(1) == CLAIMS, "{:?}", last.summary.claims);
    let whole = timed(|| plan(&snapshot, now()));
    report.time(
        "2,000 nodes, 10,000 pods, 5,000 claims, 500 sensitive namespaces, 200 classes: computing a full plan",
        whole,
        Duration::from_millis(50),
    );
    let without = Snapshot { claims: Arc::default(), ..snapshot.clone() };
    let without = timed(|| plan(&without, now()));
    report.time("the same: of that, for the claims", whole.saturating_sub(without), Duration::from_millis(100));

    let settings = settings(&last);
    let text = timed(|| policies(&settings));
    report.row("the same: of that, for the text of the policies", &format!("{:.1} ms", text.as_secs_f64() * 1e3), "", false);
}

/// What the policies of such a fleet are filled in with.
fn settings(plan: &Plan) -> Settings {
    let set = |names: &[&str]| -> BTreeSet<String> { names.iter().map(|name| (*name).to_owned()).collect() };
    let clouds = plan.clearance.clouds.iter();
    Settings {
        classes: plan.clearance.storage_classes.clone(),
        namespaces: plan.clearance.namespaces.clone(),
        cleared: clouds.map(|(cloud, levels)| (cloud.clone(), levels.iter().cloned().collect())).collect(),
        drivers: set(&["csi"]),
        ..Settings::default()
    }
}
