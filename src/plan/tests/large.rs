//! More of everything than anybody has.

use std::time::Instant;

use super::*;

/// A hundred alternatives of two schemes each, of which the last is that of the clouds.
fn wide() -> Value {
    let pairs = (0..99).map(|i| json!({"allOf": [{"scheme": format!("first-{i}")}, {"scheme": format!("second-{i}")}]}));
    let last = json!({"allOf": [{"scheme": "secnumcloud", "minimumVersion": "3.2"}, {"scheme": "hds"}]});
    json!({"requires": {"qualifications": pairs.chain([last]).collect::<Vec<_>>()}})
}

fn many(clouds: usize, nodes: usize) -> World {
    let qualification = |scheme: &str| json!({"scheme": scheme, "version": "3.2", "validFrom": "2025-01-01", "validUntil": "2028-05-30"});
    let mut world = World::default().level("wide", &wide()).namespace("emr", Some("wide"));
    for i in 0..clouds {
        let mut cloud = snc(&format!("cloud-{i}"));
        cloud["qualifications"] = json!([qualification("secnumcloud"), qualification("hds")]);
        world = world.cloud(&format!("cloud-{i}"), &cloud);
    }
    for i in 0..nodes {
        let (node, cloud) = (format!("node-{i}"), format!("cloud-{}", i % clouds));
        world = world.node(&node, &cloud).pod("emr", &format!("pod-{i}"), |pod| pod.node = Some(node));
    }
    world
}

#[test]
fn a_level_of_two_hundred_qualifications_five_hundred_clouds_and_five_thousand_nodes_are_planned_for() {
    let mut world = many(500, 5_000);
    let begin = Instant::now();
    let first = plan(&world.0, now());
    println!("500 clouds, 5000 nodes, 5000 pods: {:?}, {} steps", begin.elapsed(), first.steps.len());
    assert_eq!(first.clearance.clouds.values().filter(|levels| **levels == ["wide"]).count(), 500);
    assert_eq!(first.summary.nodes["wide"], 5_000);
    assert_eq!(first.summary.pods["wide"], [5_000, 0, 0]);
    assert_eq!(first.steps.iter().filter(|step| matches!(step, Step::LabelNode(_))).count(), 5_000);
    for step in &first.steps {
        world.apply(step);
    }
    let begin = Instant::now();
    let second = plan(&world.0, now());
    println!("the same with its Clearance, policies and labels: {:?}, {} steps", begin.elapsed(), second.steps.len());
    assert!(second.guarded);
}

#[test]
fn alternatives_that_multiply_out_beyond_reading_are_a_mistake_and_no_endless_work() {
    let name = |i: usize| format!("level-{i}");
    let alternative =
        |i: usize, j: usize| json!({"allOf": (0..16).map(|k| json!({"scheme": format!("s-{i}-{j}-{k}")})).collect::<Vec<_>>()});
    let mut world = hospital();
    for i in 0..16 {
        let alternatives: Vec<Value> = (0..32).map(|j| alternative(i, j)).collect();
        world = world.level(&name(i), &json!({"requires": {"qualifications": alternatives}}));
    }
    let all: Vec<String> = (0..16).map(name).collect();
    world = world.level("all", &json!({"extends": all}));
    let begin = Instant::now();
    let world = world.settle(now());
    println!("16 levels of 32 alternatives of 16 members, and one of all: {:?}", begin.elapsed());
    let status = world.0.levels["all"].as_ref().as_ref().unwrap().status.clone().unwrap();
    let stalled = status.conditions.iter().find(|condition| condition.type_ == "Stalled").unwrap();
    assert!(stalled.message.contains("alternatives"), "{}", stalled.message);
    assert_eq!(plan(&world.0, now()).clearance.clouds["snc"], ["restreint"]);
}
