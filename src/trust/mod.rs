//! DECIDE: which clouds satisfy which levels at an instant, until when, and why not.
//!
//! ```text
//! TrustedCloudSpec ─ cloud, decision ─┐
//!                                     ├─ Register ─ assess(now) ─ Assessment
//! SensitivityLevelSpec ─ level ───────┘
//! ```
//!
//! Specs are parsed once, into a [`Register`] that holds no illegal value. Everything that depends on time is a
//! timeline there, so the instant at which an answer next changes is as exact as the answer.
//!
//! Rules that hold throughout:
//! - What is unknown satisfies nothing that is required. Losing a fact never admits more.
//! - An object with problems satisfies nothing (a cloud), or is satisfied by nothing (a level).
//! - Trust follows the chain of `reliesOn`: seats, parent, ownership and locations are required of every cloud in it, and a
//!   qualification counts only if each layer below holds the same scheme, in the version that is asked for. Key custody and
//!   isolation are properties of the service as it is delivered, and are asked of the cloud itself.
//! - The order of a list never matters. Where two entries compete, the stricter one counts.

mod alternatives;
mod assessment;
mod calendar;
mod cloud;
mod decision;
mod graph;
mod level;
mod percent;
mod places;
mod problem;
mod register;
mod requirements;
mod schemes;
mod spelling;
mod state;
#[cfg(test)]
mod tests;
mod timeline;
mod unmet;
mod version;

pub use assessment::{Assessment, CloudStanding, QualificationStanding, Satisfied};
pub use calendar::end_of_day;
pub use level::unattended_for;
pub use problem::Problem;
pub use register::{Register, Unreadable};
pub use state::QualificationState;
pub use unmet::Unmet;
