//! The operator on a real control plane, under its own ServiceAccount with the rights of `deploy/`.

mod placed;
mod trust_ends;
mod world;
