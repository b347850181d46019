//! The operator on a real control plane, under its own ServiceAccount with the rights of `deploy/`.

mod dead;
mod older;
mod placed;
mod repaired;
mod trust_ends;
mod world;
