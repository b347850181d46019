//! Reasons: one word for why something is as it is, with what it means. Conditions, events and statuses take them from here, and the reference
//! in `docs/` is made of them.

/// Makes the enum of all reasons; the comment above each is its meaning.
macro_rules! reasons {
    ($($(#[doc = $meaning:literal])+ $name:ident)+) => {
        /// Why something is as it is, in one word.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Reason {
            $($(#[doc = $meaning])+ $name,)+
        }

        impl Reason {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The word, as it is written into a cluster.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            /// What it means.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($meaning),+).trim_start(),)+
                }
            }
        }
    };
}

reasons! {
    /// The spec is accepted and acted on. The message says what came of it, and what to know.
    Accepted
    /// The spec must be corrected: the message names the field and what to write.
    InvalidSpec
    /// The spec names an object that is not there, or that has problems itself: the message says which. Goes by itself once that object is sound.
    UnresolvedReference
    /// What is stored does not have the form of its CRD, and counts for nothing until it is written again.
    Malformed
    /// A write failed, and is tried again by itself. The message names it and what the API server said.
    WriteFailed
    /// A kind cannot be read at the moment. What is known of it is kept, and no clearance is renewed that rests on it.
    WatchBroken

    /// Applied for: there is no decision, only a milestone.
    Candidate
    /// Taken back for good.
    Withdrawn
    /// Does not count until it is reinstated.
    Suspended
    /// Its first day is yet to come.
    NotYetValid
    /// Its last day is over.
    Expired
    /// Nobody has seen it in its register for longer than `registerMaxAge`.
    Stale
    /// Does not cover the model that is offered.
    OutOfScope
    /// A layer that the cloud relies on does not hold the scheme.
    Broken
    /// Counts, and ends within `warnBefore`.
    Expiring
    /// Counts, unless the scheme is a draft.
    Valid
    /// `spec.qualifications` is empty.
    NoQualification

    /// Clouds satisfy the level now.
    CloudsCleared
    /// No cloud satisfies the level. The message names the closest, and what it lacks.
    NoEligibleCloud
    /// No cloud could satisfy the level, because what it requires excludes itself.
    Contradictory

    /// No pod of the level has waited for a node for a minute.
    NoPodWaits
    /// Pods ask for a cleared node, and the scheduler finds none. The message says what it says of the one that has waited longest.
    NoRoom

    /// Every API server that could be asked was seen to refuse a violation.
    ProbeRefused
    /// An API server let a violation pass.
    ProbeAdmitted
    /// An API server could not be asked, or its answer says nothing.
    ProbeUnclear
    /// No API server was asked yet since the policies changed.
    ProbePending
    /// The Clearance, a policy or a binding is missing or altered, and is being put back.
    PolicyMissing
    /// The level has `enforcement: Audit`.
    AuditOnly
    /// The level has `enforcement: Warn`.
    Warning
    /// No level has this name, so the API server refuses what concerns it.
    UnknownLevel

    /// Everything that was seen is where it may be.
    PlacedWell
    /// Pods or claims are where they may not be. The message names some.
    PlacedBadly

    /// Every class that the cloud names is as it should be.
    ClassesInPlace
    /// Several classes are not as they should be. The message names them.
    SeveralClasses
    /// It is there and as it should be: claims may use it where the cloud is cleared.
    InPlace
    /// There is no class of that name.
    Missing
    /// Somebody changed what the operator wrote; it is written again.
    Altered
    /// There is a class of that name that the operator did not write. It is left alone: name it as `existingClass`, or choose another name.
    NotOurs
    /// Of a class: it has another driver than the cloud says, and is not cleared. Of a volume: it is of another driver than its class.
    OtherDriver
    /// Two clouds name the class, so it is neither's.
    Shared

    /// Claims hold data on storage that is not cleared. The message says how much, and which classes could take it.
    ClaimsElsewhere

    /// The review date is yet to come.
    Current
    /// The review date is over: look at the declaration again and set `spec.reviewBy`.
    ReviewOverdue
    /// Pods of the namespace need several levels. The message says which nodes satisfy all of them.
    SeveralLevels

    /// The pod's node belongs to no trusted cloud.
    NodeUnknown
    /// The cloud of the pod's node is not cleared for the level, or no longer.
    NodeNotCleared
    /// The class of the volume belongs to no trusted cloud.
    ClassUnknown
    /// The cloud of the volume's class is not cleared for the level, or no longer.
    ClassNotCleared
    /// The node affinity of the volume leads to another cloud.
    VolumeElsewhere
    /// The volume is attached to a node that is not cleared.
    AttachedElsewhere

    /// On a DaemonSet: it was touched, so that the API server adds the selector of its namespace's new level.
    SelectorAdded
    /// On a pod: it waited without the selector of its level, and was deleted so that its controller makes it again.
    SelectorMissing
    /// On the Clearance, a policy or a binding: somebody else changed it, and it was put back. The message names who.
    PutBack
}
