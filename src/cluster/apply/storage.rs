//! Writes of storage classes and of quotas.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::ResourceQuota;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{ApiResource, DynamicObject, Patch, PostParams};
use kube::core::Status;
use kube::{Api, Resource};
use serde_json::{Value, json};

use super::{WriteError, Writer, gone_is_fine, is_another, manager, only, whole};
use crate::api::names::{FIELD_MANAGER, MANAGED_BY, QUOTA};
use crate::plan::Replaced;

/// Makes a StorageClass that of claims that name none.
const DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";

impl Writer {
    /// Writes a class as it should be. What cannot be changed in it takes another one of the same name: claims in flight go by the
    /// name, and volumes that were made need their class no more.
    pub(super) async fn write_storage_class(&self, name: &str, mut object: Value, replaces: Option<Replaced>) -> Result<(), WriteError> {
        let classes: Api<DynamicObject> = Api::all_with(self.client.clone(), &ApiResource::erase::<StorageClass>(&()));
        if let Some(replaced) = &replaces {
            let mut same = object.clone();
            same["metadata"]["uid"] = replaced.uid.as_str().into();
            match classes.patch(name, &manager().force(), &Patch::Apply(&same)).await {
                Err(kube::Error::Api(status)) if is_unfit(&status) => {}
                written => return gone_is_fine(written),
            }
        }
        if replaces.as_ref().map_or_else(|| self.defaults().contains(name), |replaced| replaced.default) {
            object["metadata"]["annotations"] = json!({DEFAULT: "true"});
        }
        let class: DynamicObject = serde_json::from_value(object).map_err(kube::Error::SerdeError)?;
        if let Some(replaced) = replaces {
            // Perhaps it was not what is there that forbade it: then what is there is better than nothing. That the name is taken is the
            // last thing that the API server finds.
            match classes.create(&PostParams { dry_run: true, ..whole() }, &class).await {
                Err(kube::Error::Api(status)) if status.is_already_exists() => {}
                tried => drop(tried?),
            }
            if replaced.default {
                self.defaults().insert(name.to_owned());
            }
            gone_is_fine(classes.delete(name, &only(replaced.uid)).await)?;
        }
        classes.create(&whole(), &class).await?;
        self.defaults().remove(name);
        Ok(())
    }

    fn defaults(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.defaults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the quota of a namespace, and nothing else may stand in it.
    pub(super) async fn write_quota(&self, namespace: &str, hard: BTreeMap<String, String>) -> Result<(), WriteError> {
        let quotas: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &ApiResource::erase::<ResourceQuota>(&()));
        let spec = json!({"hard": hard});
        let object = json!({
            "apiVersion": ResourceQuota::api_version(&()), "kind": ResourceQuota::kind(&()),
            "metadata": {"name": QUOTA, "labels": {MANAGED_BY: FIELD_MANAGER}},
            "spec": spec,
        });
        let written = quotas.patch(QUOTA, &manager().force(), &Patch::Apply(&object)).await?;
        if written.data["spec"] != spec {
            self.overwrite(quotas.resource_url(), QUOTA, None, "spec", &spec).await?;
        }
        Ok(())
    }
}

/// Whether a write was refused because of what it says, or because it would change what cannot be changed: the API server has one code for both.
fn is_unfit(status: &Status) -> bool {
    status.code == 422 && !is_another(status)
}
