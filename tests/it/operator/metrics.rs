//! What a real operator serves at /metrics, under the rules of Prometheus and our own.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

use regex::Regex;
use serde_json::{Value, json};

use super::take_nodes_away;
use super::world::{World, level, merged, namespace, node, plain_cloud, pod, qualified_cloud, restreint};
use crate::chart::{PROMTOOL, dashboard, rules};
use crate::cluster::{Cluster, apply, asked, wait_until};

/// Every label there may be. Its values come from the code, or from what an administrator declares, and are never those of users.
const LABELS: [&str; 11] = ["cloud", "condition", "kind", "le", "level", "outcome", "resource", "result", "status", "verdict", "version"];

const REFERENCE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/src/reference/metrics.md"));

/// What is said of a metric, and every label that a sample of it has.
#[derive(Default)]
struct Family {
    kind: String,
    help: String,
    unit: Option<String>,
    samples: Vec<(String, BTreeMap<String, String>)>,
}

/// The families of a text in the OpenMetrics format.
fn families(text: &str) -> BTreeMap<String, Family> {
    let sample = Regex::new(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? [^ ]+$").unwrap();
    let label = Regex::new(r#"([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)""#).unwrap();
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let (mut last, mut ended) = (String::new(), false);
    for line in text.lines() {
        assert!(!ended, "nothing comes after the end: {line}");
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "EOF"] => ended = true,
            ["#", what, name, said] => {
                name.clone_into(&mut last);
                let family = families.entry(last.clone()).or_default();
                match what {
                    "HELP" => said.clone_into(&mut family.help),
                    "TYPE" => said.clone_into(&mut family.kind),
                    "UNIT" => family.unit = Some(said.to_owned()),
                    _ => panic!("{line}"),
                }
            }
            _ => {
                let found = sample.captures(line).unwrap_or_else(|| panic!("{line:?} is no sample"));
                assert!(found[1].starts_with(&last), "{line} stands among those of {last}");
                let labels = found.get(2).map_or("", |labels| labels.as_str());
                let labels = label.captures_iter(labels).map(|label| (label[1].to_owned(), label[2].to_owned())).collect();
                families.get_mut(&last).expect("its family was named").samples.push((found[1].to_owned(), labels));
            }
        }
    }
    assert!(ended, "a text that was cut off can be told by its end");
    families
}

/// Names that say what is counted and in which unit; https://prometheus.io/docs/practices/naming.
fn assert_named_well(name: &str, family: &Family) {
    assert!(name.starts_with("rempart_"), "{name}");
    assert!(family.help.len() > 10 && !family.kind.is_empty(), "{name} has no HELP or no TYPE: {:?}", family.help);
    let ends: BTreeSet<&str> = family.samples.iter().map(|(sample, _)| sample.trim_start_matches(name)).collect();
    let wanted = match family.kind.as_str() {
        "counter" => vec!["_total"],
        "histogram" => vec!["_bucket", "_count", "_sum"],
        "info" => vec!["_info"],
        "gauge" => vec![""],
        other => panic!("{name} is a {other}"),
    };
    assert_eq!(ends, wanted.into_iter().collect(), "{name} is a {}", family.kind);
    assert!(!name.ends_with("_total") && !name.ends_with("_info"), "{name}");
    let base = Regex::new("_(seconds|bytes|ratio)$").unwrap();
    let time = Regex::new("(duration|timestamp|time|age|latency|bytes|size)").unwrap();
    let other = Regex::new("(milli|micro|nano|minutes|hours|days|kilo|mega|kib|mib|percent)").unwrap();
    assert!(!other.is_match(name) && (!time.is_match(name) || base.is_match(name)), "{name} is not in base units");
    let unit = base.captures(name).map(|unit| unit[1].to_owned());
    assert_eq!(family.unit, unit, "{name} says its unit");
}

/// The same text as a Prometheus of old would read it, which is what promtool does.
fn in_the_old_format(families: &BTreeMap<String, Family>, text: &str) -> String {
    let mut old = String::new();
    for line in text.lines().filter(|line| !line.starts_with("# UNIT") && *line != "# EOF") {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        let line = match words[..] {
            ["#", what, name, said] => {
                let (end, kind) = match families[name].kind.as_str() {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    other => ("", other),
                };
                format!("# {what} {name}{end} {}", if what == "TYPE" { kind } else { said })
            }
            _ => line.to_owned(),
        };
        old += &line;
        old.push('\n');
    }
    old
}

fn lint(text: &str) -> String {
    let mut promtool = Command::new(PROMTOOL.as_path())
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it was built for this machine");
    let mut input = promtool.stdin.take().expect("its input is a pipe");
    input.write_all(text.as_bytes()).expect("it reads all of it");
    drop(input);
    let output = promtool.wait_with_output().expect("it ends");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    said
}

/// The metrics that an expression names, and the labels by which it chooses and groups.
fn asked_for(expr: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let name = Regex::new(r"\brempart_[a-z_]+").unwrap();
    let by = Regex::new(r"\bby \(([^)]*)\)").unwrap();
    let matcher = Regex::new(r"([a-z_]+)(?:=|!=|=~|!~)\x22").unwrap();
    let grouped = by.captures_iter(expr).flat_map(|by| by[1].split(',').map(|label| label.trim().to_owned()).collect::<Vec<_>>());
    let labels = grouped.chain(matcher.captures_iter(expr).map(|matcher| matcher[1].to_owned()));
    (name.find_iter(expr).map(|found| found.as_str().to_owned()).collect(), labels.collect())
}

