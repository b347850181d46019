//! Whatever the API server holds can be read and planned for, and what is written because of it can be read again.

mod objects;
mod schema;

use std::sync::LazyLock;

use jiff::Timestamp;
use kube::CustomResourceExt;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use serde_json::{Value, json};

use super::*;
use crate::cluster::watched::storage::{WatchedAttachment, WatchedClaim, WatchedQuota, WatchedVolume, class};
use crate::plan::{Plan, Step, plan, with_defaults};

/// Everything that is watched, as JSON.
#[derive(Clone, Debug)]
struct Cluster {
    clouds: Vec<Value>,
    levels: Vec<Value>,
    declarations: Vec<Value>,
    clearance: Option<Value>,
    nodes: Vec<Value>,
    namespaces: Vec<Value>,
    pods: Vec<Value>,
    daemon_sets: Vec<Value>,
    storage: Storage,
    probe: Option<Probe>,
    failures: BTreeMap<String, String>,
    stale: Vec<&'static str>,
}

#[derive(Clone, Debug)]
struct Storage {
    claims: Vec<Value>,
    volumes: Vec<Value>,
    attachments: Vec<Value>,
    quotas: Vec<Value>,
    classes: [Vec<Value>; 3],
}

/// Schema of spec and status of each kind.
static SCHEMAS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let crds = crate::api::crds().into_iter();
    crds.map(|crd| {
        (crd.spec.names.kind.clone(), serde_json::to_value(&crd.spec.versions[0].schema).unwrap()["openAPIV3Schema"]["properties"].clone())
    })
    .collect()
});

