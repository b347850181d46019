//! What docs/src/gitops.md says of Flux and Argo CD, by the tools themselves. `make gitops` compiles them and runs this.

mod argocd;
mod flux;

use serde_json::Value;

use crate::cluster::{apply, yaml};
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
