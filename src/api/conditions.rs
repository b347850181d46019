//! Conditions: the vocabulary of every status.

use super::reasons::Reason;

/// A condition's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not.
    False,
    /// It cannot be known.
    Unknown,
}

/// A condition, and all that it may say.
#[derive(Clone, Copy, Debug)]
pub struct Condition {
    /// Its type.
    pub type_: &'static str,
    /// The kinds that have it.
    pub kinds: &'static [&'static str],
    /// What it is about.
    pub meaning: &'static str,
    /// Every status with every reason that it may have.
    pub says: &'static [(Truth, Reason)],
}

/// Makes a constant for each type, and the table of all of them; the comment above each is its meaning.
macro_rules! conditions {
    ($($(#[doc = $meaning:literal])+ $constant:ident $type_:literal of $($kind:literal)+ { $($truth:ident: $($reason:ident)+;)+ })+) => {
        $($(#[doc = $meaning])+ pub const $constant: &str = $type_;)+

        /// Every condition that there is.
        pub const CONDITIONS: &[Condition] = &[$(Condition {
            type_: $type_,
            kinds: &[$($kind),+],
            meaning: concat!($($meaning),+),
            says: &[$($((Truth::$truth, Reason::$reason),)+)+],
        }),+];
    };
}

conditions! {
    /// Accepted and acted on. Never depends on compliance.
    READY "Ready" of "TrustedCloud" "SensitivityLevel" "DataDeclaration" {
        True: Accepted;
        False: InvalidSpec UnresolvedReference Malformed WriteFailed WatchBroken;
    }
    /// A change of spec is needed (kstatus). Absent otherwise.
    STALLED "Stalled" of "TrustedCloud" "SensitivityLevel" "DataDeclaration" {
        True: InvalidSpec Malformed;
    }
    /// Work is under way (kstatus). Absent otherwise.
    RECONCILING "Reconciling" of "TrustedCloud" "SensitivityLevel" "DataDeclaration" {
        True: UnresolvedReference WriteFailed WatchBroken;
    }
    /// The cloud has a qualification that counts. The best one is put forward, with its state as the reason.
    QUALIFIED "Qualified" of "TrustedCloud" {
        True: Valid Expiring;
        False: NoQualification Candidate Withdrawn Suspended NotYetValid Expired Stale OutOfScope Broken Valid Expiring;
        Unknown: InvalidSpec UnresolvedReference;
    }
    /// Every class that the cloud names is as it should be. Absent where it names none.
    STORAGE_READY "StorageReady" of "TrustedCloud" {
        True: ClassesInPlace;
        False: Missing Altered NotOurs OtherDriver Shared SeveralClasses WriteFailed;
    }
    /// A cloud satisfies the level.
    SATISFIABLE "Satisfiable" of "SensitivityLevel" {
        True: CloudsCleared;
        False: NoEligibleCloud Contradictory;
        Unknown: InvalidSpec UnresolvedReference;
    }
    /// The scheduler finds nodes for the pods of the level.
    SCHEDULABLE "Schedulable" of "SensitivityLevel" {
        True: NoPodWaits;
        False: NoRoom;
    }
    /// The API server was seen to refuse what the level forbids.
    ENFORCED "Enforced" of "SensitivityLevel" "DataDeclaration" {
        True: ProbeRefused;
        False: ProbeAdmitted PolicyMissing AuditOnly Warning UnknownLevel;
        Unknown: ProbeUnclear ProbePending;
    }
    /// Everything that was seen is where it may be.
    COMPLIANT "Compliant" of "SensitivityLevel" "DataDeclaration" {
        True: PlacedWell;
        False: PlacedBadly;
    }
    /// Claims are on storage that is not cleared, and their data must move. Absent otherwise.
    MIGRATION_REQUIRED "MigrationRequired" of "SensitivityLevel" "DataDeclaration" {
        True: ClaimsElsewhere;
    }
    /// The review date of the declaration is over. Absent where it has none.
    REVIEW_DUE "ReviewDue" of "DataDeclaration" {
        True: ReviewOverdue;
        False: Current;
        Unknown: InvalidSpec;
    }
    /// Another level holds in the same namespace. Absent otherwise.
    CONFLICT "Conflict" of "DataDeclaration" {
        True: SeveralLevels;
    }
}

/// States of a class of a cloud, in its status.
pub const CLASS_STATES: &[Reason] =
    &[Reason::InPlace, Reason::Missing, Reason::Altered, Reason::NotOurs, Reason::OtherDriver, Reason::Shared];

/// Why a pod or a claim is where it may not be, in the status of a declaration.
pub const VIOLATIONS: &[Reason] = &[
    Reason::NodeUnknown,
    Reason::NodeNotCleared,
    Reason::UnknownLevel,
    Reason::ClassUnknown,
    Reason::ClassNotCleared,
    Reason::OtherDriver,
    Reason::VolumeElsewhere,
    Reason::AttachedElsewhere,
];

/// Events about what the operator did, beside those that tell of a condition that turned; and whether they warn.
pub const DEEDS: &[(Reason, bool)] = &[(Reason::SelectorAdded, false), (Reason::SelectorMissing, false), (Reason::PutBack, true)];

impl Truth {
    /// As it stands in a condition.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// Whether the table says that a condition may have this status with this reason.
pub fn may_say(type_: &str, truth: Truth, reason: Reason) -> bool {
    CONDITIONS.iter().any(|condition| condition.type_ == type_ && condition.says.contains(&(truth, reason)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_somebodys() {
        let of_conditions = CONDITIONS.iter().flat_map(|condition| condition.says.iter().map(|(_, reason)| *reason));
        let used: Vec<Reason> = of_conditions
            .chain(CLASS_STATES.iter().copied())
            .chain(VIOLATIONS.iter().copied())
            .chain(DEEDS.iter().map(|(reason, _)| *reason))
            .collect();
        let unused: Vec<_> = Reason::ALL.iter().filter(|reason| !used.contains(reason)).collect();
        assert!(unused.is_empty(), "nothing says {unused:?}");
    }
}
