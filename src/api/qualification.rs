//! A qualification: a dated decision, and what happened to it since.

use jiff::{Timestamp, civil::Date};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::values::{Model, Scheme};

/// A dated decision about a service under a scheme.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = kube::core::Rule::new("has(self.milestone) || (has(self.validFrom) && has(self.validUntil))")
        .message("validFrom and validUntil are required: copy them from the decision, or set milestone while there is none"),
    validation = kube::core::Rule::new("!has(self.validFrom) || !has(self.validUntil) || self.validFrom <= self.validUntil")
        .message("validUntil lies before validFrom: copy both dates from the decision")
)]
pub struct Qualification {
    /// The scheme, such as `secnumcloud`.
    pub scheme: Scheme,
    /// Its version, such as `3.2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub version: Option<String>,
    /// For schemes that have some: activities of HDS, category of ENS, type of C5.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 63)))]
    pub levels: Vec<String>,
    /// Number of the decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub decision: Option<String>,
    /// Who took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub issuer: Option<String>,
    /// First day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Date>,
    /// Last day, until 24:00; taken from the decision, never computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Date>,
    /// What the decision covers; absent: the offering as declared here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covers: Option<Scope>,
    /// The day somebody last saw it in its register.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<Date>,
    /// Where the decision can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Document>,
    /// Set while there is no decision: a candidate, which satisfies nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milestone: Option<Milestone>,
    /// What happened since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub events: Vec<QualificationEvent>,
}

/// What a decision covers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scope {
    /// Kinds of service.
    #[schemars(length(min = 1, max = 5))]
    pub models: Vec<Model>,
}

/// A document and its digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// Where it is.
    #[schemars(length(min = 1, max = 2048))]
    pub uri: String,
    /// Its SHA-256 in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"), length(max = 64))]
    pub sha256: Option<String>,
}

/// How far an application for a qualification has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Milestone {
    /// Application accepted.
    J0,
    /// Evaluation strategy accepted.
    J1,
    /// Evaluation done.
    J2,
}

/// Something that happened to a qualification after its decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = kube::core::Rule::new("self.type != 'Renewed' || has(self.validUntil)")
        .message("a Renewed event needs validUntil, copied from the new decision"),
    validation = kube::core::Rule::new("self.type == 'Renewed' || !has(self.validUntil)")
        .message("validUntil belongs to a Renewed event: remove it"),
    validation = kube::core::Rule::new("self.type == 'ScopeReduced' || !has(self.covers)")
        .message("covers belongs to a ScopeReduced event: remove it")
)]
pub struct QualificationEvent {
    /// What happened.
    #[serde(rename = "type")]
    pub type_: EventType,
    /// From when it counts.
    pub effective_at: Timestamp,
    /// When it became known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_at: Option<Timestamp>,
    /// Where that stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub source: Option<String>,
    /// For `Renewed`: the new last day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Date>,
    /// For `ScopeReduced`: what is still covered; absent: unknown, so nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covers: Option<Scope>,
}

/// What can happen to a qualification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum EventType {
    /// It does not count until it is reinstated.
    Suspended,
    /// A suspension ends.
    Reinstated,
    /// It is gone for good.
    Withdrawn,
    /// It covers less than before.
    ScopeReduced,
    /// It has a new last day.
    Renewed,
}
