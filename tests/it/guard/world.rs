//! What every case of this suite finds: levels, clouds, nodes, namespaces, and objects older than the policies.

use std::collections::{BTreeSet, HashMap};
use std::ops::Deref;
use std::sync::LazyLock;

use http::Method;
use kube::Client;
use rempart::api::names::{CLEARANCE_PREFIX, DECLARED, NODE_CLOUD, SENSITIVITY};
use rempart::api::{Clearance, crds};
use rempart::guard::{AdmissionObject, Settings, policies};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::cases::{Case, Deviation, cases};
use super::{older, webhook};
use crate::cluster::{Cluster, api_of, apply, has_mutation, send, try_apply, wait_until, yaml};
use crate::rights::OPERATOR;

/// A control plane with all this in it.
pub(super) struct World {
    cluster: LazyLock<Cluster>,
    ready: OnceCell<()>,
    /// Whether a webhook takes the place of the mutating policies, whatever the version has.
    webhook: bool,
}

impl World {
    pub(super) const fn new(start: fn() -> Cluster) -> Self {
        Self { cluster: LazyLock::new(start), ready: OnceCell::const_new(), webhook: false }
    }

    /// One whose API server serves no mutating policies, and calls a webhook that does the same.
    pub(super) const fn with_webhook(start: fn() -> Cluster) -> Self {
        Self { cluster: LazyLock::new(start), ready: OnceCell::const_new(), webhook: true }
    }

    /// Whether mutating policies are in force there.
    pub(super) fn mutates(&self) -> bool {
        has_mutation() && !self.webhook
    }

    /// The control plane, once all is written and every policy bites.
    pub(super) async fn ready(&self) -> Visit<'_> {
        self.ready.get_or_init(|| build(&self.cluster, self.mutates())).await;
        Visit(&self.cluster)
    }
}

/// A test's use of a control plane that outlives it. At its end the invariant must have held, as at the end of a cluster.
pub(super) struct Visit<'a>(&'a Cluster);

impl Deref for Visit<'_> {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        self.0
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.0.conclude();
    }
}

/// Where nobody takes anything away.
pub(super) static QUIET: World = World::new(|| start("guard"));

/// Eight nodes, and claims may ask for data of other namespaces: a field that API servers drop without the gate.
pub(super) fn start(name: &str) -> Cluster {
    Cluster::start(name, &FLAGS)
}

const FLAGS: [&str; 4] = ["--nodes", "8", "--apiserver-flag", "--feature-gates=CrossNamespaceVolumeDataSource=true"];

/// The same from before Kubernetes 1.36.
pub(super) static OLDER: World = World::with_webhook(|| Cluster::without_mutation("guard-older", &FLAGS));

/// The set under test: one level is in `Warn`, one in `Audit`, and one withholds tokens.
pub(super) fn guard() -> Vec<AdmissionObject> {
    policies(&settings())
}

/// The table for an API server without mutating policies. Two of its rows are in a namespace that is marked there, and another policy refuses them
/// as well, in words of its own; which of the two is heard is chance.
pub(super) fn cases_of_older() -> Vec<Case> {
    let twice = ["attack A3 declared pod: nodeName", "attack A3 declared pod: mirror"];
    cases().into_iter().filter(|case| !twice.contains(&case.row)).collect()
}

/// The settings of the set under test.
pub(super) fn settings() -> Settings {
    let levels = |name: &str| [name.to_owned()].into();
    Settings { audit: levels("observe"), warn: levels("interne"), withheld: levels("sante"), ..storage() }
}

/// What an operator would have written into the policies, with the namespaces `lapsed` and all that tests make still unknown to it.
fn storage() -> Settings {
    let pairs = |all: &[(&str, &str)]| all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let names = |all: &[&str]| all.iter().map(|&name| name.to_owned()).collect();
    Settings {
        // Names that look like places of the text, or that no literal could hold as they are.
        schedulers: names(&["sante-scheduler", "rempart_class", "rempart-none", "one\r\nand\u{7}'another\\\u{85}"]),
        classes: pairs(&[("fast", "alpha"), ("quick", "alpha"), ("odd", "alpha"), ("slow", "beta"), ("moved", "beta")]),
        snapshot_classes: names(&["snap", "slow-snap"]),
        attributes_classes: names(&["gold", "lead"]),
        attributes_clouds: pairs(&[("gold", "alpha"), ("lead", "beta")]),
        cleared: [("alpha".to_owned(), names(&["late", "restreint", "sante"])), ("beta".to_owned(), BTreeSet::new())].into(),
        drivers: names(&["disk.example", "shared.example", "cinder.csi.openstack.org", "carriage\rreturn", "a'rempart_class"]),
        exclusive_drivers: names(&["cinder.csi.openstack.org"]),
        named_otherwise: names(&["odd"]),
        namespaces: pairs(&[("emr", "restreint"), ("clinic", "sante")]),
        static_levels: names(&["sante"]),
        ..Settings::default()
    }
}

