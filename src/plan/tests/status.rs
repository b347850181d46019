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
fn statuses_read_like_this() {
    let world = hospital().cloud("snc", &suspended("snc")).settle(now()).probed().settle(now());
    let status = json!({
        "cloud": world.0.clouds["snc"].as_ref().as_ref().unwrap().status,
        "level": world.0.levels["restreint"].as_ref().as_ref().unwrap().status,
        "declaration": world.0.declarations["emr/records"].as_ref().as_ref().unwrap().status,
    });
    insta::assert_yaml_snapshot!(status, {".level.policyDigest" => "[digest]"});
}
