//! The operator on a real control plane, under its own ServiceAccount with the rights of `deploy/`.

mod conditions;
mod declared;
mod input;
mod malformed;
mod placed;
mod refused;
mod trust_ends;
mod world;
