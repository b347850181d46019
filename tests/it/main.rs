//! The integration tests, on a real control plane: real etcd, API server, scheduler and controller manager.
//! One binary, because each would link the whole tree again; a suite is a module, and has a control plane of its own.

mod cluster;
mod guard;
