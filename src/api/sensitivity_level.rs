//! `SensitivityLevel`: what a level requires of a cloud.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::never_observed;
use super::storage::LevelStorage;
use super::values::{Isolation, KeyCustody, LevelName, Percent, Place, Scheme, Span, Tally, Veto};

/// A named set of requirements on where data may be. Levels have no order; they extend each other.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "rempart.dev", version = "v1alpha1", kind = "SensitivityLevel", plural = "sensitivitylevels",
    shortname = "slv", category = "rempart", status = "SensitivityLevelStatus", derive = "PartialEq",
    doc = "A named set of requirements on where data may be. Levels have no order; they extend each other.",
    printcolumn(name = "Enforcement", type_ = "string", json_path = ".spec.enforcement"),
    printcolumn(name = "Clouds", type_ = "string", json_path = ".status.clouds", description = "Clouds that satisfy this level now"),
    printcolumn(name = "Nodes", type_ = "integer", json_path = ".status.nodes", description = "Nodes that are cleared for it"),
    printcolumn(name = "Namespaces", type_ = "integer", json_path = ".status.namespaces", description = "Namespaces that have it"),
    printcolumn(name = "Violating", type_ = "integer", json_path = ".status.pods.violating", description = "Pods on nodes that are not cleared"),
    printcolumn(name = "Claims", type_ = "integer", json_path = ".status.claims.violating", description = "Claims on storage that is not cleared", priority = 1),
    printcolumn(name = "Compliant", type_ = "string", json_path = ".status.conditions[?(@.type=='Compliant')].status"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = kube::core::Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')")
        .message("the name of a level becomes part of a label key: lower-case letters, digits and '-', at most 63"),
    validation = kube::core::Rule::new("self.metadata.name != 'cloud' && !self.metadata.name.startsWith('rempart')")
        .message("'cloud' and names that start with rempart are reserved: choose another name"),
)]
#[serde(rename_all = "camelCase")]
pub struct SensitivityLevelSpec {
    /// Name for people, by language: `{fr: Restreint, en: Restricted}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub display_name: BTreeMap<String, String>,
    /// Levels whose requirements are added to these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub extends: Vec<LevelName>,
    /// What a cloud must have. Nothing: every trusted cloud will do.
    #[serde(default)]
    pub requires: Requires,
    /// What the API server does with a pod that does not meet the level.
    #[serde(default)]
    pub enforcement: Enforcement,
    /// What happens to the level's nodes when a cloud stops satisfying it.
    #[serde(default)]
    pub on_trust_loss: OnTrustLoss,
    /// Whether pods on nodes that are not cleared get tokens of their service accounts.
    #[serde(default)]
    pub credentials: Credentials,
    /// How long a clearance stays valid with no operator to renew it: from 1m to 30d.
    #[serde(default = "a_week_end")]
    #[x_kube(validation = kube::core::Rule::new(
        "self.endsWith('m') ? int(self.replace('m', '')) <= 43200 : self.endsWith('h') ? int(self.replace('h', '')) <= 720 : int(self.replace('d', '')) <= 30")
        .message("unattendedFor is at most 30d"))]
    pub unattended_for: Span,
    /// User names of other schedulers that may bind here; kube-scheduler always may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 253), regex(pattern = r"^[^\x00-\x1f\x7f]*$")))]
    pub schedulers: Vec<String>,
    /// What is asked of claims and volumes.
    #[serde(default)]
    pub storage: LevelStorage,
    /// Where the requirements come from: clauses, articles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 1024)))]
    pub references: Vec<String>,
}

fn a_week_end() -> Span {
    "72h".into()
}

/// What a cloud must have. Everything named here must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Requires {
    /// Alternatives: at least one entry must hold, with all of its members.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub qualifications: Vec<Alternative>,
    /// Where the cloud's operator must have its seats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<RequiredOperator>,
    /// How much of it may be held from outside the European Union.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub non_european_ownership: Option<RequiredOwnership>,
    /// Where things must be.
    #[serde(default)]
    pub locations: RequiredLocations,
    /// At least this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_custody: Option<KeyCustody>,
    /// At least this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
}

/// Qualifications that must all hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Alternative {
    /// All of these.
    #[schemars(length(min = 1, max = 16))]
    pub all_of: Vec<RequiredQualification>,
}

/// A qualification that must hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequiredQualification {
    /// The scheme.
    pub scheme: Scheme,
    /// Dotted numbers compare as numbers (3.2 < 3.10); anything else must be equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub minimum_version: Option<String>,
    /// For schemes that have some: all of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 63)))]
    pub levels: Vec<String>,
}

/// Where a cloud's operator must have its seats.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequiredOperator {
    /// Registered office, central administration and principal establishment, all three.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub seats_in: Vec<Place>,
    /// The ultimate parent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub parent_in: Vec<Place>,
}

/// How much of a cloud's operator may be held from outside the European Union.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequiredOwnership {
    /// By one holder, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub largest_percent: Option<Percent>,
    /// By all of them together, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_percent: Option<Percent>,
    /// `None`: no such holder may have a veto. `Held` asks for nothing but that it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub veto: Option<Veto>,
    /// The figures may not be older.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_age: Option<Span>,
}

/// Where things must be: every country a cloud names must be in the list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequiredLocations {
    /// Where data may be stored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub storage: Vec<Place>,
    /// Where data may be processed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub processing: Vec<Place>,
    /// Where backups may be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub backup: Vec<Place>,
    /// Where technical data may be kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub technical_data: Vec<Place>,
    /// From where it may be administered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub administration: Vec<Place>,
    /// From where it may be supervised.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub supervision: Vec<Place>,
    /// From where support may be given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub support: Vec<Place>,
}

/// What the API server does with what does not meet a level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Enforcement {
    /// Writes it into the audit log.
    Audit,
    /// Warns whoever asked.
    Warn,
    /// Refuses it.
    #[default]
    Enforce,
}

/// What happens when a cloud stops satisfying a level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum OnTrustLoss {
    /// The cloud stays in the Clearance, and the status says so.
    Report,
    /// Nothing new goes there.
    #[default]
    Block,
}

/// Whether pods on nodes that are not cleared get tokens of their service accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Credentials {
    /// They do, so that what runs there goes on.
    #[default]
    Keep,
    /// They do not: what runs there loses the API within the hour, and nothing new gets to it.
    Withhold,
}

/// What the operator found about a level.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SensitivityLevelStatus {
    /// Generation of the spec that this status speaks of; -1 until there is one.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,
    /// `Ready`, `Satisfiable`, `Enforced`, `Compliant`, `MigrationRequired`, `Schedulable`, `Stalled`, `Reconciling`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Clouds that are cleared for it now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clouds: Vec<String>,
    /// Nodes that are cleared for it.
    #[serde(default)]
    pub nodes: i32,
    /// Namespaces that have it.
    #[serde(default)]
    pub namespaces: i32,
    /// Pods of this level by verdict.
    #[serde(default)]
    pub pods: Tally,
    /// Storage classes that are cleared for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub storage_classes: Vec<String>,
    /// Claims of this level by verdict.
    #[serde(default)]
    pub claims: Tally,
    /// Until when the API server accepts pods of this level without hearing from the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// Digest of the policies in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_digest: Option<String>,
}
