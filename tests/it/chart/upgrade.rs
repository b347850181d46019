//! From another version of the chart and the program to the one that is here, back again, and forward again, with the real Helm and under
//! fire. `make upgrade` checks the other one out and builds it; there is none yet that was released.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::containers::{Containers, policies, run};
use super::{CHART, HELM};
use crate::cluster::{Cluster, apply, ran, wait_until, yaml};
use crate::operator::fire::{Fire, Try};
use crate::operator::world::{World, condition, interne, level, merged, namespace, plain_cloud, pod, qualified_cloud, restreint};

const RELEASE: &str = "-n rempart-system --wait";

/// What an administrator has made: levels, clouds with storage, declarations, and what runs and is stored under them.
const WORKLOADS: &str = r"
apiVersion: rempart.dev/v1alpha1
kind: DataDeclaration
metadata: {name: records, namespace: emr}
spec: {level: restreint, dataOwner: dpo@hospital.example}
---
apiVersion: rempart.dev/v1alpha1
kind: DataDeclaration
metadata: {name: form, namespace: site}
spec: {level: interne, workloads: {matchLabels: {app: form}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: database, namespace: secret}
spec:
  replicas: 1
  serviceName: database
  selector: {matchLabels: {app: database}}
  template: {metadata: {labels: {app: database}}, spec: {containers: [{name: c, image: i}]}}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {storageClassName: snc-block, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: portal, namespace: emr}
spec:
  replicas: 2
  selector: {matchLabels: {app: portal}}
  template: {metadata: {labels: {app: portal}}, spec: {containers: [{name: c, image: i}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: form, namespace: site}
spec:
  replicas: 1
  selector: {matchLabels: {app: form}}
  template: {metadata: {labels: {app: form}}, spec: {containers: [{name: c, image: i}]}}
---
apiVersion: v1
kind: Pod
metadata: {name: waits, namespace: secret}
spec: {schedulingGates: [{name: example.com/wait}], containers: [{name: c, image: i}]}
";

const LEVELS: [&str; 3] = ["restreint", "interne", "watched"];

fn claim(class: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "violation"},
        "spec": {"storageClassName": class, "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A chart, and the program in the image of this tag.
struct Version {
    tag: &'static str,
    chart: PathBuf,
    program: PathBuf,
}

impl Version {
    fn other() -> Self {
        let given = |name: &str| std::env::var_os(name).map_or_else(|| panic!("{name} is not set: run make upgrade"), PathBuf::from);
        Self { tag: "other", chart: given("REMPART_OTHER_CHART"), program: given("REMPART_OTHER_PROGRAM") }
    }

    fn here() -> Self {
        Self { tag: "here", chart: CHART.into(), program: env!("CARGO_BIN_EXE_rempart").into() }
    }

    fn helm(&self, verb: &str) -> String {
        format!("helm {verb} rempart {} {RELEASE} --set image.tag={}", self.chart.display(), self.tag)
    }
}

/// Installs a version on a new cluster, with everything that is to outlive it.
async fn installed(name: &str, version: &Version, programs: &[&Version]) -> (World, Containers) {
    let world = World::bare(Cluster::start(name, &["--nodes", "3"])).await;
    let mut containers = Containers::default();
    containers.programs.extend(programs.iter().map(|version| (version.tag.to_owned(), version.program.clone())));
    apply(&world.admin, &[namespace("rempart-system", None)]).await;
    run(&world, &version.helm("install"));
    containers.follow(&world).await;
    containers.wait_for("the guard holds").await;
    world.cluster.history().promise(&["watched"]);

    let storage = |driver: &str| json!({"spec": {"storage": [{"name": "block", "provisioner": driver}]}});
    let snc = merged(qualified_cloud("snc"), storage("csi.snc.example"));
    let aws = merged(plain_cloud("aws"), storage("csi.aws.example"));
    let watched = level("watched", restreint()["spec"]["requires"].clone(), json!({"enforcement": "Warn"}));
    apply(&world.admin, &[snc, aws, restreint(), interne(), watched]).await;
    world.nodes("snc", 2, "snc").await;
    world.nodes("aws", 2, "aws").await;
    world.wait_nodes("snc", "restreint", true).await;
    world.wait_nodes("aws", "interne", true).await;
    let named = [("secret", Some("restreint")), ("lax", Some("watched")), ("emr", None), ("site", None), ("open", None)];
    apply(&world.admin, &named.map(|(name, level)| namespace(name, level))).await;
    for object in yaml(WORKLOADS) {
        let declares = object["kind"] == "DataDeclaration";
        wait_until("workloads are accepted", async || {
            crate::cluster::try_apply(&world.admin, &object).await.map_err(|error| error.to_string())
        })
        .await;
        if declares {
            let path =
                format!("namespaces/{}/datadeclarations/{}", text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]));
            world.wait_condition(&path, "Ready", "True", "").await;
        }
    }
    runs(&world, 2).await;
    (world, containers)
}

/// Waits until everything runs where it may, and the portal with so many replicas.
async fn runs(world: &World, replicas: usize) {
    world.wait_pods("emr", replicas).await;
    world.wait_pods("site", 1).await;
    wait_until("the database runs", async || {
        let pods = world.pods("secret").await;
        if pods.iter().any(|(name, _, phase)| name == "database-0" && phase == "Running") { Ok(()) } else { Err(pods) }
    })
    .await;
}

/// Everything that carries our label or that of the chart, by kind and name; of ours, with what it says.
///
/// What has an owner goes with that; and the epoch says which versions of the others there are, so it is never the same twice.
fn left(world: &World) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for label in ["app.kubernetes.io/managed-by=rempart", "app.kubernetes.io/part-of=rempart"] {
        let kinds = "kubectl api-resources --verbs=list -o name | grep -v '^events' | paste -sd, -";
        let script = format!("kubectl get $({kinds}) -A -l {label} -o json 2>/dev/null");
        let listed: Value = serde_json::from_str(&run(world, &script)).expect("it lists in JSON");
        for object in listed["items"].as_array().into_iter().flatten() {
            let metadata = &object["metadata"];
            if !metadata["ownerReferences"].is_null() {
                continue;
            }
            let (kind, name) = (text(&object["kind"]), text(&metadata["name"]));
            let says = !label.contains("part-of") && name != "rempart-epoch" && metadata["deletionTimestamp"].is_null();
            let spec =
                if says { [&object["spec"], &object["provisioner"], &object["data"]].into_iter().cloned().collect() } else { Value::Null };
            // Ours may carry both labels: what it says is known from the first.
            found.entry(format!("{kind}/{}/{name}", text(&metadata["namespace"]))).or_insert(spec);
        }
    }
    found
}

/// What the Clearance says, but for its times.
async fn cleared(world: &World) -> Value {
    let mut clearance = world.clearance().await;
    for level in clearance["levels"].as_object_mut().into_iter().flatten().map(|(_, level)| level) {
        level["notAfter"] = Value::Null;
    }
    clearance
}

/// Waits until a replica of this version leads, and what is there is to the letter what it leaves on a new cluster.
async fn converged(world: &World, containers: &Containers, expected: &BTreeMap<String, Value>) {
    wait_until("a replica leads that runs", async || {
        let lease = world.get("/apis/coordination.k8s.io/v1/namespaces/rempart-system/leases/rempart").await?;
        let holder = text(&lease["spec"]["holderIdentity"]);
        if containers.running.contains_key(&holder) { Ok(()) } else { Err(holder) }
    })
    .await;
    containers.wait_for("the guard holds").await;
    wait_until("what is there is what this version leaves on a new cluster", async || {
        let now = left(world);
        let keys = now.keys().chain(expected.keys());
        let other: Vec<String> = keys
            .filter(|key| now.get(*key) != expected.get(*key))
            .map(|key| format!("{key}: {:?} instead of {:?}", now.get(key).map(Value::to_string), expected.get(key).map(Value::to_string)))
            .collect();
        if other.is_empty() { Ok(()) } else { Err(other) }
    })
    .await;
    for level in LEVELS {
        world.wait_condition(&format!("sensitivitylevels/{level}"), "Ready", "True", "").await;
    }
    for level in ["restreint", "interne"] {
        world.wait_condition(&format!("sensitivitylevels/{level}"), "Enforced", "True", "").await;
    }
    for other in
        ["trustedclouds/snc", "trustedclouds/aws", "namespaces/emr/datadeclarations/records", "namespaces/site/datadeclarations/form"]
    {
        let object = world.wait_condition(other, "Ready", "True", "").await;
        assert_ne!(condition(&object, "Stalled")["status"], "True", "{object:#}");
    }
}

/// Runs Helm, while pods come and go as it and the Deployment have them.
async fn rolled(world: &World, containers: &mut Containers, script: &str, tag: &str) {
    let command = world.cluster.shell_command(&[&HELM.helm], script);
    let mut helm = tokio::task::spawn_blocking(|| ran(command));
    let said = loop {
        containers.follow(world).await;
        if let Ok(done) = tokio::time::timeout(Duration::from_millis(50), &mut helm).await {
            break done.expect("it is waited for");
        }
    };
    said.unwrap_or_else(|said| panic!("{script}\n{said}"));
    wait_until("the pods are those of this version", async || {
        containers.follow(world).await;
        let pods = world.items("/api/v1/namespaces/rempart-system/pods").await;
        let images: Vec<String> = pods.iter().map(|pod| text(&pod["spec"]["containers"][0]["image"])).collect();
        if images.len() == 2 && images.iter().all(|image| image.ends_with(&format!(":{tag}"))) { Ok(()) } else { Err(images) }
    })
    .await;
}

/// Violations of all sorts, and what is nobody's business.
async fn fires(world: &World) -> [Fire; 3] {
    let pods = "/api/v1/namespaces/open/pods";
    let claims = |namespace: &str| format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims");
    let mut elsewhere = pod("plain");
    elsewhere["spec"]["nodeName"] = "aws-1".into();
    let plain: Vec<Try> = vec![
        (Method::POST, pods.into(), pod("plain")),
        (Method::POST, pods.into(), elsewhere),
        (Method::POST, claims("open"), claim("aws-block")),
        (Method::PATCH, "/api/v1/namespaces/open".into(), json!({"metadata": {"labels": {"team": "web"}}})),
    ];
    let mut declared = merged(pod("violation"), json!({"metadata": {"labels": {"app": "form"}}}));
    declared["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
    let mut emr = pod("violation");
    emr["spec"]["nodeName"] = "aws-1".into();
    let declared: Vec<Try> = vec![
        (Method::POST, claims("secret"), claim("aws-block")),
        (Method::POST, "/api/v1/namespaces/emr/pods".into(), emr),
        (Method::POST, "/api/v1/namespaces/site/pods".into(), declared),
    ];
    [Fire::open(world).await, Fire::at(world, declared, |status| status == 403).await, Fire::at(world, plain, |status| status < 300).await]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "upgrade: needs another version, which `make upgrade` checks out and builds"]
async fn upgrade_from_another_version_and_back_opens_nothing_and_leaves_nothing() {
    let (other, here) = (Version::other(), Version::here());
    let new = {
        let (world, containers) = installed("chart-upgrade-here", &here, &[&here]).await;
        settled(&world, &containers).await
    };
    let (world, mut containers) = installed("chart-upgrade", &other, &[&other, &here]).await;
    let old = settled(&world, &containers).await;
    let clearance = cleared(&world).await;
    let fires = fires(&world).await;
    let rollback = format!("helm rollback rempart 1 {RELEASE}");
    let steps = [(here.helm("upgrade"), "here", &new), (rollback, "other", &old), (here.helm("upgrade"), "here", &new)];
    for (replicas, (script, tag, expected)) in (3..).zip(steps) {
        let before = policies(&world).await;
        rolled(&world, &mut containers, &script, tag).await;
        converged(&world, &containers, expected).await;
        for fire in &fires {
            fire.answers(100).await;
        }
        let now = policies(&world).await;
        let anew: Vec<_> = before.iter().filter(|(name, uid)| now.get(*name).is_some_and(|now| now != *uid)).collect();
        assert!(anew.is_empty(), "{script}: these were deleted and made again: {anew:?}");
        let gone: Vec<_> = before.keys().filter(|name| !now.contains_key(*name)).collect();
        let come: Vec<_> = now.keys().filter(|name| !before.contains_key(*name)).collect();
        let other = old.iter().filter(|(key, says)| new.get(*key).is_some_and(|new| new != *says)).count();
        eprintln!(
            "{script}: {} policies and bindings stayed, gone are {gone:?}, new are {come:?}; {other} objects say something else",
            before.len() - gone.len()
        );
        assert_eq!(cleared(&world).await, clearance, "{script}");
        world.patch("/apis/apps/v1/namespaces/emr/deployments/portal", json!({"spec": {"replicas": replicas}})).await;
        runs(&world, replicas).await;
    }
    for fire in fires {
        fire.cease().await;
    }
    let seen = world.cluster.verdict().unwrap();
    assert!(seen.judged >= 7 && seen.claims_judged >= 1, "{seen}");
}

/// Waits until a version that was just installed has come to rest, and gives what it leaves.
async fn settled(world: &World, containers: &Containers) -> BTreeMap<String, Value> {
    wait_until("each policy is there for each level", async || {
        let (before, levels) = (left(world), world.items("/apis/rempart.dev/v1alpha1/sensitivitylevels").await);
        let ready = |level: &Value| {
            let holds = level["metadata"]["name"] == "watched" || condition(level, "Enforced")["status"] == "True";
            let current = level["status"]["observedGeneration"] == level["metadata"]["generation"];
            holds && current && condition(level, "Ready")["status"] == "True"
        };
        if levels.iter().all(ready) && before == left(world) { Ok(()) } else { Err(levels) }
    })
    .await;
    let left = left(world);
    converged(world, containers, &left).await;
    left
}
