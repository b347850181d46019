//! A real control plane for a suite, and the few things that every suite does with one.
//!
//! ```ignore
//! static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start("name-of-the-suite", &["--nodes", "4"]));
//! ```
//!
//! It ends with this process, however that dies: it holds the other end of a pipe. A client belongs to the runtime of
//! its test, so each test asks for its own.

use std::fmt::Debug;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use http::{Method, Request};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::client::{Body, Client};
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind, TypeMeta};
use serde_json::Value;

use crate::history::{History, Seen};
use crate::rights;

/// How long a condition may take to come true; the rest is for busy machines.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A running control plane.
pub struct Cluster {
    dir: PathBuf,
    lifeline: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    history: History,
    _supervisor: Child,
    _lock: File,
}

impl Cluster {
    /// Starts one, with flags of `cluster serve`. The first time on a machine it is built, which takes minutes and shows.
    pub fn start(suite: &str, flags: &[&str]) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{suite}-{}", std::process::id()));
        sweep(suite);
        let lock = File::create(dir.with_extension("lock")).expect("cargo makes this folder");
        lock.lock().expect("nobody else has our process id");
        let mut supervisor = Command::new(SUPERVISOR.as_path())
            .args(["serve", "--lifeline", "--dir"])
            .arg(&dir)
            .args(flags)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the control plane's supervisor starts");
        let input = supervisor.stdin.take().expect("its input is a pipe");
        let mut output = BufReader::new(supervisor.stdout.take().expect("its output is a pipe"));
        let ready = answer(&mut output);
        let history = History::record(ready["etcd"].as_str().expect("the supervisor says where etcd is"));
        Self { dir, lifeline: Mutex::new((input, output)), history, _supervisor: supervisor, _lock: lock }
    }

    /// Starts one whose API server serves no mutating policies, as before Kubernetes 1.36.
    pub fn without_mutation(suite: &str, flags: &[&str]) -> Self {
        let off = [
            "--runtime-config=admissionregistration.k8s.io/v1/mutatingadmissionpolicies=false",
            "--runtime-config=admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings=false",
            "--disable-admission-plugins=MutatingAdmissionPolicy",
        ];
        let off = off.into_iter().filter(|_| has_mutation()).flat_map(|flag| ["--apiserver-flag", flag]);
        Self::start(suite, &off.chain(flags.iter().copied()).collect::<Vec<_>>())
    }

    /// A client of the administrator, whom nothing but admission refuses anything.
    pub async fn admin(&self) -> Client {
        client(config(&self.dir.join("kubeconfig")).await)
    }

    /// The same at one of the API servers.
    pub async fn admin_at(&self, server: &str) -> Client {
        let mut config = config(&self.dir.join("kubeconfig")).await;
        config.cluster_url = server.parse().expect("the supervisor gives URLs");
        client(config)
    }

    /// A client of any user, by impersonation: for people and for service accounts.
    pub async fn user(&self, name: &str, groups: &[&str]) -> Client {
        let mut config = config(&self.dir.join("kubeconfig")).await;
        config.auth_info.impersonate = Some(name.to_owned());
        config.auth_info.impersonate_groups = Some(groups.iter().map(|&group| group.to_owned()).collect());
        client(config)
    }

    /// A client with a certificate of its own: for kubelets, whose identity the API server looks at closely.
    pub async fn certified(&self, name: &str, groups: &[&str]) -> Client {
        let mut command = Command::new(SUPERVISOR.as_path());
        command.args(["credential", "--user", name, "--dir"]).arg(&self.dir);
        for group in groups {
            command.args(["--group", group]);
        }
        let output = command.output().expect("the supervisor writes credentials");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        client(config(Path::new(String::from_utf8_lossy(&output.stdout).trim())).await)
    }

    /// The kubeconfig of a service account, with a token as a pod would have.
    pub fn service_account(&self, namespace: &str, name: &str) -> PathBuf {
        let mut command = Command::new(SUPERVISOR.as_path());
        command.args(["serviceaccount-kubeconfig", "-n", namespace, "--dir"]).arg(&self.dir).arg(name);
        let output = command.output().expect("the supervisor writes credentials");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
    }

    /// Where the files of the cluster are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The client of the kubelet of `node`.
    pub async fn kubelet(&self, node: &str) -> Client {
        self.certified(&format!("system:node:{node}"), &["system:nodes"]).await
    }

    /// Runs a script of a shell, as an administrator with kubectl would.
    pub fn shell(&self, script: &str) -> Result<String, String> {
        ran(self.shell_command(&[], script))
    }

    /// What runs such a script, with more programs than kubectl.
    pub fn shell_command(&self, programs: &[&Path], script: &str) -> Command {
        let kubectl = self.description()["kubectl"].as_str().map(PathBuf::from).expect("the supervisor says where kubectl is");
        let folders = programs.iter().copied().chain([kubectl.as_path()]).map(|path| path.parent().expect("it is in a folder").to_owned());
        let path = std::env::join_paths(folders.chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())));
        let mut shell = Command::new("sh");
        shell
            .args(["-euc", script])
            .env("PATH", path.expect("no folder has a colon in its name"))
            .env("KUBECONFIG", self.dir.join("kubeconfig"))
            .env("KUBECACHEDIR", self.dir.join("kubectl-cache"))
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        shell
    }

    fn description(&self) -> Value {
        let file = std::fs::read(self.dir.join("cluster.json")).expect("the supervisor describes the cluster");
        serde_json::from_slice(&file).expect("the description is JSON")
    }

    /// The URL of each API server.
    pub fn servers(&self) -> Vec<String> {
        self.description()["servers"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// A client of the scheduler for each API server.
    pub async fn schedulers(&self) -> Vec<Client> {
        let mut given = config(&self.dir.join("kubeconfig")).await;
        given.auth_info.impersonate = Some("system:kube-scheduler".to_owned());
        let of = |url: String| {
            let mut config = given.clone();
            config.cluster_url = url.parse().expect("it is a URL");
            client(config)
        };
        self.servers().into_iter().map(of).collect()
    }

    /// Commands the supervisor: `restart-apiserver`, `stop-scheduler`, `start-scheduler` and the like.
    pub fn command(&self, line: &str) {
        let mut lifeline = self.lifeline.lock().expect("no other command failed");
        writeln!(lifeline.0, "{line}").expect("the supervisor listens");
        let answer = answer(&mut lifeline.1);
        drop(lifeline);
        assert_ne!(answer["event"], "failed", "{answer}");
    }

    /// Lines of the audit logs that contain `text`.
    pub fn audited(&self, text: &str) -> Vec<String> {
        let logs = self.audit_logs();
        assert!(!logs.is_empty(), "each API server writes an audit log");
        let logs = logs.iter().map(|log| std::fs::read_to_string(log).expect("it can be read"));
        // The last line may be half written yet.
        let whole = logs.map(|log| log[..log.rfind('\n').unwrap_or_default()].to_owned());
        whole.flat_map(|log| log.lines().filter(|line| line.contains(text)).map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    /// What happened in it since its first revision.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Whether the invariant held in every revision until now, and what was seen.
    pub fn verdict(&self) -> Result<Seen, String> {
        self.history.verdict(&self.audit_logs())
    }

    /// What every test ends with: it fails if the invariant was broken, unless it fails anyway.
    pub fn conclude(&self) {
        match self.verdict() {
            Ok(seen) => eprintln!("history: {seen}"),
            Err(why) if std::thread::panicking() => eprintln!("history: {why}"),
            Err(why) => panic!("{why}"),
        }
    }

    fn audit_logs(&self) -> Vec<PathBuf> {
        ["audit.log", "audit-1.log"].map(|name| self.dir.join(name)).into_iter().filter(|log| log.exists()).collect()
    }
}

/// A test whose cluster broke the invariant has failed, whatever else it asserted.
impl Drop for Cluster {
    fn drop(&mut self) {
        let name = self.dir.file_name().unwrap_or_default().to_string_lossy();
        rights::keep(&name, &self.audited(rights::OPERATOR));
        self.conclude();
    }
}

/// A client as this file says.
pub async fn client_of(kubeconfig: &Path) -> Client {
    client(config(kubeconfig).await)
}

/// Whether the version of Kubernetes that is tested serves mutating policies.
pub fn has_mutation() -> bool {
    !std::env::var("KUBERNETES_VERSION").is_ok_and(|version| version.trim_start_matches('v').starts_with("1.35."))
}

/// Runs a command to its end, and gives all that it said.
pub fn ran(mut command: Command) -> Result<String, String> {
    let ran = command.output().expect("there is a shell");
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    if ran.status.success() { Ok(said) } else { Err(said) }
}

/// What the supervisor says of a tool: where it is, as a path or in JSON. Compiled the first time, which takes minutes and shows.
pub fn tool(name: &str) -> String {
    let mut supervisor = Command::new(SUPERVISOR.as_path());
    let output = supervisor.arg(name).current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("the supervisor builds it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it tells in text").trim().to_owned()
}

fn answer(output: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    output.read_line(&mut line).expect("the supervisor speaks");
    serde_json::from_str(&line).expect("the control plane starts and obeys; its log is above")
}

/// The program that runs control planes, built from `tests/cluster`.
static SUPERVISOR: LazyLock<PathBuf> = LazyLock::new(|| {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cluster");
    let built = Command::new("go")
        .args(["build", "-C", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster"), "-o"])
        .arg(&program)
        .arg(".")
        .status()
        .expect("Go is installed: the control plane is built with it");
    assert!(built.success(), "tests/cluster must compile");
    program
});

/// Removes what control planes of earlier runs left. A run that is alive holds the lock beside its folder; one of this run may still be ending.
fn sweep(suite: &str) {
    for entry in std::fs::read_dir(env!("CARGO_TARGET_TMPDIR")).expect("cargo makes this folder").flatten() {
        let name = entry.file_name();
        let of_suite = name.to_str().and_then(|name| name.strip_prefix(suite)?.strip_prefix('-')?.strip_suffix(".lock"));
        let earlier = of_suite.is_some_and(|pid| pid.parse().is_ok_and(|pid: u32| pid != std::process::id()));
        if earlier && File::open(entry.path()).is_ok_and(|lock| lock.try_lock().is_ok()) {
            let _ = std::fs::remove_dir_all(entry.path().with_extension(""));
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

async fn config(kubeconfig: &Path) -> Config {
    let file = Kubeconfig::read_from(kubeconfig).expect("the supervisor wrote this file");
    Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.expect("the file is a kubeconfig")
}

fn client(mut config: Config) -> Client {
    config.read_timeout = Some(PATIENCE);
    Client::try_from(config).expect("the certificates are well-formed")
}

/// What the API server said.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// The object, or the `Status` that says why not.
    pub body: Value,
    /// Texts of the `Warning` headers.
    pub warnings: Vec<String>,
}

impl Answer {
    /// The object, if the request was accepted.
    pub fn accepted(self) -> Result<Value, String> {
        if self.status < 300 { Ok(self.body) } else { Err(self.refusal()) }
    }

    /// The message of a refusal; empty for an accepted request.
    pub fn refusal(&self) -> String {
        if self.status < 300 { String::new() } else { format!("{}: {}", self.status, self.body["message"].as_str().unwrap_or_default()) }
    }
}

/// Sends a request as it is. A PATCH is a merge patch for an object, a JSON patch for a list.
pub async fn send(client: &Client, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, kube::Error> {
    let content = match body {
        Some(Value::Array(_)) => "application/json-patch+json",
        Some(_) if method == Method::PATCH => "application/merge-patch+json",
        _ => "application/json",
    };
    let bytes = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("Content-Type", content)
        .body(Body::from(bytes))
        .expect("paths in tests are well-formed");
    let response = client.send(request).await?;
    let warnings =
        response.headers().get_all("warning").iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
    let status = response.status().as_u16();
    let bytes = response.into_body().collect_bytes().await?;
    let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&bytes)));
    Ok(Answer { status, body, warnings })
}

/// Server-side applies objects as the field manager `test`.
pub async fn apply(client: &Client, objects: &[Value]) {
    for object in objects {
        if let Err(error) = try_apply(client, object).await {
            panic!("{} {} is not applied: {error}", object["kind"], object["metadata"]["name"]);
        }
    }
}

/// The same for one object that may be refused.
pub async fn try_apply(client: &Client, object: &Value) -> Result<DynamicObject, kube::Error> {
    let api = api_of(client, object);
    let name = object["metadata"]["name"].as_str().expect("an object that is applied has a name");
    api.patch(name, &PatchParams::apply("test").force(), &Patch::Apply(object)).await
}

/// The API of an object's kind, in its namespace if it has one.
pub fn api_of(client: &Client, object: &Value) -> Api<DynamicObject> {
    let types: TypeMeta = serde_json::from_value(object.clone()).expect("an object has a kind");
    let kind = GroupVersionKind::try_from(types).expect("apiVersion is group/version");
    let resource = ApiResource::from_gvk(&kind);
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// What the operator with this log answers at this path.
pub async fn asked(log: &str, path: &str) -> (u16, String) {
    let address = log.lines().find_map(|line| Some(line.split_once("address=")?.1.trim().to_owned())).expect("it says where it serves");
    let uri = format!("http://{address}").parse().expect("it is a URL");
    let mut config = Config::new(uri);
    // That it is not ready is an answer.
    config.default_retry = false;
    let client = Client::try_from(config).expect("there is no TLS");
    let request = Request::get(path).body(Body::empty()).expect("it is a path");
    let answer = client.send(request).await.expect("it answers");
    let status = answer.status().as_u16();
    let body = answer.into_body().collect_bytes().await.expect("it answers to the end");
    (status, String::from_utf8_lossy(&body).into_owned())
}

/// Reads the documents of a YAML text.
pub fn yaml(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).expect("YAML in tests is well-formed")
}

/// Waits until `condition` is fulfilled, and says what it still lacked when patience ends.
pub async fn wait_until<T, E: Debug>(what: &str, condition: impl AsyncFnMut() -> Result<T, E>) -> T {
    wait_for(PATIENCE, what, condition).await
}

/// The same with another patience, for what takes its time.
pub async fn wait_for<T, E: Debug>(patience: Duration, what: &str, mut condition: impl AsyncFnMut() -> Result<T, E>) -> T {
    let begin = Instant::now();
    loop {
        match condition().await {
            Ok(value) => return value,
            Err(lack) if begin.elapsed() > patience => panic!("in {patience:?}, not yet {what}: {lack:?}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// The request must have been refused by admission, with a message that contains `text`. That is 403, but 422 from a
/// policy whose parameter is not there or cannot be read.
#[track_caller]
pub fn expect_refused(answer: &Answer, text: &str) {
    assert!(
        [403, 422].contains(&answer.status) && answer.refusal().contains(text),
        "expected a refusal that says {text:?}, got {}",
        answer.body
    );
}
