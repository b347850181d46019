//! One kind of object, listed and then watched, for as long as the operator lives.
//!
//! kube's own watcher would do, but for three things: it does not say when the API server was last heard of, so nobody could
//! tell a connection that died without a word from a cluster in which nothing happens; it waits for an answer for ever; and it
//! asks for a version that is gone again and again when that is said by a status and not by an event.

use std::fmt::Debug;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::apply::{asked_to_wait, said};

/// How long the answer to an ordinary request, and the beginning of the answer to a watch, may take.
pub(super) const ANSWER: Duration = Duration::from_secs(15);
/// How long a watch lasts, in seconds: at its end the API server is heard of, whatever happens in the cluster. Not all begin anew
/// at the same time.
const WATCH: (u32, u32) = (30, 40);
/// How much later than agreed the end of a watch may come.
const GRACE: Duration = Duration::from_secs(5);
/// After so much silence, what is known may be old. A watch and the beginning of the next one take less.
pub(super) const SILENCE: Duration = Duration::from_secs(WATCH.1 as u64).saturating_add(GRACE).saturating_add(ANSWER);
/// A watch that ends sooner is a failure: who begins the next one at once would spin.
const SHORT: Duration = Duration::from_secs(1);
/// How long to wait after the first failure, and after many.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(8));
/// So many failures in a row make a watch broken, if [`SILENCE`] does not. A restart of the API server takes fewer.
pub(super) const BROKEN_AFTER: u32 = 6;
/// Objects a page.
const PAGE: u32 = 500;

/// Which objects of a kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Selection {
    pub(super) labels: Option<&'static str>,
    pub(super) fields: Option<&'static str>,
    /// Whether an API server that does not know the kind is one that has none of it.
    pub(super) optional: bool,
}

/// What was seen.
pub(super) enum Seen<K> {
    /// A list begins; what it does not hold is gone.
    Listing,
    /// Objects of the list.
    Listed(Vec<K>),
    /// The list is complete.
    Complete,
    /// An object is new or has changed.
    Put(K),
    /// An object is gone.
    Gone(K),
    /// Nothing, and that is news: up to now there was nothing to see.
    Nothing,
}

/// Why nothing was seen.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("no answer within {} s", ANSWER.as_secs())]
    NoAnswer,
    #[error("a watch that should have ended did not: the connection is dead")]
    Silent,
    #[error("a watch ended as soon as it had begun")]
    Short,
    #[error("a list without a resourceVersion")]
    NoVersion,
    #[error("{}", said(.0))]
    Refused(#[from] kube::Error),
}

/// Tells everything that is seen, and every trouble, for ever.
pub(super) async fn follow<K, F>(api: Api<K>, selection: Selection, tell: F)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    F: FnMut(Result<Seen<K>, Trouble>) + Send,
{
    let mut follower = Follower { api, selection, tell, version: None, failures: 0 };
    loop {
        if let Err(trouble) = follower.round().await {
            follower.failures = follower.failures.saturating_add(1);
            // A list says at once what a watch would say in the end: that the API server is there again, and nothing has happened.
            if trouble.is_gone() || trouble.is_unknown_kind() || matches!(trouble, Trouble::Silent) || follower.failures >= BROKEN_AFTER {
                follower.version = None;
            }
            let asked = if let Trouble::Refused(error) = &trouble { asked_to_wait(error) } else { Duration::ZERO };
            (follower.tell)(Err(trouble));
            let pause = PAUSE.0.saturating_mul(1 << (follower.failures - 1).min(10)).max(asked).min(PAUSE.1);
            sleep(pause + pause * chance(100) / 200).await;
        }
    }
}

struct Follower<K, F> {
    api: Api<K>,
    selection: Selection,
    tell: F,
    /// The version to go on from; none: a list is needed.
    version: Option<String>,
    /// Failures since the API server was last heard of.
    failures: u32,
}

