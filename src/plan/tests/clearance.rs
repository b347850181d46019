//! What the Clearance says, and what it is not made from.

use super::*;

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
    for kind in ["trustedclouds", "sensitivitylevels", "nodes", "storageclasses", "volumeattributesclasses", "volumesnapshotclasses"] {
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

/// The schema refuses it; it may have been stored before there was this schema.
#[test]
fn a_level_of_which_nobody_knows_how_long_it_may_go_unattended_is_closed() {
    for on_trust_loss in ["Block", "Report"] {
        let level = |text: &str| {
            let mut spec = restreint();
            spec["onTrustLoss"] = on_trust_loss.into();
            spec["unattendedFor"] = text.into();
            spec
        };
        let world = hospital().level("restreint", &level("12h")).settle(now());
        assert_eq!(plan(&world.0, now()).clearance.clouds["snc"], ["restreint"]);
        for text in ["99999d", "-1h", "soon"] {
            let mut unreadable = world.0.clone();
            change(&mut unreadable.levels, "restreint", |level| level.spec.unattended_for = text.into());
            let found = plan(&unreadable, now()).clearance;
            assert_eq!(found.clouds["snc"], Vec::<String>::new(), "{on_trust_loss} {text}");
        }
    }
}
