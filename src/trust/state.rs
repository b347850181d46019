//! The states of a qualification.

use std::fmt;

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
        match self {
            Self::Candidate => "Candidate",
            Self::Withdrawn => "Withdrawn",
            Self::Suspended => "Suspended",
            Self::NotYetValid => "NotYetValid",
            Self::Expired => "Expired",
            Self::Stale => "Stale",
            Self::OutOfScope => "OutOfScope",
            Self::Broken => "Broken",
            Self::Expiring => "Expiring",
            Self::Valid => "Valid",
        }
    }
}

impl fmt::Display for QualificationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
