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

use self::world::World;
use crate::proxy::Proxy;

/// A cluster on which everything is installed, to which the operator will speak through a proxy; it is not running yet.
async fn proxied(name: &str) -> (World, Proxy) {
    let mut world = World::installed(name).await;
    let proxy = Proxy::start(&world.cluster).await;
    world.speak_to(&proxy.url());
    (world, proxy)
}
