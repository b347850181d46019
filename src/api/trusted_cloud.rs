//! `TrustedCloud`: what a cloud is, and how to recognise its nodes.

use jiff::{Timestamp, civil::Date};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::qualification::Qualification;
use super::storage::{CloudStorage, DriverClasses, StorageClassStatus};
use super::values::{CloudName, Country, Isolation, KeyCustody, LevelName, Model, Percent, Span, Veto};
use super::{default_time_zone, never_observed};

/// One offering within one perimeter, run by one operator, with its qualifications. Never a company as a whole.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "rempart.dev", version = "v1alpha1", kind = "TrustedCloud", plural = "trustedclouds",
    shortname = "tcl", category = "rempart", status = "TrustedCloudStatus", derive = "PartialEq",
    doc = "One offering within one perimeter, run by one operator, with its dated qualifications: what a cloud is, and how to recognise its nodes.",
    printcolumn(name = "Qualified", type_ = "string", json_path = ".status.qualified", description = "Best qualification and its state"),
    printcolumn(name = "Until", type_ = "string", json_path = ".status.until", description = "When that qualification ends"),
    printcolumn(name = "Clears", type_ = "string", json_path = ".status.clears", description = "Levels that this cloud is cleared for now"),
    printcolumn(name = "Nodes", type_ = "integer", json_path = ".status.nodes.matched", description = "Nodes that belong to this cloud"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = kube::core::Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')")
        .message("the name of a trusted cloud becomes the value of a label: lower-case letters, digits and '-', at most 63"),
    validation = kube::core::Rule::new("!self.metadata.name.startsWith('rempart')")
        .message("names that start with rempart are reserved: choose another name"),
)]
#[serde(rename_all = "camelCase")]
pub struct TrustedCloudSpec {
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub description: String,
    /// The service, as its qualification names it.
    pub offering: Offering,
    /// Who runs it. What is left out is unknown, and unknown satisfies no requirement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<CloudOperator>,
    /// Where things are. A place that is left out is unknown.
    #[serde(default)]
    pub locations: Locations,
    /// Who holds the keys that protect stored data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_custody: Option<KeyCustody>,
    /// How far the machines are shared with others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// The layers below. Trust follows the chain: seats, parent, ownership and places are asked of every layer, and a qualification
    /// counts only if each layer holds its scheme, in the version asked for. Key custody, isolation and the levels of a scheme are
    /// those of this service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub relies_on: Vec<Layer>,
    /// Dated decisions about this service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub qualifications: Vec<Qualification>,
    /// A qualification that nobody has seen in its register for longer is `Stale` and no longer satisfies. Absent: age only shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub register_max_age: Option<Span>,
    /// How long before its end a qualification is `Expiring`.
    #[serde(default = "ninety_days")]
    pub warn_before: Span,
    /// IANA time zone in which the dates of this object end, at 24:00.
    #[serde(default = "default_time_zone")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: String,
    /// Which nodes are inside the perimeter: any entry may match; inside an entry everything must match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub nodes: Vec<NodeMatch>,
    /// Storage classes of this cloud. One cloud has a class, and it serves every level that the cloud is cleared for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub storage: Vec<CloudStorage>,
    /// Volume snapshot classes of this cloud.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub snapshots: Vec<DriverClasses>,
    /// Volume attributes classes of this cloud.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub volume_attributes: Vec<DriverClasses>,
}

fn ninety_days() -> Span {
    "90d".into()
}

/// A service, as its qualification names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Offering {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub service: String,
    /// What kind of service it is; a qualification that does not cover this kind is `OutOfScope`.
    pub model: Model,
}

/// Who runs a cloud. `SecNumCloud` 3.2, 19.6.a asks for three seats, so there are three.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudOperator {
    /// Name of the legal person.
    #[schemars(length(min = 1, max = 253))]
    pub legal_name: String,
    /// Country of the registered office.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered_office: Option<Country>,
    /// Country of the central administration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub central_administration: Option<Country>,
    /// Country of the principal establishment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal_establishment: Option<Country>,
    /// The company at the top of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ultimate_parent: Option<Parent>,
    /// Shares held from outside the European Union (`SecNumCloud` 3.2, 19.6.b).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub non_european_ownership: Option<Ownership>,
}

/// The company at the top of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Parent {
    /// Name of the legal person.
    #[schemars(length(min = 1, max = 253))]
    pub legal_name: String,
    /// Country of its seat.
    pub country: Country,
}

/// Shares of capital or votes held from outside the European Union.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ownership {
    /// The largest single holder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub largest_percent: Option<Percent>,
    /// All of them together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_percent: Option<Percent>,
    /// Whether one of them has a veto.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub veto: Option<Veto>,
    /// The day these figures are from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Date>,
}

/// Countries in which each thing is done. An absent or empty list means unknown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Locations {
    /// Where data is stored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub storage: Vec<Country>,
    /// Where data is processed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub processing: Vec<Country>,
    /// Where backups are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub backup: Vec<Country>,
    /// Where technical data (logs, identities, keys) is kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub technical_data: Vec<Country>,
    /// From where it is administered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub administration: Vec<Country>,
    /// From where it is supervised.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub supervision: Vec<Country>,
    /// From where support is given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub support: Vec<Country>,
}

/// A layer that a cloud is built on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Layer {
    /// Name of the `TrustedCloud` that describes it.
    pub cloud: CloudName,
    /// What it gives.
    pub layer: Model,
}

/// Nodes inside the perimeter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = kube::core::Rule::new("has(self.providerID) || has(self.selector)")
        .message("an entry needs providerID, selector or both: an empty one would match every node"),
    validation = kube::core::Rule::new("!has(self.selector) || (has(self.selector.matchLabels) && size(self.selector.matchLabels) > 0) || (has(self.selector.matchExpressions) && size(self.selector.matchExpressions) > 0)")
        .message("an empty selector would match every node: name a label")
)]
pub struct NodeMatch {
    /// A regular expression on the whole of a node's `spec.providerID`.
    #[serde(default, rename = "providerID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub provider_id: Option<String>,
    /// An ordinary label selector. Alone it is weak evidence: a kubelet chooses most of its own labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// What the operator found about a cloud.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrustedCloudStatus {
    /// Generation of the spec that this status speaks of; -1 until there is one.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,
    /// `Ready`, `Qualified`, `StorageReady`, `Stalled`, `Reconciling`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Best qualification and its state, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qualified: Option<String>,
    /// When that qualification ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// State of each qualification, in the order of the spec.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub qualifications: Vec<QualificationStatus>,
    /// Levels that this cloud is cleared for now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clears: Vec<LevelName>,
    /// What it lacks for the other levels; at most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmet: Vec<UnmetRequirement>,
    /// Nodes of this cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<NodeCount>,
    /// Where each storage class, snapshot class and attributes class stands, in the order of the spec.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub storage_classes: Vec<StorageClassStatus>,
    /// The next instant at which something here may change by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_change: Option<Timestamp>,
}

/// State of one qualification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct QualificationStatus {
    /// The scheme.
    pub scheme: String,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Number of the decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// State now.
    pub state: String,
    /// When that state may next change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A requirement of a level that a cloud does not meet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnmetRequirement {
    /// The level.
    pub level: String,
    /// Path of the requirement, as in the level's `requires`.
    pub requirement: String,
    /// What was found; `unknown` where the cloud does not say.
    pub found: String,
    /// What is required.
    pub required: String,
}

/// Nodes of a cloud.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct NodeCount {
    /// Nodes that belong to this cloud.
    pub matched: i32,
    /// Nodes that match this cloud and another one, and so belong to none.
    pub ambiguous: i32,
}
