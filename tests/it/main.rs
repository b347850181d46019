//! The integration tests, on a real control plane: real etcd, API server, scheduler and controller manager.
//! One binary, because each would link the whole tree again; a suite is a module, and has a control plane of its own.

#![allow(unreachable_pub, reason = "a test binary exports nothing")]
#![allow(clippy::needless_pass_by_value, reason = "`json!` makes values, and tests hand them over")]
#![allow(clippy::unwrap_used, reason = "what a test cannot unwrap is its failure")]

mod bench;
mod chart;
mod cluster;
mod configuration;
mod docs;
mod gitops;
mod guard;
mod history;
mod house;
mod kstatus;
mod mounted;
mod objects;
mod operator;
mod proxy;
mod rights;
