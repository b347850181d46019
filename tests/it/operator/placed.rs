//! Pods land where they may, whatever their manifests say.

use serde_json::json;

use super::world::{World, interne, namespace, plain_cloud, qualified_cloud, restreint};
use crate::cluster::{apply, wait_until};

/// Every kind of workload, and how many pods it makes on nodes of which `daemons` are eligible.
fn workloads(daemons: usize) -> (String, usize) {
    let template = |app: &str| format!("{{metadata: {{labels: {{app: {app}}}}}, spec: {{containers: [{{name: c, image: i}}]}}}}");
    let once = "{metadata: {labels: {app: job}}, spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}";
    let text = format!(
        r"
apiVersion: apps/v1
kind: Deployment
metadata: {{name: many}}
spec: {{replicas: 50, selector: {{matchLabels: {{app: many}}}}, template: {many}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: few}}
spec: {{replicas: 5, serviceName: few, podManagementPolicy: Parallel, selector: {{matchLabels: {{app: few}}}}, template: {few}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: each}}
spec: {{selector: {{matchLabels: {{app: each}}}}, template: {each}}}
---
apiVersion: batch/v1
kind: Job
metadata: {{name: once}}
spec: {{completions: 3, parallelism: 3, template: {once}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {{name: often}}
spec: {{schedule: '*/1 * * * *', suspend: true, jobTemplate: {{spec: {{template: {once}}}}}}}
",
        many = template("many"),
        few = template("few"),
        each = template("each"),
    );
    (text, 50 + 5 + 3 + daemons)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_workload_lands_on_cleared_nodes_and_plain_ones_land_anywhere() {
    let world = World::guarded("placed").await;
    apply(&world.admin, &[qualified_cloud("snc"), plain_cloud("aws"), restreint(), interne()]).await;
    world.nodes("snc", 6, "snc").await;
    world.nodes("aws", 10, "aws").await;
    world.nodes("stray", 4, "nowhere").await;
    world.wait_nodes("snc", "restreint", true).await;
    world.wait_nodes("aws", "interne", true).await;
    world.wait_nodes("aws", "restreint", false).await;

    apply(&world.admin, &[namespace("secret", Some("restreint")), namespace("open", None)]).await;
    for (name, daemons) in [("secret", 6), ("open", 20)] {
        let (text, count) = workloads(daemons);
        let objects = crate::cluster::yaml(&text).into_iter().map(|mut object| {
            object["metadata"]["namespace"] = name.into();
            object
        });
        apply(&world.admin, &objects.collect::<Vec<_>>()).await;
        // The CronJob, run once by hand, as `kubectl create job --from` does.
        apply(&world.admin, &[json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "by-hand", "namespace": name},
            "spec": {"template": {"metadata": {"labels": {"app": "job"}}, "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}},
        })])
        .await;
        let pods = world.wait_pods(name, count + 1).await;
        if name == "secret" {
            let elsewhere: Vec<_> = pods.iter().filter(|(_, node, _)| !node.as_ref().unwrap().starts_with("snc-")).collect();
            assert!(elsewhere.is_empty(), "{elsewhere:?}");
        }
    }
    for pod in world.items("/api/v1/namespaces/open/pods").await {
        assert!(pod["spec"]["nodeSelector"].is_null(), "a plain pod was changed: {}", pod["spec"]);
        assert!(!pod["metadata"].to_string().contains("rempart"), "{}", pod["metadata"]);
    }
    let daemons = world.get("/apis/apps/v1/namespaces/secret/daemonsets/each").await.unwrap();
    assert_eq!(daemons["status"]["desiredNumberScheduled"], 6);
    for kind in ["deployments/many", "statefulsets/few"] {
        let object = world.get(&format!("/apis/apps/v1/namespaces/secret/{kind}")).await.unwrap();
        assert!(object["spec"]["template"]["spec"]["nodeSelector"].is_null(), "templates are the user's: {kind}");
    }

    let level = world.wait_condition("sensitivitylevels/restreint", "Enforced", "True", "").await;
    wait_until("the level counts its pods", async || {
        let level = world.get("/apis/rempart.dev/v1alpha1/sensitivitylevels/restreint").await?;
        let status = &level["status"];
        // Pods of Jobs have finished and hold no node any more.
        if status["pods"]["compliant"] == 61 && status["nodes"] == 6 && status["namespaces"] == 1 {
            Ok(())
        } else {
            Err(status.to_string())
        }
    })
    .await;
    assert_eq!(level["status"]["clouds"], json!(["snc"]));
    // Pods of 5 kinds of workload, and the one by hand.
    let seen = world.cluster.verdict().unwrap();
    assert!(seen.judged >= 65 && seen.bound >= 65 + 79, "{seen}");
}
