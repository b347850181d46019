//! Rempart.
pub mod api;
pub mod guard;
