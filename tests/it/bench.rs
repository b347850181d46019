//! What Rempart costs: ratios of the same request in one run, and how long what matters takes. `make bench`.
//!
//! A figure that is worse than its goal is marked, and fails nothing: that depends on the machine.

mod admission;
mod fleet;
mod large;
mod plan;
mod start;
mod storage;
mod webhook;

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use http::Method;
use kube::Client;
use serde_json::Value;

use crate::cluster::{Answer, send};

/// Rows of a table in Markdown, kept in `target` until `make bench` puts the parts together.
struct Report {
    part: &'static str,
    rows: String,
}

impl Report {
    fn new(part: &'static str) -> Self {
        Self { part, rows: String::new() }
    }

    /// Adds a row. With a goal, `worse` says whether it was missed.
    fn row(&mut self, what: &str, measured: &str, goal: &str, missed: bool) {
        let mark = if missed { " (missed)" } else { "" };
        eprintln!("{what}: {measured}{mark}; goal: {goal}");
        writeln!(self.rows, "| {what} | {measured}{mark} | {goal} |").expect("a text can be written to");
    }

    fn ratio(&mut self, what: &str, ratio: f64, goal: f64) {
        self.row(what, &format!("{ratio:.2} times"), &format!("{goal:.2} times"), ratio > goal);
    }

    fn time(&mut self, what: &str, took: Duration, goal: Duration) {
        self.row(what, &format!("{:.0} ms", took.as_secs_f64() * 1e3), &format!("{:.0} ms", goal.as_secs_f64() * 1e3), took > goal);
    }

    fn memory(&mut self, what: &str, kib: u64, goal_mib: u64) {
        let tenths = kib * 10 / 1024;
        self.row(what, &format!("{}.{} MiB", tenths / 10, tenths % 10), &format!("{goal_mib} MiB"), kib > goal_mib * 1024);
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench");
        let written = fs::create_dir_all(&folder).and_then(|()| fs::write(folder.join(format!("{}.md", self.part)), &self.rows));
        if let Err(error) = written {
            eprintln!("the results are not kept: {error}");
        }
    }
}

/// The middle of these times.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// How long this takes to come true, looked at every few milliseconds; it must within a minute.
async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) -> Duration {
    let begin = Instant::now();
    while !condition().await {
        assert!(begin.elapsed() < Duration::from_mins(1), "in a minute, not yet {what}");
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    begin.elapsed()
}

async fn dry_run(client: &Client, path: &str, body: &Value) -> Answer {
    send(client, Method::POST, &format!("{path}?dryRun=All"), Some(body)).await.expect("the API server answers")
}
