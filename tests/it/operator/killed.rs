//! Killed at any write, before or after it reached the API server, and started again, the operator ends where it would have
//! ended undisturbed.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::converge::{differences, state};
use super::proxied;
use super::trust_ends::suspension;
use super::world::{World, condition, interne, merged, namespace, plain_cloud, qualified_cloud, restreint};
use crate::cluster::{apply, wait_until};
use crate::proxy::{Fault, On, Proxy, is_write};

/// Something that makes the operator write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Install,
    NewLevel,
    NodeJoins,
    CloudSuspended,
    LevelTightened,
    LevelRemoved,
    ClassChanged,
}

const LEVEL: &str = "/apis/rempart.dev/v1alpha1/sensitivitylevels/restreint";
const NEW: &str = "/apis/rempart.dev/v1alpha1/sensitivitylevels/interne";
const CLOUD: &str = "/apis/rempart.dev/v1alpha1/trustedclouds/snc";
const NODE: &str = "/api/v1/nodes/late-1";

impl Act {
    async fn begin(self, world: &mut World) {
        match self {
            Self::Install => world.launch(),
            Self::NewLevel => apply(&world.admin, &[interne()]).await,
            Self::NodeJoins => world.nodes("late", 1, "snc").await,
            Self::CloudSuspended => world.patch(CLOUD, suspension("2025-06-01T00:00:00Z".parse().unwrap())).await,
            Self::LevelTightened => world.patch(LEVEL, json!({"spec": {"requires": {"operator": {"seatsIn": ["DE"]}}}})).await,
            Self::LevelRemoved => world.delete(NEW).await,
            Self::ClassChanged => world.patch(CLOUD, storage("nvme")).await,
        }
    }

    /// Whether what it leads to is there; what, if not.
    async fn done(self, world: &World) -> Result<(), String> {
        let clearance = world.clearance().await;
        let clears = |cloud: &str, level: &str| clearance["clouds"][cloud].as_array().is_some_and(|levels| levels.contains(&json!(level)));
        let node = |name: &'static str, level: &'static str| async move {
            let node = world.get(&format!("/api/v1/nodes/{name}")).await.unwrap_or_default();
            node["metadata"]["labels"][format!("rempart.node-restriction.kubernetes.io/{level}")] == "cleared"
        };
        let done = match self {
            Self::Install => clears("snc", "restreint") && node("snc-1", "restreint").await && world.log().contains("the guard holds"),
            Self::NewLevel => clears("snc", "interne") && node("snc-1", "interne").await,
            Self::NodeJoins => clearance["nodes"]["late-1"] == "snc" && node("late-1", "restreint").await,
            Self::CloudSuspended | Self::LevelTightened => !clears("snc", "restreint") && !node("snc-1", "restreint").await,
            Self::ClassChanged => has_class(world, "nvme").await,
            Self::LevelRemoved => {
                !clears("snc", "interne")
                    && !node("snc-1", "interne").await
                    && world.get(NEW).await.is_err_and(|why| why.starts_with("404"))
            }
        };
        // What the operator writes last, when it has seen all policies in use.
        let enforced = condition(&world.get(LEVEL).await?, "Enforced");
        if done && enforced["status"] == "True" { Ok(()) } else { Err(format!("{self:?} is not done: {enforced}, {clearance}")) }
    }

