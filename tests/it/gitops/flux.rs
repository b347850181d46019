//! Flux's kustomize-controller. Its source-controller, which fetches what is in Git and serves it, is played by the test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

use super::{ids, install_kinds, only_the_deployment_goes, recipes, team};
use crate::cluster::{apply, ran, tool, wait_until};
use crate::objects::class;
use crate::operator::gitops::{at_rest, live, manifests, provisioned, versions};
use crate::operator::world::{World, condition, interne, level, merged, namespace};

const GIT: &str = "/apis/source.toolkit.fluxcd.io/v1/namespaces/flux-system/gitrepositories/fleet";

/// What the supervisor says of Flux.
#[derive(Deserialize)]
struct Flux {
    controller: PathBuf,
    /// The folders with its kinds.
    crds: Vec<PathBuf>,
}

static FLUX: LazyLock<Flux> = LazyLock::new(|| serde_json::from_str(&tool("flux")).expect("it tells both"));

/// What is served of each revision.
type Served = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A cluster with Rempart and Flux, and a repository that it follows.
struct Fleet {
    world: World,
    served: Served,
    url: String,
    controller: Child,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = self.controller.kill();
        let _ = self.controller.wait();
    }
}

impl Fleet {
    async fn start(name: &str) -> Self {
        let world = World::guarded(name).await;
        let files = FLUX.crds.iter().flat_map(|folder| fs::read_dir(folder).expect("it is a folder of the release"));
        install_kinds(&world, files.map(|entry| entry.unwrap().path())).await;
        let git = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "metadata": {"name": "fleet", "namespace": "flux-system"},
            "spec": {"url": "https://git.example/fleet.git", "interval": "1h", "ref": {"branch": "main"}},
        });
        apply(&world.admin, &[namespace("flux-system", None), git]).await;
        let served = Served::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let router = Router::new().route("/{revision}", get(artifact)).with_state(served.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });

        let temporary = world.cluster.dir().join("flux");
        fs::create_dir_all(&temporary).unwrap();
        let log = File::create(world.cluster.dir().join("flux.log")).unwrap();
        let controller = Command::new(&FLUX.controller)
            .args(["--metrics-addr=127.0.0.1:0", "--health-addr=127.0.0.1:0", "--requeue-dependency=1s"])
            .env("KUBECONFIG", world.cluster.dir().join("kubeconfig"))
            .env("RUNTIME_NAMESPACE", "flux-system")
            .env("TMPDIR", temporary)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("it was built for this machine");
        Self { world, served, url, controller }
    }

    /// Commits these files, whole: what is not among them is gone. Gives the revision.
    async fn commit(&self, files: &[(&str, Vec<Value>)]) -> String {
        let name = format!("{:040x}", self.served.lock().unwrap().len() + 1);
        let folder = self.world.cluster.dir().join(&name);
        for (path, objects) in files {
            let file = folder.join(path);
            fs::create_dir_all(file.parent().expect("it is in a folder")).unwrap();
            fs::write(file, json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string()).unwrap();
        }
        let archive = folder.with_extension("tar.gz");
        let mut tar = Command::new("tar");
        tar.arg("-czf").arg(&archive).arg("-C").arg(&folder).arg(".");
        ran(tar).expect("tar is everywhere");
        let bytes = fs::read(archive).unwrap();
        let digest = Sha256::digest(&bytes).iter().fold("sha256:".to_owned(), |hex, byte| format!("{hex}{byte:02x}"));
        self.served.lock().unwrap().insert(name.clone(), bytes);

        let revision = format!("main@sha1:{name}");
        let artifact = json!({
            "url": format!("{}/{name}", self.url), "path": name, "revision": revision, "digest": digest, "lastUpdateTime": "2026-01-01T00:00:00Z",
        });
        let ready = json!({
            "type": "Ready", "status": "True", "reason": "Succeeded", "message": "stored", "lastTransitionTime": "2026-01-01T00:00:00Z",
        });
        let status = json!({"status": {"artifact": artifact, "conditions": [ready], "observedGeneration": 1}});
        self.world.patch(&format!("{GIT}/status"), status).await;
        revision
    }

    /// The Kustomization of the book with this name, changed like this. Rempart itself was installed by other means.
    async fn follow(&self, name: &str, change: Value) {
        let written = recipes("Kustomization").into_iter().find(|found| found["metadata"]["name"] == name);
        let mut followed = merged(written.expect("the book has it"), json!({"spec": {"retryInterval": "2s"}}));
        if let Some(after) = followed["spec"]["dependsOn"].as_array_mut() {
            after.retain(|one| one["name"] != "rempart");
        }
        apply(&self.world.admin, &[merged(followed, change)]).await;
    }

    /// Waits until Flux says this of what it made of a revision.
    async fn says(&self, name: &str, revision: &str, status: &str, text: &str) -> Value {
        wait_until(&format!("{name} is {status} at {revision}: {text}"), async || {
            let found = self.world.get(&path(name)).await?;
            let ready = condition(&found, "Ready");
            let at = found["status"]["lastAttemptedRevision"] == revision
                && found["status"]["observedGeneration"] == found["metadata"]["generation"];
            let says = ready["status"] == status && ready["message"].as_str().is_some_and(|message| message.contains(text));
            if at && says { Ok(found) } else { Err(format!("{:#}", found["status"])) }
        })
        .await
    }

    /// Has Flux look again at what it has applied, and waits until it has.
    async fn again(&self, name: &str, token: &str) {
        self.world.patch(&path(name), json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": token}}})).await;
        wait_until("Flux has looked again", async || {
            let found = self.world.get(&path(name)).await?;
            let done = found["status"]["lastHandledReconcileAt"] == token && condition(&found, "Ready")["status"] == "True";
            if done { Ok(()) } else { Err(format!("{:#}", found["status"])) }
        })
        .await;
    }
}

