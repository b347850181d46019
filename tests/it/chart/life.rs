//! A release from its first installation to its removal, with the real Helm. The commands are those of the chart's README.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::HELM;
use super::containers::{Containers, policies, run};
use crate::cluster::{Cluster, apply, ran, send, wait_until};
use crate::operator::world::{World, level, namespace, plain_cloud, pod, qualified_cloud, restreint};

const README: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/charts/rempart/README.md"));

const MANUAL: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/src/break-glass.md"));

/// The script that the README gives under this heading.
fn script_of(heading: &str) -> &'static str {
    script_in(README, heading)
}

fn script_in(text: &'static str, heading: &str) -> &'static str {
    let section = text.split_once(&format!("{heading}\n")).expect("it has this heading").1;
    section.split_once("```sh\n").and_then(|(_, script)| script.split_once("```")).expect("and gives a script").0
}

fn elsewhere() -> Value {
    let mut elsewhere = json!({"metadata": {"generateName": "bad-"}, "spec": pod("x")["spec"]});
    elsewhere["spec"]["nodeName"] = "aws-1".into();
    elsewhere
}

/// Whether a pod that violates the level of its namespace is let in.
async fn refused(world: &World) -> Result<(), String> {
    let answer = world.create_pod("secret", &elsewhere()).await;
    if answer.refusal().contains("bypasses the scheduler") { Ok(()) } else { Err(format!("{answer:?}")) }
}

/// Runs a script, and sees that nobody gets in at any moment meanwhile.
async fn under_fire(world: &World, script: &str) {
    let (over, shots) = (AtomicBool::new(false), AtomicUsize::new(0));
    let fire = async {
        while !over.load(Ordering::Relaxed) {
            refused(world).await.unwrap();
            shots.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let command = world.cluster.shell_command(&[&HELM.helm], script);
    let work = async {
        let done = tokio::task::spawn_blocking(|| ran(command)).await.unwrap();
        over.store(true, Ordering::Relaxed);
        done
    };
    let ((), done) = tokio::join!(fire, work);
    done.unwrap_or_else(|said| panic!("{script}\n{said}"));
    assert!(shots.load(Ordering::Relaxed) > 10, "that was no fire");
}

/// Installs from the README, and starts what runs then.
async fn install(world: &World, containers: &mut Containers, script: &str) {
    run(world, script);
    let deployment = world.get("/apis/apps/v1/namespaces/rempart-system/deployments/rempart").await.unwrap();
    assert_eq!(deployment["status"]["readyReplicas"], 2, "{:#}", deployment["status"]);
    containers.follow(world).await;
    assert_eq!(containers.running.len(), 2);
    containers.wait_for("the guard holds").await;
    containers.wait_for("standing by").await;
}

async fn furnish(world: &World) {
    let requires = restreint()["spec"]["requires"].clone();
    apply(&world.admin, &[qualified_cloud("snc"), plain_cloud("aws"), level("strict", requires, json!({}))]).await;
    world.nodes("snc", 1, "snc").await;
    world.nodes("aws", 1, "aws").await;
    world.wait_nodes("snc", "strict", true).await;
    apply(&world.admin, &[namespace("secret", Some("strict"))]).await;
    wait_until("a pod is accepted", async || world.create_pod("secret", &pod("runs")).await.accepted()).await;
    world.wait_pods("secret", 1).await;
    wait_until("a pod that names its node is refused", async || refused(world).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_installed_upgraded_rolled_back_removed_and_installed_again() {
    let world = World::bare(Cluster::start("chart-life", &["--nodes", "3"])).await;
    let mut containers = Containers::default();
    install(&world, &mut containers, script_of("# Rempart by Helm")).await;
    world.cluster.history().promise(&[]);
    furnish(&world).await;
    let first = policies(&world).await;

    // Presets, and what the same pods take up while they run; then something that makes other pods; and back.
    under_fire(&world, script_of("## After the first installation")).await;
    assert_eq!(world.items("/apis/rempart.dev/v1alpha1/sensitivitylevels").await.len(), 14);
    let before: Vec<String> = containers.running.keys().cloned().collect();
    under_fire(&world, "helm upgrade rempart charts/rempart -n rempart-system --reuse-values --wait --set log.level=debug").await;
    containers.follow(&world).await;
    assert_eq!(containers.running.keys().cloned().collect::<Vec<_>>(), before, "no pod is restarted for the log");
    containers.wait_for("says anew what is logged").await;
    world.nodes("more", 1, "snc").await;
    containers.wait_for(r#""level":"DEBUG""#).await;
    for change in ["upgrade rempart charts/rempart --reuse-values --set probeEvery=20s", "rollback rempart 2"] {
        let before: Vec<String> = containers.running.keys().cloned().collect();
        under_fire(&world, &format!("helm {change} -n rempart-system --wait")).await;
        wait_until("the old pods are gone", async || {
            let pods = world.items("/api/v1/namespaces/rempart-system/pods").await;
            if pods.len() == 2 { Ok(()) } else { Err(pods.len()) }
        })
        .await;
        containers.follow(&world).await;
        assert!(before.iter().all(|name| !containers.running.contains_key(name)), "{change} makes other pods");
        containers.wait_for("leading: this replica writes").await;
        containers.wait_for("the guard holds").await;
        refused(&world).await.unwrap();
    }
    let now = policies(&world).await;
    // Presets that only warn bring policies of their own.
    let anew: Vec<_> = first.iter().filter(|(name, uid)| now.get(*name) != Some(uid)).collect();
    assert!(anew.is_empty(), "these were not changed in place: {anew:?}");

    let (uninstall, rest) = script_of("## Remove").split_once('\n').unwrap();
    under_fire(&world, uninstall).await;
    containers.follow(&world).await;
    assert!(containers.running.is_empty());
    refused(&world).await.expect("what the release leaves behind stands");
    let before = world.clearance().await["levels"]["restreint"]["notAfter"].clone();
    run(&world, &format!("{}{}", script_in(MANUAL, "In a shell, for what follows:"), script_in(MANUAL, "To put that off by a day:")));
    assert_ne!(world.clearance().await["levels"]["restreint"]["notAfter"], before, "nobody else can put it off");
    let excused = world.cluster.history().excuse();
    run(&world, rest);
    wait_until("nothing is refused any more", async || world.create_pod("secret", &elsewhere()).await.accepted()).await;
    assert_eq!(policies(&world).await.len(), 0);
    let left = run(&world, "kubectl get namespaces,clusterroles,clusterrolebindings,crds -o name | grep rempart | grep -v system:");
    let mut left: Vec<&str> = left.lines().collect();
    left.sort_unstable();
    let kept = ["clearances", "datadeclarations", "sensitivitylevels", "trustedclouds"]
        .map(|kind| format!("customresourcedefinition.apiextensions.k8s.io/{kind}.rempart.dev"));
    assert_eq!(left, [&kept[..], &["namespace/rempart-system".to_owned()]].concat());
    assert_eq!(world.items("/apis/rempart.dev/v1alpha1/trustedclouds").await.len(), 2, "what was declared stays");

    drop(excused);
    let line = script_of("# Rempart by Helm").lines().find(|line| line.starts_with("helm install")).unwrap();
    install(&world, &mut containers, line).await;
    wait_until("a pod that names its node is refused", async || refused(&world).await).await;
    world.wait_condition("sensitivitylevels/strict", "Compliant", "False", "aws-1").await;
    wait_until("a pod is accepted", async || world.create_pod("secret", &pod("later")).await.accepted()).await;

    let excused = world.cluster.history().excuse();
    run(&world, uninstall);
    containers.follow(&world).await;
    run(&world, rest);
    run(&world, "kubectl delete crd -l app.kubernetes.io/part-of=rempart; kubectl delete namespace rempart-system");
    let left = run(&world, "kubectl api-resources --api-group rempart.dev -o name; kubectl get namespaces -o name");
    assert!(!left.contains("rempart"), "{left}");
    send(&world.admin, Method::DELETE, "/api/v1/namespaces/secret", None).await.unwrap().accepted().unwrap();
    wait_until("nothing holds the namespace up", async || match world.get("/api/v1/namespaces/secret").await {
        Err(why) if why.starts_with("404") => Ok(()),
        other => Err(other),
    })
    .await;
    drop(excused);
}
