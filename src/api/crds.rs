//! The CRDs, made from the types. `crds/` holds them as files; a test compares.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, JSON, JSONSchemaProps};
use kube::CustomResourceExt;
use serde_json::json;

use super::{Clearance, DataDeclaration, SensitivityLevel, TrustedCloud};

/// The CRD of every kind, in the order in which they are explained to users.
pub fn crds() -> Vec<CustomResourceDefinition> {
    [TrustedCloud::crd(), SensitivityLevel::crd(), DataDeclaration::crd(), Clearance::crd()].map(finished).into()
}

/// Adds what the derive cannot say: a new object must not look current, so its status starts with
/// `observedGeneration: -1` (kstatus).
fn finished(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        if let Some(status) = version.schema.as_mut().and_then(schema).and_then(|root| property(root, "status")) {
            status.default = Some(JSON(json!({"observedGeneration": -1})));
            status.nullable = None;
        }
    }
    crd
}

fn schema(
    validation: &mut k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceValidation,
) -> Option<&mut JSONSchemaProps> {
    validation.open_api_v3_schema.as_mut()
}

fn property<'a>(schema: &'a mut JSONSchemaProps, name: &str) -> Option<&'a mut JSONSchemaProps> {
    schema.properties.as_mut()?.get_mut(name)
}