/// The kinds of the snapshot and gateway APIs, as loose as they can be.
fn foreign_crds() -> Vec<Value> {
    let kinds = [
        ("snapshot.storage.k8s.io", "v1", "VolumeSnapshot", "Namespaced"),
        ("snapshot.storage.k8s.io", "v1", "VolumeSnapshotContent", "Cluster"),
        ("snapshot.storage.k8s.io", "v1", "VolumeSnapshotClass", "Cluster"),
        ("groupsnapshot.storage.k8s.io", "v1beta1", "VolumeGroupSnapshot", "Namespaced"),
        ("groupsnapshot.storage.k8s.io", "v1beta1", "VolumeGroupSnapshotContent", "Cluster"),
        ("groupsnapshot.storage.k8s.io", "v1beta1", "VolumeGroupSnapshotClass", "Cluster"),
        ("gateway.networking.k8s.io", "v1beta1", "ReferenceGrant", "Namespaced"),
    ];
    let crd = |(group, version, kind, scope): (&str, &str, &str, &str)| {
        let singular = kind.to_lowercase();
        let plural = if singular.ends_with('s') { format!("{singular}es") } else { format!("{singular}s") };
        let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{group}"), "annotations": {"api-approved.kubernetes.io": "unapproved, for tests"}},
            "spec": {
                "group": group, "scope": scope, "names": {"kind": kind, "plural": plural, "singular": singular},
                "versions": [{"name": version, "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
            },
        })
    };
    kinds.into_iter().map(crd).collect()
}

