//! A cluster with Rempart installed as an administrator installs it, and the operator as a process that can be killed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use http::Method;
use kube::Client;
use serde_json::{Value, json};

use super::service::Service;
use crate::cluster::{Cluster, apply, send, try_apply, wait_until, yaml};
use crate::rights::OPERATOR;

/// A control plane with our CRDs and rights, and with the operator if it was started.
pub struct World {
    pub cluster: Cluster,
    pub admin: Client,
    /// The administrator in the operator's name: the only way to the Clearance.
    pub in_its_name: Client,
    /// Where API servers without mutating policies find the webhook.
    pub service: Service,
    operator: Option<Child>,
    identity: PathBuf,
    log: PathBuf,
}

impl World {
    /// A control plane on which everything is installed and the operator is not running yet.
    pub async fn installed(name: &str) -> Self {
        Self::installed_on(Cluster::start(name, &[])).await
    }

    /// The same on a cluster of any kind.
    pub async fn installed_on(cluster: Cluster) -> Self {
        let mut world = Self::bare(cluster).await;
        let admin = &world.admin;
        try_install(admin).await.expect("a new cluster takes everything");
        wait_until("the CRDs are served", async || {
            send(admin, Method::GET, "/apis/rempart.dev/v1alpha1/clearances", None).await.map_err(|error| error.to_string())?.accepted()
        })
        .await;
        world.identity = world.cluster.service_account("rempart-system", "rempart");
        world
    }

    /// A control plane on which nothing is installed.
    pub async fn bare(cluster: Cluster) -> Self {
        let (admin, in_its_name) = (cluster.admin().await, cluster.user(OPERATOR, &["system:masters"]).await);
        let log = cluster.dir().join("operator.log");
        Self { cluster, admin, in_its_name, service: Service::start(), operator: None, identity: PathBuf::new(), log }
    }

    /// The same with the operator running, and seen to hold.
    pub async fn guarded(name: &str) -> Self {
        let mut world = Self::installed(name).await;
        world.start().await;
        world
    }

    /// Installs what is missing.
    pub async fn install(&mut self) {
        wait_until("everything can be installed", async || try_install(&self.admin).await).await;
        self.identity = self.cluster.service_account("rempart-system", "rempart");
    }

    /// Starts the operator and waits until it has seen the API server refuse a violation.
    pub async fn start(&mut self) {
        self.launch();
        self.wait_for_log("the guard holds").await;
        self.cluster.history().promise(&[]);
    }

    /// Starts the operator.
    pub fn launch(&mut self) {
        self.launch_with(&[]);
    }

    /// Starts the operator with more flags.
    pub fn launch_with(&mut self, flags: &[&str]) {
        self.operator = Some(self.spawn(flags, &self.log));
    }

    /// Starts a process of the operator that belongs to the caller, in a pod that is called `rempart` unless a flag says otherwise.
    pub fn spawn(&self, flags: &[&str], log: &Path) -> Child {
        self.service.know(log);
        let log = File::create(log).expect("the folder of the cluster is writable");
        let mut command = self.command();
        command.env("POD_NAME", "rempart");
        if !flags.contains(&"--webhook-listen") {
            command.args(["--webhook-listen", "127.0.0.1:0", "--webhook-url", &self.service.url()]);
        }
        command.args(["--log", "info,rempart::operator=debug"]).args(flags).stdout(Stdio::null()).stderr(log);
        command.spawn().expect("the operator starts")
    }

