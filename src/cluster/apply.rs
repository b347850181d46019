//! The only writer. Every write stands alone: it has a time-out, and nothing waits behind one that fails.

pub(super) mod admission;
mod events;
mod lease;
mod removal;
mod storage;
pub(super) mod webhook;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Namespace, Node, ObjectReference, Pod, ResourceQuota};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use kube::core::Status;
use kube::{Api, Client, Resource};
use serde_json::{Value, json};
use tracing::{info, instrument, warn};

use super::mandate::Mandate;
use crate::api::names::{CLEARANCE, FIELD_MANAGER, GROUP, QUOTA, TOUCHED, VERSION};
use crate::api::reasons::Reason;
use crate::api::{Clearance, ClearanceSpec, SensitivityLevel};
use crate::plan::{Notice, Phase, Relabel, Step};
use crate::telemetry::Metrics;

use events::Events;
pub use events::Telling;
pub use lease::{Alive, LeaseError, LeaseStore, alive};
pub use removal::{Guarding, Part, RemovalError, guarding};
pub use webhook::Authorities;

/// How long one write may take.
const TIME_OUT: Duration = Duration::from_secs(10);
/// Writes under way at once: enough to label 2,000 nodes in seconds, few enough to leave the API server to others.
const AT_ONCE: usize = 16;

/// Carries out steps.
pub struct Writer {
    client: Client,
    events: Events,
    metrics: Metrics,
    mandate: Mandate,
    /// Storage classes that were the default when they were deleted, and are still to be made again.
    defaults: Mutex<BTreeSet<String>>,
}

/// What came of the steps of a plan.
#[derive(Debug, Default)]
pub struct Applied {
    /// Writes that failed, by key.
    pub failures: BTreeMap<String, Refusal>,
    /// The writes that were made.
    pub written: Vec<Step>,
}

/// Why a write failed.
#[derive(Clone, Debug, Default)]
pub struct Refusal {
    /// What the API server said.
    pub why: String,
    /// How long it asks not to be asked again.
    pub wait: Duration,
}

#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error("no answer within {} s", TIME_OUT.as_secs())]
    TimeOut,
    #[error("another replica may write by now: the lease was not renewed in time")]
    NotOurs,
    #[error("{}", said(.0))]
    Refused(#[from] kube::Error),
    #[error(
        "it was stored otherwise than it was written: look for a MutatingAdmissionPolicy or a mutating webhook that changes it, or for somebody who writes it too"
    )]
    Altered,
}

impl Writer {
    /// A writer that speaks for the operator called `instance`, and writes nothing but what `mandate` allows; and what tells of it.
    pub fn new(client: Client, instance: String, metrics: Metrics, mandate: Mandate) -> (Self, Telling) {
        let (events, telling) = events::events(client.clone(), instance);
        (Self { client, events, metrics, mandate, defaults: Mutex::default() }, telling)
    }

    /// Makes the writes, phase by phase. What permits is left out when the Clearance could not be written: labels without
    /// it would lead pods to nodes that the API server refuses.
    #[instrument(level = "debug", skip_all, fields(steps = steps.len()))]
    pub async fn apply(&self, steps: Vec<Step>) -> Applied {
        let mut applied = Applied::default();
        let mut rest = steps.into_iter().peekable();
        while let Some(first) = rest.next() {
            let phase = first.phase();
            let mut same = vec![first];
            while let Some(next) = rest.next_if(|next| next.phase() == phase) {
                same.push(next);
            }
            if phase == Phase::Permit && applied.failures.keys().any(|key| key.starts_with("Clearance/")) {
                continue;
            }
            let outcomes: Vec<_> = futures::stream::iter(same).map(|step| self.make(step)).buffer_unordered(AT_ONCE).collect().await;
            for (step, outcome) in outcomes {
                match outcome {
                    Ok(()) => applied.written.push(step),
                    Err(error) => drop(applied.failures.insert(step.key(), error)),
                }
            }
        }
        applied
    }

    #[instrument(level = "debug", name = "write", skip_all, fields(what = step.key()))]
    async fn make(&self, step: Step) -> (Step, Result<(), Refusal>) {
        let key = step.key();
        let kind = key.split('/').next().unwrap_or_default().to_owned();
        let outcome = match self.mandate.during(TIME_OUT, Box::pin(self.write(step.clone()))).await {
            Some(outcome) => outcome,
            None if self.mandate.left().is_none() => Err(WriteError::NotOurs),
            None => Err(WriteError::TimeOut),
        };
        self.metrics.written(&kind, outcome.is_ok());
        match &outcome {
            Ok(()) => info!(what = key, "written"),
            Err(error) => warn!(what = key, %error, "not written"),
        }
        let refusal = |error: WriteError| Refusal {
            why: error.to_string(),
            wait: if let WriteError::Refused(error) = &error { asked_to_wait(error) } else { Duration::ZERO },
        };
        (step, outcome.map_err(refusal))
    }

