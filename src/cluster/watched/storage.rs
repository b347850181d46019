//! Objects of storage as far as they are read.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, ResourceQuota};
use k8s_openapi::api::storage::v1::VolumeAttachment;
use kube::api::{DynamicObject, ObjectMeta};
use kube::{Resource, ResourceExt};
use serde::Deserialize;
use serde_json::Value;

use crate::api::names::{CLASS_ANNOTATION, CLOUD, MANAGED_BY, NODE_CLOUD};
use crate::placement::{AttachmentFacts, ClaimFacts, ClassFacts, QuotaFacts, VolumeFacts};

/// The provisioner that says that it made a volume.
const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// On the class of claims that name none.
const DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";

#[derive(Resource, Clone, Debug, Deserialize)]
#[resource(inherit = "PersistentVolumeClaim")]
pub(in crate::cluster) struct WatchedClaim {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: ClaimSpec,
    #[serde(default)]
    status: ClaimStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaimSpec {
    storage_class_name: Option<String>,
    volume_name: Option<String>,
    #[serde(default)]
    resources: Resources,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Resources {
    #[serde(default)]
    requests: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct ClaimStatus {
    #[serde(default)]
    capacity: BTreeMap<String, Value>,
}

#[derive(Resource, Clone, Debug, Deserialize)]
#[resource(inherit = "PersistentVolume")]
pub(in crate::cluster) struct WatchedVolume {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: VolumeSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VolumeSpec {
    storage_class_name: Option<String>,
    csi: Option<CsiSource>,
    #[serde(default)]
    node_affinity: Value,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct CsiSource {
    driver: Option<String>,
}

#[derive(Resource, Clone, Debug, Deserialize)]
#[resource(inherit = "VolumeAttachment")]
pub(in crate::cluster) struct WatchedAttachment {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: AttachmentSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttachmentSpec {
    node_name: Option<String>,
    #[serde(default)]
    source: AttachmentSource,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttachmentSource {
    persistent_volume_name: Option<String>,
}

#[derive(Resource, Clone, Debug, Deserialize)]
#[resource(inherit = "ResourceQuota")]
pub(in crate::cluster) struct WatchedQuota {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: QuotaSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct QuotaSpec {
    #[serde(default)]
    hard: BTreeMap<String, Value>,
    scopes: Option<Vec<Value>>,
    scope_selector: Option<Value>,
}

impl From<WatchedClaim> for ClaimFacts {
    fn from(claim: WatchedClaim) -> Self {
        let class = claim.annotations().get(CLASS_ANNOTATION).cloned().or(claim.spec.storage_class_name);
        let size = claim.status.capacity.get("storage").or_else(|| claim.spec.resources.requests.get("storage"));
        Self {
            class: class.filter(|class| !class.is_empty()),
            volume: claim.spec.volume_name.filter(|volume| !volume.is_empty()),
            bytes: size.map(bytes).unwrap_or_default(),
            created: claim.metadata.creation_timestamp.map(|time| time.0),
            namespace: claim.metadata.namespace.unwrap_or_default(),
            name: claim.metadata.name.unwrap_or_default(),
        }
    }
}

impl From<WatchedVolume> for VolumeFacts {
    fn from(volume: WatchedVolume) -> Self {
        let class = volume.annotations().get(CLASS_ANNOTATION).cloned().or_else(|| volume.spec.storage_class_name.clone());
        let driver = volume.spec.csi.as_ref().and_then(|csi| csi.driver.clone());
        Self {
            class: class.filter(|class| !class.is_empty()),
            driver: driver.or_else(|| volume.annotations().get(PROVISIONED_BY).cloned()),
            pinned: pinned(&volume.spec.node_affinity),
        }
    }
}

impl From<WatchedAttachment> for AttachmentFacts {
    fn from(attachment: WatchedAttachment) -> Self {
        Self {
            volume: attachment.spec.source.persistent_volume_name.unwrap_or_default(),
            node: attachment.spec.node_name.unwrap_or_default(),
        }
    }
}

impl From<WatchedQuota> for QuotaFacts {
    fn from(quota: WatchedQuota) -> Self {
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        Self {
            scoped: quota.spec.scopes.is_some_and(|scopes| !scopes.is_empty()) || quota.spec.scope_selector.is_some(),
            hard: quota.spec.hard.into_iter().map(|(key, value)| (key, text(value))).collect(),
            namespace: quota.metadata.namespace.unwrap_or_default(),
            name: quota.metadata.name.unwrap_or_default(),
            uid: quota.metadata.uid.unwrap_or_default(),
        }
    }
}

/// A class of any of the three kinds, whose driver stands in `field`. Of those that the operator may have to compare, `whole`.
pub(in crate::cluster) fn class(object: DynamicObject, field: &str, whole: bool) -> ClassFacts {
    let label = |key: &str| object.metadata.labels.as_ref().and_then(|labels| labels.get(key));
    let ours = label(MANAGED_BY).is_some_and(|manager| manager == "rempart");
    ClassFacts {
        uid: object.uid().unwrap_or_default(),
        driver: object.data[field].as_str().unwrap_or_default().to_owned(),
        written_for: label(CLOUD).filter(|_| ours).cloned(),
        default: object.annotations().get(DEFAULT).is_some_and(|value| value == "true"),
        name: object.name_any(),
        body: if whole { object.data } else { Value::Null },
    }
}

/// The cloud that every term of a required node affinity asks for.
fn pinned(affinity: &Value) -> Option<String> {
    let terms = affinity.pointer("/required/nodeSelectorTerms")?.as_array()?;
    let mut clouds = terms.iter().map(cloud_of_term);
    let first = clouds.next()??;
    clouds.all(|cloud| cloud.as_deref() == Some(first.as_str())).then_some(first)
}

fn cloud_of_term(term: &Value) -> Option<String> {
    term["matchExpressions"].as_array()?.iter().find_map(|expression| match expression["values"].as_array()?.as_slice() {
        [only] if expression["key"] == NODE_CLOUD && expression["operator"] == "In" => only.as_str().map(ToOwned::to_owned),
        _ => None,
    })
}

/// Bytes of a quantity (Kubernetes, "Quantity"); nothing for one that cannot be read, since it only tells how much there is.
fn bytes(quantity: &Value) -> u64 {
    let text = quantity.as_str().map_or_else(|| quantity.to_string(), ToOwned::to_owned);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '+').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit {
        "" => 1.0,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => f64::from(1 << 10),
        "Mi" => f64::from(1 << 20),
        "Gi" => f64::from(1 << 30),
        "Ti" => 2f64.powi(40),
        "Pi" => 2f64.powi(50),
        "Ei" => 2f64.powi(60),
        exponent => exponent.trim_start_matches(['e', 'E']).parse::<i32>().map_or(0.0, |exponent| 10f64.powi(exponent)),
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "what is too much for a u64 is the most there is")]
    let bytes = (number.parse::<f64>().unwrap_or_default() * factor) as u64;
    bytes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities_of_every_form_are_read_and_others_are_nothing() {
        for (text, expected) in [
            (json!("40Gi"), 40 << 30),
            (json!("1.5Ti"), 3 << 39),
            (json!("5G"), 5_000_000_000),
            (json!("100"), 100),
            (json!(100), 100),
            (json!("2e3"), 2_000),
            (json!("1000m"), 1),
            (json!("much"), 0),
            (json!("-1"), 0),
            (json!(null), 0),
        ] {
            assert_eq!(bytes(&text), expected, "{text}");
        }
    }

    #[test]
    fn a_volume_is_pinned_if_each_of_its_terms_asks_for_the_same_one_cloud() {
        let term = |values: Value| json!({"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}, {"key": NODE_CLOUD, "operator": "In", "values": values}]});
        let affinity = |terms: Value| json!({"required": {"nodeSelectorTerms": terms}});
        for (affinity, expected) in [
            (affinity(json!([term(json!(["snc"])), term(json!(["snc"]))])), Some("snc")),
            (affinity(json!([term(json!(["snc"])), term(json!(["aws"]))])), None),
            (affinity(json!([term(json!(["snc"])), {"matchExpressions": []}])), None),
            (affinity(json!([term(json!(["snc", "aws"]))])), None),
            (affinity(json!([])), None),
            (affinity(json!({"not": "a list"})), None),
            (json!("not an affinity"), None),
            (Value::Null, None),
        ] {
            assert_eq!(pinned(&affinity).as_deref(), expected, "{affinity}");
        }
    }
}