    /// Makes undone what was done. Leaves the operator idle.
    async fn take_back(self, world: &mut World) {
        match self {
            Self::Install => unreachable!("a cluster is installed once"),
            Self::NewLevel => carry_out(Self::LevelRemoved, world).await,
            Self::LevelRemoved => carry_out(Self::NewLevel, world).await,
            Self::NodeJoins => {
                world.delete(NODE).await;
                wait_until("the node is forgotten", async || {
                    let nodes = world.clearance().await["nodes"].clone();
                    if nodes["late-1"].is_null() { Ok(()) } else { Err(nodes) }
                })
                .await;
            }
            Self::CloudSuspended => {
                world.patch(CLOUD, json!({"spec": {"qualifications": qualified_cloud("snc")["spec"]["qualifications"]}})).await;
                wait_until("it is trusted again", async || Self::Install.done(world).await).await;
            }
            Self::ClassChanged => {
                world.patch(CLOUD, storage("ssd")).await;
                wait_until("the class is as it was", async || if has_class(world, "ssd").await { Ok(()) } else { Err(world.log()) }).await;
            }
            Self::LevelTightened => {
                world.patch(LEVEL, json!({"spec": {"requires": restreint()["spec"]["requires"]}})).await;
                wait_until("it is satisfied again", async || Self::Install.done(world).await).await;
            }
        }
        world.settled().await;
    }
}

/// A storage class of a cloud, with a parameter that cannot be changed in place.
fn storage(kind: &str) -> Value {
    json!({"spec": {"storage": [{"name": "block", "provisioner": "csi.snc.example", "parameters": {"type": kind}}]}})
}

async fn has_class(world: &World, kind: &str) -> bool {
    let class = world.get("/apis/storage.k8s.io/v1/storageclasses/snc-block").await.unwrap_or_default();
    class["parameters"]["type"] == kind && world.clearance().await["storageClasses"]["snc-block"] == "snc"
}

/// A cluster in which there is something to install for, and a proxy before it. The operator is not running.
async fn prepared(name: &str) -> (World, Proxy) {
    let (world, proxy) = proxied(name).await;
    let snc = merged(qualified_cloud("snc"), storage("ssd"));
    apply(&world.admin, &[snc, plain_cloud("aws"), restreint(), namespace("secret", Some("restreint"))]).await;
    world.nodes("snc", 2, "snc").await;
    world.nodes("aws", 1, "aws").await;
    (world, proxy)
}

/// The same, installed, and ready for `act`.
async fn ready(name: &str, act: Act) -> (World, Proxy) {
    let (mut world, proxy) = prepared(name).await;
    carry_out(Act::Install, &mut world).await;
    if act == Act::LevelRemoved {
        carry_out(Act::NewLevel, &mut world).await;
    }
    (world, proxy)
}

/// Does it, and waits until there is nothing left to do.
async fn carry_out(act: Act, world: &mut World) {
    act.begin(world).await;
    wait_until("it is done", async || act.done(world).await).await;
    world.settled().await;
}

type State = BTreeMap<String, Value>;

/// Where it ends undisturbed, and how many writes that takes.
async fn undisturbed(act: Act, world: &mut World, proxy: &Proxy) -> (State, usize) {
    let before = proxy.requests().len();
    carry_out(act, world).await;
    let writes = proxy.requests()[before..].iter().filter(|line| is_write(line)).count();
    assert!(writes > 0, "{act:?} makes the operator write");
    (state(world).await, writes)
}

/// Kills the operator at its `number`th write, starts it again, and sees that it ends as `expected`.
async fn assert_killed(act: Act, world: &mut World, proxy: &Proxy, (number, fault): (usize, Fault), expected: &State) {
    proxy.spoil(On::Writes, move |count| count == number, fault);
    act.begin(world).await;
    // It may be fewer this time: two changes of a status can be one.
    wait_until("the write is made", async || if proxy.is_still() || is_idle(act, world).await { Ok(()) } else { Err(world.log()) }).await;
    if !proxy.is_still() {
        eprintln!("{act:?}: there was no write {number}");
    }
    world.kill();
    proxy.heal();
    world.start().await;
    wait_until("it is done", async || act.done(world).await).await;
    world.settled().await;
    wait_until(&format!("{act:?}, {fault:?} {number}: what is undisturbed is found after the kill"), async || {
        let unlike = differences(expected, &state(world).await);
        if unlike.is_empty() { Ok(()) } else { Err(unlike.join("\n")) }
    })
    .await;
}

