//! Two operators, as installed: both watch, one writes, and the other goes on where it stops.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::delayed::clearances;
use super::trust_ends::suspension;
use super::wait_forbidden;
use super::world::{World, namespace, node, plain_cloud, pod, qualified_cloud, restreint};
use crate::cluster::{apply, asked, send, wait_until};
use crate::proxy::{Fault, On, Proxy};
use crate::rights::OPERATOR;

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/rempart-system/leases/rempart";
const CLOUD: &str = "/apis/rempart.dev/v1alpha1/trustedclouds/snc";
const LEADING: &str = "leading: this replica writes";
/// Terms so long that nobody takes a lease that was not given back before patience ends.
const NEVER: [&str; 4] = ["--lease-duration", "600s", "--lease-renew-within", "500s"];
/// How long a lease lasts where it must run out.
const DURATION: Duration = Duration::from_secs(9);
const SOON: [&str; 6] = ["--lease-duration", "9s", "--lease-renew-within", "8s", "--lease-renew-every", "1s"];

/// One operator of several.
pub(super) struct Replica {
    name: String,
    log: PathBuf,
    pub(super) process: Child,
}

impl Replica {
    pub(super) fn launch(world: &World, name: &str, terms: &[&str]) -> Self {
        let log = world.cluster.dir().join(format!("{name}.log"));
        let flags = [&["--instance", name], terms].concat();
        Self { name: name.to_owned(), process: world.spawn(&flags, &log), log }
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    async fn wait_for_log(&self, text: &str) {
        wait_until(&format!("{} says {text}", self.name), async || if self.log().contains(text) { Ok(()) } else { Err(self.log()) }).await;
    }

    async fn wait_ready(&self) {
        wait_until("it is ready", async || if self.asked("/readyz").await.0 == 200 { Ok(()) } else { Err(self.log()) }).await;
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.process.id().to_string()]).status().expect("kill is everywhere").success());
    }

    fn ended(&mut self) -> Option<i32> {
        self.process.wait().expect("it can be waited for").code()
    }

    /// What it answers at this path.
    async fn asked(&self, path: &str) -> (u16, String) {
        asked(&self.log(), path).await
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(15).collect();
            eprintln!("the log of {} ended with:\n{}", self.name, tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}

/// What an operator has written.
struct Written {
    by: String,
    /// When the API server heard of it, and when it was done.
    heard: Timestamp,
    done: Timestamp,
    /// Whether it was the lease, or something else that stays.
    lease: bool,
}

/// Everything that operators have written until now, in order.
fn writes(world: &World) -> Vec<Written> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entries = world.cluster.audited(OPERATOR).into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    let mut found: Vec<_> = entries
        .filter(|entry| ["create", "update", "patch", "delete"].contains(&text(&entry["verb"]).as_str()))
        .filter(|entry| entry["user"]["username"] == OPERATOR && entry["impersonatedUser"].is_null())
        // Events only tell, and need no lease: those of what was written with it may be sent when it is gone.
        .filter(|entry| !["selfsubjectreviews", "events"].contains(&text(&entry["objectRef"]["resource"]).as_str()))
        .filter(|entry| !text(&entry["requestURI"]).contains("dryRun="))
        .filter(|entry| entry["objectRef"]["resource"] != "leases" || entry["responseStatus"]["code"].as_u64() < Some(300))
        .map(|entry| {
            let agent = text(&entry["userAgent"]);
            let name = agent.split_once('(').and_then(|(_, name)| name.strip_suffix(')'));
            let at = |field: &str| text(&entry[field]).parse().expect("it is an instant");
            Written {
                by: name.expect("every operator says its name").to_owned(),
                heard: at("requestReceivedTimestamp"),
                done: at("stageTimestamp"),
                lease: entry["objectRef"]["resource"] == "leases",
            }
        })
        .collect();
    found.sort_by_key(|written| written.heard);
    found
}

/// Who wrote something, in order, each named once for all that it wrote in a row.
fn writers(writes: &[Written]) -> Vec<&str> {
    let mut names: Vec<&str> = writes.iter().filter(|written| !written.lease).map(|written| written.by.as_str()).collect();
    names.dedup();
    names
}