    /// The operator against this cluster, under its ServiceAccount.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rempart"));
        command.args(["run", "--listen", "127.0.0.1:0", "--kubeconfig"]).arg(&self.identity);
        command
    }

    /// From its next start on, the operator speaks to this server.
    pub fn speak_to(&mut self, server: &str) {
        self.identity = elsewhere(&self.identity, server);
    }

    /// Whether the operator that was started still runs.
    pub fn is_running(&mut self) -> bool {
        self.operator.as_mut().is_some_and(|operator| operator.try_wait().is_ok_and(|ended| ended.is_none()))
    }

    /// Kills the operator: SIGKILL, no time to tidy up.
    pub fn kill(&mut self) {
        if let Some(mut operator) = self.operator.take() {
            operator.kill().expect("it was running");
            operator.wait().expect("it can be waited for");
        }
    }

    /// The exit code of an operator that has ended by itself.
    pub fn ended(&mut self) -> Option<i32> {
        assert!(!self.is_running(), "{}", self.log());
        self.operator.take()?.wait().expect("it can be waited for").code()
    }

    /// Asks the operator to end, and gives its exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        let mut operator = self.operator.take()?;
        let asked = Command::new("kill").arg(operator.id().to_string()).status().expect("kill is everywhere");
        assert!(asked.success());
        operator.wait().expect("it can be waited for").code()
    }

    /// What the operator keeps in memory in KiB: `VmRSS` now, `VmHWM` at most since it started.
    pub fn memory_kib(&self, what: &str) -> u64 {
        let pid = self.operator.as_ref().expect("it runs").id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("Linux tells");
        let found = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':')).expect("every process has memory");
        found.trim().trim_end_matches(" kB").parse().expect("it is a number")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub async fn wait_for_log(&self, text: &str) {
        wait_until(text, async || if self.log().contains(text) { Ok(()) } else { Err(self.log()) }).await;
    }

    /// Waits until the operator has nothing left to do: its last plan was empty, and still is a moment later.
    pub async fn settled(&self) {
        let last = || self.log().lines().rfind(|line| line.contains("planned steps=")).map(str::to_owned);
        wait_until("nothing is left to do", async || {
            let found = last();
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            let idle = found.as_ref().is_some_and(|line| line.contains("steps=0 guarded=true"));
            if idle && last() == found { Ok(()) } else { Err(found) }
        })
        .await;
    }

    pub async fn get(&self, path: &str) -> Result<Value, String> {
        send(&self.admin, Method::GET, path, None).await.map_err(|error| error.to_string())?.accepted()
    }

    pub async fn items(&self, path: &str) -> Vec<Value> {
        self.get(path).await.expect("lists can be read")["items"].as_array().cloned().unwrap_or_default()
    }

    /// Who may write this, beside the operator.
    pub fn writer_of(&self, path: &str) -> &Client {
        if path.contains("/clearances/") { &self.in_its_name } else { &self.admin }
    }

    /// A merge patch as who may.
    pub async fn patch(&self, path: &str, change: Value) {
        let answer = send(self.writer_of(path), Method::PATCH, path, Some(&change)).await.expect("the API server answers");
        answer.accepted().unwrap_or_else(|why| panic!("{path}: {why}"));
    }

    pub async fn delete(&self, path: &str) {
        send(self.writer_of(path), Method::DELETE, path, None)
            .await
            .expect("the API server answers")
            .accepted()
            .unwrap_or_else(|why| panic!("{path}: {why}"));
    }

    /// What the Clearance says.
    pub async fn clearance(&self) -> Value {
        self.get("/apis/rempart.dev/v1alpha1/clearances/cluster").await.map(|object| object["spec"].clone()).unwrap_or_default()
    }

    /// Waits until a condition of an object of ours has this status, speaks of its present generation, and says `text`.
    pub async fn wait_condition(&self, path: &str, type_: &str, status: &str, text: &str) -> Value {
        wait_until(&format!("{path} {type_}={status} {text}"), async || {
            let object = self.get(&format!("/apis/rempart.dev/v1alpha1/{path}")).await?;
            let found = condition(&object, type_);
            let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
            let text_of = |field: &str| found[field].as_str().unwrap_or_default();
            let said = format!("{}: {}", text_of("reason"), text_of("message"));
            if current && found["status"] == status && said.contains(text) {
                Ok(object)
            } else {
                Err(format!("generation {}: {:#}", object["metadata"]["generation"], object["status"]))
            }
        })
        .await
    }

    /// Nodes named `<prefix>-<number>` of the cloud whose provider IDs begin with `kwok://<cloud>/`.
    pub async fn nodes(&self, prefix: &str, count: usize, cloud: &str) {
        create_nodes(&self.admin, prefix, count, cloud).await;
    }

    /// Waits until every node with this prefix is Ready and labelled, or not, with the clearance of `level`.
    pub async fn wait_nodes(&self, prefix: &str, level: &str, cleared: bool) {
        let key = format!("rempart.node-restriction.kubernetes.io/{level}");
        wait_until(&format!("nodes {prefix}: {level} {cleared}"), async || {
            let nodes = self.items("/api/v1/nodes").await;
            let wrong =
                nodes.iter().filter(|node| node["metadata"]["name"].as_str().is_some_and(|name| name.starts_with(&format!("{prefix}-"))));
            let wrong: Vec<_> = wrong
                .filter(|node| (node["metadata"]["labels"][&key] == "cleared") != cleared)
                .map(|node| node["metadata"]["name"].clone())
                .collect();
            if wrong.is_empty() { Ok(()) } else { Err(wrong) }
        })
        .await;
    }

    /// Pods of a namespace that are not being deleted: name, node, phase.
    pub async fn pods(&self, namespace: &str) -> Vec<(String, Option<String>, String)> {
        let pods = self.items(&format!("/api/v1/namespaces/{namespace}/pods")).await;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        pods.iter()
            .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
            .map(|pod| (text(&pod["metadata"]["name"]).unwrap(), text(&pod["spec"]["nodeName"]), text(&pod["status"]["phase"]).unwrap()))
            .collect()
    }

    /// Waits until a namespace has exactly `count` pods and all of them run or have run.
    pub async fn wait_pods(&self, namespace: &str, count: usize) -> Vec<(String, Option<String>, String)> {
        wait_until(&format!("{count} pods run in {namespace}"), async || {
            let pods = self.pods(namespace).await;
            let running = pods.iter().filter(|(_, _, phase)| phase == "Running" || phase == "Succeeded").count();
            if running == count && pods.len() == count { Ok(pods) } else { Err(format!("{running} of {}: {pods:?}", pods.len())) }
        })
        .await
    }

    /// Creates a pod as the administrator; the answer may be a refusal.
    pub async fn create_pod(&self, namespace: &str, pod: &Value) -> crate::cluster::Answer {
        send(&self.admin, Method::POST, &format!("/api/v1/namespaces/{namespace}/pods"), Some(pod)).await.expect("the API server answers")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(operator) = &mut self.operator {
            let _ = operator.kill();
            let _ = operator.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            eprintln!("the operator's log ended with:\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}

/// The same kubeconfig for another server.
pub fn elsewhere(kubeconfig: &Path, server: &str) -> PathBuf {
    let text = std::fs::read_to_string(kubeconfig).expect("the supervisor wrote this file");
    let lines = text.lines().map(|line| match line.split_once("server: ") {
        Some((before, _)) => format!("{before}server: {server}\n"),
        None => format!("{line}\n"),
    });
    let path = kubeconfig.with_extension("elsewhere");
    std::fs::write(&path, lines.collect::<String>()).expect("the folder of the cluster is writable");
    path
}

/// A condition of an object.
pub fn condition(object: &Value, type_: &str) -> Value {
    let conditions = object["status"]["conditions"].as_array();
    conditions.and_then(|all| all.iter().find(|condition| condition["type"] == type_)).cloned().unwrap_or_default()
}

/// Nodes named `<prefix>-<number>` of the cloud whose provider IDs begin with `kwok://<cloud>/`.
pub async fn create_nodes(client: &Client, prefix: &str, count: usize, cloud: &str) {
    let nodes: Vec<Value> = (1..=count).map(|number| node(&format!("{prefix}-{number}"), cloud)).collect();
    for chunk in nodes.chunks(50) {
        futures::future::join_all(chunk.iter().map(|node| apply(client, std::slice::from_ref(node)))).await;
    }
}

/// A node that kwok manages.
pub fn node(name: &str, cloud: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "spec": {"providerID": format!("kwok://{cloud}/{name}")},
    })
}

/// A pod that has nothing special.
pub fn pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
}

