//! The webhook of API servers that serve no mutating policies.

use super::*;
use crate::guard::{Mutation, Object, Reach};

/// A hospital whose API server serves no mutating policies, with what two replicas have published.
fn older(published: &[&str]) -> World {
    let mut world = hospital();
    world.0.host.mutates = false;
    world.0.host.webhook = Some(Reach::Service);
    let published = published.iter().map(|authority| (*authority).to_owned()).collect();
    Arc::make_mut(&mut world.0.authorities).insert("rempart-system/rempart-webhook".into(), Arc::new(published));
    world
}

fn is_written(world: &World) -> bool {
    keys(&plan(&world.0, now())).contains(&"MutatingWebhookConfiguration/rempart".to_owned())
}

#[test]
fn the_configuration_is_written_once_there_is_somebody_to_call_and_only_where_there_are_no_policies_for_it() {
    assert!(is_written(&older(&["A"])));
    assert!(!is_written(&older(&[])), "nobody could be believed");
    let mut world = older(&["A"]);
    world.0.host.webhook = None;
    assert!(!is_written(&world), "it is switched off");
    let mut world = older(&["A"]);
    world.0.host.mutates = true;
    assert!(!is_written(&world), "policies do it");
}

#[test]
fn whatever_somebody_changes_in_it_is_put_back_and_another_authority_is_added() {
    let world = older(&["A"]).settle(now());
    assert!(plan(&world.0, now()).webhook);
    let mut changed = older(&["A"]).settle(now());
    let stored = Arc::make_mut(Arc::make_mut(&mut changed.0.webhooks).get_mut("rempart").unwrap());
    stored.webhooks[0]["failurePolicy"] = "Fail".into();
    assert!(is_written(&changed) && !plan(&changed.0, now()).webhook);
    let mut more = world;
    Arc::make_mut(&mut more.0.authorities).insert("rempart-system/other".into(), Arc::new(vec!["B".into(), "A".into()]));
    assert!(is_written(&more));
    let more = more.settle(now());
    let bundle = &more.0.webhooks["rempart"].webhooks[0]["clientConfig"]["caBundle"];
    assert_eq!(bundle, "QUI=", "each once, in one order");
    // What was published is gone: whoever was believed still is.
    let mut nobody = more;
    nobody.0.authorities = Table::default();
    assert!(!is_written(&nobody));
}

#[test]
fn after_an_upgrade_it_goes_when_the_policies_were_seen_in_use() {
    let mut world = older(&["A"]).settle(now());
    world.0.host.mutates = true;
    let world = world.settle(now());
    assert!(world.0.webhooks.contains_key("rempart"), "nothing was seen yet");
    let world = world.probed().settle(now());
    assert!(world.0.webhooks.is_empty());
}

/// As with policies: what would not get its selector is left alone.
#[test]
fn daemon_sets_are_touched_once_the_webhook_was_seen_to_add_the_selector() {
    let world = older(&["A"]).daemon_set("emr", "agent").settle(now()).probed();
    let touched = |world: &World| keys(&plan(&world.0, now())).contains(&"DaemonSet/emr/agent".to_owned());
    assert!(!touched(&world));
    let mut seen = world;
    seen.0.probe.as_mut().unwrap().adds = true;
    assert!(touched(&seen));
}

#[test]
fn what_is_asked_before_it_is_known_is_not_answered_yet() {
    let world = older(&["A"]).settle(now());
    let pod = Object::default();
    let asked = |namespace: &str, mutation: Mutation| mutations(&world.0, mutation, namespace, &pod);
    assert_eq!(asked("emr", Mutation::PodSelector).map(|operations| operations.len()), Some(2));
    assert_eq!(asked("emr", Mutation::Declared).map(|operations| operations.len()), Some(2));
    // An API server asks only about namespaces that have a level, or a declaration.
    assert_eq!(asked("web", Mutation::PodSelector), None);
    assert_eq!(asked("new", Mutation::PodSelector), None);
    assert_eq!(asked("web", Mutation::Declared), None);
    assert_eq!(asked("web", Mutation::PodSelectorRaised), Some(Vec::new()));
    let mut bare = hospital();
    bare.0.host.mutates = false;
    assert_eq!(mutations(&bare.0, Mutation::PodSelector, "emr", &pod), None, "there is no Clearance yet");
}
