//! The map of the house, held against the code: who may know whom, and what pure rooms may not touch.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Each room and the rooms that it may use, as in the table of `src/lib.rs`; every room may use `api`.
const MAP: [(&str, &[&str]); 10] = [
    ("api", &[]),
    ("trust", &[]),
    ("placement", &["trust"]),
    ("guard", &["placement", "trust"]),
    ("plan", &["guard", "placement", "trust"]),
    ("telemetry", &["plan"]),
    ("cluster", &["plan", "placement", "guard", "telemetry"]),
    ("webhook", &["plan", "guard", "cluster", "telemetry"]),
    ("operator", &["plan", "placement", "cluster", "telemetry", "webhook"]),
    ("cli", &["operator", "plan", "guard", "cluster", "telemetry", "webhook"]),
];

/// Rooms that compute and nothing else.
const PURE: [&str; 5] = ["api", "trust", "placement", "guard", "plan"];

/// What a pure room may not name, and why.
const IMPURE: [(&str, &str); 9] = [
    (r"\basync\b", "waiting"),
    (r"\btokio\b", "a runtime"),
    (r"kube::(Client|Api|client)\b|\bClient\b", "a client"),
    (r"(Timestamp|Zoned|SystemTime|Instant)::now", "a clock"),
    (r"std::env|env::var", "the environment"),
    (r"std::(fs|net|process|thread)\b", "the machine"),
    (r"\bHash(Map|Set)\b", "an order that changes from run to run"),
    (r"\btracing\b|println!|eprintln!", "output"),
    (r"\brand\b", "chance"),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Rust files of a room, without their test modules: tests may use what they like.
fn files(room: &str) -> Vec<(PathBuf, String)> {
    fn visit(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_test = path.file_stem().is_some_and(|name| name == "tests");
            if path.is_dir() && !is_test {
                visit(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    visit(&source().join(room), &mut found);
    let code = |path: &Path| fs::read_to_string(path).unwrap().split("#[cfg(test)]").next().unwrap_or_default().to_owned();
    found.into_iter().map(|path| (path.clone(), code(&path))).collect()
}

/// Rooms that a text names: `crate::trust::…` and `crate::{trust, plan::…}`.
fn rooms_named(text: &str) -> BTreeSet<String> {
    let single = Regex::new(r"crate::([a-z_]+)").unwrap();
    let group = Regex::new(r"(?s)crate::\{(.*?)\};").unwrap();
    let first = Regex::new(r"(?:^|,)\s*([a-z_]+)").unwrap();
    let singles = single.captures_iter(text).map(|found| found[1].to_owned());
    let groups = group.captures_iter(text).flat_map(|found| {
        let members = Regex::new(r"\{[^{}]*\}").unwrap().replace_all(&found[1], "").into_owned();
        first.captures_iter(&members).map(|found| found[1].to_owned()).collect::<Vec<_>>()
    });
    singles.chain(groups).collect()
}

#[test]
fn every_arrow_between_rooms_is_on_the_map() {
    for (room, may_use) in MAP {
        for (path, code) in files(room) {
            for named in rooms_named(&code) {
                let allowed = named == room || named == "api" || may_use.contains(&named.as_str());
                assert!(allowed, "{} uses crate::{named}, but {room} may use only {may_use:?} and api", path.display());
            }
        }
    }
}

#[test]
fn every_folder_is_a_room_on_the_map() {
    let folders = fs::read_dir(source()).unwrap().map(|entry| entry.unwrap()).filter(|entry| entry.path().is_dir());
    let folders: BTreeSet<String> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    assert_eq!(folders, MAP.iter().map(|(room, _)| (*room).to_owned()).collect());
}

#[test]
fn a_pure_room_touches_nothing() {
    for room in PURE {
        for (path, code) in files(room) {
            let code = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
            for (pattern, what) in IMPURE {
                let found = Regex::new(pattern).unwrap().find(&code).map(|found| found.as_str().to_owned());
                assert!(found.is_none(), "{} names {found:?}, which is {what}; {room} is pure", path.display());
            }
        }
    }
}

#[test]
fn only_the_writer_writes() {
    let writes =
        Regex::new(r"\.(create|patch|patch_status|patch_metadata|replace|replace_status|delete|delete_collection|evict)\(").unwrap();
    for (room, _) in MAP {
        for (path, code) in files(room) {
            let api = code.contains("kube::Api") || code.contains("{Api") || code.contains("Api<");
            let may_write = path.to_string_lossy().contains("cluster/apply");
            // A SelfSubjectReview is created and never stored.
            let asks = path.ends_with("cluster/connect.rs");
            assert!(
                !api || may_write || asks || !writes.is_match(&code),
                "{} writes to the API server; only cluster/apply may",
                path.display()
            );
        }
    }
}

#[test]
fn there_is_one_version_of_kube() {
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    for name in ["kube", "kube-core", "kube-client", "kube-runtime", "k8s-openapi", "schemars", "jiff"] {
        let versions = lock.matches(&format!("name = \"{name}\"\n")).count();
        assert_eq!(versions, 1, "{name} is in the tree {versions} times");
    }
}

#[test]
fn a_file_holds_one_idea() {
    const MOST_LINES: usize = 400;
    for (room, _) in MAP {
        for (path, code) in files(room) {
            let lines = code.lines().count();
            assert!(lines <= MOST_LINES, "{} has {lines} lines without its tests: which two ideas are in it?", path.display());
        }
    }
}
