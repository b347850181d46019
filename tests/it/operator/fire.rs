//! Clients that ask, without a pause, for what must have the same answer at every moment.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::world::{World, pod};
use crate::cluster::{send, wait_until};

/// A request, of which nothing is stored.
pub type Try = (Method, String, Value);

/// Two clients that ask as long as this lives.
pub struct Fire {
    right: Arc<AtomicU32>,
    wrong: Arc<Mutex<Vec<String>>>,
    cease: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

impl Fire {
    /// Tries what must be refused: pods that name a node that is not cleared, Bindings to it, pods that tolerate everything, and labels of a node.
    pub async fn open(world: &World) -> Self {
        let mut named = pod("violation");
        named["spec"]["nodeName"] = "aws-1".into();
        let mut wild = pod("violation");
        wild["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
        let binding = json!({
            "apiVersion": "v1", "kind": "Binding", "metadata": {"name": "waits"},
            "target": {"apiVersion": "v1", "kind": "Node", "name": "aws-1"},
        });
        let tries = vec![
            (Method::POST, "/api/v1/namespaces/secret/pods".into(), named),
            (Method::POST, "/api/v1/namespaces/secret/pods/waits/binding".into(), binding.clone()),
            (Method::POST, "/api/v1/namespaces/secret/bindings".into(), binding),
            (Method::POST, "/api/v1/namespaces/secret/pods".into(), wild),
            (
                Method::PATCH,
                "/api/v1/nodes/aws-1".into(),
                json!({"metadata": {"labels": {"rempart.node-restriction.kubernetes.io/restreint": "cleared"}}}),
            ),
        ];
        Self::at(world, tries, |status| status == 403).await
    }

    /// Tries these, whose status must always be `right`.
    pub async fn at(world: &World, tries: Vec<Try>, right: fn(u16) -> bool) -> Self {
        let mut fire = Self { right: Arc::default(), wrong: Arc::default(), cease: Arc::default(), clients: JoinSet::new() };
        for _ in 0..2 {
            // Not an administrator with every verb, and not one whom RBAC would refuse.
            let client = world.cluster.admin().await;
            let (tries, met, wrong, cease) = (tries.clone(), fire.right.clone(), fire.wrong.clone(), fire.cease.clone());
            fire.clients.spawn(async move {
                while !cease.load(Ordering::Relaxed) {
                    for (method, path, body) in &tries {
                        let answer = send(&client, method.clone(), &format!("{path}?dryRun=All"), Some(body)).await.expect("it answers");
                        if right(answer.status) {
                            met.fetch_add(1, Ordering::Relaxed);
                        } else {
                            wrong.lock().unwrap().push(format!("{method} {path}: {} {}", answer.status, answer.refusal()));
                        }
                    }
                }
            });
        }
        fire.answers(20).await;
        fire
    }

    /// Waits until so many more have been answered as they must be.
    pub async fn answers(&self, more: u32) {
        let from = self.right.load(Ordering::Relaxed);
        wait_until("clients are answered as they must be", async || {
            let now = self.right.load(Ordering::Relaxed);
            if now >= from + more { Ok(()) } else { Err((now - from, self.wrong.lock().unwrap().clone())) }
        })
        .await;
    }

    /// Ends it: no answer was wrong.
    pub async fn cease(mut self) {
        self.cease.store(true, Ordering::Relaxed);
        while let Some(ended) = self.clients.join_next().await {
            ended.expect("the client did not fail");
        }
        let wrong = self.wrong.lock().unwrap();
        eprintln!("{} answers were right, {} wrong", self.right.load(Ordering::Relaxed), wrong.len());
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
