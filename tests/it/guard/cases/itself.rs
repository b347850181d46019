//! What the guard itself rests on.

use http::Method;
use serde_json::{Value, json};

use super::*;
use crate::operator::world::merged;

const CRD: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/datadeclarations.rempart.dev";
const APISERVICE: &str = "/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1.rempart.dev";
const OURS: &str = "/api/v1/namespaces/rempart-system";

pub(super) fn itself() -> Vec<Case> {
    [clearance(), statuses(), crds(), apiservices(), namespaces(), identity(), configuration(), workloads(), grants(), bound()]
        .into_iter()
        .flatten()
        .collect()
}

fn clearance() -> Vec<Case> {
    let (binding, path) = ("rempart-self-clearance", "/apis/rempart.dev/v1alpha1/clearances/cluster");
    let wider = json!({"spec": {"clouds": {"beta": ["restreint"]}}});
    let alone = "the Clearance is written by the rempart operator alone";
    vec![
        patch(binding, "E2 an administrator edits the Clearance", Who::Admin, path, wider.clone(), Refused(alone)),
        request(binding, "E2 an administrator deletes the Clearance", Who::Admin, Method::DELETE, path, Value::Null, Refused(alone)),
        request(
            binding,
            "E2 all Clearances are deleted",
            Who::Admin,
            Method::DELETE,
            "/apis/rempart.dev/v1alpha1/clearances",
            Value::Null,
            Refused(alone),
        ),
        patch("", "the operator writes the Clearance", Who::Operator, path, wider, Accepted),
    ]
}

/// Where trust is lost, a cloud stays cleared for what both statuses say (`onTrustLoss: Report`).
fn statuses() -> Vec<Case> {
    const CLOUD: &str = "/apis/rempart.dev/v1alpha1/trustedclouds/beta/status";
    const LEVEL: &str = "/apis/rempart.dev/v1alpha1/sensitivitylevels/restreint/status";
    const DECLARATION: &str = "/apis/rempart.dev/v1alpha1/namespaces/marked/datadeclarations/ledger/status";
    let binding = "rempart-self-clearance";
    let (cleared, clears, seen) = (
        json!({"status": {"clouds": ["beta"]}}),
        json!({"status": {"clears": ["restreint"]}}),
        json!({"status": {"observedGeneration": 9}}),
    );
    let refused = |row, who, path, status: &Value, words| patch(binding, row, who, path, status.clone(), Refused(words));
    let accepted = |row, who, path, status: &Value| patch("", row, who, path, status.clone(), Accepted);
    vec![
        refused("E2 a cloud was cleared before", Who::Clusterer, CLOUD, &clears, "trustedclouds beta: what was found is written"),
        refused("E2 a level had a cloud before", Who::Clusterer, LEVEL, &cleared, "not by clusterer: this needs the verb administer"),
        refused("E2 all is well with a declaration", Who::Tenant, DECLARATION, &seen, "datadeclarations ledger: what was found is written"),
        accepted("the operator writes what it found of a cloud", Who::Operator, CLOUD, &clears),
        accepted("the operator writes what it found of a level", Who::Operator, LEVEL, &cleared),
        accepted("the operator writes what it found of a declaration", Who::Operator, DECLARATION, &seen),
        accepted("an administrator restores a status", Who::Admin, CLOUD, &clears),
    ]
}

fn crds() -> Vec<Case> {
    let binding = "rempart-self-crd";
    let categories = json!({"spec": {"names": {"categories": ["all"]}}});
    let terminating = json!({"status": {"conditions": [{"type": "Terminating", "status": "True"}]}});
    let (status, may_not) = (format!("{CRD}/status"), "clusterer may not change it: this needs the verb administer");
    vec![
        patch(binding, "E3 the CRD of declarations is changed", Who::Clusterer, CRD, categories.clone(), Refused(may_not)),
        patch(binding, "attack C5 the CRD is said to be terminating", Who::Clusterer, &status, terminating, Refused(may_not)),
        request(
            binding,
            "E3 an administrator deletes a CRD",
            Who::Admin,
            Method::DELETE,
            CRD,
            Value::Null,
            Refused("with this CRD the protection of every sensitive namespace would go: uninstall rempart first"),
        ),
        patch("", "an administrator upgrades a CRD", Who::Admin, CRD, categories, Accepted),
        patch("", "a CRD is labelled", Who::Clusterer, CRD, json!({"metadata": {"labels": {"team": "a"}}}), Accepted),
    ]
}

