//! Condition types and reasons: the vocabulary of every status.

/// Accepted and acted on. Never depends on compliance.
pub const READY: &str = "Ready";
/// A change of spec is needed (kstatus).
pub const STALLED: &str = "Stalled";
/// Work is under way (kstatus).
pub const RECONCILING: &str = "Reconciling";
/// Of a cloud: it has a qualification that satisfies.
pub const QUALIFIED: &str = "Qualified";
/// Of a level: a cloud satisfies it.
pub const SATISFIABLE: &str = "Satisfiable";
/// Of a level: the scheduler finds nodes for its pods.
pub const SCHEDULABLE: &str = "Schedulable";
/// The API server was seen to refuse what the level forbids.
pub const ENFORCED: &str = "Enforced";
/// Everything seen is where it may be.
pub const COMPLIANT: &str = "Compliant";
/// Of a cloud: every class that it names is there as it should be.
pub const STORAGE_READY: &str = "StorageReady";
/// Of a level or a declaration: claims are on storage that is not cleared, and their data must move.
pub const MIGRATION_REQUIRED: &str = "MigrationRequired";
/// Of a declaration: its review date has passed.
pub const REVIEW_DUE: &str = "ReviewDue";
/// Of a declaration: another one of its namespace asks for another level.
pub const CONFLICT: &str = "Conflict";
