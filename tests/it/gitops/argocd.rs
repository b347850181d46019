//! Argo CD's application controller and repository server, on a repository in a folder.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{id, ids, install_kinds, only_the_deployment_goes, recipes, team};
use crate::cluster::{apply, ran, tool, wait_for, wait_until, yaml};
use crate::objects::class;
use crate::operator::gitops::{at_rest, live, manifests, provisioned, versions};
use crate::operator::world::{World, condition, interne, level, merged, namespace};

const APPLICATION: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/records";
const PROJECT: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects/default";
/// For what takes some tries, between which Argo CD waits ever longer.
const LONG: Duration = Duration::from_mins(3);

/// What the supervisor says of Argo CD.
#[derive(Deserialize)]
struct Argocd {
    program: PathBuf,
    /// The manifests of the release.
    manifests: PathBuf,
}

static ARGOCD: LazyLock<Argocd> = LazyLock::new(|| serde_json::from_str(&tool("argocd")).expect("it tells both"));

/// A cluster with Rempart and Argo CD, and a repository that it follows.
struct Fleet {
    world: World,
    repository: PathBuf,
    argocd: Child,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = self.argocd.kill();
        let _ = self.argocd.wait();
    }
}

impl Fleet {
    async fn start(name: &str) -> Self {
        let world = World::guarded(name).await;
        install(&world).await;
        let folder = |name: &str| {
            let folder = world.cluster.dir().join(name);
            fs::create_dir_all(&folder).unwrap();
            folder
        };
        let (repository, working) = (folder("fleet"), folder("argocd"));
        let log = File::create(world.cluster.dir().join("argocd.log")).unwrap();
        let argocd = Command::new(&ARGOCD.program)
            .args([Path::new("--kubeconfig"), &world.cluster.dir().join("kubeconfig"), Path::new("--dir"), &working])
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("it was built for this machine");
        let fleet = Self { world, repository, argocd };
        fleet.git(&["init", "--quiet", "--initial-branch", "main"]);
        fleet
    }

    fn git(&self, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        git.arg("-C").arg(&self.repository).args(["-c", "user.name=test", "-c", "user.email=test@example"]).args(arguments);
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        ran(git).expect("git is installed")
    }

