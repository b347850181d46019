//! Writing the webhook configuration, and publishing the certificate authorities of its replicas.

use std::collections::BTreeMap;

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DynamicObject, ObjectMeta, Patch, PatchParams, TypeMeta};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::admission::Whole;
use super::{TIME_OUT, WriteError, Writer, gone_is_fine, only, said};
use crate::api::names::FIELD_MANAGER;
use crate::guard::WEBHOOK;

impl Writer {
    /// Writes the configuration.
    pub(super) async fn write_webhook(&self, wanted: Value) -> Result<(), WriteError> {
        let ours: DynamicObject = serde_json::from_value(wanted).map_err(kube::Error::SerdeError)?;
        let (field, stored, because) = ("webhooks", ours.data["webhooks"].clone(), "it adds what sensitive namespaces demand");
        self.write_whole(Whole { resource: webhook_configurations(), ours, field, stored, made_by_apply: true, because }).await
    }

    pub(super) async fn delete_webhook(&self, uid: String) -> Result<(), WriteError> {
        let api: Api<MutatingWebhookConfiguration> = Api::all(self.client.clone());
        gone_is_fine(api.delete(WEBHOOK, &only(uid)).await)
    }
}

/// Where the API server keeps webhook configurations.
pub(in crate::cluster) fn webhook_configurations() -> kube::api::ApiResource {
    kube::api::ApiResource::erase::<MutatingWebhookConfiguration>(&())
}

/// The ConfigMap in which each replica publishes the certificate authority of its webhook: the certificate, never a key. Each writes the entry of its
/// own name, as a field manager of its own, so that no two of them are ever in each other's way and none needs to lead.
#[derive(Clone)]
pub struct Authorities {
    api: Api<ConfigMap>,
    instance: String,
}

/// Its name.
pub(in crate::cluster) const AUTHORITIES: &str = "rempart-webhook";

impl Authorities {
    /// Those in `namespace`, of which that of `instance` is ours.
    pub fn new(client: Client, namespace: &str, instance: String) -> Self {
        Self { api: Api::namespaced(client, namespace), instance }
    }

    /// Publishes `entry` as ours, and gives all there are by the names of their replicas.
    pub async fn publish(&self, entry: &str) -> Result<BTreeMap<String, String>, String> {
        let object = ConfigMap {
            metadata: ObjectMeta {
                name: Some(AUTHORITIES.to_owned()),
                labels: Some([("app.kubernetes.io/managed-by".to_owned(), FIELD_MANAGER.to_owned())].into()),
                ..ObjectMeta::default()
            },
            data: Some([(self.instance.clone(), entry.to_owned())].into()),
            ..ConfigMap::default()
        };
        let mut applied = json!(object);
        let types = TypeMeta::resource::<ConfigMap>();
        applied["apiVersion"] = types.api_version.into();
        applied["kind"] = types.kind.into();
        let manager = format!("{FIELD_MANAGER}-webhook-{}", self.instance);
        let manager: String = manager.chars().take(128).collect();
        let (manager, applied) = (PatchParams::apply(&manager).force(), Patch::Apply(&applied));
        Ok(in_time(self.api.patch(AUTHORITIES, &manager, &applied)).await?.data.unwrap_or_default())
    }

    /// Takes entries away that are of no use any more.
    pub async fn forget(&self, instances: &[String]) -> Result<(), String> {
        let gone: BTreeMap<&String, Value> = instances.iter().map(|instance| (instance, Value::Null)).collect();
        let patch = Patch::Merge(json!({"data": gone}));
        in_time(self.api.patch(AUTHORITIES, &super::manager(), &patch)).await.map(drop)
    }
}

async fn in_time<T>(asked: impl Future<Output = Result<T, kube::Error>>) -> Result<T, String> {
    let answered = timeout(TIME_OUT, asked).await.map_err(|_| format!("no answer within {} s", TIME_OUT.as_secs()))?;
    answered.map_err(|error| said(&error))
}
