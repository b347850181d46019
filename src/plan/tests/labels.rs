//! Labels of nodes and namespaces, finalizers of levels.

use super::*;

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
fn a_planner_that_has_made_plans_before_makes_the_same_as_a_new_one() {
    let mut planner = Planner::default();
    let mut world = hospital().settle(now());
    for provider_id in ["kwok://other/.*", "(", "kwok://snc/.*"] {
        change(&mut world.0.clouds, "snc", |cloud| cloud.spec.nodes[0].provider_id = Some(provider_id.into()));
        let wanted = plan(&world.0, now());
        assert_eq!(planner.plan(&world.0, now()), wanted, "{provider_id}");
        assert_eq!(planner.plan(&world.0, now()), wanted, "{provider_id}, once more");
    }
}
