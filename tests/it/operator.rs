//! The operator on a real control plane, under its own ServiceAccount with the rights of `deploy/`.

#![allow(clippy::unwrap_used, reason = "what a test cannot go on without is a reason to fail")]
#![allow(clippy::needless_pass_by_value, reason = "objects are written where they are used")]

mod conditions;
mod declared;
mod input;
mod malformed;
mod placed;
mod refused;
mod trust_ends;
mod world;