async fn artifact(State(served): State<Served>, Path(revision): Path<String>) -> Result<Vec<u8>, StatusCode> {
    served.lock().unwrap().get(&revision).cloned().ok_or(StatusCode::NOT_FOUND)
}

fn path(kustomization: &str) -> String {
    format!("/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/flux-system/kustomizations/{kustomization}")
}

/// Whether an object belongs to those who decide on trust, and not to a team.
fn is_of_trust(object: &Value) -> bool {
    ["TrustedCloud", "SensitivityLevel"].iter().any(|kind| object["kind"] == *kind)
}

/// What Flux believes to be its own: `<namespace>_<name>_<group>_<kind>`.
fn inventory(kustomization: &Value) -> BTreeSet<String> {
    let entries = kustomization["status"]["inventory"]["entries"].as_array().cloned().unwrap_or_default();
    entries.iter().filter_map(|entry| entry["id"].as_str().map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make gitops: compiles Flux"]
async fn gitops_flux_applies_what_is_in_git_finds_nothing_to_correct_and_prunes_only_its_own() {
    let fleet = Fleet::start("flux").await;
    fleet.world.nodes("snc", 2, "snc").await;
    // A class of no cloud: a quota closes it.
    apply(&fleet.world.admin, &[class("standard", "csi.example")]).await;
    let (trust, team): (Vec<Value>, Vec<Value>) = manifests().into_iter().partition(is_of_trust);
    let first = fleet.commit(&[("trust/all.yaml", trust.clone()), ("teams/records/all.yaml", team.clone())]).await;
    // The team's comes first, and waits by itself for what it depends on.
    let declaration = json!({"apiVersion": "rempart.dev/v1alpha1", "kind": "DataDeclaration", "name": "records", "namespace": "emr"});
    fleet.follow("records", json!({"spec": {"healthChecks": [declaration]}})).await;
    fleet.follow("trust", json!({})).await;
    fleet.says("trust", &first, "True", "Applied revision").await;
    let records = fleet.says("records", &first, "True", "Applied revision").await;
    assert_eq!(inventory(&records), ids(&team), "and nothing that the operator wrote");
    provisioned(&fleet.world).await;
    at_rest(&fleet.world).await;

    let before = versions(&live(&fleet.world).await);
    for token in ["once", "twice"] {
        for name in ["trust", "records"] {
            fleet.again(name, token).await;
        }
        fleet.world.settled().await;
        assert_eq!(versions(&live(&fleet.world).await), before, "there is nothing to correct, and nobody answers it");
    }

    let fewer: Vec<Value> = team.iter().filter(|object| object["kind"] != "Deployment").cloned().collect();
    let second = fleet.commit(&[("trust/all.yaml", trust), ("teams/records/all.yaml", fewer.clone())]).await;
    let records = fleet.says("records", &second, "True", "Applied revision").await;
    assert_eq!(inventory(&records), ids(&fewer));
    only_the_deployment_goes(&fleet.world).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make gitops: compiles Flux"]
async fn gitops_flux_takes_everything_in_one_go_waits_for_what_is_missing_and_fails_on_what_is_wrong() {
    let fleet = Fleet::start("flux-health").await;
    fleet.world.nodes("snc", 2, "snc").await;
    let one_go = fleet.commit(&[("trust/all.yaml", manifests())]).await;
    fleet.follow("trust", json!({})).await;
    provisioned(&fleet.world).await;
    // It waits for all of them, pods included.
    fleet.says("trust", &one_go, "True", "Applied revision").await;
    at_rest(&fleet.world).await;

    let secret = |spec: Value| level("secret", json!({}), spec);
    let with = |object: Value| [manifests(), vec![object]].concat();
    // Once that is done: what is tried because of it must not be in the way of what is tried next.
    fleet.follow("trust", json!({"spec": {"timeout": "10s"}})).await;
    fleet.says("trust", &one_go, "True", "Applied revision").await;
    let missing = fleet.commit(&[("trust/all.yaml", with(secret(json!({"extends": ["interne"]}))))]).await;
    fleet.says("trust", &missing, "False", "SensitivityLevel/secret status: 'InProgress'").await;
    let there = fleet.commit(&[("trust/all.yaml", [with(secret(json!({"extends": ["interne"]}))), vec![interne()]].concat())]).await;
    fleet.says("trust", &there, "True", "Applied revision").await;

    // Long enough to see that it does not wait for that.
    fleet.follow("trust", json!({"spec": {"timeout": "1h"}})).await;
    fleet.says("trust", &there, "True", "Applied revision").await;
    let wrong = fleet.commit(&[("trust/all.yaml", [with(secret(json!({"extends": ["secret"]}))), vec![interne()]].concat())]).await;
    fleet.says("trust", &wrong, "False", "SensitivityLevel/secret status: 'Failed'").await;
    let mended = fleet.commit(&[("trust/all.yaml", [with(secret(json!({}))), vec![interne()]].concat())]).await;
    fleet.says("trust", &mended, "True", "Applied revision").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make gitops: compiles Flux"]
async fn gitops_flux_in_the_name_of_a_team_gives_a_level_and_does_not_take_it_back() {
    let fleet = Fleet::start("flux-team").await;
    team(&fleet.world, "flux-system").await;
    let records = |level: Option<&str>| [("teams/records/namespace.yaml", vec![namespace("records", level)])];
    let first = fleet.commit(&records(None)).await;
    fleet.follow("records", json!({"spec": {"dependsOn": null, "healthChecks": null, "serviceAccountName": "team"}})).await;
    fleet.says("records", &first, "True", "Applied revision").await;
    let given = fleet.commit(&records(Some("restreint"))).await;
    fleet.says("records", &given, "True", "Applied revision").await;
    for level in [Some("interne"), None] {
        let changed = fleet.commit(&records(level)).await;
        fleet.says("records", &changed, "False", "needs the verb declassify on sensitivitylevels.rempart.dev/restreint").await;
        let stays = fleet.world.get("/api/v1/namespaces/records").await.unwrap();
        assert_eq!(stays["metadata"]["labels"]["rempart.dev/sensitivity"], "restreint", "{stays:#}");
    }
    let back = fleet.commit(&records(Some("restreint"))).await;
    fleet.says("records", &back, "True", "Applied revision").await;
}
