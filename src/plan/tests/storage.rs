use super::*;
use crate::api::conditions::{COMPLIANT, MIGRATION_REQUIRED, STORAGE_READY};
use crate::placement::{ClaimFacts, VolumeFacts};

pub(super) fn with_storage(name: &str, storage: Value) -> Value {
    let mut spec = snc(name);
    spec["storage"] = storage;
    spec
}

fn block() -> Value {
    json!([{"name": "block", "provisioner": "csi", "parameters": {"type": "ssd"}}])
}

impl World {
    pub(super) fn class(mut self, name: &str, driver: &str) -> Self {
        let class = ClassFacts { name: name.into(), uid: name.into(), driver: driver.into(), ..ClassFacts::default() };
        Arc::make_mut(&mut self.0.storage_classes).insert(name.into(), Arc::new(class));
        self
    }

    pub(super) fn claim(mut self, namespace: &str, name: &str, class: &str, bytes: u64) -> Self {
        let volume = format!("pvc-{namespace}-{name}");
        let claim = ClaimFacts {
            namespace: namespace.into(),
            name: name.into(),
            class: Some(class.into()),
            volume: Some(volume.clone()),
            bytes,
            created: None,
        };
        Arc::make_mut(&mut self.0.claims).insert(format!("{namespace}/{name}"), Arc::new(claim));
        let facts = VolumeFacts { class: Some(class.into()), driver: Some("csi".into()), pinned: None };
        Arc::make_mut(&mut self.0.volumes).insert(volume, Arc::new(facts));
        self
    }

    fn condition(&self, kind: &str, name: &str, type_: &str) -> Option<(String, String, String)> {
        let conditions = match kind {
            "TrustedCloud" => self.0.clouds[name].as_ref().as_ref().unwrap().status.as_ref().unwrap().conditions.clone(),
            "SensitivityLevel" => self.0.levels[name].as_ref().as_ref().unwrap().status.as_ref().unwrap().conditions.clone(),
            _ => self.0.declarations[name].as_ref().as_ref().unwrap().status.as_ref().unwrap().conditions.clone(),
        };
        let found = conditions.into_iter().find(|condition| condition.type_ == type_)?;
        Some((found.status, found.reason, found.message))
    }

    fn hard(&self, namespace: &str) -> Option<Vec<String>> {
        let quota = self.0.quotas.get(&format!("{namespace}/{QUOTA}"))?;
        assert!(quota.hard.values().all(|number| number == "0"));
        Some(quota.hard.keys().map(|key| key.split_once(".storageclass.storage.k8s.io/").unwrap().0.to_owned()).collect())
    }
}

#[test]
fn a_class_is_written_and_cleared_and_every_other_is_closed_in_sensitive_namespaces() {
    let world = hospital().cloud("snc", &with_storage("snc", block())).class("standard", "csi").settle(now());
    let clearance = &world.0.clearance().unwrap().spec;
    assert_eq!(clearance.storage_classes, [("snc-block".to_owned(), "snc".to_owned())].into());
    let class = &world.0.storage_classes["snc-block"];
    assert_eq!(
        (class.written_for.as_deref(), &class.body["parameters"], &class.body["volumeBindingMode"]),
        (Some("snc"), &json!({"type": "ssd"}), &json!("WaitForFirstConsumer"))
    );
    assert_eq!((world.hard("emr"), world.hard("web"), world.hard("kube-system")), (Some(vec!["standard".to_owned()]), None, None));
    assert_eq!(world.condition("TrustedCloud", "snc", STORAGE_READY).unwrap().1, "ClassesInPlace");
    assert_eq!(world.condition("TrustedCloud", "other", STORAGE_READY), None, "it names no class");

    let world = world.class("new", "csi").settle(now());
    assert_eq!(world.hard("emr"), Some(vec!["new".to_owned(), "standard".to_owned()]));
    let world = world.cloud("snc", &with_storage("snc", json!([{"existingClass": "new", "provisioner": "csi"}]))).settle(now());
    assert!(!world.0.storage_classes.contains_key("snc-block"), "no cloud asks for it any more");
    assert_eq!(world.hard("emr"), Some(vec!["standard".to_owned()]));
    let world = world.namespace("emr", None).settle(now());
    assert_eq!(world.hard("emr"), Some(vec!["standard".to_owned()]), "its declaration gives the level back");
}

#[test]
fn a_cloud_without_classes_is_nothing_to_the_policies() {
    let world = hospital().cloud("snc", &with_storage("snc", block())).settle(now());
    let world = world.cloud("second", &snc("second"));
    let plan = plan(&world.0, now());
    assert_eq!(plan.clearance.clouds["second"], ["restreint"]);
    assert!(!plan.steps.iter().any(|step| matches!(step, Step::WriteAdmission(_))), "{:?}", keys(&plan));
}

#[test]
fn when_trust_in_a_cloud_ends_its_classes_are_closed_too() {
    let mut spec = suspended("snc");
    spec["storage"] = block();
    let world = hospital().cloud("snc", &with_storage("snc", block())).settle(now()).cloud("snc", &spec).settle(now());
    assert_eq!(world.hard("emr"), Some(vec!["snc-block".to_owned()]));
    assert_eq!(world.0.clearance().unwrap().spec.storage_classes.len(), 1, "it is still the class of that cloud");
}