async fn is_idle(act: Act, world: &World) -> bool {
    let log = world.log();
    let last = log.lines().rfind(|line| line.contains("planned steps="));
    last.is_some_and(|line| line.contains("steps=0 guarded=true")) && log.contains("the guard holds") && act.done(world).await.is_ok()
}

const FAULTS: [Fault; 2] = [Fault::FreezeBefore, Fault::FreezeAfter];

/// Kills at every write of `act`, before and after.
async fn assert_every_write(name: &str, act: Act) {
    let (mut world, proxy) = ready(name, act).await;
    let (expected, writes) = undisturbed(act, &mut world, &proxy).await;
    act.take_back(&mut world).await;
    for (number, fault) in (1..=writes).flat_map(|number| FAULTS.map(|fault| (number, fault))) {
        assert_killed(act, &mut world, &proxy, (number, fault), &expected).await;
        act.take_back(&mut world).await;
    }
    eprintln!("{act:?}: killed before and after each of {writes} writes");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_some_writes_it_ends_where_it_would_have_ended() {
    const SEED: u32 = 4;
    let pick = |act: Act, writes: usize| {
        let chance = Sha256::digest(format!("{SEED} {act:?}"));
        (usize::from(chance[0]) % writes + 1, FAULTS[usize::from(chance[1]) % 2])
    };
    let (mut calm, calm_proxy) = prepared("killed-calm").await;
    let (expected, writes) = undisturbed(Act::Install, &mut calm, &calm_proxy).await;
    let (mut world, proxy) = prepared("killed").await;
    assert_killed(Act::Install, &mut world, &proxy, pick(Act::Install, writes), &expected).await;

    for act in [Act::NewLevel, Act::LevelRemoved, Act::NodeJoins, Act::ClassChanged, Act::LevelTightened, Act::CloudSuspended] {
        let (expected, writes) = undisturbed(act, &mut calm, &calm_proxy).await;
        assert_killed(act, &mut world, &proxy, pick(act, writes), &expected).await;
        if act == Act::LevelTightened {
            // A cloud that is cleared for nothing cannot lose it.
            act.take_back(&mut calm).await;
            act.take_back(&mut world).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "soak: a quarter of an hour, a control plane for every write of an installation"]
async fn soak_killed_at_any_write_of_an_installation() {
    let (mut calm, calm_proxy) = prepared("killed-calm-soak").await;
    let (expected, writes) = undisturbed(Act::Install, &mut calm, &calm_proxy).await;
    for (number, fault) in (1..=writes).flat_map(|number| FAULTS.map(|fault| (number, fault))) {
        let (mut world, proxy) = prepared("killed-install").await;
        assert_killed(Act::Install, &mut world, &proxy, (number, fault), &expected).await;
    }
    eprintln!("killed before and after each of {writes} writes");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "soak: some minutes, a restart for every write"]
async fn soak_killed_at_any_write_of_a_new_level() {
    assert_every_write("killed-new-level", Act::NewLevel).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "soak: some minutes, a restart for every write"]
async fn soak_killed_at_any_write_when_a_level_goes() {
    assert_every_write("killed-level-removed", Act::LevelRemoved).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "soak: some minutes, a restart for every write"]
async fn soak_killed_at_any_write_when_a_node_joins() {
    assert_every_write("killed-node-joins", Act::NodeJoins).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "soak: some minutes, a restart for every write"]
async fn soak_killed_at_any_write_when_a_cloud_is_suspended() {
    assert_every_write("killed-suspended", Act::CloudSuspended).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "soak: some minutes, a restart for every write"]
async fn soak_killed_at_any_write_when_a_level_is_tightened() {
    assert_every_write("killed-tightened", Act::LevelTightened).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "soak: some minutes, a restart for every write"]
async fn soak_killed_at_any_write_when_a_class_changes() {
    assert_every_write("killed-class-changed", Act::ClassChanged).await;
}