    /// Commits these objects, whole: what is not among them is gone. Gives the revision.
    fn commit(&self, objects: &[Value]) -> String {
        let file = self.repository.join(written()["spec"]["source"]["path"].as_str().expect("the book says where")).join("all.json");
        fs::create_dir_all(file.parent().expect("it is in a folder")).unwrap();
        fs::write(file, json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string()).unwrap();
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "change"]);
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    /// The Application of the book, changed like this.
    async fn follow(&self, change: Value) {
        let here = json!({"spec": {
            "source": {"repoURL": format!("file://{}", self.repository.display())}, "destination": {"namespace": "clinic"},
        }});
        apply(&self.world.admin, &[merged(merged(written(), here), change)]).await;
    }

    async fn application(&self) -> Value {
        self.world.get(APPLICATION).await.expect("it was applied")
    }

    /// Has Argo CD look again at Git and at the cluster, and waits until it has.
    async fn refresh(&self) -> Value {
        const REFRESH: &str = "argocd.argoproj.io/refresh";
        self.world.patch(APPLICATION, json!({"metadata": {"annotations": {REFRESH: "hard"}}})).await;
        wait_until("Argo CD has looked again", async || {
            let found = self.application().await;
            if found["metadata"]["annotations"][REFRESH].is_null() { Ok(found) } else { Err(format!("{:#}", found["status"])) }
        })
        .await
    }

    /// Has Argo CD sync though it sees no need to, and waits until it has.
    async fn sync(&self) {
        let before = self.application().await;
        let operation = json!({"sync": {"syncOptions": before["spec"]["syncPolicy"]["syncOptions"]}, "initiatedBy": {"username": "test"}});
        self.world.patch(APPLICATION, json!({"operation": operation})).await;
        wait_until("Argo CD has synced", async || {
            let found = self.application().await;
            let state = &found["status"]["operationState"];
            let another = state["operation"] != before["status"]["operationState"]["operation"]
                || state["startedAt"] != before["status"]["operationState"]["startedAt"];
            if another && state["phase"] == "Succeeded" && found["operation"].is_null() { Ok(()) } else { Err(format!("{state:#}")) }
        })
        .await;
    }

    /// Two refreshes and two syncs write nothing that anybody would answer, and Argo CD never sees a need for one.
    async fn nothing_to_correct(&self) {
        let before = versions(&live(&self.world).await);
        let synced = self.application().await["status"]["operationState"]["startedAt"].clone();
        for _ in 0..2 {
            let found = self.refresh().await;
            assert_eq!(out_of_sync(&found), Vec::<Value>::new());
            self.world.settled().await;
            assert_eq!(found["status"]["operationState"]["startedAt"], synced, "it heals nothing: {:#}", found["status"]);
            assert_eq!(versions(&live(&self.world).await), before, "nobody has written");
        }
        for _ in 0..2 {
            self.sync().await;
            self.world.settled().await;
            assert_eq!(versions(&live(&self.world).await), before, "a sync changes nothing, and nobody answers it");
            assert_eq!(out_of_sync(&self.refresh().await), Vec::<Value>::new());
        }
    }

    /// Waits until Argo CD has this revision, and says that it is in sync and this healthy.
    async fn synced(&self, revision: &str, health: &str) -> Value {
        wait_for(LONG, &format!("{revision} is synced and {health}"), async || {
            let found = self.application().await;
            let status = &found["status"];
            let synced = status["sync"]["status"] == "Synced" && status["sync"]["revision"] == revision;
            let done = status["operationState"]["phase"] == "Succeeded" && found["operation"].is_null();
            if synced && done && status["health"]["status"] == health { Ok(found) } else { Err(format!("{status:#}")) }
        })
        .await
    }

    /// Waits until a sync to this revision has failed, and says so.
    async fn failed(&self, revision: &str, text: &str) {
        wait_for(LONG, &format!("{revision} has failed: {text}"), async || {
            let state = self.application().await["status"]["operationState"].clone();
            let at = state["syncResult"]["revision"] == revision && state["phase"] == "Failed";
            if at && state["syncResult"]["resources"].to_string().contains(text) { Ok(()) } else { Err(format!("{state:#}")) }
        })
        .await;
    }

    /// Waits until Argo CD warns of orphans like this, or does not.
    async fn warned(&self, text: Option<&str>) {
        wait_until(&format!("orphans: {text:?}"), async || {
            let conditions = self.refresh().await["status"]["conditions"].clone();
            let found = conditions.as_array().and_then(|all| all.iter().find(|one| one["type"] == "OrphanedResourceWarning"));
            let said = found.map(|one| one["message"].as_str().unwrap_or_default());
            if said == text { Ok(()) } else { Err(conditions.to_string()) }
        })
        .await;
    }
}

/// The Application of the book.
fn written() -> Value {
    recipes("Application").pop().expect("the book has one")
}

/// Argo CD's kinds and settings as its release has them, with those that the book adds.
async fn install(world: &World) {
    let kinds = ["application", "applicationset", "appproject"];
    install_kinds(world, kinds.map(|kind| ARGOCD.manifests.join(format!("crds/{kind}-crd.yaml"))).iter()).await;
    let manifest = |path: &str| yaml(&fs::read_to_string(ARGOCD.manifests.join(path)).unwrap());
    let added = recipes("ConfigMap").into_iter().find(|found| found["metadata"]["name"] == "argocd-cm").expect("the book has it");
    let mut settings = manifest("base/config/argocd-cm.yaml").remove(0);
    let exclusions = |settings: &Value| settings["data"]["resource.exclusions"].as_str().unwrap_or_default().to_owned();
    let exclusions = exclusions(&settings) + &exclusions(&added);
    settings = merged(merged(settings, added), json!({"data": {"resource.exclusions": exclusions}}));
    let project = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": {"name": "default", "namespace": "argocd"},
        "spec": {
            "sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}], "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
            "orphanedResources": {"warn": true},
        },
    });
    let secret = merged(manifest("base/config/argocd-secret.yaml").remove(0), json!({"metadata": {"namespace": "argocd"}}));
    apply(&world.admin, &[namespace("argocd", None), settings, secret, project]).await;
}

