//! Removing Rempart as the README says leaves nothing that holds anything up, and installing it again goes on where it was.

use std::path::Path;

use http::Method;
use serde_json::{Value, json};

use super::world::{World, elsewhere, interne, namespace, plain_cloud, pod, qualified_cloud, restreint};
use crate::cluster::{Answer, apply, ran, send, wait_until};
use crate::objects::{claim, class};
use crate::proxy::{Fault, On, Proxy};

/// The script that the README gives after these words.
fn script_after(words: &str) -> &'static str {
    let readme = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
    let rest = readme.split_once(words).expect("the README says so").1;
    rest.split_once("```sh\n").and_then(|(_, script)| script.split_once("```")).expect("and gives a script").0
}

/// Runs a script of an administrator who has the program.
fn with_rempart(world: &World, script: &str) -> Result<String, String> {
    ran(world.cluster.shell_command(&[Path::new(env!("CARGO_BIN_EXE_rempart"))], script))
}

async fn furnish(world: &World) {
    apply(&world.admin, &[qualified_cloud("snc"), plain_cloud("aws"), restreint(), interne()]).await;
}

async fn is_refused_elsewhere(world: &World) {
    let mut elsewhere = pod("elsewhere");
    elsewhere["spec"]["nodeName"] = "aws-1".into();
    wait_until("a pod that names its node is refused", async || {
        let answer = world.create_pod("secret", &elsewhere).await;
        if answer.refusal().contains("bypasses the scheduler") {
            return Ok(());
        }
        send(&world.admin, Method::DELETE, "/api/v1/namespaces/secret/pods/elsewhere?gracePeriodSeconds=0", None).await.unwrap();
        Err(answer.refusal())
    })
    .await;
}

const QUOTA: &str = "/api/v1/namespaces/secret/resourcequotas/rempart-classes";

/// An attempt at a claim of a class that is no cloud's.
async fn claimed(world: &World) -> Answer {
    let claim = claim("secret", "data", "standard");
    send(&world.admin, Method::POST, "/api/v1/namespaces/secret/persistentvolumeclaims?dryRun=All", Some(&claim))
        .await
        .expect("the API server answers")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_readme_says_removes_it_and_it_can_be_installed_again() {
    let mut world = World::guarded("uninstalled").await;
    furnish(&world).await;
    world.nodes("snc", 1, "snc").await;
    world.nodes("aws", 1, "aws").await;
    world.wait_nodes("snc", "restreint", true).await;
    apply(&world.admin, &[namespace("secret", Some("restreint"))]).await;
    wait_until("a pod is accepted", async || world.create_pod("secret", &pod("runs")).await.accepted()).await;
    world.wait_pods("secret", 1).await;
    is_refused_elsewhere(&world).await;

    let crds = world.cluster.shell("kubectl delete -f crds/ --wait=false");
    assert!(crds.as_ref().is_err_and(|said| said.contains("uninstall rempart first")), "{crds:?}");
    apply(&world.admin, &[class("standard", "csi.other.example")]).await;
    wait_until("its claims are closed to the class of no cloud", async || {
        let said = claimed(&world).await.refusal();
        if said.contains("storage class standard is not cleared") && world.get(QUOTA).await.is_ok() { Ok(()) } else { Err(said) }
    })
    .await;
    let early = with_rempart(&world, "rempart uninstall --yes");
    assert!(early.as_ref().is_err_and(|said| said.contains("and would put everything back: remove it first")), "{early:?}");

    assert_eq!(world.terminate(), Some(0));
    let shown = with_rempart(&world, "rempart uninstall");
    assert!(shown.as_ref().is_err_and(|said| said.contains("nothing was removed: --yes removes ")), "{shown:?}");
    for guarding in
        ["validatingadmissionpolicybinding/rempart-pod\n", "resourcequota/rempart-classes in secret\n", "sensitivitylevel/restreint\n"]
    {
        assert!(shown.as_ref().is_err_and(|said| said.contains(guarding)), "{guarding} {shown:?}");
    }
    is_refused_elsewhere(&world).await;
    let excused = world.cluster.history().excuse();
    let said = with_rempart(&world, script_after("To remove Rempart on purpose"));
    said.unwrap_or_else(|said| panic!("the script fails: {said}"));
    wait_until("nothing of it is left", async || {
        let left = world.cluster.shell("kubectl get crds,validatingadmissionpolicies,mutatingadmissionpolicies,namespaces -o name");
        let left: Vec<String> = left.unwrap().lines().filter(|line| line.contains("rempart")).map(ToOwned::to_owned).collect();
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
    let mut anywhere = pod("anywhere");
    anywhere["spec"]["nodeName"] = "aws-1".into();
    wait_until("nothing is refused any more", async || world.create_pod("secret", &anywhere).await.accepted()).await;
    wait_until("nor any claim", async || claimed(&world).await.accepted()).await;
    assert_eq!(with_rempart(&world, "rempart uninstall").as_deref(), Ok("nothing of Rempart guards this cluster\n"));

    drop(excused);
    world.install().await;
    world.start().await;
    furnish(&world).await;
    is_refused_elsewhere(&world).await;
    world.wait_condition("sensitivitylevels/restreint", "Compliant", "False", "aws-1").await;
    world.wait_nodes("snc", "restreint", true).await;
    wait_until("a pod is accepted", async || world.create_pod("secret", &pod("later")).await.accepted()).await;
}

/// The kubeconfig of an account with the rights of this ClusterRole, or with none.
async fn account(world: &World, name: &str, role: Option<&str>) -> std::path::PathBuf {
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": "default"}});
    let binding = role.map(|role| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "default"}],
        })
    });
    let objects: Vec<Value> = std::iter::once(account).chain(binding).collect();
    apply(&world.admin, &objects).await;
    world.cluster.service_account("default", name)
}