fn apiservices() -> Vec<Case> {
    let binding = "rempart-self-apiservice";
    let elsewhere = json!({
        "metadata": {"labels": {"kube-aggregator.kubernetes.io/automanaged": null}},
        "spec": {"service": {"namespace": "plain", "name": "forger"}, "insecureSkipTLSVerify": true},
    });
    let served = "the API server itself serves this group";
    let service = |group: &str| {
        json!({
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": format!("v2.{group}")},
            "spec": {
                "group": group, "version": "v2", "groupPriorityMinimum": 9000, "versionPriority": 9,
                "service": {"namespace": "plain", "name": "forger"}, "insecureSkipTLSVerify": true,
            },
        })
    };
    let all = "/apis/apiregistration.k8s.io/v1/apiservices";
    vec![
        patch(
            binding,
            "attack C1 another server is asked for the Clearance",
            Who::Clusterer,
            APISERVICE,
            elsewhere.clone(),
            Refused(served),
        ),
        patch(binding, "attack C1 by an administrator", Who::Admin, APISERVICE, elsewhere.clone(), Refused(served)),
        patch(
            binding,
            "attack C1 the API server is to let go of it",
            Who::Clusterer,
            APISERVICE,
            json!({"metadata": {"labels": {"kube-aggregator.kubernetes.io/automanaged": null}}}),
            Refused(served),
        ),
        patch(
            binding,
            "attack C1 another server is asked for the policies",
            Who::Clusterer,
            "/apis/apiregistration.k8s.io/v1/apiservices/v1.admissionregistration.k8s.io",
            elsewhere.clone(),
            Refused(served),
        ),
        patch(
            binding,
            "attack C1 another server is asked for namespaces",
            Who::Clusterer,
            "/apis/apiregistration.k8s.io/v1/apiservices/v1.",
            elsewhere.clone(),
            Refused(served),
        ),
        request(binding, "attack C1 it is deleted", Who::Clusterer, Method::DELETE, APISERVICE, Value::Null, Refused(served)),
        request(binding, "attack C1 another version", Who::Clusterer, Method::POST, all, service("rempart.dev"), Refused(served)),
        patch(
            "",
            "it is put right",
            Who::Clusterer,
            APISERVICE,
            json!({"metadata": {"labels": {"kube-aggregator.kubernetes.io/automanaged": "onstart"}}}),
            Accepted,
        ),
        request("", "another group goes where it likes", Who::Clusterer, Method::POST, all, service("example.com"), Accepted),
    ]
}

fn namespaces() -> Vec<Case> {
    let binding = "rempart-self-namespace";
    let canary = "/api/v1/namespaces/rempart-canary";
    let may_not = "belongs to rempart: tenant may not make or delete it";
    let new = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "rempart-system"}});
    vec![
        request(binding, "attack C7 the operator's namespace is deleted", Who::Tenant, Method::DELETE, OURS, Value::Null, Refused(may_not)),
        request(binding, "attack C7 the probe's namespace is deleted", Who::Tenant, Method::DELETE, canary, Value::Null, Refused(may_not)),
        request(
            binding,
            "attack C7 the operator's namespace is made by another",
            Who::Tenant,
            Method::POST,
            "/api/v1/namespaces",
            new,
            Refused(may_not),
        ),
        request("", "an administrator deletes the operator's namespace", Who::Admin, Method::DELETE, OURS, Value::Null, Accepted),
        request("", "another namespace is deleted", Who::Tenant, Method::DELETE, "/api/v1/namespaces/plain", Value::Null, Accepted),
    ]
}