/// What is in Git; Argo CD marks it by itself.
fn in_git() -> Vec<Value> {
    manifests().into_iter().map(|object| merged(object, json!({"metadata": {"annotations": null}}))).collect()
}

/// A block of the book that is a part of an Application, by how it begins.
fn part(start: &str) -> Value {
    let page = include_str!("../../../docs/src/gitops.md");
    let rest = page.split("```yaml\n").skip(1).find(|rest| rest.starts_with(start)).expect("the book has it");
    yaml(rest.split("```").next().unwrap_or_default()).remove(0)
}

fn resources(application: &Value) -> Vec<Value> {
    application["status"]["resources"].as_array().cloned().unwrap_or_default()
}

/// What differs from Git in the eyes of Argo CD, or would be pruned.
fn out_of_sync(application: &Value) -> Vec<Value> {
    resources(application).into_iter().filter(|found| found["status"] != "Synced").collect()
}

/// What Argo CD takes for its own.
fn tracked(application: &Value) -> BTreeSet<String> {
    let of = |found: &Value| id(&found["namespace"], &found["name"], found["group"].as_str().unwrap_or_default(), &found["kind"]);
    resources(application).iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make gitops: compiles Argo CD"]
async fn gitops_argocd_applies_what_is_in_git_finds_nothing_to_correct_and_prunes_only_its_own() {
    let fleet = Fleet::start("argocd").await;
    fleet.world.nodes("snc", 2, "snc").await;
    // A class of no cloud: a quota closes it.
    apply(&fleet.world.admin, &[class("standard", "csi.example")]).await;
    let first = fleet.commit(&in_git());
    fleet.follow(json!({})).await;
    provisioned(&fleet.world).await;
    at_rest(&fleet.world).await;
    let found = fleet.synced(&first, "Healthy").await;
    assert_eq!(tracked(&found), ids(&in_git()), "and nothing that the operator wrote");
    fleet.nothing_to_correct().await;

    // The project asks for orphans.
    fleet.warned(Some("Application has 1 orphaned resources")).await;
    let ignore = json!([{"kind": "ResourceQuota", "name": "rempart-classes"}]);
    fleet.world.patch(PROJECT, json!({"spec": {"orphanedResources": {"ignore": ignore}}})).await;
    fleet.warned(None).await;

    let fewer: Vec<Value> = in_git().into_iter().filter(|object| object["kind"] != "Deployment").collect();
    let second = fleet.commit(&fewer);
    fleet.refresh().await;
    assert_eq!(tracked(&fleet.synced(&second, "Healthy").await), ids(&fewer));
    only_the_deployment_goes(&fleet.world).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make gitops: compiles Argo CD"]
async fn gitops_argocd_by_its_own_diff_takes_for_drift_what_the_api_server_adds_unless_it_is_told_to_ignore_it() {
    let fleet = Fleet::start("argocd-diff").await;
    fleet.world.nodes("snc", 2, "snc").await;
    fleet.commit(&in_git());
    let by_itself = json!({"metadata": {"annotations": null}});
    fleet.follow(by_itself.clone()).await;
    provisioned(&fleet.world).await;
    at_rest(&fleet.world).await;
    wait_for(LONG, "these differ, and nothing else", async || {
        let differ: Vec<_> = out_of_sync(&fleet.refresh().await).into_iter().map(|found| found["kind"].clone()).collect();
        if differ == ["DaemonSet", "StatefulSet", "TrustedCloud"] { Ok(()) } else { Err(differ) }
    })
    .await;

    fleet.follow(merged(by_itself, part("spec:\n  ignoreDifferences:"))).await;
    let storage = json!([{"name": "block", "provisioner": "csi.example", "driverUse": "Shared", "volumeNames": "ClaimUid"}]);
    let explicit = |object: Value| match object["kind"].as_str() {
        Some("TrustedCloud") => merged(object, json!({"spec": {"storage": storage}})),
        _ => object,
    };
    let second = fleet.commit(&in_git().into_iter().map(explicit).collect::<Vec<_>>());
    fleet.refresh().await;
    fleet.synced(&second, "Healthy").await;
    fleet.nothing_to_correct().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make gitops: compiles Argo CD"]
async fn gitops_argocd_waits_for_what_is_missing_and_calls_what_is_wrong_degraded() {
    let fleet = Fleet::start("argocd-health").await;
    let secret = |spec: Value| level("secret", json!({}), spec);
    fleet.follow(json!({})).await;
    for (objects, health, type_) in [
        (vec![secret(json!({"extends": ["interne"]}))], "Progressing", "Ready"),
        (vec![secret(json!({"extends": ["interne"]})), interne()], "Healthy", "Ready"),
        (vec![secret(json!({"extends": ["secret"]})), interne()], "Degraded", "Stalled"),
        (vec![secret(json!({})), interne()], "Healthy", "Ready"),
    ] {
        let revision = fleet.commit(&objects);
        fleet.refresh().await;
        fleet.synced(&revision, health).await;
        wait_until("Argo CD says what the operator says", async || {
            let found = fleet.refresh().await;
            let judged = resources(&found).into_iter().find(|found| found["name"] == "secret").unwrap_or_default();
            let object = fleet.world.get("/apis/rempart.dev/v1alpha1/sensitivitylevels/secret").await?;
            let said = condition(&object, type_)["message"].clone();
            let same = judged["health"]["status"] == health && judged["health"]["message"] == said;
            if same { Ok(()) } else { Err(format!("{judged:#} {said}")) }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make gitops: compiles Argo CD"]
async fn gitops_argocd_gets_through_the_waves() {
    let fleet = Fleet::start("argocd-waves").await;
    fleet.world.nodes("snc", 2, "snc").await;
    let wave = |object: &Value| match object["kind"].as_str() {
        Some("TrustedCloud" | "SensitivityLevel") => Some("-2"),
        Some("Namespace" | "DataDeclaration") => Some("-1"),
        _ => None,
    };
    let in_waves = |object: Value| match wave(&object) {
        Some(wave) => merged(object, json!({"metadata": {"annotations": {"argocd.argoproj.io/sync-wave": wave}}})),
        None => object,
    };
    let revision = fleet.commit(&in_git().into_iter().map(in_waves).collect::<Vec<_>>());
    fleet.follow(json!({})).await;
    provisioned(&fleet.world).await;
    fleet.synced(&revision, "Healthy").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make gitops: compiles Argo CD"]
async fn gitops_argocd_in_the_name_of_a_team_gives_a_level_and_does_not_take_it_back() {
    let fleet = Fleet::start("argocd-team").await;
    team(&fleet.world, "argocd").await;
    let accounts = json!([{"server": "*", "namespace": "*", "defaultServiceAccount": "argocd:team"}]);
    fleet.world.patch(PROJECT, json!({"spec": {"destinationServiceAccounts": accounts}})).await;
    let settings = "/api/v1/namespaces/argocd/configmaps/argocd-cm";
    fleet.world.patch(settings, json!({"data": {"application.sync.impersonation.enabled": "true"}})).await;

    let records = |level: Option<&str>| fleet.commit(&[namespace("records", level)]);
    let first = records(None);
    // What is refused is refused the next time as well.
    fleet.follow(json!({"spec": {"syncPolicy": {"retry": {"limit": 0}}}})).await;
    fleet.synced(&first, "Healthy").await;
    let given = records(Some("restreint"));
    fleet.refresh().await;
    fleet.synced(&given, "Healthy").await;
    for level in [Some("interne"), None] {
        let changed = records(level);
        fleet.refresh().await;
        fleet.failed(&changed, "needs the verb declassify on sensitivitylevels.rempart.dev/restreint").await;
        let stays = fleet.world.get("/api/v1/namespaces/records").await.unwrap();
        assert_eq!(stays["metadata"]["labels"]["rempart.dev/sensitivity"], "restreint", "{stays:#}");
    }
    let back = records(Some("restreint"));
    wait_until("there is nothing to sync any more", async || {
        let status = fleet.refresh().await["status"].clone();
        let synced = status["sync"]["status"] == "Synced" && status["sync"]["revision"] == back;
        if synced { Ok(()) } else { Err(format!("{status:#}")) }
    })
    .await;
}
