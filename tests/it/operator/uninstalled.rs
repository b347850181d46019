//! Removing Rempart as the README says leaves nothing that holds anything up, and installing it again goes on where it was.

use http::Method;

use super::world::{World, interne, namespace, plain_cloud, pod, qualified_cloud, restreint};
use crate::cluster::{apply, send, wait_until};

/// The script that the README gives after these words.
fn script_after(words: &str) -> &'static str {
    let readme = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
    let rest = readme.split_once(words).expect("the README says so").1;
    rest.split_once("```sh\n").and_then(|(_, script)| script.split_once("```")).expect("and gives a script").0
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

    assert_eq!(world.terminate(), Some(0));
    let excused = world.cluster.history().excuse();
    let said = world.cluster.shell(script_after("To remove Rempart on purpose"));
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

    drop(excused);
    world.install().await;
    world.start().await;
    furnish(&world).await;
    is_refused_elsewhere(&world).await;
    world.wait_condition("sensitivitylevels/restreint", "Compliant", "False", "aws-1").await;
    world.wait_nodes("snc", "restreint", true).await;
    wait_until("a pod is accepted", async || world.create_pod("secret", &pod("later")).await.accepted()).await;
}
