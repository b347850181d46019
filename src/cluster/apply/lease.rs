//! The Lease that says which replica writes everything else. It is the one object that every replica may write.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::api::{ListParams, ObjectMeta};
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

use super::{said, whole};
use crate::cluster::follow::{ANSWER, Seen, Selection, follow};

/// Its name.
const LEASE: &str = "rempart";
/// How long to wait before looking whether it was renewed.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How long one lasts that does not say.
const LASTS: Duration = Duration::from_secs(15);
/// What is known of the lease: none if there is none; or why nothing is known yet.
type Known = Result<Option<Lease>, String>;

/// The lease of one namespace.
#[derive(Clone)]
pub struct LeaseStore {
    api: Api<Lease>,
    patience: Duration,
}

/// An operator that runs.
#[derive(Debug)]
pub struct Alive {
    /// Its name.
    pub holder: String,
    /// Where it runs.
    pub namespace: String,
}

/// Why the lease was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The API server did not answer in time.
    #[error("no answer in time")]
    TimeOut,
    /// Somebody else has written it since it was read.
    #[error("somebody else has written it")]
    Conflict,
    /// The API server said something else.
    #[error("{}", said(.0))]
    Refused(#[source] kube::Error),
}

impl LeaseStore {
    /// The lease in `namespace`. Each request may take as long as `patience`.
    pub fn new(client: Client, namespace: &str, patience: Duration) -> Self {
        Self { api: Api::namespaced(client, namespace), patience }
    }

    /// Watches it for as long as `tasks` last.
    pub fn follow(&self, tasks: &mut JoinSet<()>) -> watch::Receiver<Known> {
        let (sender, receiver) = watch::channel(Err("it has not been read yet".to_owned()));
        let mut listed = None;
        let selection = Selection { fields: Some("metadata.name=rempart"), ..Selection::default() };
        tasks.spawn(follow(self.api.clone(), selection, move |seen| match seen {
            Ok(Seen::Listing) => listed = None,
            Ok(Seen::Listed(mut leases)) => listed = leases.pop(),
            Ok(Seen::Complete) => drop(sender.send(Ok(listed.take()))),
            Ok(Seen::Put(lease)) => drop(sender.send(Ok(Some(lease)))),
            Ok(Seen::Gone(_)) => drop(sender.send(Ok(None))),
            Ok(Seen::Nothing) => {}
            Err(trouble) => {
                warn!(error = %trouble, "the lease cannot be read");
                sender.send_if_modified(|known| {
                    known.as_mut().err().is_some_and(|why| {
                        *why = trouble.to_string();
                        true
                    })
                });
            }
        }));
        receiver
    }

    /// Reads it.
    pub async fn find(&self) -> Result<Option<Lease>, LeaseError> {
        let found = timeout(self.patience, self.api.get_opt(LEASE)).await.map_err(|_| LeaseError::TimeOut)?;
        found.map_err(LeaseError::Refused)
    }

    /// Writes it in place of what was `found`, if nobody has written it since.
    pub async fn write(&self, found: Option<&Lease>, spec: LeaseSpec) -> Result<Lease, LeaseError> {
        let metadata = ObjectMeta {
            name: Some(LEASE.to_owned()),
            resource_version: found.and_then(ResourceExt::resource_version),
            uid: found.and_then(ResourceExt::uid),
            labels: found.and_then(|lease| lease.metadata.labels.clone()),
            annotations: found.and_then(|lease| lease.metadata.annotations.clone()),
            ..ObjectMeta::default()
        };
        let lease = Lease { metadata, spec: Some(spec) };
        // A lease is made by writing it, too: `create` can be granted for this name alone.
        let written = timeout(self.patience, self.api.replace(LEASE, &whole(), &lease)).await.map_err(|_| LeaseError::TimeOut)?;
        written.map_err(|error| match error {
            kube::Error::Api(status) if status.is_conflict() || needs_a_version(found, status.code) => LeaseError::Conflict,
            error => LeaseError::Refused(error),
        })
    }
}

/// A lease that is held, by its namespace.
type Held = BTreeMap<String, LeaseSpec>;

/// Who holds a lease in any namespace and is alive: renews it within its duration, which is waited for. No clocks are compared.
pub async fn alive(client: &Client) -> Result<Option<Alive>, LeaseError> {
    let leases: Api<Lease> = Api::all(client.clone());
    let ours = ListParams::default().fields(&format!("metadata.name={LEASE}"));
    let held = async || -> Result<Held, LeaseError> {
        let listed = timeout(ANSWER, leases.list(&ours)).await.map_err(|_| LeaseError::TimeOut)?.map_err(LeaseError::Refused)?;
        let held = listed.items.into_iter().filter_map(|lease| Some((lease.namespace()?, lease.spec?)));
        Ok(held.filter(|(_, spec)| spec.holder_identity.as_ref().is_some_and(|holder| !holder.is_empty())).collect())
    };
    let first = held().await?;
    let lasts =
        |spec: &LeaseSpec| spec.lease_duration_seconds.and_then(|seconds| seconds.try_into().ok()).map_or(LASTS, Duration::from_secs);
    let until = Instant::now() + first.values().map(lasts).max().unwrap_or_default();
    while Instant::now() < until {
        sleep(LOOK_AGAIN).await;
        let now = held().await?;
        if now.is_empty() {
            break;
        }
        let renewed = |namespace: &str, spec: &LeaseSpec| first.get(namespace).is_none_or(|before| before.renew_time != spec.renew_time);
        let mut alive = now.into_iter().filter(|(namespace, spec)| renewed(namespace, spec));
        if let Some((namespace, spec)) = alive.next() {
            return Ok(Some(Alive { holder: spec.holder_identity.unwrap_or_default(), namespace }));
        }
    }
    Ok(None)
}

/// Whether it was refused because it is there after all: what is to be replaced must be named.
fn needs_a_version(found: Option<&Lease>, code: u16) -> bool {
    found.is_none() && code == 422
}
