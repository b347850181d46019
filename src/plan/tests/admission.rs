//! Policies and bindings: put in place, put right, replaced, retired.

use super::*;
use crate::guard::{AdmissionObject, policies, sets};
use crate::plan::settings::settings;
use crate::plan::view::{View, perimeters};

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
fn in_force(world: &World, wanted: &[AdmissionObject]) -> bool {
    sets(wanted).iter().all(|set| {
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
    let perimeters = perimeters(&world.0.clouds);
    let view = View::new(&world.0, &perimeters, now());
    let wanted = policies(&settings(&world.0, &view.classes, &view.clearing));
    drop(view);
    let first: Vec<String> = world.0.admission.keys().cloned().collect();
    for key in &first {
        world.delete_admission(key, false);
    }
    // Twice more, before anything was seen: by then there are three of each.
    for _ in 0..2 {
        world = world.settle(now());
        assert!(in_force(&world, &wanted));
        let live: Vec<String> = world.0.admission.iter().filter(|(_, stored)| !stored.deleting).map(|(key, _)| key.clone()).collect();
        for key in live {
            world.delete_admission(&key, false);
        }
    }
    for round in 0..20 {
        assert!(in_force(&world, &wanted), "round {round}");
        let plan = plan(&world.0, now());
        for step in &plan.steps {
            world.apply(step);
            assert!(in_force(&world, &wanted), "round {round}, after {}", step.key());
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
fn what_reports_on_levels_that_are_not_enforced_comes_and_goes_with_them_and_what_enforces_stays() {
    let at_first = hospital().settle(now()).probed().settle(now());
    let keys = |world: &World| world.0.admission.keys().cloned().collect::<Vec<_>>();
    let watched = |world: World, enforcement: &str| {
        let before = world.0.admission.clone();
        let world = world.level("watched", &json!({"enforcement": enforcement})).settle(now());
        for (key, stored) in
            before.iter().filter(|(key, _)| !key.contains("-unenforced") && !key.ends_with("-audit") && !key.ends_with("-warn"))
        {
            assert_eq!(world.0.admission[key].version.uid, stored.version.uid, "{key} is the same object");
        }
        world
    };
    let first = keys(&at_first);
    let audited = watched(at_first, "Audit");
    assert!(keys(&audited).contains(&"ValidatingAdmissionPolicyBinding/rempart-pod-audit".to_owned()));
    assert!(!keys(&audited).contains(&"ValidatingAdmissionPolicyBinding/rempart-pod-warn".to_owned()));
    let enforced = watched(audited.probed().settle(now()), "Enforce");
    assert!(
        keys(&enforced).contains(&"ValidatingAdmissionPolicyBinding/rempart-pod-audit".to_owned()),
        "until the others were seen in use"
    );
    assert_eq!(keys(&enforced.probed().settle(now())), first);
}

#[test]
fn what_is_no_longer_needed_stays_while_an_api_server_could_not_be_asked() {
    let mut world = hospital().settle(now()).probed().settle(now());
    let key = "ValidatingAdmissionPolicyBinding/rempart-bind";
    world.delete_admission(key, false);
    let mut world = world.settle(now()).probed();
    world.0.unasked = true;
    let mut world = world.settle(now());
    assert!(world.0.admission[key].deleting, "the other stands beside it, and nothing goes");
    world.0.unasked = false;
    assert!(!world.settle(now()).0.admission.get(key).is_some_and(|stored| stored.deleting), "and now it goes");
}

/// The text of a policy names namespaces, and a binding leaves those to it: in between, one that is made again would be nobody's.
#[test]
fn a_namespace_that_the_text_forgets_is_a_parameter_before() {
    let (policy, binding) = ("ValidatingAdmissionPolicy/rempart-volume", "ValidatingAdmissionPolicyBinding/rempart-volume-namespace");
    let spec = |world: &World, key: &str| world.0.admission[key].spec.to_string();
    let mut world = hospital().namespace("lab-7", Some("restreint")).settle(now());
    assert!([policy, binding].iter().all(|key| spec(&world, key).contains("lab-7")));
    Arc::make_mut(&mut world.0.namespaces).remove("lab-7");
    let mut world = world.namespace("ward-7", Some("restreint"));

    let written: Vec<Step> =
        plan(&world.0, now()).steps.into_iter().filter(|step| [policy, binding].contains(&step.key().as_str())).collect();
    let [first] = &written[..] else { panic!("the policy waits: {written:?}") };
    assert_eq!(first.key(), binding);
    world.apply(first);
    let left_out = spec(&world, binding);
    assert!(left_out.contains("emr") && !left_out.contains("lab-7") && !left_out.contains("ward-7"), "{left_out}");
    let world = world.settle(now());
    for key in [policy, binding] {
        assert!(spec(&world, key).contains("ward-7") && !spec(&world, key).contains("lab-7"), "{key}");
    }
}
