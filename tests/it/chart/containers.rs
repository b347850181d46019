//! The containers of a release, and what is looked at in every test of one.
//!
//! Nobody runs containers here: kwok says that pods are ready. So for each pod of the operator the test starts the process that
//! its container would be, with the arguments, the environment and the configuration that the pod has, and ends it when the pod is
//! gone.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::HELM;
use crate::cluster::{ran, wait_until};
use crate::mounted::Mounted;
use crate::operator::world::World;

/// Runs a script that must succeed, of an administrator who has Helm.
pub(super) fn run(world: &World, script: &str) -> String {
    ran(world.cluster.shell_command(&[&HELM.helm], script)).unwrap_or_else(|said| panic!("{script}\n{said}"))
}

/// The processes of the operator's pods, by pod.
#[derive(Default)]
pub(super) struct Containers {
    pub(super) running: BTreeMap<String, Child>,
    /// What is in an image, by the tag of that; in any other is the program that was built with this test.
    pub(super) programs: BTreeMap<String, PathBuf>,
    mounted: BTreeMap<String, Mounted>,
    logs: BTreeMap<String, PathBuf>,
}

impl Containers {
    /// Starts what has a pod, and then ends what has none any more, as a rollout does. Those that run see the ConfigMap as it is now.
    pub(super) async fn follow(&mut self, world: &World) {
        let pods = world.items("/api/v1/namespaces/rempart-system/pods").await;
        let alive: BTreeMap<String, Value> = pods
            .into_iter()
            .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
            .map(|pod| (pod["metadata"]["name"].as_str().unwrap().to_owned(), pod))
            .collect();
        // After the pods, since what they mount was there before them.
        let config = world.get("/api/v1/namespaces/rempart-system/configmaps/rempart-config").await;
        let config = config.ok().map(|config| config["data"]["config.yaml"].as_str().expect("it has the file").to_owned());
        for (name, pod) in &alive {
            if !self.running.contains_key(name) {
                self.start(world, name, pod, config.as_deref());
            } else if let (Some(mounted), Some(config)) = (self.mounted.get_mut(name), &config) {
                mounted.write(config);
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

    fn start(&mut self, world: &World, name: &str, pod: &Value, config: Option<&str>) {
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
        let mut arguments: Vec<String> = container["args"].as_array().expect("it is told what to do").iter().map(text).collect();
        // Beside its ServiceAccount's token, nothing else is mounted.
        if let Some(mount) = container["volumeMounts"].as_array().into_iter().flatten().find(|mount| mount["name"] == "config") {
            assert_eq!(mount["readOnly"], true);
            assert_eq!(pod["spec"]["volumes"][0]["configMap"]["name"], "rempart-config");
            let config = config.expect("a pod does not start without its ConfigMap");
            let mounted = Mounted::new(world.cluster.dir().join(format!("{name}-config")), config);
            let here = mounted.folder.to_str().expect("it is a text");
            let inside = mount["mountPath"].as_str().expect("it is somewhere");
            for argument in &mut arguments {
                *argument = argument.replace(inside, here);
            }
            self.mounted.insert(name.to_owned(), mounted);
        }
        let account = text(&pod["spec"]["serviceAccountName"]);
        let log = world.cluster.dir().join(format!("{name}.log"));
        let process = Command::new(self.program(&text(&container["image"])))
            .args(arguments)
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
        self.logs.insert(name.to_owned(), log);
    }

    fn program(&self, image: &str) -> PathBuf {
        let tag = image.rsplit_once(':').expect("an image has a tag").1;
        self.programs.get(tag).cloned().unwrap_or_else(|| env!("CARGO_BIN_EXE_rempart").into())
    }

    /// Waits until one of those that run has said this.
    pub(super) async fn wait_for(&self, text: &str) {
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

/// Policies and bindings by name, each with its uid.
pub(super) async fn policies(world: &World) -> BTreeMap<String, Value> {
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