/// What the chart tells the operator, such as whose labels on nodes count.
fn configuration() -> Vec<Case> {
    let binding = "rempart-self-identity";
    let all = format!("{OURS}/configmaps");
    let config = format!("{all}/rempart-config");
    let told = json!({"data": {"config.yaml": "nodeLabelers: [tenant]"}});
    let named = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": told["data"]});
    let elsewhere = "/api/v1/namespaces/plain/configmaps";
    let post = |row, path: &str, name| request("", row, Who::Tenant, Method::POST, path, named(name), Accepted);
    vec![
        patch(binding, "attack C3 the operator is told something else", Who::Tenant, &config, told.clone(), Refused(MAY_NOT)),
        request(
            binding,
            "attack C3 what it is told is made anew",
            Who::Tenant,
            Method::POST,
            &all,
            named("rempart-config"),
            Refused("may not act as the rempart operator"),
        ),
        patch("", "an administrator tells it something else", Who::Admin, &config, told.clone(), Accepted),
        post("another ConfigMap beside it", &all, "other"),
        post("one of the same name elsewhere", elsewhere, "rempart-config"),
    ]
}

const MAY_NOT: &str = "tenant may not act as the rempart operator: this needs the verb administer on sensitivitylevels.rempart.dev";

fn identity() -> Vec<Case> {
    let binding = "rempart-self-identity";
    let ours = |path: &str| format!("{OURS}/{path}");
    let token = |account: &str| ours(&format!("serviceaccounts/{account}/token"));
    let request_token = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
    let secret = |account: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
            "metadata": {"name": "token", "annotations": {"kubernetes.io/service-account.name": account}},
        })
    };
    let debug = json!({"spec": {"ephemeralContainers": [{"name": "debug", "image": "example.com/shell", "targetContainerName": "main"}]}});
    let image = json!([{"op": "replace", "path": "/spec/containers/0/image", "value": "example.com/forged"}]);
    let post = |row, who, path: &str, body, expected| request(binding, row, who, Method::POST, &ours(path), body, expected);
    let create_token = |row, who, account, expected| {
        let binding = if matches!(expected, Refused(_)) { binding } else { "" };
        request(binding, row, who, Method::POST, &token(account), request_token.clone(), expected)
    };
    vec![
        create_token("attack C3 a token of the operator", Who::Tenant, "rempart", Refused(MAY_NOT)),
        create_token("an administrator asks for a token of the operator", Who::Admin, "rempart", Accepted),
        create_token("a kubelet asks for the token of a pod of the operator", Who::InNameOfAKubelet, "rempart", Accepted),
        create_token("a token of another account", Who::Tenant, "default", Accepted),
        request(
            "",
            "a token of an account of the same name elsewhere",
            Who::Tenant,
            Method::POST,
            "/api/v1/namespaces/plain/serviceaccounts/rempart/token",
            request_token.clone(),
            Accepted,
        ),
        post("attack C3 a secret with a token of the operator", Who::Tenant, "secrets", secret("rempart"), Refused(MAY_NOT)),
        patch(
            binding,
            "attack C3 a secret becomes one",
            Who::Tenant,
            &ours("secrets/of-another"),
            json!({"metadata": {"annotations": {"kubernetes.io/service-account.name": "rempart"}}}),
            Refused(MAY_NOT),
        ),
        request("", "a secret with a token of another account", Who::Tenant, Method::POST, &ours("secrets"), secret("default"), Accepted),
        post("attack C3 into a pod of the operator", Who::Tenant, "pods/operator/exec?command=sh", Value::Null, Refused(MAY_NOT)),
        patch(
            binding,
            "attack C3 a container beside the operator",
            Who::Tenant,
            &ours("pods/operator/ephemeralcontainers"),
            debug,
            Refused(MAY_NOT),
        ),
        patch(binding, "attack C3 another image for the operator", Who::Tenant, &ours("pods/operator"), image, Refused(MAY_NOT)),
        patch(
            "",
            "a pod of the operator is labelled",
            Who::Tenant,
            &ours("pods/operator"),
            json!({"metadata": {"labels": {"team": "a"}}}),
            Accepted,
        ),
    ]
}