    async fn write(&self, step: Step) -> Result<(), WriteError> {
        match step {
            Step::WriteClearance(spec) => self.write_clearance(*spec).await,
            Step::WriteAdmission(object) => self.write_admission(object).await,
            Step::RetireAdmission { kind, name, uid, deleted } => self.retire_admission(kind, &name, uid, deleted).await,
            Step::WriteWebhook(object) => self.write_webhook(object).await,
            Step::DeleteWebhook { uid } => self.delete_webhook(uid).await,
            Step::LabelNode(relabel) => self.label(&Api::<Node>::all(self.client.clone()), &relabel).await,
            Step::LabelNamespace(relabel) => self.label(&Api::<Namespace>::all(self.client.clone()), &relabel).await,
            Step::WriteStorageClass { name, object, replaces } => self.write_storage_class(&name, object, replaces).await,
            Step::DeleteStorageClass { name, uid } => {
                let classes: Api<StorageClass> = Api::all(self.client.clone());
                gone_is_fine(classes.delete(&name, &only(uid)).await)
            }
            Step::WriteQuota { namespace, hard } => self.write_quota(&namespace, hard).await,
            Step::DeleteQuota { namespace, uid } => {
                let quotas: Api<ResourceQuota> = Api::namespaced(self.client.clone(), &namespace);
                gone_is_fine(quotas.delete(QUOTA, &only(uid)).await)
            }
            Step::HoldLevel { name, resource_version, finalizers } => {
                let patch = json!({"metadata": {"resourceVersion": resource_version, "finalizers": finalizers}});
                let levels: Api<SensitivityLevel> = Api::all(self.client.clone());
                gone_is_fine(levels.patch_metadata(&name, &manager(), &Patch::Merge(patch)).await)
            }
            Step::TouchDaemonSet { namespace, name, uid, levels } => {
                let sets: Api<DaemonSet> = Api::namespaced(self.client.clone(), &namespace);
                let patch = json!({"metadata": {"uid": uid, "annotations": {TOUCHED: levels}}});
                gone_is_fine(sets.patch_metadata(&name, &manager(), &Patch::Merge(patch)).await)?;
                let note = format!("touched so that its pods are made for cleared nodes only: its namespace is of level {levels}");
                self.events.tell(&reference::<DaemonSet>(Some(namespace), &name, &uid), Notice::deed(Reason::SelectorAdded, note));
                Ok(())
            }
            Step::ReplacePod { namespace, name, uid } => self.replace_pod(namespace, name, uid).await,
            Step::WriteStatus { kind, namespace, name, uid, status, notices } => {
                let regarding = ObjectReference {
                    api_version: Some(format!("{GROUP}/{VERSION}")),
                    kind: Some(kind.to_owned()),
                    name: Some(name),
                    namespace,
                    uid,
                    ..ObjectReference::default()
                };
                self.write_status(kind, &regarding, status, notices).await
            }
        }
    }

    async fn write_clearance(&self, spec: ClearanceSpec) -> Result<(), WriteError> {
        let object = Clearance::new(CLEARANCE, spec);
        let clearances: Api<Clearance> = Api::all(self.client.clone());
        let mut written = clearances.patch(CLEARANCE, &manager(), &Patch::Apply(&object)).await;
        let mut put_back = None;
        if let Err(kube::Error::Api(status)) = &written
            && status.is_conflict()
        {
            // The API server names who wrote it beside us.
            put_back = Some(format!("the Clearance is the operator's alone, and is put back: {}", status.message));
            written = clearances.patch(CLEARANCE, &manager().force(), &Patch::Apply(&object)).await;
        }
        let stored = match written {
            Err(error) if is_malformed(&error) => {
                let stored = self.overwrite(clearances.resource_url(), CLEARANCE, None, "spec", &json!(object.spec)).await?;
                serde_json::from_value(stored.data["spec"].clone()).map_err(kube::Error::SerdeError)?
            }
            other => other?.spec,
        };
        if let Some(note) = put_back {
            self.events.tell(&reference::<Clearance>(None, CLEARANCE, ""), Notice::deed(Reason::PutBack, note));
        }
        if stored == object.spec { Ok(()) } else { Err(WriteError::Altered) }
    }

    /// Writes one field of an object whole, where server-side apply cannot.
    async fn overwrite(&self, url: &str, path: &str, uid: Option<&str>, field: &str, value: &Value) -> Result<DynamicObject, kube::Error> {
        let of = uid.map(|uid| json!({"op": "test", "path": "/metadata/uid", "value": uid}));
        let operations: Value = of.into_iter().chain([json!({"op": "add", "path": format!("/{field}"), "value": value})]).collect();
        let request = http::Request::patch(format!("{url}/{path}?fieldManager={FIELD_MANAGER}"))
            .header(http::header::CONTENT_TYPE, "application/json-patch+json")
            .body(operations.to_string().into_bytes())
            .map_err(kube::Error::HttpError)?;
        self.client.request(request).await
    }

