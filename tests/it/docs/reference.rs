//! The pages of the reference are made of the code, by `make reference`: none of them says what the code does not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;

use clap::Arg;
use regex::Regex;
use rempart::api::conditions::{CLASS_STATES, CONDITIONS, DEEDS, VIOLATIONS};
use rempart::api::reasons::Reason;
use rempart::{api, cli, guard};
use serde_json::Value;

use super::{SOURCE, fields, files, root};
use crate::chart;

/// The page with this title, by its name.
fn page(title: &str, body: &str) -> String {
    format!("<!-- Made of the code by `make reference`; do not edit. -->\n# {title}\n\n{}\n", body.trim_end())
}

/// The head of a table.
fn table(columns: &[&str]) -> String {
    format!("| {} |\n|{}\n", columns.join(" | "), "---|".repeat(columns.len()))
}

/// A row of one. A bar would end the cell.
fn row(cells: &[&str]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', r"\|").replace('\n', " ")).collect();
    format!("| {} |\n", cells.join(" | "))
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A kind: its columns, and every field.
fn kind(crd: &Value) -> String {
    let (spec, version) = (&crd["spec"], &crd["spec"]["versions"][0]);
    let schema = &version["schema"]["openAPIV3Schema"];
    let scope = if spec["scope"] == "Namespaced" { "of a namespace" } else { "of the cluster" };
    let names = &spec["names"];
    let mut body = format!("{}\n\n", text(&schema["description"]));
    let version_of = format!("{}/{}", text(&spec["group"]), text(&version["name"]));
    let _ = write!(
        body,
        "`{version_of}`, an object {scope}; `kubectl get {}`, or `{}`.\n\n",
        text(&names["plural"]),
        text(&names["shortNames"][0])
    );
    let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    for rule in rules {
        let _ = writeln!(body, "- {}", text(&rule["message"]));
    }
    body.push_str("\n## Columns\n\n");
    body.push_str(&table(&["column", "is", "about"]));
    for column in version["additionalPrinterColumns"].as_array().into_iter().flatten() {
        let wide = if column["priority"] == 1 { " (`-o wide`)" } else { "" };
        body.push_str(&row(&[&format!("{}{wide}", text(&column["name"])), &code(text(&column["jsonPath"])), text(&column["description"])]));
    }
    for part in ["spec", "status"] {
        if schema["properties"][part].is_object() {
            let _ = write!(body, "\n## {part}\n\n{}", table(&["field", "type", "default", "meaning"]));
            for field in fields::of(part, &schema["properties"][part]) {
                body.push_str(&row(&[&code(&field.path), &field.type_, &code(&field.default), &field.meaning]));
            }
        }
    }
    let used = fields::enums_of(schema);
    if !used.is_empty() {
        body.push_str("\n## Values\n");
        for (values, named) in fields::explained(&used) {
            let _ = write!(body, "\n{}\n\n{}", named.meaning, table(&["value", "meaning"]));
            for (value, meaning) in values.iter().zip(&named.values) {
                body.push_str(&row(&[&code(value), meaning]));
            }
        }
    }
    page(text(&names["kind"]), &body)
}

fn conditions() -> String {
    let mut body = "What `kubectl describe` shows under Conditions, and `kubectl wait` waits for. A status speaks of the spec that its \
        `observedGeneration` names. `Ready`, `Stalled` and `Reconciling` follow kstatus.\n"
        .to_owned();
    for condition in CONDITIONS {
        let kinds: Vec<String> = condition.kinds.iter().map(|kind| code(kind)).collect();
        let _ = write!(body, "\n## {}\n\n{} Of {}.\n\n", condition.type_, condition.meaning.trim(), kinds.join(", "));
        body.push_str(&table(&["status", "reason", "meaning"]));
        for (truth, reason) in condition.says {
            body.push_str(&row(&[truth.as_str(), &code(reason.as_str()), reason.meaning()]));
        }
    }
    let lists: [(&str, &str, &[Reason]); 2] = [
        ("States of classes", "In `status.storageClasses` of a TrustedCloud.", CLASS_STATES),
        (
            "Violations",
            "In `status.violations` of a DataDeclaration, and in the messages of `Compliant` and `MigrationRequired`.",
            VIOLATIONS,
        ),
    ];
    for (title, about, reasons) in lists {
        let _ = write!(body, "\n## {title}\n\n{about}\n\n{}", table(&["reason", "meaning"]));
        for reason in reasons {
            body.push_str(&row(&[&code(reason.as_str()), reason.meaning()]));
        }
    }
    page("Conditions", &body)
}

fn events() -> String {
    let mut body = "Events are on the object that they are about: `kubectl describe` shows them, and `kubectl get events -A`.\n\n\
        A condition that turns for the worse is told as a warning, and one that turns for the better again as a normal event. The reason is that \
        of the [condition](conditions.md), and the message begins with its type. Beside these, there are events about what the operator did:\n\n"
        .to_owned();
    body.push_str(&table(&["reason", "type", "meaning"]));
    for (reason, warns) in DEEDS {
        body.push_str(&row(&[&code(reason.as_str()), if *warns { "Warning" } else { "Normal" }, reason.meaning()]));
    }
    page("Events", &body)
}

fn metrics() -> String {
    struct Metric {
        type_: String,
        help: String,
        names: BTreeSet<String>,
        labels: BTreeSet<String>,
    }
    let exposed = chart::files::filled_metrics().text();
    let mut found: Vec<Metric> = Vec::new();
    for line in exposed.lines().filter(|line| !line.starts_with("# UNIT") && !line.starts_with("# EOF")) {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words.as_slice() {
            ["#", "HELP", _, help] => {
                found.push(Metric { type_: String::new(), help: (*help).to_owned(), names: BTreeSet::new(), labels: BTreeSet::new() });
            }
            ["#", "TYPE", _, type_] => (*type_).clone_into(&mut found.last_mut().unwrap().type_),
            _ => {
                let metric = found.last_mut().unwrap();
                let (name, rest) = line.split_once(['{', ' ']).unwrap();
                metric.names.insert(name.to_owned());
                let labels = rest.split_once('}').map_or("", |(labels, _)| labels);
                metric.labels.extend(labels.split(',').filter_map(|label| Some(label.split_once('=')?.0.to_owned())));
            }
        }
    }
    let mut body = "Served at `/metrics` of each replica, in the OpenMetrics text format. Names are as Prometheus stores them. Times are Unix times in \
        seconds. No label has values that a user could make endless.\n\n"
        .to_owned();
    body.push_str(&table(&["metric", "type", "labels", "meaning"]));
    for metric in found {
        let listed = |all: &BTreeSet<String>| all.iter().map(|one| code(one)).collect::<Vec<_>>().join(", ");
        let about = format!("{}.", metric.help.trim_end_matches('.'));
        body.push_str(&row(&[&listed(&metric.names), &metric.type_, &listed(&metric.labels), &about]));
    }
    page("Metrics", &body)
}

fn option(argument: &Arg) -> String {
    // A switch has no value to show, though the parser keeps one.
    let takes_value = argument.get_action().takes_values();
    let names = argument.get_value_names().filter(|_| takes_value).unwrap_or_default();
    let names = names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let long = format!("--{} {names}", argument.get_long().expect("every option has a long name"));
    let env = argument.get_env().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let default = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect::<Vec<_>>().join(",");
    let mut help = argument.get_help().expect("every option says what it is for").to_string();
    for value in argument.get_possible_values().into_iter().filter(|_| takes_value) {
        let about = value.get_help().map(ToString::to_string).unwrap_or_default();
        let _ = write!(help, ". {}: {}", code(value.get_name()), about.trim_end_matches('.'));
    }
    row(&[&code(long.trim()), &code(&env), &code(&default), &help])
}

fn commands() -> String {
    let program = cli::command();
    let mut body = format!("{}\n\n{}\n", program.get_about().unwrap(), program.get_after_help().unwrap());
    for command in program.get_subcommands() {
        let _ = write!(body, "\n## rempart {}\n\n{}.\n", command.get_name(), command.get_about().unwrap());
        let options: Vec<&Arg> = command.get_arguments().collect();
        if !options.is_empty() {
            let _ = write!(body, "\n{}", table(&["option", "environment", "default", "meaning"]));
            for argument in options {
                body.push_str(&option(argument));
            }
        }
        if let Some(more) = command.get_after_help() {
            let _ = write!(body, "\n{more}\n");
        }
    }
    page("Command line", &body)
}

/// Labels, annotations and finalizers, from the comments on their constants.
fn labels() -> String {
    let constant = Regex::new(r#"(?m)((?:^/// .*\n)+)pub const [A-Z_]+: &str = "([^"]+)";"#).unwrap();
    let names = super::text("src/api/names.rs");
    let mut body = "Every name that Rempart gives to something in a cluster, or reads there.\n\n".to_owned();
    body.push_str(&table(&["name", "is"]));
    for found in constant.captures_iter(&names) {
        let meaning = found[1].lines().map(|line| line.trim_start_matches("///").trim()).collect::<Vec<_>>().join(" ");
        body.push_str(&row(&[&code(&found[2]), &meaning]));
    }
    page("Names and labels", &body)
}

/// The admission policies, by what each says of itself.
fn policies() -> String {
    let a_level = || ["a-level".to_owned()].into();
    let settings = guard::Settings { warn: a_level(), withheld: a_level(), ..guard::Settings::default() };
    let mut body = "What the API server enforces, in the order in which it is written. `rempart policies` prints all of it, and the texts are in \
        `src/guard/policies`. Where a policy cannot be evaluated, `Fail` refuses and `Ignore` lets pass. `Ignore` stands where another policy refuses \
        what is missing then, and where a policy covers every namespace and must stop none. Those whose name ends in `-unenforced` are there for levels \
        in `Audit` or `Warn` only, and `rempart-token` for levels with `credentials: Withhold`.\n\n"
        .to_owned();
    body.push_str(&table(&["policy", "kind", "on failure", "about"]));
    for object in guard::policies(&settings) {
        let about = &object.object["metadata"]["annotations"]["kubernetes.io/description"];
        if let Some(about) = about.as_str() {
            let mutates = object.kind.as_str().starts_with("Mutating");
            let kind = if mutates { "mutating" } else { "validating" };
            body.push_str(&row(&[&code(&object.name), kind, text(&object.object["spec"]["failurePolicy"]), about]));
        }
    }
    page("Policies", &body)
}

fn values() -> String {
    let mut body = "Values of the Helm chart `charts/rempart`.\n\n".to_owned();
    body.push_str(&table(&["value", "default", "meaning"]));
    for value in chart::files::described() {
        body.push_str(&row(&[&code(&value.path), &code(&value.default), &value.what]));
    }
    page("Values of the chart", &body)
}

#[test]
fn the_reference_is_up_to_date() {
    let kinds = api::crds().into_iter().map(|crd| {
        let crd = serde_json::to_value(crd).unwrap();
        (format!("{}.md", text(&crd["spec"]["names"]["singular"])), kind(&crd))
    });
    let others = [
        ("conditions.md", conditions()),
        ("events.md", events()),
        ("metrics.md", metrics()),
        ("command-line.md", commands()),
        ("labels.md", labels()),
        ("policies.md", policies()),
        ("values.md", values()),
    ];
    let others = others.map(|(name, page)| (name.to_owned(), page));
    let wanted: BTreeMap<String, String> = kinds.chain(others).map(|(name, page)| (format!("{SOURCE}/reference/{name}"), page)).collect();
    let write = std::env::var_os("REMPART_WRITE_REFERENCE").is_some();
    for (path, page) in &wanted {
        if write {
            fs::create_dir_all(root().join(SOURCE).join("reference")).unwrap();
            fs::write(root().join(path), page).unwrap();
        }
        let found = fs::read_to_string(root().join(path)).unwrap_or_default();
        assert!(found == *page, "{path} is not what the code says: run `make reference`");
    }
    let there: BTreeSet<String> = files(&format!("{SOURCE}/reference"), "md").iter().map(|path| path.display().to_string()).collect();
    assert_eq!(there, wanted.into_keys().collect(), "docs/src/reference holds a page that is nobody's");
}
