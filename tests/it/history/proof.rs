//! The history can fail: a check that cannot is worth nothing. What it finds in the rules themselves is tried in `invariant.rs`;
//! what it finds when the guard is taken away, in `guard/holes.rs`.

use http::{Method, Request};
use serde_json::{Value, json};

use super::{History, client};
use crate::cluster::{Cluster, apply, send, wait_until};

/// On this cluster nobody guards anything, and it ends like every other.
#[tokio::test(flavor = "multi_thread")]
#[should_panic(expected = "emr/stray: it was bound to node-0, which was not cleared for restreint")]
async fn a_test_whose_cluster_broke_the_invariant_fails_at_its_end() {
    let cluster = Cluster::start("history-broken", &["--nodes", "1"]);
    let admin = cluster.admin().await;
    cluster.history().promise(&[]);
    apply(&admin, &[json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "emr", "labels": {"rempart.dev/sensitivity": "restreint"}}})])
        .await;
    let pod = json!({"metadata": {"name": "stray"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    wait_until("a pod runs where it may not", async || {
        let answer = send(&admin, Method::POST, "/api/v1/namespaces/emr/pods", Some(&pod)).await.map_err(|error| error.to_string())?;
        if answer.status != 409 {
            answer.accepted()?;
        }
        let pod = send(&admin, Method::GET, "/api/v1/namespaces/emr/pods/stray", None).await.map_err(|error| error.to_string())?;
        if pod.body["spec"]["nodeName"] == "node-0" { Ok(()) } else { Err(pod.body["status"].to_string()) }
    })
    .await;
}

/// Who begins to look too late has not seen it all, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_not_complete_is_no_history() {
    let cluster = Cluster::start("history-compacted", &[]);
    cluster.verdict().expect("nothing is wrong, and all of it was seen");
    let description: Value = serde_json::from_slice(&std::fs::read(cluster.dir().join("cluster.json")).unwrap()).unwrap();
    let etcd = description["etcd"].as_str().unwrap();
    let compaction = Request::post("/v3/kv/compaction").body(json!({"revision": "50", "physical": true}).to_string().into_bytes()).unwrap();
    client(etcd).request::<Value>(compaction).await.unwrap();
    let why = History::record(etcd).verdict(&[""; 0]).unwrap_err();
    assert!(why.contains("revisions before 50 were compacted before they were read"), "{why}");
}
