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

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use kube::ResourceExt;

    use super::*;

    /// etcd and the annotation of client-side apply set the limit.
    const LARGEST: usize = 256 * 1024;

    fn file(crd: &CustomResourceDefinition) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("crds").join(format!("{}.yaml", crd.spec.names.plural))
    }

    fn yaml(crd: &CustomResourceDefinition) -> String {
        format!("# Generated from src/api by `make crds`; do not edit.\n{}", serde_saphyr::to_string(crd).unwrap())
    }

    #[test]
    fn crds_are_up_to_date() {
        for crd in crds() {
            let (path, wanted) = (file(&crd), yaml(&crd));
            if std::env::var_os("REMPART_WRITE_CRDS").is_some() {
                std::fs::write(&path, &wanted).unwrap();
            }
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(found == wanted, "{} is not what src/api says: run `make crds`", path.display());
        }
        let files = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("crds")).unwrap().count();
        assert_eq!(files, crds().len(), "crds/ holds a file that is nobody's");
    }

    #[test]
    fn a_crd_is_small_enough_to_be_applied() {
        for crd in crds() {
            let size = serde_json::to_vec(&crd).unwrap().len();
            assert!(size < LARGEST, "{} takes {size} bytes", crd.name_any());
        }
    }

    #[test]
    fn kubernetes_knows_every_format() {
        fn formats(value: &serde_json::Value, found: &mut Vec<String>) {
            match value {
                serde_json::Value::Object(fields) => {
                    // `format` is the keyword only beside `type`; elsewhere it may be the name of a property.
                    if let (Some(format), Some(_)) = (fields.get("format").and_then(|format| format.as_str()), fields.get("type")) {
                        found.push(format.to_owned());
                    }
                    fields.values().for_each(|field| formats(field, found));
                }
                serde_json::Value::Array(items) => items.iter().for_each(|item| formats(item, found)),
                _ => {}
            }
        }
        for crd in crds() {
            let mut found = Vec::new();
            formats(&serde_json::to_value(&crd).unwrap(), &mut found);
            for format in found {
                assert!(["int32", "int64", "date", "date-time"].contains(&format.as_str()), "{} has format {format}", crd.name_any());
            }
        }
    }
}
