//! What statuses and events say.

use super::*;

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
        .map(|notice| notice.reason.as_str().to_owned())
        .collect();
    assert_eq!(told, ["PlacedBadly"]);
}

#[test]
fn what_statuses_say_is_counted_by_kind_and_nothing_that_is_not_in_the_table_is() {
    let mut world = hospital().declaration("emr", "records", &json!({"level": "later"})).settle(now());
    let mut metadata = world.0.levels["restreint"].as_ref().as_ref().unwrap().metadata.clone();
    metadata.name = Some("broken".into());
    let malformed = Malformed { metadata, conditions: vec![], error: "missing field `requires`".into() };
    Arc::make_mut(&mut world.0.levels).insert("broken".into(), Arc::new(Err(Box::new(malformed))));
    let mut world = world.settle(now());
    change(&mut world.0.clouds, "snc", |cloud| {
        let conditions = &mut cloud.status.as_mut().unwrap().conditions;
        let mut foreign = conditions[0].clone();
        foreign.type_ = "Mine".into();
        conditions.push(foreign);
    });
    let counted = plan(&world.0, now()).summary.objects;
    let ready = |kind| ["True", "False"].map(|status| counted[&(kind, "Ready", status)]);
    assert_eq!(ready("TrustedCloud"), [world.0.clouds.iter().count(), 0]);
    assert_eq!(ready("SensitivityLevel"), [1, 1], "one that cannot be read is not ready");
    assert_eq!(ready("DataDeclaration"), [0, 1], "its level is not there");
    assert_eq!(counted[&("DataDeclaration", "Reconciling", "True")], 1);
    assert_eq!(counted[&("SensitivityLevel", "Stalled", "True")], 1);
    assert!(!counted.keys().any(|(_, condition, _)| *condition == "Mine"), "{counted:?}");
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