async fn text(world: &World) -> String {
    asked(&world.log(), "/metrics").await.1
}

/// Every metric that the reference names.
fn documented() -> BTreeSet<String> {
    let name = Regex::new(r"`(rempart_[a-z_]+)`").unwrap();
    name.captures_iter(REFERENCE).map(|name| name[1].to_owned()).collect()
}

/// Waits until there is a sample of every metric, while the operator leads, and gives the text.
async fn complete(world: &World) -> String {
    let documented = documented();
    assert!(documented.len() > 15);
    wait_until("every metric has a sample", async || {
        let text = text(world).await;
        let samples: BTreeSet<String> = families(&text).into_values().flat_map(|family| family.samples).map(|(name, _)| name).collect();
        let missing: Vec<_> = documented.difference(&samples).cloned().collect();
        let tells_all = text.contains("rempart_leader 1\n") && text.contains("result=\"failure\"") && text.contains("{cloud=\"snc\"}");
        if missing.is_empty() && tells_all { Ok(text) } else { Err(missing) }
    })
    .await
}

/// A cluster in which there is something to tell by every metric, those of the webhook among them.
async fn eventful(name: &str) -> World {
    let mut world = World::installed_on(Cluster::without_mutation(name, &[])).await;
    world.start().await;
    let requires = restreint()["spec"]["requires"].clone();
    let declaration = json!({
        "apiVersion": "rempart.dev/v1alpha1", "kind": "DataDeclaration", "metadata": {"name": "records", "namespace": "emr"},
        "spec": {"level": "restreint"},
    });
    apply(&world.admin, &[namespace("emr", None), node("aws-1", "aws")]).await;
    world.create_pod("emr", &merged(pod("stray"), json!({"spec": {"nodeName": "aws-1"}}))).await.accepted().unwrap();
    apply(&world.admin, &[qualified_cloud("snc"), plain_cloud("aws"), level("restreint", requires, json!({})), declaration]).await;
    world.nodes("snc", 1, "snc").await;
    world.wait_nodes("snc", "restreint", true).await;
    world.wait_condition("sensitivitylevels/restreint", "Compliant", "False", "stray").await;
    // A write that fails, because the right to it is gone, and watches that fail, because the API server is.
    take_nodes_away(&world).await;
    apply(&world.admin, &[node("snc-2", "snc")]).await;
    world.wait_for_log("not written").await;
    world.cluster.command("restart-apiserver");
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_named_well_and_none_grows_with_what_users_do() {
    let world = eventful("metrics-names").await;
    let text_before = complete(&world).await;
    let found = families(&text_before);
    for (name, family) in &found {
        assert_named_well(name, family);
    }
    let old = in_the_old_format(&found, &text_before);
    assert_eq!(lint(&old), "", "promtool check metrics has nothing to say");
    for (sample, _) in found.values().flat_map(|family| &family.samples) {
        assert!(documented().contains(sample), "the reference says nothing of {sample}");
    }

    // Every series by name and labels; of what users make, nothing may be in them.
    let series = |text: &str| -> BTreeSet<String> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).filter(|series| !series.starts_with("rempart_writes_total")).collect()
    };
    for (sample, labels) in found.values().flat_map(|family| &family.samples) {
        for (label, value) in labels {
            assert!(LABELS.contains(&label.as_str()), "{sample} has a label {label}");
            for users in ["emr", "stray", "snc-1", "aws-1", "records"] {
                assert_ne!(value, users, "{sample}{{{label}}}: whoever may make one makes a series");
            }
        }
    }
    let before = series(&text_before);
    for number in 0..5 {
        let name = format!("more-{number}");
        apply(&world.admin, &[namespace(&name, Some("restreint")), node(&name, "snc")]).await;
        world.create_pod(&name, &pod("p")).await.accepted().ok();
    }
    let counted = |text: &str| text.contains("rempart_cleared_nodes{level=\"restreint\"} 7\n");
    let after = wait_until("the new nodes are counted", async || {
        let text = text(&world).await;
        if counted(&text) { Ok(text) } else { Err(text) }
    })
    .await;
    assert_eq!(series(&after), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_and_the_dashboard_choose_by_labels_that_a_real_operator_gives() {
    let world = eventful("metrics-labels").await;
    let text = complete(&world).await;
    let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (sample, of_sample) in families(&text).into_values().flat_map(|family| family.samples) {
        labels.entry(sample).or_default().extend(of_sample.into_keys());
    }
    let panels = dashboard()["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array().unwrap().clone()).collect();
    let asks: Vec<Value> = [rules(), panels].concat();
    assert!(asks.len() > 20);
    let named = Regex::new(r"\{\{(\w+)\}\}").unwrap();
    for ask in asks {
        let expr = ask["expr"].as_str().unwrap();
        let (names, by) = asked_for(expr);
        assert!(!names.is_empty(), "{expr} asks for nothing of ours");
        for name in names {
            let has = labels.get(&name).unwrap_or_else(|| panic!("{expr}: there is no {name}"));
            assert!(by.is_subset(has), "{expr}: {name} has the labels {has:?}");
        }
        let legend = ask["legendFormat"].as_str().unwrap_or_default();
        for label in named.captures_iter(legend) {
            assert!(by.contains(&label[1]), "{expr}: the legend {legend} names a label that is not left");
        }
    }
}
