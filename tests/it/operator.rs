//! The operator on a real control plane, under its own ServiceAccount with the rights of `deploy/`.

mod apiservers;
mod autoscaled;
mod conditions;
mod configured;
mod converge;
mod dead;
mod declared;
mod delayed;
mod deleted;
mod faults;
pub mod fire;
pub mod gitops;
mod idle;
mod input;
mod killed;
mod large;
mod malformed;
mod metrics;
mod older;
mod others;
mod placed;
mod refused;
mod repaired;
mod replicas;
mod restarted;
mod service;
mod storage;
mod storm;
#[cfg(feature = "otel")]
mod traces;
mod trust_ends;
mod unguarded;
mod unheard;
mod uninstalled;
mod unseen;
mod untold;
mod upgraded;
mod volumes;
mod webhook;
mod webhook_counted;
mod webhook_hostile;
mod webhook_takeover;
pub mod world;

use http::Method;
use serde_json::{Value, json};

use self::world::World;
use crate::cluster::{send, wait_until};
use crate::proxy::Proxy;
use crate::rights::OPERATOR;

/// The operator's rights on everything that has no namespace.
const ROLE: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles/rempart-operator";

/// A cluster on which everything is installed, to which the operator will speak through a proxy; it is not running yet.
async fn proxied(name: &str) -> (World, Proxy) {
    let mut world = World::installed(name).await;
    let proxy = Proxy::start(&world.cluster).await;
    world.speak_to(&proxy.url());
    (world, proxy)
}

/// Waits until the API server has heard that the operator has lost the right to such a request. It changes nothing before that, either.
async fn wait_forbidden(world: &World, method: Method, path: &str) {
    let operator = world.cluster.user(OPERATOR, &["system:serviceaccounts", "system:authenticated"]).await;
    wait_until(&format!("{method} {path} is forbidden"), async || {
        let answer = send(&operator, method.clone(), path, None).await.map_err(|error| error.to_string())?;
        if answer.status == 403 { Ok(()) } else { Err(answer.body.to_string()) }
    })
    .await;
}

/// Takes from the operator the right to write nodes and namespaces, and gives the rules that it had.
async fn take_nodes_away(world: &World) -> Value {
    let role = world.get(ROLE).await.unwrap();
    let mut fewer = role["rules"].as_array().unwrap().clone();
    for rule in fewer.iter_mut().filter(|rule| rule["resources"].to_string().contains("\"nodes\"")) {
        rule["verbs"] = json!(["list", "watch"]);
    }
    world.patch(ROLE, json!({"rules": fewer})).await;
    wait_forbidden(world, Method::PATCH, "/api/v1/nodes/nosuch").await;
    role["rules"].clone()
}