impl<K, F> Follower<K, F>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    F: FnMut(Result<Seen<K>, Trouble>) + Send,
{
    /// One watch, with a list before it if need be.
    async fn round(&mut self) -> Result<(), Trouble> {
        let version = match &self.version {
            Some(version) => version.clone(),
            None => match self.list().await {
                // A list says when it is served.
                Err(trouble) if self.selection.optional && trouble.is_unknown_kind() => {
                    self.heard(Seen::Complete);
                    sleep(Duration::from_secs((WATCH.0 + chance(WATCH.1 - WATCH.0)).into())).await;
                    return Ok(());
                }
                listed => listed?,
            },
        };
        let seconds = WATCH.0 + chance(WATCH.1 - WATCH.0);
        let parameters = WatchParams {
            label_selector: self.selection.labels.map(ToOwned::to_owned),
            field_selector: self.selection.fields.map(ToOwned::to_owned),
            timeout: Some(seconds),
            ..WatchParams::default()
        };
        let events = timeout(ANSWER, self.api.watch(&parameters, &version)).await.map_err(|_| Trouble::NoAnswer)??;
        let (mut events, began) = (events.boxed(), Instant::now());
        let end = began + Duration::from_secs(seconds.into()) + GRACE;
        while let Some(event) = timeout_at(end, events.try_next()).await.map_err(|_| Trouble::Silent)?? {
            self.take_in(event)?;
        }
        if began.elapsed() < SHORT {
            return Err(Trouble::Short);
        }
        self.heard(Seen::Nothing);
        Ok(())
    }

    /// Lists everything, and gives the version from which to watch.
    async fn list(&mut self) -> Result<String, Trouble> {
        let mut parameters = ListParams {
            label_selector: self.selection.labels.map(ToOwned::to_owned),
            field_selector: self.selection.fields.map(ToOwned::to_owned),
            limit: Some(PAGE),
            ..ListParams::default()
        };
        (self.tell)(Ok(Seen::Listing));
        loop {
            let page = timeout(ANSWER, self.api.list(&parameters)).await.map_err(|_| Trouble::NoAnswer)??;
            (self.tell)(Ok(Seen::Listed(page.items)));
            parameters.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if parameters.continue_token.is_none() {
                let version = page.metadata.resource_version.filter(|version| !version.is_empty()).ok_or(Trouble::NoVersion)?;
                self.version = Some(version.clone());
                (self.tell)(Ok(Seen::Complete));
                return Ok(version);
            }
        }
    }

    fn take_in(&mut self, event: WatchEvent<K>) -> Result<(), Trouble> {
        let seen = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                self.version = object.resource_version();
                Seen::Put(object)
            }
            WatchEvent::Deleted(object) => {
                self.version = object.resource_version();
                Seen::Gone(object)
            }
            WatchEvent::Bookmark(bookmark) => {
                self.version = Some(bookmark.metadata.resource_version);
                Seen::Nothing
            }
            WatchEvent::Error(status) => return Err(Trouble::Refused(kube::Error::Api(status))),
        };
        self.heard(seen);
        Ok(())
    }

    fn heard(&mut self, seen: Seen<K>) {
        self.failures = 0;
        (self.tell)(Ok(seen));
    }
}

impl Trouble {
    /// Whether there is no going on from the version that was asked for.
    fn is_gone(&self) -> bool {
        self.is_answered_with(410)
    }

    /// Whether the API server does not serve the kind.
    fn is_unknown_kind(&self) -> bool {
        self.is_answered_with(404)
    }

    fn is_answered_with(&self, code: u16) -> bool {
        matches!(self, Self::Refused(kube::Error::Api(status)) if status.code == code)
    }
}

/// A number below this one, so that not everybody does the same at the same time.
fn chance(below: u32) -> u32 {
    u32::try_from(RandomState::new().hash_one(()) % u64::from(below.max(1))).unwrap_or_default()
}
