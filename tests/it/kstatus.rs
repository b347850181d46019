//! Where Flux and Helm believe that an object stands: by the library that they use, and by its rules in our own words.

#[path = "../../src/plan/tests/kstatus/rules.rs"]
mod rules;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::Value;

use crate::cluster::tool;

/// A program around the original.
static KSTATUS: LazyLock<PathBuf> = LazyLock::new(|| tool("kstatus").into());

/// Where an object stands, in the eyes of both.
#[track_caller]
pub fn standing(object: &Value) -> &'static str {
    let ours = rules::standing(object);
    assert_eq!(originally(object), ours, "the original judges otherwise: {object:#}");
    ours
}

/// What the original says of an object.
pub fn originally(object: &Value) -> String {
    let mut process =
        Command::new(KSTATUS.as_path()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it was built for this machine");
    let mut input = process.stdin.take().expect("its input is a pipe");
    input.write_all(object.to_string().as_bytes()).expect("it reads all of it");
    drop(input);
    let output = process.wait_with_output().expect("it ends");
    assert!(output.status.success(), "it cannot judge {object:#}");
    String::from_utf8(output.stdout).expect("it prints a word").trim().to_owned()
}