/// A cloud with a SecNumCloud 3.2 qualification whose nodes have provider IDs `kwok://<name>/…`.
pub fn qualified_cloud(name: &str) -> Value {
    json!({
        "apiVersion": "rempart.dev/v1alpha1", "kind": "TrustedCloud", "metadata": {"name": name},
        "spec": {
            "offering": {"service": "Test cloud", "model": "IaaS"},
            "operator": {
                "legalName": "Test SAS", "registeredOffice": "FR", "centralAdministration": "FR", "principalEstablishment": "FR",
                "ultimateParent": {"legalName": "Test SAS", "country": "FR"},
            },
            "locations": {"storage": ["FR"], "processing": ["FR"]},
            "qualifications": [{"scheme": "secnumcloud", "version": "3.2", "validFrom": "2025-01-01", "validUntil": "2099-12-31"}],
            "nodes": [{"providerID": format!("kwok://{name}/.*")}],
        },
    })
}

/// A cloud of which only the place is known.
pub fn plain_cloud(name: &str) -> Value {
    let mut cloud = qualified_cloud(name);
    cloud["spec"]["operator"] = json!({"legalName": "Foreign Inc.", "ultimateParent": {"legalName": "Foreign Inc.", "country": "US"}});
    cloud["spec"]["qualifications"] = json!([]);
    cloud
}

