//! The operator on a real control plane, under its own ServiceAccount with the rights of `deploy/`.

mod apiservers;
mod conditions;
mod converge;
mod dead;
mod declared;
mod delayed;
mod deleted;
mod faults;
mod idle;
mod input;
mod killed;
mod large;
mod malformed;
mod older;
mod others;
mod placed;
mod refused;
mod repaired;
mod restarted;
mod storage;
mod storm;
mod trust_ends;
mod unguarded;
mod unheard;
mod uninstalled;
mod unseen;
pub mod world;
