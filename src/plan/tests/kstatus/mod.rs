//! What Flux, Argo CD and Helm conclude from every status that a plan can write: new objects are waited for, wrong ones fail,
//! and nothing that happens to data or trust later ever holds up a sync.

mod rules;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde::Serialize;

use self::rules::standing;
use super::storage::with_storage;
use super::*;

/// One object of each kind with a status.
const OBJECTS: [(&str, &str); 3] = [("TrustedCloud", "snc"), ("SensitivityLevel", "restreint"), ("DataDeclaration", "emr/records")];

/// An object as the API server would give it out.
fn given_out(world: &World, kind: &str, key: &str) -> Value {
    fn whole<K: Serialize>(read: &Read<K>) -> Value {
        match read {
            Ok(object) => json!(object),
            Err(malformed) => json!({"metadata": malformed.metadata, "status": {"conditions": malformed.conditions}}),
        }
    }
    match kind {
        "TrustedCloud" => whole(&world.0.clouds[key]),
        "SensitivityLevel" => whole(&world.0.levels[key]),
        "DataDeclaration" => whole(&world.0.declarations[key]),
        _ => whole(&world.0.clearances[key]),
    }
}

fn metadata<K: Clone + kube::Resource>(table: &mut Table<Read<K>>, key: &str, alter: impl FnOnce(&mut ObjectMeta)) {
    change(table, key, |object: &mut K| alter(object.meta_mut()));
}

impl World {
    /// Changes the metadata of each of the objects.
    fn alter(mut self, alter: impl Fn(&mut ObjectMeta)) -> Self {
        metadata(&mut self.0.clouds, "snc", &alter);
        metadata(&mut self.0.levels, "restreint", &alter);
        metadata(&mut self.0.declarations, "emr/records", &alter);
        self
    }

    fn failing(mut self, keys: &[&str]) -> Self {
        self.0.failures = keys.iter().map(|key| ((*key).to_owned(), "403: no".to_owned())).collect();
        self
    }
}

#[track_caller]
fn assert_all(what: &str, world: &World, wanted: &str) {
    for (kind, key) in OBJECTS {
        let object = given_out(world, kind, key);
        assert_eq!(standing(&object), wanted, "{what}: {kind} {key}: {:#}", object["status"]);
    }
}

/// The objects with a spec that is wrong, each in its way.
fn wrong() -> World {
    let mut cloud = snc("snc");
    cloud["timeZone"] = "Europe/Pariss".into();
    let mut level = restreint();
    level["requires"]["operator"] = json!({"parentIn": ["Atlantis"]});
    hospital().cloud("snc", &cloud).level("restreint", &level).declaration(
        "emr",
        "records",
        &json!({"level": "restreint", "timeZone": "Europe/Pariss"}),
    )
}

#[test]
fn what_is_new_or_changed_is_in_progress_until_it_was_looked_at() {
    let mut world = hospital();
    change(&mut world.0.clouds, "snc", |cloud| cloud.status = serde_json::from_value(json!({})).unwrap());
    change(&mut world.0.levels, "restreint", |level| level.status = serde_json::from_value(json!({})).unwrap());
    change(&mut world.0.declarations, "emr/records", |declaration| declaration.status = serde_json::from_value(json!({})).unwrap());
    assert_all("with the status that the CRD gives it", &world, "InProgress");
    let world = world.settle(now());
    assert_all("looked at, and not yet probed", &world, "Current");
    let world = world.probed().settle(now());
    assert_all("probed", &world, "Current");

    let world = world.alter(|metadata| metadata.generation = Some(2));
    assert_all("changed", &world, "InProgress");
    assert_all("looked at again", &world.settle(now()), "Current");
    assert_eq!(standing(&given_out(&hospital().settle(now()), "Clearance", "cluster")), "Current", "it has no status to wait for");
}

#[test]
fn what_is_wrong_has_failed_and_what_was_corrected_has_not() {
    let world = wrong().settle(now());
    assert_all("wrong", &world, "Failed");
    let world = world.alter(|metadata| metadata.generation = Some(2));
    assert_all("changed", &world, "InProgress");
    let mut world = world;
    for (kind, key) in OBJECTS {
        let right = given_out(&hospital(), kind, key)["spec"].clone();
        match kind {
            "TrustedCloud" => change(&mut world.0.clouds, key, |cloud| cloud.spec = serde_json::from_value(right).unwrap()),
            "SensitivityLevel" => change(&mut world.0.levels, key, |level| level.spec = serde_json::from_value(right).unwrap()),
            _ => change(&mut world.0.declarations, key, |declaration| declaration.spec = serde_json::from_value(right).unwrap()),
        }
    }
    assert_all("corrected", &world.settle(now()), "Current");
}

#[test]
fn what_names_something_that_is_not_there_is_in_progress_until_that_comes() {
    let declared = json!({"level": "later"});
    let mut extending = restreint();
    extending["extends"] = json!(["later"]);
    let mut relying = snc("snc");
    relying["reliesOn"] = json!([{"cloud": "later", "layer": "IaaS"}]);
    let world = hospital().cloud("snc", &relying).level("restreint", &extending).declaration("emr", "records", &declared).settle(now());
    assert_all("not there", &world, "InProgress");
    let mut wrong = restreint();
    wrong["requires"]["operator"] = json!({"parentIn": ["Atlantis"]});
    let world = world.cloud("later", &snc("later")).level("later", &wrong).settle(now());
    assert_eq!(standing(&given_out(&world, "SensitivityLevel", "later")), "Failed", "its own fault");
    assert_eq!(standing(&given_out(&world, "SensitivityLevel", "restreint")), "InProgress", "the fault of another");
    assert_all("it has come", &world.level("later", &restreint()).settle(now()), "Current");
}