#[test]
fn a_class_of_somebody_else_or_of_another_driver_is_named_and_neither_written_nor_cleared() {
    let storage = json!([{"name": "block", "provisioner": "csi"}, {"existingClass": "old", "provisioner": "csi"}]);
    let world = hospital().cloud("snc", &with_storage("snc", storage)).class("snc-block", "csi").class("old", "nfs").settle(now());
    assert!(world.0.clearance().unwrap().spec.storage_classes.is_empty());
    assert_eq!(world.0.storage_classes["snc-block"].written_for, None);
    let (status, reason, message) = world.condition("TrustedCloud", "snc", STORAGE_READY).unwrap();
    assert_eq!((status.as_str(), reason.as_str()), ("False", "SeveralClasses"));
    assert!(
        message.contains("class snc-block exists and is not the operator's") && message.contains("class old is of driver nfs"),
        "{message}"
    );
    let (status, ..) = world.condition("TrustedCloud", "snc", "Ready").unwrap();
    assert_eq!(status, "True", "its nodes are as good as ever");
    assert_eq!(world.hard("emr"), Some(vec!["old".to_owned(), "snc-block".to_owned()]));
}

#[test]
fn a_class_of_two_clouds_is_neithers() {
    let shared = || json!([{"existingClass": "shared", "provisioner": "csi"}]);
    let world = hospital()
        .cloud("snc", &with_storage("snc", shared()))
        .cloud("other", &with_storage("other", shared()))
        .class("shared", "csi")
        .settle(now());
    assert!(world.0.clearance().unwrap().spec.storage_classes.is_empty());
    for (cloud, other) in [("snc", "other"), ("other", "snc")] {
        let (_, reason, message) = world.condition("TrustedCloud", cloud, STORAGE_READY).unwrap();
        assert!(reason == "Shared" && message.contains(&format!("named by {other} too")), "{message}");
    }
}

#[test]
fn a_class_that_was_written_and_is_now_named_as_existing_stays() {
    let written = || hospital().cloud("snc", &with_storage("snc", block())).settle(now());
    for heir in ["snc", "other"] {
        let existing = json!([{"existingClass": "snc-block", "provisioner": "csi"}]);
        let world = written().cloud("snc", &snc("snc")).cloud(heir, &with_storage(heir, existing)).settle(now());
        assert_eq!(world.0.clearance().unwrap().spec.storage_classes, [("snc-block".to_owned(), heir.to_owned())].into());
        assert!(world.0.storage_classes.contains_key("snc-block"), "what {heir} says is there is not taken away");
    }
}

#[test]
fn a_class_that_is_left_behind_is_in_nobodys_way() {
    // Of two clouds whose names and those of their classes make the same name, the one that had it first goes.
    let named = |name: &str| json!([{"name": name, "provisioner": "csi"}]);
    let world = hospital().cloud("snc-fr", &with_storage("snc-fr", named("block"))).settle(now());
    let mut world = world.cloud("snc", &with_storage("snc", named("fr-block"))).settle(now());
    assert_eq!(world.0.storage_classes["snc-fr-block"].written_for.as_deref(), Some("snc-fr"), "it stays as it is while both ask for it");
    assert!(world.0.clearance().unwrap().spec.storage_classes.is_empty());
    Arc::make_mut(&mut world.0.clouds).remove("snc-fr");
    let world = world.settle(now());
    assert_eq!(world.0.storage_classes["snc-fr-block"].written_for.as_deref(), Some("snc"));
    assert_eq!(world.0.clearance().unwrap().spec.storage_classes, [("snc-fr-block".to_owned(), "snc".to_owned())].into());
}

#[test]
fn claims_on_other_storage_are_counted_and_must_move_to_a_class_that_is_named() {
    let world = hospital()
        .cloud("snc", &with_storage("snc", block()))
        .class("standard", "csi")
        .claim("emr", "good", "snc-block", 1 << 30)
        .claim("emr", "old", "standard", 40 << 30)
        .claim("web", "any", "standard", 40 << 30)
        .settle(now());
    let level = world.0.levels["restreint"].as_ref().as_ref().unwrap().status.clone().unwrap();
    assert_eq!((level.claims.compliant, level.claims.violating, level.claims.unknown), (1, 1, 0));
    assert_eq!(level.storage_classes, ["snc-block"]);
    for (kind, name) in [("SensitivityLevel", "restreint"), ("DataDeclaration", "emr/records")] {
        let (status, reason, message) = world.condition(kind, name, MIGRATION_REQUIRED).unwrap();
        assert_eq!((status.as_str(), reason.as_str()), ("True", "ClaimsElsewhere"));
        assert_eq!(
            message,
            "1 claim with 40Gi on storage that is not cleared for restreint: emr/old (40Gi): class standard belongs to no trusted cloud, \
             restreint requires one; classes that could take it: snc-block. Nothing is moved or deleted by itself"
        );
        let (_, _, message) = world.condition(kind, name, COMPLIANT).unwrap();
        assert!(message.contains("1 claim on storage that is not cleared: emr/old: class standard"), "{message}");
    }
    let declaration = world.0.declarations["emr/records"].as_ref().as_ref().unwrap().status.clone().unwrap();
    assert!(declaration.violations.iter().any(|violation| violation.kind == "PersistentVolumeClaim" && violation.name == "old"));
}

#[test]
fn what_changes_with_the_fleet_is_no_other_text() {
    let digest = |world: &World| plan(&world.0, now()).policies;
    let world = hospital().settle(now()).probed();
    let before = digest(&world);
    let world = world.namespace("erp", Some("restreint")).cloud("snc", &with_storage("snc", block())).settle(now());
    assert_eq!(digest(&world), before);
    let (status, ..) = world.condition("SensitivityLevel", "restreint", "Enforced").unwrap();
    assert_eq!(status, "True", "a new namespace or class is no reason to doubt the policies");
}
