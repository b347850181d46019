//! TRANSLATE: the admission policies, constant text that the API server enforces, and the little that is filled in.
//!
//! The text is in `policies/*.yaml`: that is what a security officer reads, and it is valid as it stands. What changes
//! with the fleet is not here but in the Clearance, the policies' parameter.

mod epoch;
mod literals;
mod mutate;
mod policies;
mod slots;
mod webhook;

pub use epoch::{EPOCH, answer, epoch};
pub use literals::without_stale_exceptions;
pub use mutate::{Facts, Mutation, Object, mutate};
pub use policies::{AdmissionObject, Grants, Kind, Settings, constant_text, digest, policies, with_data};
pub use slots::{FIRST, PolicySet, Slot, sets};
pub use webhook::{Reach, SERVICE, WEBHOOK, webhook};
