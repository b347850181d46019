//! What a level requires, and what two of them require together.

use std::collections::BTreeMap;

use crate::api::values::{Isolation, KeyCustody, Veto};

use super::alternatives::{Alternatives, TooMany};
use super::calendar::Span;
use super::percent::Percent;
use super::places::Places;

/// What a cloud must have. Everything named here must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Requirements {
    /// Which qualifications.
    pub(super) qualifications: Alternatives,
    /// Which countries will do.
    pub(super) places: BTreeMap<Where, Places>,
    /// By one holder from outside the European Union, at most.
    pub(super) largest_percent: Option<Percent>,
    /// By all of them together, at most.
    pub(super) total_percent: Option<Percent>,
    /// `None`: no such holder has a veto. `Held`: it is known.
    pub(super) veto: Option<Veto>,
    /// How old the figures on ownership may be.
    pub(super) maximum_age: Option<Span>,
    /// At least this.
    pub(super) key_custody: Option<KeyCustody>,
    /// At least this.
    pub(super) isolation: Option<Isolation>,
}

/// What has a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Where {
    /// The three seats of the operator.
    Seats,
    /// Its ultimate parent.
    Parent,
    /// Stored data.
    Storage,
    /// Data that is worked on.
    Processing,
    /// Backups.
    Backup,
    /// Logs, identities, keys.
    TechnicalData,
    /// Those who administer.
    Administration,
    /// Those who supervise.
    Supervision,
    /// Those who give support.
    Support,
}

impl Where {
    /// Path of the requirement inside a level's `requires`.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Seats => "operator.seatsIn",
            Self::Parent => "operator.parentIn",
            Self::Storage => "locations.storage",
            Self::Processing => "locations.processing",
            Self::Backup => "locations.backup",
            Self::TechnicalData => "locations.technicalData",
            Self::Administration => "locations.administration",
            Self::Supervision => "locations.supervision",
            Self::Support => "locations.support",
        }
    }
}

impl Requirements {
    /// Requires nothing: the neutral element of [`Self::meet`].
    pub(super) fn nothing() -> Self {
        Self {
            qualifications: Alternatives::nothing(),
            places: BTreeMap::new(),
            largest_percent: None,
            total_percent: None,
            veto: None,
            maximum_age: None,
            key_custody: None,
            isolation: None,
        }
    }

    /// What satisfies both. Sets intersect, limits take the lower, minima the higher, alternatives multiply out.
    pub(super) fn meet(&self, other: &Self) -> Result<Self, TooMany> {
        let mut places = self.places.clone();
        for (place, set) in &other.places {
            places.entry(*place).and_modify(|own| *own = own.meet(set)).or_insert_with(|| set.clone());
        }
        Ok(Self {
            qualifications: self.qualifications.meet(&other.qualifications)?,
            places,
            largest_percent: lower(self.largest_percent, other.largest_percent),
            total_percent: lower(self.total_percent, other.total_percent),
            // `Veto::None` is the stricter and comes first.
            veto: lower(self.veto, other.veto),
            maximum_age: lower(self.maximum_age, other.maximum_age),
            key_custody: self.key_custody.max(other.key_custody),
            isolation: self.isolation.max(other.isolation),
        })
    }
}

/// The lower of two limits, where no limit is the highest.
fn lower<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
