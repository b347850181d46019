//! Pods and DaemonSets.

use super::*;

#[test]
fn only_selected_pods_count_for_a_declaration_with_workloads() {
    let world = hospital()
        .declaration("web", "form", &json!({"level": "restreint", "workloads": {"matchLabels": {"app": "form"}}}))
        .pod("web", "form-1", |pod| {
            pod.node = Some("stray-1".into());
            pod.labels.insert("app".into(), "form".into());
        })
        .settle(now());
    let status = world.0.declarations["web/form"].as_ref().as_ref().unwrap().status.clone().unwrap();
    assert_eq!(
        (status.pods.violating, status.violations[0].name.as_str(), status.violations[0].reason.as_str()),
        (1, "form-1", "NodeUnknown")
    );
    assert!(world.0.namespaces["web"].level().is_none());
}

#[test]
fn pods_that_find_no_room_are_news_after_a_minute() {
    let waits = |name: &str, selects: &[&str], deleting: bool| {
        let (name, selects) = (name.to_owned(), selects.iter().map(|&level| level.to_owned()).collect());
        move |world: World| {
            world.pod("emr", &name, |pod| {
                pod.selects = selects;
                pod.deleting = deleting;
                pod.unschedulable = Some(Unschedulable { since: now(), why: "0/3 nodes are available: 1 Insufficient cpu.".into() });
            })
        }
    };
    let world = waits("starved", &[], false)(waits("going", &["restreint"], true)(hospital())).settle(now());
    let found = |world: &World| {
        let level = world.0.levels["restreint"].as_ref().as_ref().unwrap().status.clone().unwrap();
        let found = level.conditions.into_iter().find(|condition| condition.type_ == "Schedulable").unwrap();
        (found.status, found.reason, found.message)
    };
    let fine = ("True".to_owned(), "NoPodWaits".to_owned(), "no pod has waited for a node for a minute".to_owned());
    let minute = now() + jiff::SignedDuration::from_mins(1);
    assert_eq!(found(&world.settle(minute)), fine, "neither one that lacks its selector nor one that is going");

    let world = waits("ledger", &["restreint"], false)(hospital()).settle(now());
    assert_eq!(found(&world), fine);
    assert_eq!(plan(&world.0, now()).summary.unschedulable["restreint"], 1);
    assert_eq!(plan(&world.0, now()).wake_at, Some(minute), "it is looked at again in time");
    let (status, reason, message) = found(&world.settle(minute));
    assert_eq!((status.as_str(), reason.as_str()), ("False", "NoRoom"));
    insta::assert_snapshot!(message, @"1 pod waiting for a node, and 3 nodes cleared; emr/ledger since 2026-11-25T12:00:00Z: 0/3 nodes are available: 1 Insufficient cpu. Add nodes to a cloud that is cleared, or make room on those");
}

#[test]
fn pods_that_wait_without_their_selector_come_back_and_running_ones_stay() {
    let controlled = |pod: &mut PodFacts| pod.controller = Some(Owner { kind: "ReplicaSet".into(), name: "r".into() });
    let world = hospital()
        .pod("emr", "waits", controlled)
        .pod("emr", "alone", |_| {})
        .pod("emr", "of-a-job", |pod| pod.controller = Some(Owner { kind: "Job".into(), name: "j".into() }))
        .pod("emr", "has-it", |pod| {
            controlled(pod);
            pod.selects = vec!["restreint".into()];
        })
        .pod("emr", "runs", |pod| {
            controlled(pod);
            pod.node = Some("stray-1".into());
        })
        .pod("web", "plain", controlled)
        .daemon_set("emr", "each")
        .daemon_set("emr", "strays")
        .pod("emr", "strays-1", |pod| {
            pod.controller = Some(Owner { kind: "DaemonSet".into(), name: "strays".into() });
            pod.node = Some("stray-1".into());
        })
        .daemon_set("web", "each");
    let world = world.settle(now());
    assert_eq!(world.0.daemon_sets["emr/each"].touched_for, None, "not before the policies that give the selector were seen in use");
    assert!(world.0.pods.contains_key("emr/waits"));
    let world = world.probed().settle(now());
    let pods: Vec<&String> = world.0.pods.keys().collect();
    assert_eq!(
        pods,
        ["emr/alone", "emr/good", "emr/has-it", "emr/of-a-job", "emr/old", "emr/runs", "emr/strays-1", "web/any", "web/plain"]
    );
    let level = world.0.levels["restreint"].as_ref().as_ref().unwrap().status.as_ref().unwrap();
    assert!(level.conditions[0].message.contains("2 pods, such as emr/alone, emr/of-a-job"), "{}", level.conditions[0].message);
    assert_eq!(world.0.daemon_sets["emr/each"].touched_for.as_deref(), Some("restreint"));
    assert_eq!(world.0.daemon_sets["web/each"].touched_for, None);
    assert_eq!(world.0.daemon_sets["emr/strays"].touched_for, None, "its rollout would end a pod that runs");
}