fn uninstall_as(world: &World, kubeconfig: &Path) -> Result<String, String> {
    with_rempart(world, &format!("rempart uninstall --yes --kubeconfig {}", kubeconfig.display()))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_write_all_the_time_is_not_said_to_be_removed() {
    let mut world = World::guarded("not-removed").await;
    furnish(&world).await;
    apply(&world.admin, &[namespace("secret", Some("restreint"))]).await;
    world.wait_condition("sensitivitylevels/restreint", "Enforced", "True", "").await;
    assert_eq!(world.terminate(), Some(0));
    let proxy = Proxy::start(&world.cluster).await;
    let remover = elsewhere(&account(&world, "remover", Some("cluster-admin")).await, &proxy.url());
    let held = "^PUT .*/(sensitivitylevels/restreint|validatingadmissionpolicybindings/rempart-pod)[?]";
    proxy.spoil(On::requests(held), |_| true, Fault::Status(409));
    let excused = world.cluster.history().excuse();
    let said = uninstall_as(&world, &remover).expect_err("two were not removed");
    for left in ["2 of ", "could not be removed", "sensitivitylevel/restreint: ", "validatingadmissionpolicybinding/rempart-pod: "] {
        assert!(said.contains(left), "{left}: {said}");
    }
    proxy.heal();
    let said = uninstall_as(&world, &remover);
    assert!(said.as_ref().is_ok_and(|said| said.contains("removed: 1 policies and bindings")), "{said:?}");
    drop(excused);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_removed_while_an_operator_may_run_in_any_namespace() {
    let world = World::installed("runs-elsewhere").await;
    // A lease that says nothing of its duration.
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "rempart", "namespace": "elsewhere"},
        "spec": {"holderIdentity": "someone", "renewTime": "2026-01-01T00:00:00.000000Z"},
    });
    apply(&world.admin, &[namespace("elsewhere", None), lease]).await;
    let renewed = tokio::spawn({
        let admin = world.admin.clone();
        async move {
            for second in (0..60).cycle() {
                let renewal = json!({"spec": {"renewTime": format!("2026-01-01T00:01:{second:02}.000000Z")}});
                let path = "/apis/coordination.k8s.io/v1/namespaces/elsewhere/leases/rempart";
                let _ = send(&admin, Method::PATCH, path, Some(&renewal)).await;
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        }
    });
    let said = with_rempart(&world, "rempart uninstall --yes");
    assert!(said.as_ref().is_err_and(|said| said.contains("the operator runs as someone in namespace elsewhere")), "{said:?}");
    renewed.abort();
    let powerless = account(&world, "powerless", None).await;
    let said = uninstall_as(&world, &powerless);
    assert!(said.as_ref().is_err_and(|said| said.contains("whether an operator runs is not known")), "{said:?}");
}
