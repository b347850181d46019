//! What docs/src/gitops.md says of Flux and Argo CD, by the tools themselves. `make gitops` compiles them and runs this.

mod argocd;
mod flux;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::cluster::{apply, wait_until, yaml};
use crate::operator::world::{World, interne, qualified_cloud, restreint};

/// The objects of this kind in the recipes of the book, so that what is tried is what is written there.
fn recipes(kind: &str) -> Vec<Value> {
    let page = include_str!("../../docs/src/gitops.md");
    let blocks = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    blocks.filter(|block| block.starts_with("apiVersion: ")).flat_map(yaml).filter(|object| object["kind"] == kind).collect()
}

/// Levels, and in the namespace of a tool the account of a team, which may do with namespaces what RBAC can allow.
async fn team(world: &World, namespace: &str) {
    let text = r"
apiVersion: v1
kind: ServiceAccount
metadata: {name: team, namespace: NAMESPACE}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: team}
rules:
- {apiGroups: [''], resources: [namespaces], verbs: ['*']}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: team}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: team}
subjects: [{kind: ServiceAccount, name: team, namespace: NAMESPACE}]
";
    apply(&world.admin, &yaml(&text.replace("NAMESPACE", namespace))).await;
    apply(&world.admin, &[qualified_cloud("snc"), restreint(), interne()]).await;
    world.wait_condition("sensitivitylevels/restreint", "Ready", "True", "").await;
}

/// Installs the kinds in these files of a release, and waits until each is served.
async fn install_kinds(world: &World, files: impl Iterator<Item = impl AsRef<Path>>) {
    for kind in files.flat_map(|file| yaml(&fs::read_to_string(file).unwrap())) {
        apply(&world.admin, std::slice::from_ref(&kind)).await;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (group, plural) = (text(&kind["spec"]["group"]), text(&kind["spec"]["names"]["plural"]));
        let version =
            text(&kind["spec"]["versions"].as_array().and_then(|all| all.iter().find(|one| one["served"] == true)).unwrap()["name"]);
        let path = format!("/apis/{group}/{version}/{plural}");
        wait_until(&format!("{path} is served"), async || world.get(&path).await).await;
    }
}

/// An object as tools name it in their inventories: `<namespace>_<name>_<group>_<kind>`.
fn id(namespace: &Value, name: &Value, group: &str, kind: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!("{}_{}_{group}_{}", text(namespace), text(name), text(kind))
}

fn ids(objects: &[Value]) -> BTreeSet<String> {
    let group = |object: &Value| {
        let version = object["apiVersion"].as_str().unwrap_or_default();
        version.split_once('/').map_or("", |(group, _)| group).to_owned()
    };
    let of = |object: &Value| id(&object["metadata"]["namespace"], &object["metadata"]["name"], &group(object), &object["kind"]);
    objects.iter().map(of).collect()
}

/// Waits until the Deployment is gone that is no longer in Git, and sees that all that the operator wrote is there.
async fn only_the_deployment_goes(world: &World) {
    wait_until("what is no longer in Git is gone", async || {
        let found = world.items("/apis/apps/v1/namespaces/clinic/deployments").await;
        if found.is_empty() { Ok(()) } else { Err(found) }
    })
    .await;
    for written in ["storageclass snc-block", "resourcequota -n clinic rempart-classes", "clearance cluster", "daemonset -n emr agent"] {
        world.cluster.shell(&format!("kubectl get {written}")).unwrap();
    }
    let emr = world.get("/api/v1/namespaces/emr").await.unwrap();
    let level = &emr["metadata"]["labels"]["rempart.dev/sensitivity"];
    assert_eq!(level, "restreint", "which the operator wrote, and no tool knows: {emr:#}");
}
