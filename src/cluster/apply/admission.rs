//! Writing policies and bindings: in place, never by deleting first.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{ApiResource, DynamicObject, Patch};
use kube::{Api, ResourceExt};
use serde_json::Value;

use super::{WriteError, Writer, gone_is_fine, manager, only, whole};
use crate::api::names::{FIELD_MANAGER, GUARD};
use crate::api::reasons::Reason;
use crate::guard::{AdmissionObject, Kind};
use crate::plan::{Notice, with_defaults};

/// How often a write is tried at once when the object has changed in between: the API server's own type checker writes the
/// status of a new policy at any time.
const TRIES: usize = 5;

/// An object that is the operator's alone, and is replaced whole: server-side apply would leave standing what somebody added to weaken it.
pub(super) struct Whole {
    pub(super) resource: ApiResource,
    pub(super) ours: DynamicObject,
    /// The field in which it says everything, and how the API server stores ours.
    pub(super) field: &'static str,
    pub(super) stored: Value,
    /// Whether it is made by server-side apply, so that `create` can be granted for its name alone.
    pub(super) made_by_apply: bool,
    /// Why it is put back.
    pub(super) because: &'static str,
}

impl Writer {
    /// Writes a policy or binding.
    pub(super) async fn write_admission(&self, wanted: AdmissionObject) -> Result<(), WriteError> {
        let ours: DynamicObject = serde_json::from_value(wanted.object).map_err(kube::Error::SerdeError)?;
        let stored = with_defaults(&ours.data["spec"]);
        let because = "sensitive namespaces rest on it";
        self.write_whole(Whole { resource: resource_of(wanted.kind), ours, field: "spec", stored, made_by_apply: false, because }).await
    }

    /// Labels and annotations of others stay.
    pub(super) async fn write_whole(&self, wanted: Whole) -> Result<(), WriteError> {
        let Whole { resource, ours, field, stored: expected, made_by_apply, because } = wanted;
        let (api, name) = (Api::<DynamicObject>::all_with(self.client.clone(), &resource), ours.name_any());
        let mut tries = 1;
        loop {
            let found = api.get_opt(&name).await?;
            let editor = found.as_ref().filter(|found| found.data[field] != expected).and_then(edited_by);
            let written = match found {
                Some(found) => api.replace(&name, &whole(), &in_place_of(found, &ours)).await,
                None if made_by_apply => api.patch(&name, &manager().force(), &Patch::Apply(&ours)).await,
                None => api.create(&whole(), &ours).await,
            };
            match written {
                Err(kube::Error::Api(status)) if status.is_conflict() && tries < TRIES => tries += 1,
                Err(error) => return Err(error.into()),
                Ok(stored) => {
                    if let Some(editor) = editor {
                        self.tell_of_edit(&resource, &stored, &editor, because);
                    }
                    return if stored.data[field] == expected { Ok(()) } else { Err(WriteError::Altered) };
                }
            }
        }
    }

    /// Deletes a policy or binding that is no longer needed; or, if somebody has deleted it, takes off the finalizer that kept it.
    pub(super) async fn retire_admission(&self, kind: Kind, name: &str, uid: String, deleted: bool) -> Result<(), WriteError> {
        let api = self.admission(kind);
        if !deleted {
            return gone_is_fine(api.delete(name, &only(uid)).await);
        }
        Ok(release(&api, name, &uid, GUARD).await?)
    }

    fn admission(&self, kind: Kind) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &resource_of(kind))
    }

    fn tell_of_edit(&self, resource: &ApiResource, stored: &DynamicObject, editor: &str, because: &str) {
        let regarding = ObjectReference {
            api_version: Some(resource.api_version.clone()),
            kind: Some(resource.kind.clone()),
            name: stored.metadata.name.clone(),
            uid: stored.uid(),
            ..ObjectReference::default()
        };
        let note = format!("was changed by {editor:?} and is put back: {because}");
        self.events.tell(&regarding, Notice::deed(Reason::PutBack, note));
    }
}

/// Where the API server keeps policies and bindings.
pub(in crate::cluster) fn resource_of(kind: Kind) -> ApiResource {
    ApiResource {
        group: "admissionregistration.k8s.io".into(),
        version: "v1".into(),
        api_version: "admissionregistration.k8s.io/v1".into(),
        kind: kind.as_str().into(),
        plural: kind.plural().into(),
    }
}

/// Takes a finalizer off this very object, and leaves those of others.
pub(super) async fn release(api: &Api<DynamicObject>, name: &str, uid: &str, finalizer: &str) -> Result<(), kube::Error> {
    let mut tries = 1;
    while let Some(mut found) = api.get_opt(name).await?.filter(|found| found.uid().as_deref() == Some(uid)) {
        found.finalizers_mut().retain(|found| found != finalizer);
        match api.replace(name, &whole(), &found).await {
            Err(kube::Error::Api(status)) if status.is_conflict() && tries < TRIES => tries += 1,
            Err(kube::Error::Api(status)) if status.is_not_found() => break,
            // Another conflict is none that it is gone: the finalizer is still there.
            other => return other.map(drop),
        }
    }
    Ok(())
}

/// The field manager, other than the operator, that last wrote an object.
fn edited_by(object: &DynamicObject) -> Option<String> {
    let others =
        object.managed_fields().iter().filter(|entry| entry.subresource.is_none() && entry.manager.as_deref() != Some(FIELD_MANAGER));
    others.max_by_key(|entry| entry.time.as_ref().map(|time| time.0)).and_then(|entry| entry.manager.clone())
}

/// Our object with the identity of the one that it replaces, and the labels, annotations and finalizers that it has.
fn in_place_of(found: DynamicObject, ours: &DynamicObject) -> DynamicObject {
    let mut object = DynamicObject { metadata: found.metadata, ..ours.clone() };
    object.metadata.managed_fields = None;
    object.labels_mut().extend(ours.labels().clone());
    object.annotations_mut().extend(ours.annotations().clone());
    // One that is being deleted can get no finalizer any more.
    if object.metadata.deletion_timestamp.is_none() {
        let missing: Vec<String> = ours.finalizers().iter().filter(|finalizer| !object.finalizers().contains(finalizer)).cloned().collect();
        object.finalizers_mut().extend(missing);
    }
    object
}
