//! The operator on a real control plane, under its own ServiceAccount with the rights of `deploy/`.

mod input;
mod placed;
mod trust_ends;
mod world;
