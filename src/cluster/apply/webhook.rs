//! Writing the webhook configuration, and publishing the certificate authorities of its replicas.

use std::collections::BTreeMap;

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::{ConfigMap, ObjectReference};
use kube::api::{DynamicObject, ObjectMeta, Patch, PatchParams, PostParams, TypeMeta};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::admission::edited_by;
use super::{TIME_OUT, WriteError, Writer, gone_is_fine, only, said};
use crate::api::names::FIELD_MANAGER;
use crate::api::reasons::Reason;
use crate::guard::WEBHOOK;
use crate::plan::Notice;

/// How often a write is tried at once when the object has changed in between.
const TRIES: usize = 5;

impl Writer {
    /// Replaces the whole configuration: server-side apply would leave a selector or a condition standing that somebody added. Made it is by
    /// server-side apply, so that `create` can be granted for this name alone.
    pub(super) async fn write_webhook(&self, wanted: Value) -> Result<(), WriteError> {
        let kind = webhook_configurations();
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &kind);
        let ours: DynamicObject = serde_json::from_value(wanted).map_err(kube::Error::SerdeError)?;
        let mut tries = 1;
        loop {
            let found = api.get_opt(WEBHOOK).await?;
            let editor = found.as_ref().filter(|found| found.data["webhooks"] != ours.data["webhooks"]).and_then(edited_by);
            let written = match found {
                Some(found) => {
                    let mut object = DynamicObject { metadata: found.metadata, ..ours.clone() };
                    object.metadata.managed_fields = None;
                    object.labels_mut().extend(ours.labels().clone());
                    object.annotations_mut().extend(ours.annotations().clone());
                    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
                    api.replace(WEBHOOK, &params, &object).await
                }
                None => api.patch(WEBHOOK, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&ours)).await,
            };
            match written {
                Err(kube::Error::Api(status)) if status.is_conflict() && tries < TRIES => tries += 1,
                Err(error) => return Err(error.into()),
                Ok(stored) => {
                    if let Some(editor) = editor {
                        let regarding = ObjectReference {
                            api_version: Some(kind.api_version.clone()),
                            kind: Some(kind.kind.clone()),
                            name: Some(WEBHOOK.to_owned()),
                            uid: stored.uid(),
                            ..ObjectReference::default()
                        };
                        let note = format!("was changed by {editor:?} and is put back: it adds what sensitive namespaces demand");
                        self.tell(&regarding, &[Notice::deed(Reason::PutBack, note)]).await;
                    }
                    return if stored.data["webhooks"] == ours.data["webhooks"] { Ok(()) } else { Err(WriteError::Altered) };
                }
            }
        }
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
