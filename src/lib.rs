//! Rempart.
pub mod api;
