//! What the chart holds as a copy, and what is made from it, is up to date. `make chart` writes it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use regex::Regex;
use rempart::plan::{Outcome, Summary};
use rempart::telemetry::{Answered, Metrics};
use serde_json::Value;

use super::{objects, render};
use crate::cluster::yaml;

fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn text(relative: &str) -> String {
    fs::read_to_string(path(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
}

fn names(folder: &str) -> BTreeSet<String> {
    fs::read_dir(path(folder)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// A value of the chart: its path, its default, and what it is for.
pub struct Described {
    pub path: String,
    pub default: String,
    pub what: String,
}

/// Every value, from the comments above it.
pub fn described() -> Vec<Described> {
    let mut found = Vec::new();
    let mut groups: Vec<&str> = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    let values = text("charts/rempart/values.yaml");
    for line in values.lines() {
        let content = line.trim_start();
        if let Some(text) = content.strip_prefix("# ") {
            comment.push(text);
        } else if let Some((key, default)) = content.split_once(':') {
            groups.truncate((line.len() - content.len()) / 2);
            let path = groups.iter().copied().chain([key]).collect::<Vec<_>>().join(".");
            if default.is_empty() {
                groups.push(key);
            } else {
                assert!(!comment.is_empty(), "values.yaml says nothing about {path}");
                found.push(Described { path, default: default.trim().to_owned(), what: comment.join(" ") });
            }
            comment.clear();
        } else {
            comment.clear();
        }
    }
    found
}

/// The README of the chart with its table of values.
fn readme() -> String {
    const HEAD: &str = "| value | default | |\n|---|---|---|\n";
    let readme = text("charts/rempart/README.md");
    let (before, _) = readme.split_once(HEAD).expect("it has a table of values");
    let rows = described().into_iter().map(|value| format!("| `{}` | `{}` | {} |\n", value.path, value.default, value.what));
    format!("{before}{HEAD}{}", rows.collect::<String>())
}

/// `deploy/rempart.yaml`: the rights in the chart, for those who do not use Helm.
fn deploy() -> String {
    let rendered = render(&["--show-only", "templates/rbac.yaml"]);
    let of_helm = [
        "# Source: ",
        "    app.kubernetes.io/managed-by: ",
        "    app.kubernetes.io/instance: ",
        "    app.kubernetes.io/version: ",
        "    helm.sh/chart: ",
    ];
    let lines = rendered
        .lines()
        .skip_while(|line| *line == "---")
        .filter(|line| !line.is_empty() && !of_helm.iter().any(|start| line.starts_with(start)));
    let made = "# Made from charts/rempart/templates/rbac.yaml by `make chart`; do not edit.\n";
    lines.fold(made.to_owned(), |text, line| text + line + "\n")
}

#[test]
fn what_is_copied_and_made_is_up_to_date() {
    let copies = |from: &str, to: &str| {
        names(from)
            .into_iter()
            .map(|name| (format!("charts/rempart/files/{to}/{name}"), text(&format!("{from}/{name}"))))
            .collect::<Vec<_>>()
    };
    let mut wanted: BTreeMap<String, String> = copies("crds", "crds").into_iter().chain(copies("examples/levels", "levels")).collect();
    let write = std::env::var_os("REMPART_WRITE_CHART").is_some();
    let keep = |wanted: &BTreeMap<String, String>| {
        for (file, wanted) in wanted {
            if write {
                fs::write(path(file), wanted).unwrap();
            }
            assert!(fs::read_to_string(path(file)).is_ok_and(|found| found == *wanted), "{file} is not up to date: run make chart");
        }
    };
    // What is rendered comes from these.
    keep(&wanted);
    for folder in ["crds", "levels"] {
        for name in names(&format!("charts/rempart/files/{folder}")) {
            let file = format!("charts/rempart/files/{folder}/{name}");
            assert!(wanted.contains_key(&file), "{file} is a copy of nothing: remove it");
        }
    }
    wanted = [("charts/rempart/README.md".to_owned(), readme()), ("deploy/rempart.yaml".to_owned(), deploy())].into();
    keep(&wanted);
}

#[test]
fn every_value_is_described_and_has_a_schema() {
    let schema: Value = serde_json::from_str(&text("charts/rempart/values.schema.json")).unwrap();
    let mut of_schema = BTreeSet::new();
    let mut rest: Vec<(String, &Value)> = vec![(String::new(), &schema)];
    while let Some((path, schema)) = rest.pop() {
        match schema["properties"].as_object() {
            Some(properties) => {
                assert_eq!(schema["additionalProperties"], false, "{path} takes values that nobody knows");
                let dot = if path.is_empty() { "" } else { "." };
                rest.extend(properties.iter().map(|(key, schema)| (format!("{path}{dot}{key}"), schema)));
            }
            None => drop(of_schema.insert(path)),
        }
    }
    // Helm gives it to every chart.
    assert!(of_schema.remove("global"));
    let of_values: BTreeSet<String> = described().into_iter().map(|value| value.path).collect();
    assert_eq!(of_values, of_schema);
}

#[test]
fn the_version_of_the_chart_is_that_of_the_operator() {
    let chart = &yaml(&text("charts/rempart/Chart.yaml"))[0];
    assert_eq!((&chart["version"], &chart["appVersion"]), (&env!("CARGO_PKG_VERSION").into(), &env!("CARGO_PKG_VERSION").into()));
}

/// All metrics that the operator has, each with a value.
pub fn filled_metrics() -> Metrics {
    let metrics = Metrics::default();
    let one = || "one".to_owned();
    let now = Timestamp::UNIX_EPOCH;
    let summary = Summary {
        objects: [(("SensitivityLevel", "Ready", "True"), 1)].into(),
        nodes: [(one(), 1)].into(),
        pods: [(one(), [1, 1, 1])].into(),
        claims: [(one(), [1, 1, 1])].into(),
        unschedulable: [(one(), 1)].into(),
        not_after: [(one(), now)].into(),
        qualified_until: [(one(), now)].into(),
    };
    metrics.planned(&summary, true, now, Duration::ZERO);
    metrics.probed(&Outcome::Holds(one()));
    metrics.written("Node", true);
    metrics.watch_failed("nodes");
    metrics.webhook().asked().is(Answered::Patched);
    metrics
}

/// Their names, as Prometheus stores them.
fn metrics() -> BTreeSet<String> {
    let text = filled_metrics().text();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split(['{', ' ']).next()).map(str::to_owned).collect()
}

#[test]
fn alerts_and_the_dashboard_ask_for_metrics_that_there_are() {
    let has = metrics();
    let rules = objects(&["--set", "prometheusRule.enabled=true", "--show-only", "templates/prometheus-rule.yaml"]);
    let rules = rules[0]["spec"]["groups"][0]["rules"].as_array().unwrap().clone();
    let dashboard: Value = serde_json::from_str(&text("charts/rempart/files/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array().unwrap().clone());
    let asked: Vec<String> = rules.iter().cloned().chain(panels).map(|asks| asks["expr"].as_str().unwrap().to_owned()).collect();
    let name = Regex::new(r"\brempart_[a-z_]+").unwrap();
    let named: BTreeSet<String> = asked.iter().flat_map(|expr| name.find_iter(expr).map(|found| found.as_str().to_owned())).collect();
    assert!(named.is_subset(&has), "{:?} are no metrics", named.difference(&has).collect::<Vec<_>>());
    // Histograms are asked for by their buckets; build info is for people.
    let unasked = |name: &String| name == "rempart_build_info" || ["_count", "_sum"].iter().any(|end| name.ends_with(end));
    let forgotten: Vec<_> = has.difference(&named).filter(|name| !unasked(name)).collect();
    assert!(forgotten.is_empty(), "nobody looks at {forgotten:?}");

    let alerts = text("docs/src/alerts.md");
    for rule in &rules {
        let alert = rule["alert"].as_str().unwrap();
        assert!(alerts.contains(&format!("\n## {alert}\n")), "docs/src/alerts.md says nothing about {alert}");
        assert_eq!(rule["annotations"]["runbook_url"], format!("docs/src/alerts.md#{}", alert.to_lowercase()));
        for needed in ["summary", "description"] {
            assert!(rule["annotations"][needed].is_string(), "{alert} has no {needed}");
        }
    }
    assert_eq!(alerts.matches("\n## ").count(), rules.len(), "docs/src/alerts.md speaks of an alert that there is not");
}
