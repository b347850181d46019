//! Storage of a cloud, and what a level asks of storage.

use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::values::ShortText;

/// A storage class of a cloud: one that the operator writes (`name`), or one that is already there (`existingClass`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = kube::core::Rule::new("has(self.name) != has(self.existingClass)")
        .message("give either name, for a class that the operator writes, or existingClass, for one that is already there"),
    validation = kube::core::Rule::new("!has(self.existingClass) || !(has(self.parameters) || has(self.mountOptions) || has(self.allowedTopologies) || has(self.reclaimPolicy) || has(self.allowVolumeExpansion))")
        .message("a class that is already there is never edited: leave out parameters, mountOptions, allowedTopologies, reclaimPolicy and allowVolumeExpansion")
)]
pub struct CloudStorage {
    /// The operator writes and owns a StorageClass named after the cloud and this: `<cloud>-<name>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: Option<String>,
    /// A StorageClass that is already there and belongs to this cloud. It is never edited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT_NAME))]
    pub existing_class: Option<String>,
    /// The driver, as in `provisioner` of the class. A class with another one is not cleared.
    #[schemars(length(min = 1, max = 253), regex(pattern = DRIVER))]
    pub provisioner: String,
    /// Parameters of the driver.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub parameters: BTreeMap<String, Parameter>,
    /// What becomes of a volume when its claim is deleted; absent: `Delete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reclaim_policy: Option<ReclaimPolicy>,
    /// Whether claims may grow; absent: they may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_volume_expansion: Option<bool>,
    /// Mount options.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 253)))]
    pub mount_options: Vec<String>,
    /// Where the driver may make volumes, in keys that the driver knows. A provisioner fails on keys that it does not know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub allowed_topologies: Vec<Topology>,
    /// How the driver names the volumes that it makes.
    #[serde(default)]
    pub volume_names: VolumeNames,
    /// Who may use the driver beside the classes of trusted clouds.
    #[serde(default)]
    pub driver_use: DriverUse,
}

/// Name of any object: a DNS subdomain.
const OBJECT_NAME: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// Name of a driver, as the API server demands of classes: `disk.csi.example.com`, `example.com/disk`.
const DRIVER: &str = r"^([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$";

/// The value of a parameter of a storage class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Parameter(#[schemars(length(max = 4096))] pub String);

/// What becomes of a volume when its claim is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum ReclaimPolicy {
    /// It goes, with its data.
    #[default]
    Delete,
    /// It stays.
    Retain,
}

/// A place in the driver's own terms: all of its expressions hold there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Topology {
    /// All of these.
    #[schemars(length(min = 1, max = 8))]
    pub match_label_expressions: Vec<TopologyExpression>,
}

/// A key of the driver and the values that it may have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopologyExpression {
    /// Key of a node's label, as the driver writes it.
    #[schemars(length(min = 1, max = 317))]
    #[x_kube(validation = kube::core::Rule::new("!self.startsWith('rempart.')")
        .message("a driver knows only its own keys: volumes get the key of their cloud by themselves"))]
    pub key: String,
    /// Any of these.
    #[schemars(length(min = 1, max = 64))]
    pub values: Vec<ShortText>,
}

/// How a driver names the volumes that it makes for claims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum VolumeNames {
    /// `pvc-<uid of the claim>`, as the common provisioner library does. What is named otherwise was made by hand.
    #[default]
    ClaimUid,
    /// In another way, so that a claim takes volumes of any name; they are judged by their class alone.
    Any,
}

/// Who may use a driver beside the storage classes of trusted clouds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum DriverUse {
    /// Everybody: the driver serves classes of no trusted cloud too. Who knows the handle of a disk may attach it from a plain
    /// namespace, by an inline volume or a volume made by hand.
    #[default]
    Shared,
    /// Nobody: inline volumes of this driver are not attached, and making a volume by hand needs the verb `provision` on the
    /// cloud.
    Exclusive,
}

/// Classes of a driver that have no provisioner: of snapshots, of volume attributes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriverClasses {
    /// The driver. A class with another one is not cleared.
    #[schemars(length(min = 1, max = 253), regex(pattern = DRIVER))]
    pub driver: String,
    /// Names of its classes that belong to this cloud.
    #[schemars(length(min = 1, max = 32), inner(length(min = 1, max = 253), regex(pattern = OBJECT_NAME)))]
    pub classes: Vec<String>,
}

/// What a level asks of storage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LevelStorage {
    /// Class of a claim whose author named none. It never overrides what somebody wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT_NAME))]
    pub when_unset: Option<String>,
    /// Whether claims may have volumes that were made by hand.
    #[serde(default)]
    pub static_volumes: StaticVolumes,
    /// CSI drivers that pods may use as inline volumes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 253)))]
    pub inline_drivers: Vec<String>,
}

/// Whether claims may have volumes that were made by hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum StaticVolumes {
    /// They may not: a claim gets only the volume that was made for it.
    #[default]
    Refuse,
    /// They may, if the class of the volume is of a cloud that is cleared.
    Cleared,
}

/// Where a storage class of a cloud stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StorageClassStatus {
    /// Its name.
    pub name: String,
    /// `InPlace`, or why it is not.
    pub state: String,
}
