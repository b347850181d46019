//! TRANSLATE: the admission policies, constant text that the API server enforces, and the little that is filled in.
//!
//! The text is in `policies/*.yaml`: that is what a security officer reads, and it is valid as it stands. What changes
//! with the fleet is not here but in the Clearance, the policies' parameter.

mod policies;

pub use policies::{AdmissionObject, Kind, Settings, digest, policies};
