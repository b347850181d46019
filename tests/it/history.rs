//! What happened in a cluster, revision by revision, and whether it was always as it must be.
//!
//! It is read from etcd, where nothing is missing: not what came before the first request of a test, not what a restarted API
//! server forgot, and not what went through the other API server. Every revision is asked for, and each must be there.

mod invariant;
mod proof;
mod stored;
mod volumes;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures::AsyncBufReadExt as _;
use futures::TryStreamExt as _;
use http::Request;
use kube::client::Client;
use kube::config::Config;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cluster::PATIENCE;
pub use invariant::Violation;
use invariant::{LAG, Replay};

/// The history of a cluster, as far as it has been read.
pub struct History {
    etcd: String,
    replay: Arc<Mutex<Recording>>,
}

#[derive(Default)]
struct Recording {
    replay: Replay,
    /// Why it is not complete.
    broken: Option<String>,
}

impl History {
    /// Begins to read, from the first revision on, as long as this lives.
    pub fn record(etcd: &str) -> Self {
        let history = Self { etcd: etcd.to_owned(), replay: Arc::default() };
        let (etcd, replay) = (etcd.to_owned(), Arc::downgrade(&history.replay));
        std::thread::spawn(move || block_on(follow(&etcd, &replay)));
        history
    }

    /// For a suite that does the operator's work: promises from now on what the operator would, except for these levels.
    pub fn promise(&self, lax: &[&str]) {
        self.recording().replay.promise(lax);
    }

    /// For a test that takes the guard away: what is wrong until the end of what this returns is counted and is no failure.
    pub fn excuse(&self) -> Excused<'_> {
        self.catch_up();
        self.recording().replay.excusing = true;
        Excused(self)
    }

    /// The whole history until now: what was seen, or what is wrong with it. `audit` are the logs of the API servers, a record
    /// of its own: a Binding that was accepted there and is not in the history would mean that this is blind.
    pub fn verdict(&self, audit: &[impl AsRef<Path>]) -> Result<Seen, String> {
        // First what was accepted, since that is stored by then.
        let accepted: usize = audit.iter().map(|log| accepted_bindings(log.as_ref())).sum();
        self.catch_up();
        let recording = self.recording();
        let replay = &recording.replay;
        if let Some(why) = &recording.broken {
            return Err(format!("the history is not complete: {why}"));
        }
        if accepted > replay.bound {
            return Err(format!("{accepted} Bindings were accepted, and the history shows {}", replay.bound));
        }
        if !replay.violations.is_empty() {
            let listed: Vec<String> = replay.violations.iter().map(ToString::to_string).collect();
            return Err(format!("the invariant was broken {} times:\n{}", listed.len(), listed.join("\n")));
        }
        if replay.guarded && !replay.cleared {
            return Err("something is promised, and the history shows no Clearance".to_owned());
        }
        Ok(Seen {
            revisions: replay.revision,
            bound: replay.bound,
            judged: replay.judged,
            claims_bound: replay.claims_bound,
            claims_judged: replay.claims_judged,
            oldest: replay.oldest,
            excused: replay.excused.clone(),
        })
    }

    /// Waits until everything that is stored has been read.
    fn catch_up(&self) {
        let etcd = self.etcd.clone();
        // The caller may be anywhere: in a runtime, or in the end of one.
        let reached = std::thread::spawn(move || block_on(present(&etcd))).join().expect("etcd says its revision");
        let begin = Instant::now();
        loop {
            let recording = self.recording();
            if recording.broken.is_some() || recording.replay.revision >= reached {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "revision {} of {reached} is all that was read in {PATIENCE:?}", recording.replay.revision);
            drop(recording);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn recording(&self) -> MutexGuard<'_, Recording> {
        self.replay.lock().expect("the history can be read")
    }
}

/// As long as it lives, the guard may be open.
pub struct Excused<'a>(&'a History);

impl Drop for Excused<'_> {
    fn drop(&mut self) {
        self.0.catch_up();
        self.0.recording().replay.excusing = false;
    }
}

/// What a history without fault consists of.
#[derive(Debug)]
pub struct Seen {
    pub revisions: u64,
    /// Pods that were bound, and how many of them have a level to which the promise applies.
    pub bound: usize,
    pub judged: usize,
    /// Claims that were bound, and how many of them have a level to which the promise applies.
    pub claims_bound: usize,
    pub claims_judged: usize,
    /// Age of the oldest state that somebody was judged by.
    pub oldest: Duration,
    pub excused: Vec<Violation>,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { revisions, bound, judged, claims_bound, claims_judged, oldest, .. } = self;
        write!(
            f,
            "{revisions} revisions; {bound} pods were bound, {judged} of them of a level, and {claims_bound} claims, {claims_judged} of them of a level, the latest {oldest:?} after a change (at most {LAG:?})"
        )?;
        if self.excused.is_empty() { Ok(()) } else { write!(f, "; {} wrong while the guard was away", self.excused.len()) }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "revision {}: {}: {}", self.revision, self.object, self.what)
    }
}