#[test]
fn what_cannot_be_written_or_read_for_now_is_in_progress_and_never_failed() {
    let world = hospital().settle(now()).failing(&["Node/snc-1 +", "Node/snc-2 -", "Namespace/emr"]).settle(now());
    assert_all("writes that fail", &world, "InProgress");
    let world = world.failing(&["Clearance/cluster"]).settle(now());
    assert_all("a Clearance that cannot be written", &world, "InProgress");
    let mut world = world.failing(&[]).settle(now());
    assert_all("written", &world, "Current");
    world.0.stale = vec!["nodes"];
    let mut world = world.settle(now());
    assert_all("a watch that is broken", &world, "InProgress");
    world.0.stale.clear();
    assert_all("read again", &world.settle(now()), "Current");
    let world = wrong().failing(&["Node/snc-1 +", "Clearance/cluster"]).settle(now());
    assert_all("wrong, whatever else is under way", &world, "Failed");
}

#[test]
fn what_is_being_deleted_is_terminating() {
    let deleted = |metadata: &mut ObjectMeta| metadata.deletion_timestamp = Some(Time(now()));
    assert_all("deleted", &hospital().settle(now()).alter(deleted).settle(now()), "Terminating");
    assert_all("deleted while wrong", &wrong().settle(now()).alter(deleted).settle(now()), "Terminating");
}

#[test]
fn nothing_that_goes_wrong_with_data_or_trust_holds_up_a_sync() {
    let declared = |spec: Value| hospital().declaration("emr", "records", &spec);
    let review = json!({"level": "restreint", "reviewBy": "2026-06-30"});
    let worse = json!({"level": "worse"});
    let with_probe = |outcome: Outcome| {
        let mut world = hospital().settle(now()).probed();
        world.0.probe.as_mut().unwrap().outcome = outcome;
        world.settle(now())
    };
    let mut audit = restreint();
    audit["enforcement"] = "Audit".into();
    let mut ended = snc("snc");
    ended["qualifications"][0]["validUntil"] = "2026-06-30".into();
    let missing = with_storage("snc", json!([{"existingClass": "gone", "provisioner": "csi"}]));
    let stranded = hospital().class("standard", "csi").claim("emr", "data", "standard", 1 << 30);
    // What is amiss, in which condition of which object that shows.
    let rows = [
        ("a pod from before the level", "SensitivityLevel", "Compliant", "False", hospital()),
        ("a pod from before the declaration", "DataDeclaration", "Compliant", "False", hospital()),
        ("data elsewhere", "SensitivityLevel", "MigrationRequired", "True", stranded),
        ("a qualification that is suspended", "TrustedCloud", "Qualified", "False", hospital().cloud("snc", &suspended("snc"))),
        ("a qualification that has ended", "TrustedCloud", "Qualified", "False", hospital().cloud("snc", &ended)),
        ("no cloud for the level", "SensitivityLevel", "Satisfiable", "False", hospital().cloud("snc", &ended).cloud("other", &ended)),
        ("a class that is not there", "TrustedCloud", "StorageReady", "False", hospital().cloud("snc", &missing)),
        ("a review that is overdue", "DataDeclaration", "ReviewDue", "True", declared(review)),
        ("two levels", "DataDeclaration", "Conflict", "True", hospital().level("worse", &restreint()).declaration("emr", "second", &worse)),
        ("a level that only reports", "SensitivityLevel", "Enforced", "False", hospital().level("restreint", &audit)),
        ("something let pass", "SensitivityLevel", "Enforced", "False", with_probe(Outcome::Open("a pod".into()))),
        ("no answer", "DataDeclaration", "Enforced", "Unknown", with_probe(Outcome::Unclear("no answer".into()))),
    ];
    for (what, kind, type_, status, world) in rows {
        let world = world.settle(now());
        let (_, key) = OBJECTS.into_iter().find(|(of, _)| *of == kind).unwrap();
        let object = given_out(&world, kind, key);
        let conditions = object["status"]["conditions"].as_array().unwrap();
        let shows = conditions.iter().any(|condition| condition["type"] == type_ && condition["status"] == status);
        assert!(shows, "{what}: {conditions:#?}");
        assert_all(what, &world, "Current");
    }
}

#[test]
fn what_cannot_be_read_has_failed() {
    let mut world = hospital().settle(now());
    let malformed = |kind: &str, key: &str| {
        let metadata = serde_json::from_value(given_out(&hospital(), kind, key)["metadata"].clone()).unwrap();
        Box::new(Malformed { metadata, conditions: Vec::new(), error: "spec.level: missing".into() })
    };
    for (kind, key) in OBJECTS {
        match kind {
            "TrustedCloud" => drop(Arc::make_mut(&mut world.0.clouds).insert(key.into(), Arc::new(Err(malformed(kind, key))))),
            "SensitivityLevel" => drop(Arc::make_mut(&mut world.0.levels).insert(key.into(), Arc::new(Err(malformed(kind, key))))),
            _ => drop(Arc::make_mut(&mut world.0.declarations).insert(key.into(), Arc::new(Err(malformed(kind, key))))),
        }
    }
    assert_all("malformed", &world.settle(now()), "Failed");
}
