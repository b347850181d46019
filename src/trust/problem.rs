//! What is wrong with an object, and what to write instead.

use std::fmt;

/// Something that keeps a spec from being acted on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Path of the field, such as `spec.qualifications[0].validUntil`.
    pub field: String,
    /// What is wrong and what to write, in lower case.
    pub message: String,
    /// Whether it goes by itself once another object is there, or is mended: what is applied in one go arrives in any order.
    pub unresolved: bool,
}

impl Problem {
    /// What only a change of the spec mends.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into(), unresolved: false }
    }

    /// What the object that `field` names mends as well, once it is there and sound.
    pub fn unresolved(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { unresolved: true, ..Self::new(field, message) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// Collects every problem of an object, so that its author sees all of them at once.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: Vec<Problem>,
}

impl Problems {
    /// Notes a problem.
    pub(super) fn note(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.found.push(Problem::new(field, message));
    }

    /// The value, or nothing and a problem at `field`.
    pub(super) fn sift<T>(&mut self, field: impl Into<String>, parsed: Result<T, String>) -> Option<T> {
        parsed.map_err(|message| self.note(field, message)).ok()
    }

    /// `value` if no problem was found. A value is absent only where a problem says why.
    pub(super) fn or<T>(self, value: Option<T>) -> Result<T, Vec<Problem>> {
        value.filter(|_| self.found.is_empty()).ok_or(self.found)
    }
}