/// A level: its name, what it requires, and other fields of its spec.
pub fn level(name: &str, requires: Value, others: Value) -> Value {
    let mut spec = others;
    spec["requires"] = requires;
    json!({"apiVersion": "rempart.dev/v1alpha1", "kind": "SensitivityLevel", "metadata": {"name": name}, "spec": spec})
}

/// A level that asks for SecNumCloud 3.2 and an operator in the EEA.
pub fn restreint() -> Value {
    level(
        "restreint",
        json!({"qualifications": [{"allOf": [{"scheme": "secnumcloud", "minimumVersion": "3.2"}]}], "operator": {"seatsIn": ["EU"], "parentIn": ["EEA"]}}),
        json!({}),
    )
}

/// A level that asks for a place only.
pub fn interne() -> Value {
    level("interne", json!({"locations": {"storage": ["EEA"], "processing": ["EEA"]}}), json!({}))
}

/// A namespace, with a level if one is given.
pub fn namespace(name: &str, level: Option<&str>) -> Value {
    let labels = level.map(|level| json!({"rempart.dev/sensitivity": level})).unwrap_or(json!({}));
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
}

/// A JSON merge patch: what is null goes.
pub fn merged(mut whole: Value, patch: Value) -> Value {
    let Value::Object(fields) = patch else { return patch };
    if !whole.is_object() {
        whole = json!({});
    }
    for (key, value) in fields {
        let merged = merged(whole[&key].take(), value);
        match merged {
            Value::Null => drop(whole.as_object_mut().unwrap().remove(&key)),
            merged => whole[&key] = merged,
        }
    }
    whole
}

/// Applies what an administrator applies: `kubectl apply --server-side -f crds/ -f deploy/`.
async fn try_install(admin: &Client) -> Result<(), kube::Error> {
    for object in ["crds", "deploy"].into_iter().flat_map(folder_of) {
        try_apply(admin, &object).await?;
    }
    Ok(())
}

fn folder_of(folder: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().flat_map(|path| yaml(&std::fs::read_to_string(path).unwrap())).collect()
}