    async fn label<K>(&self, api: &Api<K>, relabel: &Relabel) -> Result<(), WriteError>
    where
        K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
    {
        // The uid makes the API server refuse when the object is another one by now.
        let patch = json!({"metadata": {"uid": relabel.uid, "labels": relabel.labels}});
        match api.patch_metadata(&relabel.name, &manager(), &Patch::Merge(patch)).await {
            Ok(stored)
                if relabel
                    .labels
                    .iter()
                    .any(|(key, value)| stored.metadata.labels.as_ref().and_then(|labels| labels.get(key)) != value.as_ref()) =>
            {
                Err(WriteError::Altered)
            }
            written => gone_is_fine(written),
        }
    }

    async fn replace_pod(&self, namespace: String, name: String, uid: String) -> Result<(), WriteError> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
        gone_is_fine(pods.delete(&name, &only(uid.clone())).await)?;
        let note = "waited without the selector of its sensitivity level; deleted so that its controller makes it again with it".to_owned();
        self.events.tell(&reference::<Pod>(Some(namespace), &name, &uid), Notice::deed(Reason::SelectorMissing, note));
        Ok(())
    }

    /// The whole status is ours. Nothing but a test makes the API server look at whose it is: of what is written to a status, it ignores the metadata.
    async fn write_status(&self, kind: &str, of: &ObjectReference, status: Value, notices: Vec<Notice>) -> Result<(), WriteError> {
        let resource = ApiResource {
            group: GROUP.into(),
            version: VERSION.into(),
            api_version: format!("{GROUP}/{VERSION}"),
            kind: kind.into(),
            plural: format!("{}s", kind.to_lowercase()),
        };
        let api: Api<DynamicObject> = match &of.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        };
        let path = format!("{}/status", of.name.as_deref().unwrap_or_default());
        match self.overwrite(api.resource_url(), &path, of.uid.as_deref(), "status", &status).await {
            Ok(_) => {
                for notice in notices {
                    self.events.tell(of, notice);
                }
                Ok(())
            }
            other => gone_is_fine(other),
        }
    }
}

fn manager() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

/// What goes with a write of a whole object.
fn whole() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

/// A deletion of this very object, and of no other of its name.
fn only(uid: String) -> DeleteParams {
    DeleteParams { preconditions: Some(Preconditions { uid: Some(uid), resource_version: None }), ..DeleteParams::default() }
}

/// An object that is gone, or that is another one by now, needs nothing any more: the watch brings what is there instead.
fn gone_is_fine<T>(result: Result<T, kube::Error>) -> Result<(), WriteError> {
    match result {
        Err(kube::Error::Api(status)) if is_gone(&status) || is_another(&status) => Ok(()),
        other => Ok(other.map(drop)?),
    }
}

fn is_gone(status: &Status) -> bool {
    status.is_not_found() || status.is_conflict()
}

/// Whether a patch was refused because of the uid in it, which is that of an object that is gone. Of a test that failed the API server says no more
/// than this, and says it of nothing else that is written here.
fn is_another(status: &Status) -> bool {
    let said = ["metadata.uid: Invalid value", "the server rejected our request due to an error in our request"];
    status.code == 422 && said.iter().any(|said| status.message.contains(said))
}

/// Whether server-side apply failed because the object, stored under another schema, does not have the form of its kind.
fn is_malformed(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 500
        && (status.message.contains("failed to create typed live object") || status.message.contains("to smd typed")))
}

fn reference<K: Resource<DynamicType = ()>>(namespace: Option<String>, name: &str, uid: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        name: Some(name.to_owned()),
        namespace,
        uid: Some(uid.to_owned()),
        ..ObjectReference::default()
    }
}

/// How long the API server asks not to be asked again: the header `Retry-After`, where it repeats it in the body.
pub(super) fn asked_to_wait(error: &kube::Error) -> Duration {
    let details = if let kube::Error::Api(status) = error { status.details.as_ref() } else { None };
    Duration::from_secs(details.map_or(0, |details| details.retry_after_seconds.into()))
}

/// What the API server said, without the debug form of the whole status.
pub(super) fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => {
            let Status { code, message, .. } = status.as_ref();
            format!("{message} ({code})")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_is_another_one_by_now_is_no_failure() {
        let refused = |code: u16, message: &str| {
            let status = Status { code, message: message.to_owned(), ..Status::default() };
            gone_is_fine::<()>(Err(kube::Error::Api(Box::new(status)))).is_err()
        };
        // What kube-apiserver 1.36.3 answers to a patch that carries the uid of a node that was deleted and registered again.
        assert!(!refused(422, "Node \"node-3\" is invalid: metadata.uid: Invalid value: \"0000\": field is immutable"));
        assert!(!refused(422, "the server rejected our request due to an error in our request"));
        assert!(refused(422, "Node \"node-3\" is invalid: metadata.labels: Invalid value: \"é\""));
        assert!(refused(403, "forbidden"));
    }
}
