//! Which steps there are, in which order, and when to look again.

use super::*;

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
fn the_next_instant_is_that_of_the_first_change() {
    let plan = plan(&hospital().settle(now()).0, now());
    assert_eq!(plan.wake_at, Some("2026-11-27T00:00:00Z".parse().unwrap()), "the lease of 72 h is renewed at half of its time");
}
