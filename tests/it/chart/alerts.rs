//! The alerts under Prometheus's own tool: `alerts.yaml` beside this file says which series make each fire, and which do not.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::{Value, json};

use super::{dashboard, objects};
use crate::cluster::{ran, tool, yaml};

/// promtool.
pub static PROMTOOL: LazyLock<PathBuf> = LazyLock::new(|| tool("promtool").into());

const TESTS: &str = include_str!("alerts.yaml");

/// The rules that the chart renders.
pub fn rules() -> Vec<Value> {
    let flags = ["--set", "prometheusRule.enabled=true,prometheusRule.runbooks=https://runbooks.example/alerts.md"];
    let rendered = objects(&[&flags[..], &["--show-only", "templates/prometheus-rule.yaml"]].concat());
    rendered[0]["spec"]["groups"][0]["rules"].as_array().expect("it has rules").clone()
}

/// A folder with these rules and these tests.
fn bench(name: &str, rules: &[Value], tests: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("alerts").join(name);
    fs::create_dir_all(&folder).unwrap();
    // JSON is YAML.
    fs::write(folder.join("rules.yaml"), json!({"groups": [{"name": "rempart", "rules": rules}]}).to_string()).unwrap();
    fs::write(folder.join("alerts.yaml"), tests).unwrap();
    folder
}

fn promtool(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(PROMTOOL.as_path());
    command.args(arguments).current_dir(folder);
    ran(command)
}

/// Those of the dashboard ask as alerts do.
#[test]
fn every_panel_asks_in_a_language_that_prometheus_understands() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let asked = targets.enumerate().map(|(index, target)| json!({"record": format!("panel:{index}"), "expr": target["expr"]}));
    let folder = bench("panels", &asked.collect::<Vec<_>>(), "");
    promtool(&folder, &["check", "rules", "rules.yaml"]).unwrap_or_else(|said| panic!("{said}"));
}

/// What Grafana takes where nothing is said is red from 80 on, which a clearance of three days would be.
#[test]
fn every_number_of_the_dashboard_that_has_a_colour_says_when() {
    for panel in dashboard()["panels"].as_array().unwrap() {
        let coloured = ["stat", "bargauge", "gauge"].contains(&panel["type"].as_str().unwrap());
        let steps = &panel["fieldConfig"]["defaults"]["thresholds"]["steps"];
        assert!(!coloured || steps.as_array().is_some_and(|steps| steps.len() > 1), "{} has no thresholds", panel["title"]);
    }
}

#[test]
fn every_alert_fires_when_it_should_and_not_a_minute_before() {
    let rules = rules();
    let folder = bench("as-they-are", &rules, TESTS);
    for arguments in [&["check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"][..], &["test", "rules", "alerts.yaml"]] {
        promtool(&folder, arguments).unwrap_or_else(|said| panic!("promtool {arguments:?}\n{said}"));
    }
    let tests = yaml(TESTS).remove(0);
    let cases: Vec<&Value> =
        tests["tests"].as_array().unwrap().iter().flat_map(|test| test["alert_rule_test"].as_array().unwrap()).collect();
    let named = |fires: bool| -> BTreeSet<&str> {
        let of = cases.iter().filter(|case| case["exp_alerts"].is_array() == fires);
        of.map(|case| case["alertname"].as_str().unwrap()).collect()
    };
    let all: BTreeSet<&str> = rules.iter().map(|rule| rule["alert"].as_str().unwrap()).collect();
    assert_eq!(named(true), all, "there is a test in which it fires");
    assert_eq!(named(false), all, "and one in which it does not");
}

/// An expression with one of its numbers changed: those that count by one, the others by a fifth both ways.
fn with_other_numbers(expr: &str) -> Vec<String> {
    // Not those of a range such as [10m], nor of a name.
    let number = Regex::new(r"(^|[\s(])(\d+(?:\.\d+)?)\b").unwrap();
    let change = |at: usize, by: &dyn Fn(f64) -> f64| {
        let mut seen = 0;
        let changed = number.replace_all(expr, |found: &Captures<'_>| {
            seen += 1;
            if seen == at + 1 { format!("{}{}", &found[1], by(found[2].parse().unwrap())) } else { found[0].to_owned() }
        });
        changed.into_owned()
    };
    let numbers = number.captures_iter(expr).map(|found| found[2].to_owned()).enumerate();
    let changes = numbers.flat_map(|(at, value)| match value.as_str() {
        "0" | "1" => vec![change(at, &|value| value + 1.0)],
        _ => vec![change(at, &|value| value * 1.2), change(at, &|value| value * 0.8)],
    });
    changes.collect()
}

/// What of the tests is about this alert.
fn tests_of(alert: &str) -> String {
    let mut tests = yaml(TESTS).remove(0);
    for test in tests["tests"].as_array_mut().unwrap() {
        test["alert_rule_test"].as_array_mut().unwrap().retain(|case| case["alertname"] == alert);
    }
    tests["tests"].as_array_mut().unwrap().retain(|test| test["alert_rule_test"] != json!([]));
    tests.to_string()
}

#[test]
fn no_number_in_an_alert_can_be_changed_without_a_test_that_fails() {
    let lasts = Regex::new(r"^(\d+)([mh])$").unwrap();
    let mut tried = 0;
    for rule in rules() {
        let alert = rule["alert"].as_str().unwrap();
        let tests = tests_of(alert);
        let with = |field: &str, value: &str| {
            let mut rule = rule.clone();
            rule[field] = value.into();
            promtool(&bench("changed", &[rule], &tests), &["test", "rules", "alerts.yaml"])
        };
        let found = lasts.captures(rule["for"].as_str().unwrap()).expect("minutes or hours");
        let minutes = found[1].parse::<u32>().unwrap() * if &found[2] == "h" { 60 } else { 1 };
        with("for", &format!("{minutes}m")).unwrap_or_else(|said| panic!("{said}"));
        let mut others: Vec<(&str, String)> =
            with_other_numbers(rule["expr"].as_str().unwrap()).into_iter().map(|expr| ("expr", expr)).collect();
        others.extend([minutes - 1, minutes + 1].map(|minutes| ("for", format!("{minutes}m"))));
        assert!(others.len() > 2, "{} compares with no number", rule["expr"]);
        for (field, other) in others {
            let said = with(field, &other).expect_err(&format!("{alert} may have {field} {other}"));
            assert!(said.contains(alert) && said.contains("exp:"), "{other}: {said}");
            tried += 1;
        }
    }
    eprintln!("{tried} changes, each of them noticed");
}
