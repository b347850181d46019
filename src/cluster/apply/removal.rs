//! Taking the guard out of a cluster on purpose, when no operator runs. What is known stays: levels, clouds, declarations, storage classes, labels.

use std::time::Duration;

use k8s_openapi::api::core::v1::ResourceQuota;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client, ResourceExt};
use tokio::time::timeout;

use super::admission::{release, resource_of};
use super::webhook::webhook_configurations;
use super::{is_gone, only, said};
use crate::api::SensitivityLevel;
use crate::api::names::{FIELD_MANAGER, GUARD, LEVEL_IN_USE, MANAGED_BY, QUOTA};
use crate::guard::{Kind, WEBHOOK};

/// How long one request may take, or those that take a finalizer off.
const PATIENCE: Duration = Duration::from_secs(15);

/// Something that guards a cluster, whether or not an operator runs.
pub struct Guarding {
    api: Api<DynamicObject>,
    object: DynamicObject,
    /// What it is called, as kubectl would: `quota/rempart-classes in emr`.
    pub name: String,
    part: Part,
}

/// What guards a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A policy or binding, which our finalizer keeps when it is deleted; or the webhook configuration in place of some.
    Admission,
    /// A ResourceQuota that leaves no claim to classes that are not cleared.
    Quota,
    /// Our finalizer on a level, which keeps it while something names it. The level itself stays.
    Hold,
}

/// Why something cannot be read or removed.
#[derive(Debug, thiserror::Error)]
pub enum RemovalError {
    /// The API server did not answer in time.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    TimeOut,
    /// The API server refused.
    #[error("{}", said(.0))]
    Refused(#[from] kube::Error),
}

/// Everything that guards the cluster, in the order in which it goes: bindings first, because a policy without one does nothing, and quotas after the
/// policies that guard them.
pub async fn guarding(client: &Client) -> Result<Vec<Guarding>, RemovalError> {
    let ours = ListParams::default().labels(&format!("{MANAGED_BY}={FIELD_MANAGER}"));
    let mut kinds = Kind::ALL;
    kinds.sort_by_key(|kind| kind.is_policy());
    let mut found = Vec::new();
    for kind in kinds {
        found.extend(list(client, Part::Admission, &resource_of(kind), &ours).await?);
    }
    let webhook = ListParams::default().fields(&format!("metadata.name={WEBHOOK}"));
    found.extend(list(client, Part::Admission, &webhook_configurations(), &webhook).await?);
    let named = ListParams::default().fields(&format!("metadata.name={QUOTA}"));
    found.extend(
        list(
            client,
            Part::Quota,
            &ApiResource::erase::<ResourceQuota>(&()),
            &named.labels(&ours.label_selector.clone().unwrap_or_default()),
        )
        .await?,
    );
    let levels = list(client, Part::Hold, &ApiResource::erase::<SensitivityLevel>(&()), &ListParams::default()).await?;
    found.extend(levels.into_iter().filter(|level| level.object.finalizers().iter().any(|finalizer| finalizer == LEVEL_IN_USE)));
    Ok(found)
}

/// A kind that is not served has no objects.
async fn list(client: &Client, part: Part, resource: &ApiResource, which: &ListParams) -> Result<Vec<Guarding>, RemovalError> {
    let listed = match in_time(Api::<DynamicObject>::all_with(client.clone(), resource).list(which)).await {
        Err(RemovalError::Refused(kube::Error::Api(status))) if status.code == 404 => return Ok(Vec::new()),
        listed => listed?,
    };
    let found = listed.items.into_iter().map(|object| {
        let (kind, name, namespace) = (resource.kind.to_lowercase(), object.name_any(), object.namespace());
        let (api, name) = match namespace {
            Some(namespace) => (Api::namespaced_with(client.clone(), &namespace, resource), format!("{kind}/{name} in {namespace}")),
            None => (Api::all_with(client.clone(), resource), format!("{kind}/{name}")),
        };
        Guarding { api, object, name, part }
    });
    Ok(found.collect())
}

impl Guarding {
    /// What it is.
    pub fn part(&self) -> Part {
        self.part
    }

    /// Removes it. It is fine if somebody else has.
    pub async fn remove(&self) -> Result<(), RemovalError> {
        let (name, uid) = (self.object.name_any(), self.object.uid().unwrap_or_default());
        let finalizer = match self.part {
            Part::Admission => Some(GUARD),
            Part::Quota => None,
            Part::Hold => Some(LEVEL_IN_USE),
        };
        if self.part != Part::Hold {
            match in_time(self.api.delete(&name, &only(uid.clone()))).await {
                // It is gone, or another one by now.
                Err(RemovalError::Refused(kube::Error::Api(status))) if is_gone(&status) => {}
                other => drop(other?),
            }
        }
        match finalizer {
            Some(finalizer) => in_time(release(&self.api, &name, &uid, finalizer)).await,
            None => Ok(()),
        }
    }
}

async fn in_time<T>(asked: impl Future<Output = Result<T, kube::Error>>) -> Result<T, RemovalError> {
    Ok(timeout(PATIENCE, asked).await.map_err(|_| RemovalError::TimeOut)??)
}