fn custom<K: CustomResourceExt>(namespaced: bool) -> BoxedStrategy<Value> {
    let kind = K::crd().spec.names.kind;
    let part = |name: &str| SCHEMAS[&kind].get(name).map_or(Just(Value::Null).boxed(), |schema| schema::value(schema, name));
    let whole = (objects::metadata(namespaced, objects::label()), part("spec"), proptest::option::of(part("status")));
    whole
        .prop_map(move |(mut metadata, spec, status)| {
            // An API server counts the generations of these kinds.
            metadata["generation"] = metadata["generation"].as_i64().unwrap_or(1).into();
            let mut object = json!({"apiVersion": "rempart.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
            if let Some(status) = status.filter(|status| !status.is_null()) {
                object["status"] = status;
            }
            object
        })
        .boxed()
}

fn clusters() -> BoxedStrategy<Cluster> {
    let ours = (
        vec(custom::<TrustedCloud>(false), 0..4),
        vec(custom::<SensitivityLevel>(false), 0..4),
        vec(custom::<DataDeclaration>(true), 0..4),
        proptest::option::of(custom::<Clearance>(false)),
    );
    let theirs = (vec(objects::node(), 0..4), vec(objects::namespace(), 0..4), vec(objects::pod(), 0..5), vec(objects::daemon_set(), 0..3));
    let classes = || vec(objects::class(), 0..3);
    let storage = (
        vec(objects::claim(), 0..4),
        vec(objects::volume(), 0..4),
        vec(objects::attachment(), 0..3),
        vec(objects::quota(), 0..3),
        [classes(), classes(), classes()],
    )
        .prop_map(|(claims, volumes, attachments, quotas, classes)| Storage { claims, volumes, attachments, quotas, classes });
    let outcome = schema::text(0, 300)
        .prop_flat_map(|said| select(vec![Outcome::Holds(said.clone()), Outcome::Open(said.clone()), Outcome::Unclear(said)]));
    let probe = (schema::text(0, 80), outcome).prop_map(|(policies, outcome)| Probe { policies, outcome, adds: false });
    let key = prop_oneof![
        schema::text(0, 80),
        select(vec!["Clearance/cluster", "Node/one +", "ValidatingAdmissionPolicy/x"]).prop_map(ToOwned::to_owned)
    ];
    let faults = (
        proptest::option::of(probe),
        proptest::collection::btree_map(key, schema::text(0, 300), 0..2),
        subsequence(vec!["trustedclouds", "nodes", "pods"], 0..=3),
    );
    (ours, theirs, storage, faults)
        .prop_map(
            |((clouds, levels, declarations, clearance), (nodes, namespaces, pods, daemon_sets), storage, (probe, failures, stale))| {
                Cluster { clouds, levels, declarations, clearance, nodes, namespaces, pods, daemon_sets, storage, probe, failures, stale }
            },
        )
        .boxed()
}

/// What the watches would make of it.
fn snapshot(cluster: &Cluster, at: Timestamp) -> Snapshot {
    fn table<K: Resource + DeserializeOwned, T>(objects: &[Value], facts: impl Fn(K) -> T) -> Table<T> {
        let part = Part { prefix: None };
        let read =
            objects.iter().map(|object| serde_json::from_value::<K>(object.clone()).unwrap_or_else(|error| panic!("{error}: {object}")));
        Arc::new(read.map(|object| (part.key(&object), Arc::new(facts(object)))).collect())
    }
    fn ours<K: Resource<DynamicType = ()> + DeserializeOwned>(objects: &[Value]) -> Table<Read<K>> {
        let part = Part { prefix: None };
        let read_one =
            |object: &Value| serde_json::from_value::<DynamicObject>(object.clone()).unwrap_or_else(|error| panic!("{error}: {object}"));
        Arc::new(objects.iter().map(read_one).map(|object| (part.key(&object), Arc::new(read(object)))).collect())
    }
    let storage = &cluster.storage;
    let classes = |number: usize, field: &'static str| {
        table::<DynamicObject, _>(&storage.classes[number], move |object| class(object, field, number == 0))
    };
    let mut snapshot = Snapshot {
        claims: table::<WatchedClaim, _>(&storage.claims, Into::into),
        volumes: table::<WatchedVolume, _>(&storage.volumes, Into::into),
        attachments: table::<WatchedAttachment, _>(&storage.attachments, Into::into),
        quotas: table::<WatchedQuota, _>(&storage.quotas, Into::into),
        storage_classes: classes(0, "provisioner"),
        snapshot_classes: classes(1, "driver"),
        attributes_classes: classes(2, "driverName"),
        clouds: ours(&cluster.clouds),
        levels: ours(&cluster.levels),
        declarations: ours(&cluster.declarations),
        clearances: ours(cluster.clearance.as_slice()),
        nodes: table::<WatchedNode, _>(&cluster.nodes, Into::into),
        namespaces: table::<WatchedNamespace, _>(&cluster.namespaces, Into::into),
        pods: table::<WatchedPod, _>(&cluster.pods, Into::into),
        daemon_sets: table::<WatchedDaemonSet, _>(&cluster.daemon_sets, Into::into),
        probe: cluster.probe.clone(),
        failures: cluster.failures.clone(),
        stale: cluster.stale.clone(),
        ..Snapshot::default()
    };
    // Every policy and binding is in place.
    for step in plan(&snapshot, at).steps {
        if let Step::WriteAdmission(mut written) = step {
            written.object["spec"] = with_defaults(&written.object["spec"]);
            let object = serde_json::from_value(written.object.clone()).unwrap();
            Arc::make_mut(&mut snapshot.admission).insert(written.key(), Arc::new(stored(written.kind, &object)));
        }
    }
    snapshot
}

/// Plans and writes until there is nothing more to say; whatever is written must be what the schema lets through.
fn plan_again_and_again(cluster: &Cluster, at: Timestamp) -> Result<(), String> {
    let mut cluster = cluster.clone();
    let mut last: Vec<String> = Vec::new();
    for _ in 0..6 {
        let plan = plan(&snapshot(&cluster, at), at);
        last = written(&mut cluster, &plan)?;
        if last.is_empty() {
            return Ok(());
        }
    }
    Err(format!("it writes {last:?} again and again"))
}

/// Stores the Clearance and the statuses of a plan; says which.
fn written(cluster: &mut Cluster, plan: &Plan) -> Result<Vec<String>, String> {
    let mut keys = Vec::new();
    for step in &plan.steps {
        let (kind, part, value) = match step {
            Step::WriteClearance(spec) => ("Clearance", "spec", json!(spec)),
            Step::WriteStatus { kind, status, .. } => (*kind, "status", status.clone()),
            _ => continue,
        };
        keys.push(step.key());
        schema::accepts(&SCHEMAS[kind][part], &value).map_err(|error| format!("{}: {error}", step.key()))?;
        match (kind, step) {
            ("Clearance", _) => {
                cluster.clearance =
                    Some(json!({"apiVersion": "rempart.dev/v1alpha1", "kind": kind, "metadata": {"name": "cluster"}, "spec": value}));
            }
            (_, Step::WriteStatus { namespace, name, .. }) => {
                let objects = match kind {
                    "TrustedCloud" => &mut cluster.clouds,
                    "SensitivityLevel" => &mut cluster.levels,
                    _ => &mut cluster.declarations,
                };
                let named = |object: &&mut Value| {
                    object["metadata"]["name"] == *name && object["metadata"]["namespace"].as_str() == namespace.as_deref()
                };
                objects.iter_mut().filter(named).for_each(|object| object["status"] = value.clone());
            }
            _ => {}
        }
    }
    Ok(keys)
}

#[test]
fn what_has_a_reserved_name_counts_for_nothing() {
    let object = |kind: &str, name: &str| -> DynamicObject {
        let spec = json!({"offering": {"service": "A", "model": "IaaS"}, "requires": {}});
        serde_json::from_value(json!({"apiVersion": "rempart.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}))
            .unwrap()
    };
    let why = read::<TrustedCloud>(object("TrustedCloud", "rempart-canary")).unwrap_err().error;
    assert_eq!(why, "metadata.name: it is reserved: choose another name");
    for reserved in ["rempart-canary", "cloud"] {
        assert!(read::<SensitivityLevel>(object("SensitivityLevel", reserved)).is_err(), "{reserved}");
    }
    assert!(read::<SensitivityLevel>(object("SensitivityLevel", "clouds")).is_ok());
    assert!(read::<TrustedCloud>(object("TrustedCloud", "cloud")).is_ok());
}

fn instants() -> BoxedStrategy<Timestamp> {
    let near =
        (1_700_000_000..1_900_000_000i64, select(vec![0, 1, 500_000_000])).prop_map(|(second, nano)| Timestamp::new(second, nano).unwrap());
    prop_oneof![12 => near, 1 => select(vec![Timestamp::UNIX_EPOCH, "9999-12-30T21:59:59Z".parse().unwrap()])].boxed()
}

fn survive(clusters_tried: u32, seed: u8) {
    let config = Config { cases: clusters_tried, failure_persistence: None, max_shrink_iters: 300, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]));
    let outcome = runner.run(&(clusters(), instants()), |(cluster, at)| plan_again_and_again(&cluster, at).map_err(TestCaseError::fail));
    if let Err(TestError::Fail(reason, (cluster, at))) = outcome {
        panic!("{reason}\nat {at}: {cluster:#?}");
    }
}

#[test]
fn whatever_the_schemas_let_through_is_planned_for_and_settles() {
    survive(60, 1);
}

#[test]
#[ignore = "soak: ten thousand clusters, some minutes"]
fn soak_whatever_the_schemas_let_through_is_planned_for_and_settles() {
    std::thread::scope(|scope| {
        for seeds in [2..7, 7..12] {
            scope.spawn(move || seeds.for_each(|seed| survive(1_000, seed)));
        }
    });
}