/// Bindings that an API server accepted and did not only try.
fn accepted_bindings(audit: &Path) -> usize {
    let log = std::fs::read_to_string(audit).unwrap_or_default();
    let entries = log.lines().filter(|line| line.contains("/binding")).filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let accepted = |entry: &Value| {
        let is_binding = entry["objectRef"]["subresource"] == "binding" || entry["objectRef"]["resource"] == "bindings";
        let tried = entry["requestURI"].as_str().is_some_and(|uri| uri.contains("dryRun"));
        is_binding && entry["verb"] == "create" && entry["responseStatus"]["code"] == 201 && !tried
    };
    entries.filter(accepted).count()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts").block_on(future)
}

/// A client of etcd's own HTTP interface.
fn client(etcd: &str) -> Client {
    let mut config = Config::new(etcd.parse().expect("the supervisor gives a URL"));
    config.read_timeout = None;
    Client::try_from(config).expect("no certificates are needed")
}

fn request(path: &str, body: &Value) -> Request<Vec<u8>> {
    Request::post(path).body(body.to_string().into_bytes()).expect("the path is well-formed")
}

/// The revision that etcd has reached.
async fn present(etcd: &str) -> u64 {
    let any = json!({"key": "AA==", "limit": 1, "keys_only": true});
    let answer: Value = client(etcd).request(request("/v3/kv/range", &any)).await.expect("etcd answers");
    answer["header"]["revision"].as_str().and_then(|text| text.parse().ok()).expect("an answer has a revision")
}

/// Reads until nobody wants to know any more. An etcd that is restarted is asked for what comes next.
async fn follow(etcd: &str, recording: &Weak<Mutex<Recording>>) {
    let begin = Instant::now();
    let client = client(etcd);
    while let Some(shared) = recording.upgrade() {
        let from = shared.lock().expect("nobody panics with it").replay.revision + 1;
        drop(shared);
        // An error is the end of this connection.
        let _ = read(&client, from, begin, recording).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn read(client: &Client, from: u64, begin: Instant, recording: &Weak<Mutex<Recording>>) -> Result<(), kube::Error> {
    // All keys there are: then every revision has an event, and one that is missing is noticed.
    let watch = json!({"create_request": {"key": "AA==", "range_end": "AA==", "start_revision": from.to_string()}});
    let mut lines = client.request_stream(request("/v3/watch", &watch)).await?.lines();
    while let Ok(Some(line)) = lines.try_next().await {
        let Some(shared) = recording.upgrade() else { return Ok(()) };
        let mut recording = shared.lock().expect("nobody panics with it");
        if let Err(why) = recording.take_in(&line, begin.elapsed()) {
            recording.broken.get_or_insert(why);
        }
    }
    Ok(())
}

impl Recording {
    fn take_in(&mut self, line: &str, at: Duration) -> Result<(), String> {
        let line: Line<'_> = serde_json::from_str(line).map_err(|error| format!("{error} in {line}"))?;
        let Some(response) = line.result else { return Err(format!("etcd says {:?}", line.error)) };
        if response.canceled {
            return Err(format!("revisions before {} were compacted before they were read", response.compact_revision));
        }
        for event in response.events {
            let (key, revision) = (text(event.kv.key)?, number(event.kv.mod_revision)?);
            // The first one is that of the empty store.
            let expected = self.replay.revision.max(1);
            if revision != expected && revision != expected + 1 {
                return Err(format!("revision {revision} follows {expected}"));
            }
            self.replay.revision = revision;
            if !interesting(&key) {
                continue;
            }
            let value = (event.kind != "DELETE").then(|| BASE64_STANDARD.decode(event.kv.value)).transpose();
            let value = value.map_err(|error| format!("{key}: {error}"))?;
            if let Some(change) = stored::change(&key, value.as_deref())? {
                self.replay.see(revision, at, change);
            }
        }
        Ok(())
    }
}

/// Most of what is stored (leases, events) need not be decoded.
fn interesting(key: &str) -> bool {
    ["pods/", "namespaces/", "minions/", "persistentvolumes/", "persistentvolumeclaims/", "rempart.dev/"]
        .iter()
        .any(|kind| key.strip_prefix("/registry/").is_some_and(|path| path.starts_with(kind)))
}

fn text(base64: &str) -> Result<String, String> {
    let bytes = BASE64_STANDARD.decode(base64).map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text} is no revision"))
}

/// One line of the answer to a watch.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    result: Option<Response<'a>>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(default)]
    canceled: bool,
    #[serde(default)]
    compact_revision: String,
    #[serde(borrow, default)]
    events: Vec<Event<'a>>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", default)]
    kind: &'a str,
    #[serde(borrow)]
    kv: KeyValue<'a>,
}

#[derive(Deserialize)]
struct KeyValue<'a> {
    key: &'a str,
    mod_revision: &'a str,
    #[serde(default)]
    value: &'a str,
}
