//! What docs/src/gitops.md says of objects that a GitOps tool owns: applied in one go they converge, a second sync changes nothing, no
//! diff is left, nothing of ours is pruned, and a dry run shows refusals.

use std::collections::BTreeSet;

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::world::{World, level, merged, namespace, pod, qualified_cloud, restreint};
use crate::cluster::{api_of, apply, wait_until, yaml};
use crate::kstatus::standing;
use crate::objects::class;

/// The field managers of Argo CD and of Flux. Both apply by force.
const TOOLS: [&str; 2] = ["argocd-controller", "kustomize-controller"];
/// How they know their own again.
const TRACKED: [&str; 2] = ["app.kubernetes.io/instance=records", "kustomize.toolkit.fluxcd.io/name=records"];

/// What is in Git, in the order of a tool that knows nothing of our kinds: what refers to something comes before it.
pub fn manifests() -> Vec<Value> {
    let mut objects = vec![namespace("emr", None), namespace("clinic", Some("restreint"))];
    objects.extend(yaml(
        r"
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: emr}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {nodeSelector: {kubernetes.io/os: linux}, containers: [{name: c, image: i}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: clinic}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {nodeSelector: {kubernetes.io/os: linux}, containers: [{name: c, image: i}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: database, namespace: clinic}
spec:
  replicas: 1
  serviceName: database
  selector: {matchLabels: {app: database}}
  template:
    metadata: {labels: {app: database}}
    spec: {containers: [{name: c, image: i}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {storageClassName: snc-block, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: rempart.dev/v1alpha1
kind: DataDeclaration
metadata: {name: records, namespace: emr}
spec: {level: restreint, dataOwner: dpo@hospital.example}
",
    ));
    let requires = restreint()["spec"]["requires"].clone();
    let storage = json!([{"name": "block", "provisioner": "csi.example"}]);
    objects.extend([level("restreint", requires, json!({})), merged(qualified_cloud("snc"), json!({"spec": {"storage": storage}}))]);
    let labels: serde_json::Map<String, Value> =
        TRACKED.iter().map(|label| label.split_once('=').unwrap()).map(|(key, value)| (key.to_owned(), value.into())).collect();
    let annotations = json!({"argocd.argoproj.io/tracking-id": "records:of/this:object"});
    objects.into_iter().map(|object| merged(object, json!({"metadata": {"labels": labels, "annotations": annotations}}))).collect()
}

/// One sync of a tool, or what it would do.
async fn sync(world: &World, tool: &str, dry_run: bool) -> Vec<Value> {
    let mut synced = Vec::new();
    let params = PatchParams { dry_run, ..PatchParams::apply(tool).force() };
    for object in manifests() {
        let name = object["metadata"]["name"].as_str().unwrap();
        let applied = api_of(&world.admin, &object).patch(name, &params, &Patch::Apply(&object)).await;
        synced.push(json!(applied.unwrap_or_else(|error| panic!("{tool} cannot apply {} {name}: {error}", object["kind"]))));
    }
    synced
}

/// The objects as they are.
pub async fn live(world: &World) -> Vec<Value> {
    let mut found = Vec::new();
    for object in manifests() {
        found.push(json!(api_of(&world.admin, &object).get(object["metadata"]["name"].as_str().unwrap()).await.unwrap()));
    }
    found
}

/// What a diff compares: neither who owns which field, nor what controllers say.
fn compared(objects: Vec<Value>) -> Vec<Value> {
    objects.into_iter().map(|object| merged(object, json!({"metadata": {"managedFields": null}, "status": null}))).collect()
}

pub fn versions(objects: &[Value]) -> Vec<(Value, Value)> {
    objects.iter().map(|object| (object["metadata"]["name"].clone(), object["metadata"]["resourceVersion"].clone())).collect()
}

/// For a moment the API server judges volumes of a new class and does not give them their affinity yet, so it refuses them. A
/// provisioner tries again by itself; kwok, which plays it, when its claim changes.
pub async fn provisioned(world: &World) {
    const CLAIM: &str = "/api/v1/namespaces/clinic/persistentvolumeclaims/data-database-0";
    wait_until("the claim has its volume", async || {
        let claim = world.get(CLAIM).await?;
        if claim["status"]["phase"] == "Bound" {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        world.patch(CLAIM, json!({"metadata": {"annotations": {"again": claim["metadata"]["resourceVersion"]}}})).await;
        Err(claim.to_string())
    })
    .await;
}

/// Waits until everything runs and nobody writes any more.
pub async fn at_rest(world: &World) {
    world.wait_pods("emr", 2).await;
    world.wait_pods("clinic", 3).await;
    world.settled().await;
    wait_until("nothing changes", async || {
        let before = live(world).await;
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        let after = live(world).await;
        if versions(&before) == versions(&after) { Ok(()) } else { Err(versions(&after)) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tool_applies_in_one_go_converges_and_no_later_sync_changes_or_prunes_anything() {
    let world = World::guarded("gitops").await;
    world.nodes("snc", 2, "snc").await;
    // A class of no cloud: a quota closes it.
    apply(&world.admin, &[class("standard", "csi.example")]).await;
    sync(&world, TOOLS[0], false).await;
    provisioned(&world).await;
    at_rest(&world).await;
    for object in live(&world).await.iter().filter(|object| object["apiVersion"] == "rempart.dev/v1alpha1") {
        assert_eq!(standing(object), "Current", "{object:#}");
    }
    // Both ways in which the operator touches what a tool owns.
    let emr = world.get("/api/v1/namespaces/emr").await.unwrap();
    assert_eq!(emr["metadata"]["labels"]["rempart.dev/sensitivity"], "restreint", "from its declaration: {emr:#}");
    let agent = world.get("/apis/apps/v1/namespaces/emr/daemonsets/agent").await.unwrap();
    assert_eq!(agent["metadata"]["annotations"]["rempart.dev/touched"], "restreint", "it was there before the level: {agent:#}");
    let selector = json!({"kubernetes.io/os": "linux", "rempart.node-restriction.kubernetes.io/restreint": "cleared"});
    assert_eq!(agent["spec"]["template"]["spec"]["nodeSelector"], selector);

    for tool in TOOLS {
        sync(&world, tool, false).await;
        at_rest(&world).await;
        let before = live(&world).await;
        let dry = sync(&world, tool, true).await;
        assert_eq!(compared(dry), compared(before.clone()), "{tool} sees no difference");
        sync(&world, tool, false).await;
        world.settled().await;
        assert_eq!(versions(&live(&world).await), versions(&before), "{tool} changes nothing by another sync, and nobody answers it");

        let file = world.cluster.dir().join("manifests.json");
        std::fs::write(&file, json!({"apiVersion": "v1", "kind": "List", "items": manifests()}).to_string()).unwrap();
        let diff = format!("kubectl diff --server-side --force-conflicts --field-manager {tool} -f {}", file.display());
        assert_eq!(world.cluster.shell(&diff).as_deref(), Ok(""), "{tool}");
    }

    let wanted: BTreeSet<String> = manifests()
        .iter()
        .map(|object| format!("{}/{}", object["kind"].as_str().unwrap().to_lowercase(), object["metadata"]["name"].as_str().unwrap()))
        .collect();
    for label in TRACKED {
        let script = format!("kubectl get $(kubectl api-resources --verbs=list,delete -o name | paste -sd, -) -A -l {label} -o name");
        let found = world.cluster.shell(&script).unwrap();
        let found: BTreeSet<String> = found
            .lines()
            .filter(|line| !line.starts_with("Warning: "))
            .filter_map(|line| line.split_once('/'))
            .map(|(kind, name)| format!("{}/{name}", kind.split('.').next().unwrap_or_default()))
            .collect();
        assert_eq!(found, wanted, "what a tool would prune by {label} is what it has applied, and nothing that the operator wrote");
    }
    for written in ["storageclass snc-block", "resourcequota -n clinic rempart-classes", "clearance cluster"] {
        world.cluster.shell(&format!("kubectl get {written}")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_what_would_be_refused_of_pods_and_not_what_becomes_of_the_pods_of_a_deployment() {
    let world = World::guarded("gitops-dry-run").await;
    let requires = restreint()["spec"]["requires"].clone();
    apply(&world.admin, &[qualified_cloud("snc"), level("restreint", requires, json!({})), namespace("emr", Some("restreint"))]).await;
    world.nodes("snc", 1, "snc").await;
    world.nodes("aws", 1, "aws").await;
    world.wait_nodes("snc", "restreint", true).await;
    let dry_run = |what: &str, object: Value| {
        let file = world.cluster.dir().join(format!("{what}.json"));
        std::fs::write(&file, object.to_string()).unwrap();
        let run = |command: &str| world.cluster.shell(&format!("kubectl {command} -f {}", file.display()));
        (run("apply --server-side --dry-run=server"), run("diff --server-side"))
    };
    let bad = merged(pod("bad"), json!({"metadata": {"namespace": "emr"}, "spec": {"nodeName": "aws-1"}}));
    wait_until("the level holds", async || {
        let (applied, _) = dry_run("pod", bad.clone());
        if applied.as_ref().is_err_and(|said| said.contains("spec.nodeName aws-1 bypasses the scheduler")) { Ok(()) } else { Err(applied) }
    })
    .await;
    let (_, diff) = dry_run("pod", bad.clone());
    assert!(diff.as_ref().is_err_and(|said| said.contains("spec.nodeName aws-1 bypasses the scheduler")), "{diff:?}");

    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": "emr"},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "elsewhere", "resources": {"requests": {"storage": "1Gi"}}},
    });
    let (applied, _) = dry_run("claim", claim);
    assert!(applied.as_ref().is_err_and(|said| said.contains("sensitivity restreint") && said.contains("elsewhere")), "{applied:?}");

    let template = json!({"metadata": {"labels": {"app": "bad"}}, "spec": bad["spec"]});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "bad", "namespace": "emr"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "bad"}}, "template": template},
    });
    let (applied, _) = dry_run("deployment", deployment.clone());
    assert_eq!(applied.as_deref(), Ok("deployment.apps/bad serverside-applied (server dry run)\n"), "its pods are another matter");
    assert!(world.get("/apis/apps/v1/namespaces/emr/deployments/bad").await.is_err(), "a dry run leaves nothing behind");
    apply(&world.admin, &[deployment]).await;
    wait_until("its controller says why it has no pods", async || {
        let events = world.items("/api/v1/namespaces/emr/events").await;
        let told = |event: &Value| event["reason"] == "FailedCreate" && event["message"].to_string().contains("bypasses the scheduler");
        if events.iter().any(told) { Ok(()) } else { Err(events) }
    })
    .await;
}