/// Nobody wrote anything once another had written the lease, until it had that back.
fn assert_one_at_a_time(writes: &[Written]) {
    for written in writes.iter().filter(|written| !written.lease) {
        let lease = |by: &dyn Fn(&str) -> bool| {
            writes.iter().filter(|other| other.lease && by(&other.by) && other.done < written.heard).map(|lease| lease.done).max()
        };
        let (own, of_others) = (lease(&|by| by == written.by), lease(&|by| by != written.by));
        assert!(own > of_others, "{} wrote at {}: it had the lease at {own:?}, another at {of_others:?}", written.by, written.heard);
    }
}

/// Who holds the lease now.
async fn holder(world: &World) -> Option<String> {
    world.get(LEASE).await.ok()?["spec"]["holderIdentity"].as_str().map(str::to_owned)
}

async fn furnish(world: &World) {
    apply(&world.admin, &[qualified_cloud("snc"), plain_cloud("aws"), restreint(), namespace("secret", Some("restreint"))]).await;
    world.nodes("snc", 2, "snc").await;
    world.nodes("aws", 1, "aws").await;
}

/// Joins a node, and waits until it is cleared.
async fn assert_works(world: &World, prefix: &str) {
    world.nodes(prefix, 1, "snc").await;
    world.wait_nodes(prefix, "restreint", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_watch_and_one_writes_until_it_gives_the_lease_back() {
    let world = World::installed("replicas").await;
    let mut first = Replica::launch(&world, "rempart-a", &NEVER);
    first.wait_for_log("the guard holds").await;
    world.cluster.history().promise(&[]);
    furnish(&world).await;
    world.wait_nodes("snc", "restreint", true).await;
    let second = Replica::launch(&world, "rempart-b", &NEVER);
    second.wait_for_log(r#"standing by holder="rempart-a""#).await;

    for (replica, leads) in [(&first, 1), (&second, 0)] {
        replica.wait_ready().await;
        let (_, metrics) = replica.asked("/metrics").await;
        assert!(metrics.contains(&format!("\nrempart_leader {leads}\n")), "{metrics}");
        assert_eq!(metrics.contains("rempart_cleared_nodes{"), leads == 1, "{metrics}");
    }
    assert_works(&world, "early").await;
    assert_eq!(writers(&writes(&world)), ["rempart-a"]);
    let probes = |line: &&String| line.contains("dryRun=") && line.contains("(rempart-b)");
    assert_eq!(world.cluster.audited(OPERATOR).iter().find(probes), None, "who stands by does not probe");

    first.signal("-TERM");
    assert_eq!(first.ended(), Some(0));
    second.wait_for_log(LEADING).await;
    assert_works(&world, "late").await;
    second.wait_for_log("the guard holds").await;
    let (_, metrics) = second.asked("/metrics").await;
    assert!(metrics.contains("\nrempart_leader 1\n") && metrics.contains("rempart_cleared_nodes{level=\"restreint\"} 4"), "{metrics}");
    assert_eq!(writers(&writes(&world)), ["rempart-a", "rempart-b"]);
    let lease = world.get(LEASE).await.unwrap()["spec"].clone();
    assert_eq!((&lease["holderIdentity"], &lease["leaseTransitions"]), (&json!("rempart-b"), &json!(1)));

    // Started again under its name, it does not wait for itself.
    drop(second);
    let again = Replica::launch(&world, "rempart-b", &NEVER);
    again.wait_for_log(LEADING).await;
    assert_works(&world, "latest").await;
    assert_one_at_a_time(&writes(&world));
}

/// Something for the operators to do, and attempts that must be refused, until this is dropped.
struct Load<'a> {
    world: &'a World,
    over: AtomicBool,
    rounds: AtomicUsize,
}

impl<'a> Load<'a> {
    fn on(world: &'a World) -> Self {
        Self { world, over: AtomicBool::new(false), rounds: AtomicUsize::new(0) }
    }

    /// Nodes come and go, trust comes and goes, and in every round somebody tries to get around it.
    async fn run(&self) {
        let trusted = json!({"spec": {"qualifications": qualified_cloud("snc")["spec"]["qualifications"]}});
        let mut elsewhere = json!({"metadata": {"generateName": "bad-"}, "spec": pod("x")["spec"]});
        elsewhere["spec"]["nodeName"] = "aws-1".into();
        while !self.over.load(Ordering::Relaxed) {
            let round = self.rounds.fetch_add(1, Ordering::Relaxed);
            match round % 8 {
                // What piles up would slow down everything else.
                2 => {
                    let all = "/api/v1/namespaces/secret/pods?gracePeriodSeconds=0";
                    send(&self.world.admin, Method::DELETE, all, None).await.expect("the API server answers");
                }
                0 => self.world.patch(CLOUD, suspension("2025-06-01T00:00:00Z".parse().unwrap())).await,
                4 => self.world.patch(CLOUD, trusted.clone()).await,
                turn => {
                    let name = format!("load-{turn}");
                    let path = format!("/api/v1/nodes/{name}");
                    send(&self.world.admin, Method::DELETE, &path, None).await.expect("the API server answers");
                    apply(&self.world.admin, &[node(&name, "snc")]).await;
                }
            }
            let answer = self.world.create_pod("secret", &elsewhere).await;
            assert!(answer.refusal().contains("bypasses the scheduler"), "{answer:?}");
            // These may be refused; they must not run where they may not.
            self.world.create_pod("secret", &json!({"metadata": {"generateName": "a-"}, "spec": pod("x")["spec"]})).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until it has done something again.
    async fn go_on(&self) {
        let before = self.rounds.load(Ordering::Relaxed);
        wait_until("there is load", async || if self.rounds.load(Ordering::Relaxed) > before + 8 { Ok(()) } else { Err(before) }).await;
    }
}

/// Two replicas that lose leases quickly, of which the first one leads.
async fn pair(name: &str) -> (World, Replica, Replica) {
    let world = World::installed(name).await;
    let first = Replica::launch(&world, "rempart-a", &SOON);
    first.wait_for_log("the guard holds").await;
    world.cluster.history().promise(&[]);
    furnish(&world).await;
    world.wait_nodes("snc", "restreint", true).await;
    let second = Replica::launch(&world, "rempart-b", &SOON);
    second.wait_for_log("standing by").await;
    (world, first, second)
}

async fn kill_leaders(name: &str, times: usize) {
    let (world, first, second) = pair(name).await;
    let load = Load::on(&world);
    let (mut replicas, mut longest) = (vec![first, second], Duration::ZERO);
    let kills = async {
        for number in 1..=times {
            load.go_on().await;
            let led = wait_until("somebody leads", async || holder(&world).await.ok_or("nobody")).await;
            // SIGKILL: no time to tidy up.
            replicas.retain(|replica| replica.name != led);
            let killed = Instant::now();
            assert_eq!(replicas.len(), 1, "{led} was one of them");
            wait_until("the other leads", async || match holder(&world).await {
                Some(name) if name == replicas[0].name => Ok(()),
                other => Err(other),
            })
            .await;
            longest = longest.max(killed.elapsed());
            wait_until("and writes", async || match writers(&writes(&world)).last() {
                Some(name) if *name == replicas[0].name => Ok(()),
                other => Err(format!("{other:?}")),
            })
            .await;
            // A pod that comes in place of another has another name.
            replicas.push(Replica::launch(&world, &format!("rempart-{number}"), &SOON));
            replicas[1].wait_for_log("standing by").await;
        }
        load.go_on().await;
        load.over.store(true, Ordering::Relaxed);
    };
    tokio::join!(load.run(), kills);
    eprintln!("{name}: {times} kills, the longest time until another led was {longest:?}");
    // What is beyond the lease is the time to see it.
    assert!(longest < 2 * DURATION, "{longest:?} until another replica took over");
    assert_one_at_a_time(&writes(&world));
    world.patch(CLOUD, json!({"spec": {"qualifications": qualified_cloud("snc")["spec"]["qualifications"]}})).await;
    assert_works(&world, "late").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leads_is_killed_three_times_under_load_and_the_other_goes_on() {
    kill_leaders("replicas-killed", 3).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "soak: a quarter of an hour, fifty kills"]
async fn soak_whoever_leads_is_killed_fifty_times_under_load_and_the_other_goes_on() {
    kill_leaders("replicas-soak", 50).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stood_still_while_another_took_over_writes_nothing_when_it_goes_on() {
    let (world, first, second) = pair("replicas-stopped").await;
    let load = Load::on(&world);
    let stop = async {
        load.go_on().await;
        first.signal("-STOP");
        second.wait_for_log(LEADING).await;
        load.go_on().await;
        let before = first.log().len();
        first.signal("-CONT");
        wait_until("it knows that it no longer leads", async || {
            let since = first.log()[before..].to_owned();
            if since.contains("no longer leading") && since.contains(r#"standing by holder="rempart-b""#) { Ok(()) } else { Err(since) }
        })
        .await;
        load.go_on().await;
        load.over.store(true, Ordering::Relaxed);
    };
    tokio::join!(load.run(), stop);
    let writes = writes(&world);
    assert_one_at_a_time(&writes);
    assert_eq!(writers(&writes), ["rempart-a", "rempart-b"]);
    let (_, metrics) = first.asked("/metrics").await;
    assert!(metrics.contains("\nrempart_leader 0\n") && !metrics.contains("rempart_cleared_nodes{"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_nobody_named_one_leads() {
    let world = World::installed("replicas-unnamed").await;
    let launch = |number: u32| {
        let log = world.cluster.dir().join(format!("unnamed-{number}.log"));
        let mut command = world.command();
        command.env_remove("POD_NAME").stderr(File::create(&log).expect("the folder of the cluster is writable"));
        Replica { name: format!("unnamed-{number}"), process: command.spawn().expect("the operator starts"), log }
    };
    let first = launch(1);
    first.wait_for_log(LEADING).await;
    let second = launch(2);
    second.wait_for_log("standing by").await;
    assert!(!second.log().contains(LEADING));
}

/// A replica that has not heard that trust is over takes over at once.
#[tokio::test(flavor = "multi_thread")]
async fn who_takes_over_opens_nothing_that_the_other_had_closed_whatever_it_has_watched() {
    let mut world = World::installed("replicas-late").await;
    let first = Replica::launch(&world, "rempart-a", &NEVER);
    first.wait_for_log("the guard holds").await;
    world.cluster.history().promise(&[]);
    furnish(&world).await;
    world.wait_nodes("snc", "restreint", true).await;
    let proxy = Proxy::start(&world.cluster).await;
    world.speak_to(&proxy.url());
    let mute = proxy.spoil(On::requests("/trustedclouds[?].*watch=true"), |number| number == 1, Fault::Mute);
    let second = Replica::launch(&world, "rempart-b", &NEVER);
    second.wait_for_log("standing by").await;
    wait_until("it watches clouds and hears nothing", async || if proxy.spoilt(mute) > 0 { Ok(()) } else { Err(second.log()) }).await;
    second.wait_ready().await;

    world.patch(CLOUD, suspension("2025-06-01T00:00:00Z".parse().unwrap())).await;
    world.wait_nodes("snc", "restreint", false).await;
    let seen = clearances(&world);
    first.signal("-TERM");
    second.wait_for_log("the guard holds").await;
    world.nodes("late", 1, "aws").await;
    wait_until("it has written the Clearance", async || {
        let nodes = world.clearance().await["nodes"].clone();
        if nodes["late-1"] == "aws" { Ok(()) } else { Err(nodes) }
    })
    .await;
    let seen = wait_until("that was seen", async || {
        let seen = seen.lock().unwrap().clone();
        if seen.len() > 1 { Ok(seen) } else { Err(seen) }
    })
    .await;
    assert!(seen.iter().all(|cleared| !cleared), "it was cleared again: {seen:?}");
    assert_one_at_a_time(&writes(&world));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_a_lease_nothing_is_written_and_everybody_is_told() {
    let world = World::installed("replicas-no-right").await;
    let role = "/apis/rbac.authorization.k8s.io/v1/namespaces/rempart-system/roles/rempart-lease";
    let rules = world.get(role).await.unwrap()["rules"].clone();
    world.patch(role, json!({"rules": []})).await;
    wait_forbidden(&world, Method::GET, LEASE).await;
    let replica = Replica::launch(&world, "rempart-a", &NEVER);
    replica.wait_for_log("the lease cannot be read").await;
    wait_until("it is not ready, and says why", async || match replica.asked("/readyz").await {
        (503, why) if why.contains("leases.coordination.k8s.io") && why.contains("forbidden") => Ok(()),
        other => Err(other),
    })
    .await;
    assert_eq!(writes(&world).len(), 0);
    world.patch(role, json!({"rules": rules})).await;
    replica.wait_for_log("the guard holds").await;
}
