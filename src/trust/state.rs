//! The states of a qualification.

use std::fmt;

use crate::api::reasons::Reason;

/// State of a qualification at an instant. The order is that of the rule "the first that applies".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QualificationState {
    /// Applied for; there is no decision.
    Candidate,
    /// Taken back for good.
    Withdrawn,
    /// Does not count until it is reinstated.
    Suspended,
    /// Its first day is yet to come.
    NotYetValid,
    /// Its last day is over.
    Expired,
    /// Nobody has seen it in its register for longer than the cloud's `registerMaxAge`.
    Stale,
    /// Does not cover what is offered.
    OutOfScope,
    /// A layer below does not hold the scheme.
    Broken,
    /// Counts, and ends within the cloud's `warnBefore`.
    Expiring,
    /// Counts.
    Valid,
}

impl QualificationState {
    /// Whether a qualification in this state counts.
    pub const fn satisfies(self) -> bool {
        matches!(self, Self::Expiring | Self::Valid)
    }

    /// The name, as in status and conditions.
    pub const fn as_str(self) -> &'static str {
        self.reason().as_str()
    }

    /// The same as the reason of a condition.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Candidate => Reason::Candidate,
            Self::Withdrawn => Reason::Withdrawn,
            Self::Suspended => Reason::Suspended,
            Self::NotYetValid => Reason::NotYetValid,
            Self::Expired => Reason::Expired,
            Self::Stale => Reason::Stale,
            Self::OutOfScope => Reason::OutOfScope,
            Self::Broken => Reason::Broken,
            Self::Expiring => Reason::Expiring,
            Self::Valid => Reason::Valid,
        }
    }
}

impl fmt::Display for QualificationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
