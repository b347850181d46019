//! `DataDeclaration`: what data is in a namespace.

use std::collections::BTreeMap;

use jiff::civil::Date;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::values::{LevelName, ShortText, Tally};
use super::{default_time_zone, never_observed};

/// "The data in this namespace, or of these workloads, has this level." The API server itself reads it as the
/// parameter of a policy, so it holds for new pods from the moment it is stored.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "rempart.dev", version = "v1alpha1", kind = "DataDeclaration", plural = "datadeclarations", namespaced,
    shortname = "ddl", category = "rempart", status = "DataDeclarationStatus", derive = "PartialEq",
    doc = "What data is in a namespace: its sensitivity level, who owns it and why. It holds for new pods from the moment it is stored.",
    printcolumn(name = "Level", type_ = "string", json_path = ".spec.level"),
    printcolumn(name = "Owner", type_ = "string", json_path = ".spec.dataOwner"),
    printcolumn(name = "Violating", type_ = "integer", json_path = ".status.pods.violating", description = "Pods on nodes that are not cleared"),
    printcolumn(name = "Claims", type_ = "integer", json_path = ".status.claims.violating", description = "Claims on storage that is not cleared", priority = 1),
    printcolumn(name = "Enforced", type_ = "string", json_path = ".status.conditions[?(@.type=='Enforced')].status"),
    printcolumn(name = "Compliant", type_ = "string", json_path = ".status.conditions[?(@.type=='Compliant')].status"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = kube::core::Rule::new("self.spec.level != 'cloud' && !self.spec.level.startsWith('rempart')")
        .message("'cloud' and names that start with rempart are reserved: name a sensitivity level of yours"),
)]
#[serde(rename_all = "camelCase")]
pub struct DataDeclarationSpec {
    /// Name of a `SensitivityLevel`.
    pub level: LevelName,
    /// The pods concerned; absent: the whole namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workloads: Option<Workloads>,
    /// Who answers for this data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub data_owner: Option<String>,
    /// What it is and why it has this level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub justification: Option<String>,
    /// Texts that ask for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 1024)))]
    pub legal_basis: Vec<String>,
    /// The day by which somebody looks at this again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_by: Option<Date>,
    /// IANA time zone in which `reviewBy` ends, at 24:00.
    #[serde(default = "default_time_zone")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: String,
}

/// Pods by their labels. `matchLabels` only: the policies compare them one by one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Workloads {
    /// All of these labels, with these values.
    #[schemars(extend("minProperties" = 1, "maxProperties" = 16))]
    #[x_kube(validation = kube::core::Rule::new("!('rempart.dev/sensitivity' in self)")
        .message("workloads are selected by labels of yours, not by rempart.dev/sensitivity: the level follows from the selection"))]
    pub match_labels: BTreeMap<String, ShortText>,
}

/// What the operator found about a declaration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DataDeclarationStatus {
    /// Generation of the spec that this status speaks of; -1 until there is one.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,
    /// `Ready`, `Enforced`, `Compliant`, `MigrationRequired`, `ReviewDue`, `Conflict`, `Stalled`, `Reconciling`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Pods concerned, by verdict.
    #[serde(default)]
    pub pods: Tally,
    /// Claims of its namespace, by verdict. Claims follow the namespace: with `workloads` there are none here.
    #[serde(default)]
    pub claims: Tally,
    /// Clouds on which they may run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub eligible_clouds: Vec<String>,
    /// What is placed badly, oldest first; at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<Violation>,
}

/// Something that is where it may not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Violation {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The node it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Why that is wrong.
    pub reason: String,
}
