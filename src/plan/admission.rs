//! Whether the policies and bindings in the cluster are the ones they should be.

use serde_json::{Value, json};

use super::snapshot::Snapshot;
use crate::guard::AdmissionObject;

/// Whether `object` stands in the cluster to the letter: whatever somebody added or took away makes a difference.
pub(super) fn is_in_place(snapshot: &Snapshot, object: &AdmissionObject) -> bool {
    snapshot.admission.get(&object.key()).is_some_and(|found| found["spec"] == with_defaults(&object.object["spec"]))
}

/// A spec as the API server stores it: with the defaults of `admissionregistration.k8s.io/v1`.
pub(super) fn with_defaults(spec: &Value) -> Value {
    let mut spec = spec.clone();
    for selection in ["matchConstraints", "matchResources"] {
        if let Some(selection) = spec.get_mut(selection).and_then(Value::as_object_mut) {
            selection.entry("matchPolicy").or_insert_with(|| "Equivalent".into());
            selection.entry("namespaceSelector").or_insert_with(|| json!({}));
            selection.entry("objectSelector").or_insert_with(|| json!({}));
            for rule in selection.get_mut("resourceRules").and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(rule) = rule.as_object_mut() {
                    rule.entry("scope").or_insert_with(|| "*".into());
                }
            }
        }
    }
    spec
}
