//! What a tenant declares holds from the moment it is stored, and only whoever may declassify takes it back.

use std::time::{Duration, Instant};

use http::Method;
use kube::Client;
use serde_json::{Value, json};

use super::world::{World, condition, interne, level, merged, namespace, node, plain_cloud, pod, qualified_cloud, restreint};
use crate::cluster::{Answer, apply, expect_refused, send, try_apply, wait_until};

const SELECTOR: &str = "rempart.node-restriction.kubernetes.io";

/// Two clouds with a node each, two levels, and the namespaces `names`.
async fn furnished(name: &str, names: &[&str]) -> World {
    let world = World::guarded(name).await;
    apply(&world.admin, &[qualified_cloud("snc"), plain_cloud("aws"), restreint(), interne()]).await;
    apply(&world.admin, &[node("snc-1", "snc"), node("aws-1", "aws")]).await;
    apply(&world.admin, &names.iter().map(|name| namespace(name, None)).collect::<Vec<_>>()).await;
    world.wait_nodes("snc", "restreint", true).await;
    world.wait_nodes("aws", "interne", true).await;
    world
}

fn declaration(namespace: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "rempart.dev/v1alpha1", "kind": "DataDeclaration", "metadata": {"name": name, "namespace": namespace}, "spec": spec})
}

fn selecting(level: &str, labels: Value) -> Value {
    json!({"level": level, "workloads": {"matchLabels": labels}})
}

fn labelled(name: &str, labels: Value) -> Value {
    merged(pod(name), json!({"metadata": {"labels": labels}}))
}

/// Level and mark of a namespace.
async fn given(world: &World, name: &str) -> (Value, Value) {
    let labels = world.get(&format!("/api/v1/namespaces/{name}")).await.unwrap()["metadata"]["labels"].clone();
    (labels["rempart.dev/sensitivity"].clone(), labels["rempart.dev/declared"].clone())
}

async fn wait_given(world: &World, name: &str, level: Value, mark: Value) {
    wait_until(&format!("{name} has level {level} and mark {mark}"), async || {
        let found = given(world, name).await;
        if found == (level.clone(), mark.clone()) { Ok(()) } else { Err(found) }
    })
    .await;
}

/// A user who may do everything with pods and declarations in `namespace`, and nothing else.
async fn tenant(world: &World, namespace: &str) -> Client {
    apply(
        &world.admin,
        &[
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "tenant", "namespace": namespace},
                "rules": [{"apiGroups": ["", "rempart.dev"], "resources": ["pods", "datadeclarations"], "verbs": ["*"]}],
            }),
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "tenant", "namespace": namespace},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "tenant"},
                "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "tenant"}],
            }),
        ],
    )
    .await;
    let tenant = world.cluster.user("tenant", &["system:authenticated"]).await;
    // An API server hears of a right a moment after it is stored.
    wait_until("the tenant may", async || create(&tenant, namespace, &pod("tried"), "?dryRun=All").await.accepted()).await;
    tenant
}

/// Lets the tenant declassify what has `level`.
async fn may_declassify(world: &World, level: &str) {
    apply(&world.admin, &[
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "declassify"},
            "rules": [{"apiGroups": ["rempart.dev"], "resources": ["sensitivitylevels"], "resourceNames": [level], "verbs": ["declassify"]}],
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "declassify"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "declassify"},
            "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "tenant"}],
        }),
    ])
    .await;
}

fn path(namespace: &str, name: &str) -> String {
    format!("/apis/rempart.dev/v1alpha1/namespaces/{namespace}/datadeclarations/{name}")
}