pub(super) fn clearance() -> Value {
    let mut clearance = yaml(include_str!("clearance.yaml")).remove(0);
    let typed: Clearance = serde_json::from_value(clearance.clone()).expect("it is a Clearance");
    clearance["spec"] = serde_json::to_value(typed.spec).expect("it is JSON");
    clearance
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Who {
    /// `system:masters`: only admission refuses anything.
    Admin,
    Operator,
    /// All rights on everything but our cluster-wide kinds, no `declassify`.
    Tenant,
    /// A tenant who holds `declassify`.
    Officer,
    /// All rights on CRDs and APIServices, and no verb of ours.
    Clusterer,
    /// May grant whatever he likes.
    Granter,
    /// A tenant who may provision on trusted clouds.
    Keeper,
    Scheduler,
    OtherScheduler,
    /// A scheduler of the level sante.
    SanteScheduler,
    /// The part of the controller manager that binds claims to volumes.
    Binder,
    /// The part that attaches volumes to nodes.
    Attacher,
    /// The whole of it, where its parts have no accounts of their own.
    ControllerManager,
    JobController,
    QuotaController,
    /// What the API server does by itself.
    ApiServer,
    NamespaceController,
    /// Of node-5, which is not cleared; with a certificate.
    Kubelet,
    /// The name of a kubelet without its group, so that nothing but the name is judged.
    InNameOfAKubelet,
    /// The same of node-0, which is cleared.
    InNameOfAClearedKubelet,
}

/// The clients of a test.
pub(super) struct Clients(HashMap<Who, Client>);

impl Clients {
    pub(super) async fn of(cluster: &Cluster) -> Self {
        let masters = ["system:masters"];
        Self(HashMap::from([
            (Who::Admin, cluster.admin().await),
            (Who::Operator, cluster.user(OPERATOR, &masters).await),
            (Who::Tenant, cluster.user("tenant", &["system:authenticated", "tenants"]).await),
            (Who::Officer, cluster.user("officer", &["system:authenticated", "tenants", "officers"]).await),
            (Who::Clusterer, cluster.user("clusterer", &["system:authenticated", "clusterers"]).await),
            (Who::Granter, cluster.user("granter", &["system:authenticated", "granters"]).await),
            (Who::Scheduler, cluster.user("system:kube-scheduler", &["system:authenticated"]).await),
            (Who::OtherScheduler, cluster.user("other-scheduler", &masters).await),
            (Who::Keeper, cluster.user("keeper", &["system:authenticated", "tenants", "keepers"]).await),
            (Who::SanteScheduler, cluster.user("sante-scheduler", &["system:authenticated", "tenants"]).await),
            (Who::Binder, cluster.user("system:serviceaccount:kube-system:persistent-volume-binder", &["tenants"]).await),
            (Who::Attacher, cluster.user("system:serviceaccount:kube-system:attachdetach-controller", &["tenants"]).await),
            (Who::ControllerManager, cluster.user("system:kube-controller-manager", &["tenants"]).await),
            (Who::ApiServer, cluster.user("system:apiserver", &masters).await),
            (Who::QuotaController, cluster.user("system:serviceaccount:kube-system:resourcequota-controller", &masters).await),
            (Who::JobController, cluster.user("system:serviceaccount:kube-system:job-controller", &masters).await),
            (Who::NamespaceController, cluster.user("system:serviceaccount:kube-system:namespace-controller", &masters).await),
            (Who::Kubelet, cluster.kubelet("node-5").await),
            (Who::InNameOfAKubelet, cluster.user("system:node:node-5", &masters).await),
            (Who::InNameOfAClearedKubelet, cluster.user("system:node:node-0", &masters).await),
        ]))
    }

    pub(super) fn client(&self, who: Who) -> &Client {
        &self.0[&who]
    }
}

async fn build(cluster: &Cluster, mutates: bool) {
    let clients = Clients::of(cluster).await;
    let (admin, operator) = (clients.client(Who::Admin), clients.client(Who::Operator));

    let crds: Vec<Value> = crds().iter().map(|crd| serde_json::to_value(crd).expect("a CRD is JSON")).collect();
    apply(admin, &crds).await;
    apply(admin, &foreign_crds()).await;
    wait_until("the kinds are served", async || try_apply(operator, &clearance()).await).await;

    let mut older = yaml(include_str!("older.yaml"));
    older.extend(plain_pods("plain-before"));
    older.extend(yaml(include_str!("storage.yaml")));
    older.push(webhook::configuration().await);
    for object in older {
        // A new namespace has its service account, and a new kind its path, a moment later.
        wait_until("objects older than the policies are there", async || try_apply(admin, &object).await).await;
    }

    if !mutates {
        apply(operator, &[older::configuration(cluster).await]).await;
    }
    let guard = guard().into_iter().filter(|object| mutates || !object.kind.is_mutating());
    let guard: Vec<Value> = guard.map(|object| object.object).collect();
    apply(operator, &guard).await;
    for node in ["node-0", "node-1", "node-2", "node-3"] {
        let mut labels: HashMap<String, &str> =
            ["restreint", "sante", "late"].map(|level| (format!("{CLEARANCE_PREFIX}{level}"), "cleared")).into_iter().collect();
        labels.insert(NODE_CLOUD.to_owned(), "alpha");
        apply(operator, &[json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node, "labels": labels}})]).await;
    }
    let taints = json!([{"key": "rempart.dev/hold", "effect": "NoSchedule"}]);
    apply(operator, &[json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-7"}, "spec": {"taints": taints}})]).await;
    // A policy sees a declaration at once, whoever is alive; a webhook is called when the operator has marked the namespace.
    for name in ["marked", "fresh", "whole"].into_iter().filter(|name| !mutates || *name == "marked") {
        apply(operator, &[json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {DECLARED: "true"}}})])
            .await;
    }

    let all = if mutates { cases() } else { cases_of_older() };
    let bindings = guard.iter().filter(|object| object["kind"].as_str().is_some_and(|kind| kind.ends_with("Binding")));
    for binding in bindings {
        let name = binding["metadata"]["name"].as_str().expect("it has a name");
        let decided: Vec<&Case> = all.iter().filter(|case| case.binding == name && case.needs.is_empty()).collect();
        wait_until(&format!("{name} in force"), async || holds(&decided, cluster, &clients).await).await;
    }
    for object in yaml(include_str!("newer.yaml")) {
        wait_until("objects made under the policies are there", async || try_apply(admin, &object).await).await;
    }
    wait_until("the claim made under the policies has its volume", async || {
        let path = "/api/v1/namespaces/emr/persistentvolumeclaims/bound";
        let claim = send(admin, Method::GET, path, None).await.map_err(|error| error.to_string())?.accepted()?;
        if claim["status"]["phase"] == "Bound" { Ok(()) } else { Err(claim["status"].to_string()) }
    })
    .await;
    cluster.history().promise(&["interne", "observe"]);
}

/// Whether each case goes as it should; the first that does not, otherwise.
pub(super) async fn holds(cases: &[&Case], cluster: &Cluster, clients: &Clients) -> Result<(), Deviation> {
    for case in cases {
        case.holds(cluster, clients).await?;
    }
    Ok(())
}

/// Pods as a tenant would write them, for a plain namespace.
pub(super) fn plain_pods(namespace: &str) -> Vec<Value> {
    let mut pods = yaml(include_str!("plain-pods.yaml"));
    for pod in &mut pods {
        pod["metadata"]["namespace"] = namespace.into();
    }
    pods
}

/// A namespace that is made for one test, and taken away by nobody: the control plane ends with the suite.
pub(super) async fn namespace(client: &Client, name: &str, level: Option<&str>) {
    let mut namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    if let Some(level) = level {
        namespace["metadata"]["labels"] = json!({SENSITIVITY: level});
    }
    apply(client, &[namespace]).await;
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}});
    wait_until("the namespace has its service account", async || api_of(client, &account).get("default").await).await;
}
