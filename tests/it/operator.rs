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
mod gitops;
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
mod volumes;
mod webhook;
pub mod world;