async fn create(client: &Client, namespace: &str, pod: &Value, query: &str) -> Answer {
    send(client, Method::POST, &format!("/api/v1/namespaces/{namespace}/pods{query}"), Some(pod)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_declares_freely_and_cannot_take_it_back() {
    let world = furnished("declared-tenant", &["emr", "lab"]).await;
    let tenant = tenant(&world, "emr").await;
    let whole = declaration("emr", "records", json!({"level": "restreint", "dataOwner": "dpo@hospital.example"}));
    try_apply(&tenant, &whole).await.unwrap();
    apply(&world.admin, &[declaration("lab", "ledger", selecting("restreint", json!({"app": "ledger"})))]).await;
    wait_given(&world, "emr", json!("restreint"), json!("true")).await;
    wait_given(&world, "lab", json!(null), json!("true")).await;
    let object = world.wait_condition("namespaces/emr/datadeclarations/records", "Enforced", "True", "").await;
    assert_eq!(object["status"]["eligibleClouds"], json!(["snc"]));

    let needs = "this needs the verb declassify on sensitivitylevels.rempart.dev/restreint";
    let records = path("emr", "records");
    for patch in [json!({"spec": {"level": "interne"}}), json!({"spec": {"workloads": {"matchLabels": {"app": "none"}}}})] {
        let answer = send(&tenant, Method::PATCH, &records, Some(&patch)).await.unwrap();
        expect_refused(&answer, "tenant may not change the level or the workloads of declaration records");
        expect_refused(&answer, needs);
    }
    let answer = send(&tenant, Method::DELETE, &records, None).await.unwrap();
    expect_refused(&answer, "tenant may not remove declaration records");
    expect_refused(&answer, needs);
    // What is not about the level is theirs to change.
    let patch = json!({"spec": {"dataOwner": "cdo@hospital.example", "reviewBy": "2099-01-01"}});
    send(&tenant, Method::PATCH, &records, Some(&patch)).await.unwrap().accepted().unwrap();

    may_declassify(&world, "restreint").await;
    wait_until("a holder of declassify removes it", async || send(&tenant, Method::DELETE, &records, None).await.unwrap().accepted()).await;
    wait_given(&world, "emr", json!("restreint"), json!(null)).await;
    let placed = create(&tenant, "emr", &pod("still"), "").await.accepted().unwrap();
    assert_eq!(placed["spec"]["nodeSelector"][format!("{SELECTOR}/restreint")], "cleared", "the level of the namespace stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_operator_dead_it_holds_for_the_next_pod() {
    let mut world = furnished("declared-dead", &["emr"]).await;
    let tenant = tenant(&world, "emr").await;
    world.kill();
    let ledger = labelled("ledger", json!({"app": "ledger"}));
    let before = create(&tenant, "emr", &ledger, "?dryRun=All").await.accepted().unwrap();
    assert!(before["spec"]["nodeSelector"].is_null(), "nothing is declared yet");

    try_apply(&tenant, &declaration("emr", "ledger", selecting("restreint", json!({"app": "ledger"})))).await.unwrap();
    let stored = Instant::now();
    let mut tries = 0;
    let held = loop {
        tries += 1;
        let pod = create(&tenant, "emr", &ledger, "?dryRun=All").await.accepted().unwrap();
        if !pod["spec"]["nodeSelector"].is_null() || stored.elapsed() > Duration::from_secs(10) {
            break pod;
        }
    };
    eprintln!("with the operator dead, a declaration held {:?} after it was stored, at pod {tries}", stored.elapsed());
    assert_eq!(held["spec"]["nodeSelector"], json!({format!("{SELECTOR}/restreint"): "cleared"}));
    assert_eq!(held["metadata"]["labels"]["rempart.dev/sensitivity"], "restreint");
    assert_eq!(held["metadata"]["annotations"]["rempart.dev/declared-by"], "ledger");
    assert_eq!(given(&world, "emr").await, (json!(null), json!(null)), "nobody was there to mark the namespace");

    create(&tenant, "emr", &ledger, "").await.accepted().unwrap();
    let pods = world.wait_pods("emr", 1).await;
    assert_eq!(pods[0].1.as_deref(), Some("snc-1"));
    // The level that the pod got is judged whole, and other pods are nobody's business.
    let bypassing = merged(labelled("bypassing", json!({"app": "ledger"})), json!({"spec": {"nodeName": "aws-1"}}));
    expect_refused(&create(&tenant, "emr", &bypassing, "").await, "spec.nodeName aws-1 bypasses the scheduler");
    let other = create(&tenant, "emr", &pod("other"), "?dryRun=All").await.accepted().unwrap();
    assert!(other["spec"]["nodeSelector"].is_null() && other["metadata"]["labels"].is_null(), "{other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_levels_for_one_pod_are_refused_and_for_one_namespace_both_hold() {
    let world = furnished("declared-twice", &["pods", "whole"]).await;
    apply(
        &world.admin,
        &[
            declaration("pods", "ledger", selecting("restreint", json!({"app": "ledger"}))),
            declaration("pods", "base", selecting("interne", json!({"tier": "db"}))),
            declaration("whole", "first", json!({"level": "restreint"})),
        ],
    )
    .await;
    wait_given(&world, "pods", json!(null), json!("true")).await;
    for (name, labels, level) in [("one", json!({"app": "ledger"}), "restreint"), ("other", json!({"tier": "db"}), "interne")] {
        let pod = world.create_pod("pods", &labelled(name, labels)).await.accepted().unwrap();
        assert_eq!(pod["spec"]["nodeSelector"], json!({format!("{SELECTOR}/{level}"): "cleared"}));
    }
    let both = world.create_pod("pods", &labelled("both", json!({"app": "ledger", "tier": "db"}))).await;
    expect_refused(&both, "it selects this pod, which has the level");
    expect_refused(&both, "from declaration");
    expect_refused(&both, "declare a level that extends both");

    wait_given(&world, "whole", json!("restreint"), json!("true")).await;
    apply(&world.admin, &[declaration("whole", "second", json!({"level": "interne"}))]).await;
    for (name, other, extends) in [("first", "interne", "restreint and interne"), ("second", "restreint", "interne and restreint")] {
        let says = format!(
            "SeveralLevels: namespace whole is also of level {other}; pods need all of them, which 1 node of snc satisfy: declare one level that extends {extends}"
        );
        let object = world.wait_condition(&format!("namespaces/whole/datadeclarations/{name}"), "Conflict", "True", &says).await;
        assert_eq!(condition(&object, "Ready")["status"], "True", "a conflict stops nobody");
    }
    assert_eq!(given(&world, "whole").await.0, "restreint", "the namespace keeps its label");
    let pod = world.create_pod("whole", &pod("both")).await.accepted().unwrap();
    assert_eq!(pod["spec"]["nodeSelector"], json!({format!("{SELECTOR}/restreint"): "cleared", format!("{SELECTOR}/interne"): "cleared"}));
    assert_eq!(world.wait_pods("whole", 1).await[0].1.as_deref(), Some("snc-1"));

    world.delete(&path("whole", "second")).await;
    wait_until("the conflict is over", async || {
        let found = condition(&world.get(&path("whole", "first")).await.unwrap(), "Conflict");
        if found.is_null() { Ok(()) } else { Err(found) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_that_is_not_enforced_or_not_there_or_not_allowed_says_so() {
    let mut world = World::installed("declared-levels").await;
    // Before there is a policy that refuses it.
    apply(&world.admin, &[declaration("kube-system", "mistake", json!({"level": "restreint"}))]).await;
    world.start().await;
    let watched = level("watched", json!({"keyCustody": "ClientSide"}), json!({"enforcement": "Audit"}));
    let warned = level("warned", json!({"keyCustody": "ClientSide"}), json!({"enforcement": "Warn"}));
    apply(&world.admin, &[qualified_cloud("snc"), plain_cloud("aws"), restreint(), interne(), watched, warned]).await;
    apply(&world.admin, &[node("snc-1", "snc"), node("aws-1", "aws")]).await;
    for (name, level) in [("audit", "watched"), ("warn", "warned"), ("typo", "restrient")] {
        apply(&world.admin, &[namespace(name, None), declaration(name, "whole", json!({"level": level}))]).await;
        apply(&world.admin, &[declaration(name, "some", selecting(level, json!({"app": "ledger"})))]).await;
    }
    let placed = |name: &str| merged(labelled(name, json!({"app": "ledger"})), json!({"spec": {"nodeName": "aws-1"}}));

    for (name, level, reason) in [("audit", "watched", "AuditOnly"), ("warn", "warned", "Warning")] {
        wait_given(&world, name, json!(level), json!(null)).await;
        for declaration in ["whole", "some"] {
            let object =
                world.wait_condition(&format!("namespaces/{name}/datadeclarations/{declaration}"), "Enforced", "False", reason).await;
            assert_eq!(condition(&object, "Ready")["status"], "True");
        }
        let warns = name == "warn";
        wait_until("the level is only reported", async || {
            let answer = world.create_pod(name, &merged(placed("x"), json!({"metadata": {"name": null, "generateName": "x-"}}))).await;
            let told = answer.warnings.iter().any(|warning| warning.contains("sensitivity warned"));
            let altered = answer.body["spec"]["nodeSelector"].to_string();
            if answer.status < 300 && told == warns && altered == "null" {
                Ok(())
            } else {
                Err((answer.refusal(), answer.warnings, altered))
            }
        })
        .await;
        world.wait_condition(&format!("namespaces/{name}/datadeclarations/some"), "Compliant", "False", "PlacedBadly").await;
    }

    wait_given(&world, "typo", json!("restrient"), json!("true")).await;
    for (name, spec) in [("any", pod("any")), ("some", labelled("some", json!({"app": "ledger"})))] {
        let answer = world.create_pod("typo", &spec).await;
        expect_refused(&answer, "no sensitivity level has this name: use one of interne, restreint, warned, watched");
        assert!(answer.refusal().contains("restrient"), "{name}: {}", answer.refusal());
    }

    let says = "metadata.namespace: namespace kube-system can not have a level: remove this declaration";
    world.wait_condition("namespaces/kube-system/datadeclarations/mistake", "Stalled", "True", says).await;
    assert_eq!(given(&world, "kube-system").await, (json!(null), json!(null)));
    let system = merged(placed("system"), json!({"spec": {"tolerations": [{"operator": "Exists"}]}}));
    let system = world.create_pod("kube-system", &system).await.accepted().unwrap();
    assert!(system["spec"]["nodeSelector"].is_null() && system["metadata"]["labels"] == json!({"app": "ledger"}), "{system}");
    let another = try_apply(&world.admin, &declaration("kube-system", "another", json!({"level": "restreint"}))).await.unwrap_err();
    assert!(another.to_string().contains("namespace kube-system runs the cluster or its guard: it can not be declared"), "{another}");
    world.delete(&path("kube-system", "mistake")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_falls_due_and_nothing_else_changes() {
    let world = furnished("declared-review", &["emr"]).await;
    let spec = |by: &str| merged(selecting("restreint", json!({"app": "ledger"})), json!({"reviewBy": by}));
    apply(&world.admin, &[declaration("emr", "late", spec("2026-01-31")), declaration("emr", "early", spec("2099-01-31"))]).await;
    let late = world
        .wait_condition(
            "namespaces/emr/datadeclarations/late",
            "ReviewDue",
            "True",
            "ReviewOverdue: review was due by 2026-01-31: look at this declaration again and set spec.reviewBy",
        )
        .await;
    let early = world.wait_condition("namespaces/emr/datadeclarations/early", "ReviewDue", "False", "to be reviewed by 2099-01-31").await;
    for object in [&late, &early] {
        assert_eq!(condition(object, "Ready")["status"], "True");
    }
    world.wait_condition("namespaces/emr/datadeclarations/late", "Enforced", "True", "").await;
    for zone in ["Europe/Pariss", "Etc/Unknown"] {
        world.patch(&path("emr", "late"), json!({"spec": {"timeZone": zone}})).await;
        let says = format!("spec.timeZone: {zone:?} is not a time zone");
        let object = world.wait_condition("namespaces/emr/datadeclarations/late", "Stalled", "True", &says).await;
        assert_eq!(condition(&object, "ReviewDue")["status"], "Unknown");
        assert_eq!(condition(&object, "Enforced")["status"], "True", "its level holds all the same");
    }
    world.patch(&path("emr", "late"), json!({"spec": {"timeZone": "Europe/Paris"}})).await;
    world.patch(&path("emr", "late"), json!({"spec": {"reviewBy": "2099-02-28"}})).await;
    world.wait_condition("namespaces/emr/datadeclarations/late", "ReviewDue", "False", "to be reviewed by 2099-02-28").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_with_declarations_can_always_be_deleted() {
    let mut world = furnished("declared-deleted", &["alive", "dead"]).await;
    for name in ["alive", "dead"] {
        apply(
            &world.admin,
            &[
                declaration(name, "whole", json!({"level": "restreint"})),
                declaration(name, "some", selecting("interne", json!({"app": "ledger"}))),
                declaration(name, "unknown", selecting("nosuch", json!({"app": "none"}))),
            ],
        )
        .await;
        wait_given(&world, name, json!("restreint"), json!("true")).await;
        world.create_pod(name, &merged(pod("running"), json!({"spec": {"terminationGracePeriodSeconds": 0}}))).await.accepted().unwrap();
        world.wait_pods(name, 1).await;
    }
    let gone = async |world: &World, name: &str| {
        world.delete(&format!("/api/v1/namespaces/{name}")).await;
        wait_until(&format!("{name} is gone"), async || match world.get(&format!("/api/v1/namespaces/{name}")).await {
            Err(why) if why.starts_with("404") => Ok(()),
            found => Err(found),
        })
        .await;
    };
    gone(&world, "alive").await;
    world.kill();
    gone(&world, "dead").await;
}
