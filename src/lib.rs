//! Rempart.
pub mod api;
pub mod trust;