fn workloads() -> Vec<Case> {
    let binding = "rempart-self-identity";
    let ours = |path: &str| format!("{OURS}/{path}");
    let labels = json!({"app": "a"});
    let spec = |account: &str| json!({"serviceAccountName": account, "restartPolicy": "Always", "containers": [{"name": "main", "image": "example.com/main"}]});
    let never = |account: &str| merged(spec(account), json!({"restartPolicy": "Never"}));
    let template = |account: &str| json!({"metadata": {"labels": labels}, "spec": spec(account)});
    let workload = |version: &str, kind: &str, account: &str| json!({"apiVersion": version, "kind": kind, "metadata": {"name": "a"}, "spec": {"selector": {"matchLabels": labels}, "template": template(account)}});
    let job = |account: &str| json!({"template": {"spec": never(account)}});
    let apps = |plural: &str| format!("/apis/apps/v1/namespaces/rempart-system/{plural}");
    let batch = |plural: &str| format!("/apis/batch/v1/namespaces/rempart-system/{plural}");
    let refused = |row, path: &str, body| request(binding, row, Who::Tenant, Method::POST, path, body, Refused(MAY_NOT));
    let controller = json!({"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "a"}, "spec": {"selector": labels, "template": template("rempart")}});
    let pod = |account: &str| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec(account)});
    let cron = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "a"}, "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": job("rempart")}}});
    vec![
        refused("attack C3 a pod that runs as the operator", &ours("pods"), pod("rempart")),
        refused("attack C3 a ReplicationController", &ours("replicationcontrollers"), controller),
        refused("attack C3 a Deployment", &apps("deployments"), workload("apps/v1", "Deployment", "rempart")),
        refused("attack C3 a ReplicaSet", &apps("replicasets"), workload("apps/v1", "ReplicaSet", "rempart")),
        refused("attack C3 a StatefulSet", &apps("statefulsets"), workload("apps/v1", "StatefulSet", "rempart")),
        refused("attack C3 a DaemonSet", &apps("daemonsets"), workload("apps/v1", "DaemonSet", "rempart")),
        refused(
            "attack C3 a Job",
            &batch("jobs"),
            json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}, "spec": job("rempart")}),
        ),
        refused("attack C3 a CronJob", &batch("cronjobs"), cron),
        request("", "a pod that runs as another account", Who::Tenant, Method::POST, &ours("pods"), pod("default"), Accepted),
        request(
            "",
            "a Deployment that runs as another account",
            Who::Tenant,
            Method::POST,
            &apps("deployments"),
            workload("apps/v1", "Deployment", "default"),
            Accepted,
        ),
        request(
            "",
            "an administrator installs the operator",
            Who::Admin,
            Method::POST,
            &apps("deployments"),
            workload("apps/v1", "Deployment", "rempart"),
            Accepted,
        ),
        request("", "a controller makes a pod of the operator", Who::JobController, Method::POST, &ours("pods"), pod("rempart"), Accepted),
    ]
}

const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";

