//! A release from its first installation to its removal, with the real Helm. The commands are those of the chart's README.
//!
//! Nobody runs containers here: kwok says that pods are ready. So for each pod of the operator the test starts the process that
//! its container would be, with the arguments, the environment and the configuration that the pod has, and ends it when the pod is
//! gone.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::HELM;
use crate::cluster::{Cluster, apply, ran, send, wait_until};
use crate::mounted::Mounted;
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

fn run(world: &World, script: &str) -> String {
    ran(world.cluster.shell_command(&[&HELM.0], script)).unwrap_or_else(|said| panic!("{script}\n{said}"))
}

/// The processes of the operator's pods, by pod.
#[derive(Default)]
struct Containers {
    running: BTreeMap<String, Child>,
    mounted: BTreeMap<String, Mounted>,
    logs: BTreeMap<String, PathBuf>,
}

impl Containers {
    /// Starts what has a pod, and then ends what has none any more, as a rollout does. Those that run see the ConfigMap as it is now.
    async fn follow(&mut self, world: &World) {
        let config = world.get("/api/v1/namespaces/rempart-system/configmaps/rempart-config").await;
        let config = config.ok().map(|config| config["data"]["config.yaml"].as_str().expect("it has the file").to_owned());
        let pods = world.items("/api/v1/namespaces/rempart-system/pods").await;
        let alive: BTreeMap<String, Value> = pods
            .into_iter()
            .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
            .map(|pod| (pod["metadata"]["name"].as_str().unwrap().to_owned(), pod))
            .collect();
        for (name, pod) in &alive {
            let config = config.as_ref().expect("a pod does not start without its ConfigMap");
            match self.mounted.get_mut(name) {
                Some(mounted) => mounted.write(config),
                None => self.start(world, name, pod, config),
            }
        }
        let over: Vec<String> = self.running.keys().filter(|name| !alive.contains_key(*name)).cloned().collect();
        for name in over {
            let mut process = self.running.remove(&name).unwrap();
            self.mounted.remove(&name);
            assert!(Command::new("kill").arg(process.id().to_string()).status().unwrap().success());
            assert_eq!(process.wait().unwrap().code(), Some(0), "{name} ends as it was asked to");
        }
    }

    fn start(&mut self, world: &World, name: &str, pod: &Value, config: &str) {
        let text = |value: &Value| value.as_str().expect("it is a text").to_owned();
        let container = &pod["spec"]["containers"][0];
        let environment = container["env"].as_array().into_iter().flatten().map(|variable| {
            let value = match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
                Some("metadata.name") => name.to_owned(),
                Some("metadata.namespace") => text(&pod["metadata"]["namespace"]),
                Some(other) => panic!("nobody gives it {other}"),
                None => text(&variable["value"]),
            };
            (text(&variable["name"]), value)
        });
        let mount = &container["volumeMounts"][0];
        assert_eq!((&mount["name"], &mount["readOnly"]), (&json!("config"), &json!(true)));
        assert_eq!(pod["spec"]["volumes"][0]["configMap"]["name"], "rempart-config");
        let mounted = Mounted::new(world.cluster.dir().join(format!("{name}-config")), config);
        let here = mounted.folder.to_str().expect("it is a text").to_owned();
        let inside = |argument: &Value| text(argument).replace(mount["mountPath"].as_str().expect("it is somewhere"), &here);
        let account = text(&pod["spec"]["serviceAccountName"]);
        let log = world.cluster.dir().join(format!("{name}.log"));
        let process = Command::new(env!("CARGO_BIN_EXE_rempart"))
            .args(container["args"].as_array().expect("it is told what to do").iter().map(inside))
            // What a kubelet would give it: an identity, and a network of its own.
            .args(["--listen", "127.0.0.1:0", "--kubeconfig"])
            .arg(world.cluster.service_account("rempart-system", &account))
            .env_clear()
            .envs(environment)
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .expect("the operator starts");
        self.running.insert(name.to_owned(), process);
        self.mounted.insert(name.to_owned(), mounted);
        self.logs.insert(name.to_owned(), log);
    }

    /// Waits until one of those that run has said this.
    async fn wait_for(&self, text: &str) {
        wait_until(text, async || {
            let logs: Vec<String> = self.running.keys().map(|name| std::fs::read_to_string(&self.logs[name]).unwrap()).collect();
            if logs.iter().any(|log| log.contains(text)) { Ok(()) } else { Err(logs) }
        })
        .await;
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        for process in self.running.values_mut() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
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
    let command = world.cluster.shell_command(&[&HELM.0], script);
    let work = async {
        let done = tokio::task::spawn_blocking(|| ran(command)).await.unwrap();
        over.store(true, Ordering::Relaxed);
        done
    };
    let ((), done) = tokio::join!(fire, work);
    done.unwrap_or_else(|said| panic!("{script}\n{said}"));
    assert!(shots.load(Ordering::Relaxed) > 10, "that was no fire");
}

/// Policies and bindings by name, each with its uid.
async fn policies(world: &World) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for kind in
        ["validatingadmissionpolicies", "validatingadmissionpolicybindings", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings"]
    {
        let objects = world.items(&format!("/apis/admissionregistration.k8s.io/v1/{kind}")).await;
        found.extend(
            objects.into_iter().map(|object| (format!("{kind}/{}", object["metadata"]["name"]), object["metadata"]["uid"].clone())),
        );
    }
    found
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