/// The suite's settings warn.
fn grants() -> Vec<Case> {
    let binding = "rempart-grants";
    let role = |rule: &Value| json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "wide"}, "rules": [rule]});
    let local = |rule: &Value| merged(role(rule), json!({"kind": "Role"}));
    let rule = |groups: &[&str], resources: &[&str], verbs: &[&str]| json!({"apiGroups": groups, "resources": resources, "verbs": verbs});
    let of = |namespace: &str| format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles");
    let warned = |row, rule: &Value, words| request(binding, row, Who::Granter, Method::POST, ROLES, role(rule), Warned(words));
    let free = |row, rule: &Value| request("", row, Who::Granter, Method::POST, ROLES, role(rule), Accepted);
    let here = |row, namespace: &str, rule: &Value, binding, expected| {
        request(binding, row, Who::Granter, Method::POST, &of(namespace), local(rule), expected)
    };
    let token = rule(&[""], &["serviceaccounts/token"], &["create"]);
    let all = rule(&["*"], &["*"], &["*"]);
    vec![
        warned(
            "E8 a role that binds pods",
            &rule(&[""], &["pods/binding"], &["create"]),
            "allows create on pods/binding of API groups core",
        ),
        warned("E8 the legacy resource", &rule(&[""], &["bindings"], &["create"]), "allows create on bindings"),
        warned("attack C4 everything", &all, "allows * on * of API groups *, a way around placement"),
        warned("attack C4 everything of the core", &rule(&[""], &["*"], &["create"]), "allows create on *"),
        warned("attack C4 declassify by wildcards", &rule(&["*"], &["*"], &["declassify"]), "allows declassify"),
        warned("attack C4 declassify", &rule(&["rempart.dev"], &["sensitivitylevels"], &["declassify"]), "allows declassify"),
        warned(
            "attack C4 constrained impersonation",
            &rule(&["authentication.k8s.io"], &["users"], &["impersonate:user-info"]),
            "impersonate",
        ),
        warned(
            "attack C4 mutating policies",
            &rule(&["admissionregistration.k8s.io"], &["mutatingadmissionpolicies"], &["create"]),
            "mutating",
        ),
        warned("attack C4 a webhook", &rule(&["admissionregistration.k8s.io"], &["mutatingwebhookconfigurations"], &["patch"]), "mutating"),
        warned("attack C4 tokens", &token, "allows create on serviceaccounts/token"),
        warned("attack C4 APIServices", &rule(&["apiregistration.k8s.io"], &["apiservices"], &["patch"]), "allows patch on apiservices"),
        warned("attack C4 bind", &rule(&["rbac.authorization.k8s.io"], &["clusterroles"], &["bind"]), "allows bind on clusterroles"),
        warned("E8 kubelets", &rule(&[""], &["nodes/proxy"], &["get"]), "allows get on nodes/proxy"),
        free("a role for workloads", &rule(&["apps"], &["*"], &["*"])),
        free("a role that reads", &rule(&["*"], &["*"], &["get", "list", "watch"])),
        here("E8 a role of a namespace that binds pods", "plain", &all, binding, Warned("role wide allows * on *")),
        here("a role of a namespace that makes its tokens", "plain", &token, "", Accepted),
        here("attack C3 tokens of the system", "kube-system", &token, binding, Warned("serviceaccounts/token")),
        request("", "an administrator writes such a role", Who::Admin, Method::POST, ROLES, role(&all), Accepted),
        patch(
            "",
            "such a role is labelled",
            Who::Granter,
            &format!("{ROLES}/cluster-admin"),
            json!({"metadata": {"labels": {"team": "a"}}}),
            Accepted,
        ),
    ]
}

fn bound() -> Vec<Case> {
    let binding = "rempart-grants-bound";
    let bind = |kind: &str, role: &str| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": "wide"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "tenant2"}],
        })
    };
    let everywhere = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    let here = "/apis/rbac.authorization.k8s.io/v1/namespaces/plain/rolebindings";
    let post = |binding, row, who, path: &str, body, expected| request(binding, row, who, Method::POST, path, body, expected);
    let widely = |role: &str| bind("ClusterRoleBinding", role);
    vec![
        post(
            binding,
            "attack C4 cluster-admin is bound",
            Who::Granter,
            everywhere,
            widely("cluster-admin"),
            Warned("ClusterRole cluster-admin allows * on * of API groups *, a way around placement"),
        ),
        post(
            binding,
            "attack C4 cluster-admin is bound in a namespace",
            Who::Granter,
            here,
            bind("RoleBinding", "cluster-admin"),
            Warned("ClusterRole cluster-admin allows"),
        ),
        post(binding, "attack C4 edit is bound everywhere", Who::Granter, everywhere, widely("edit"), Warned("ClusterRole edit allows")),
        post("", "edit is bound in a namespace", Who::Granter, here, bind("RoleBinding", "edit"), Accepted),
        post("", "view is bound everywhere", Who::Granter, everywhere, widely("view"), Accepted),
        post("", "an administrator binds cluster-admin", Who::Admin, everywhere, widely("cluster-admin"), Accepted),
    ]
}
