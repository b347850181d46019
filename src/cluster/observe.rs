//! Watches that keep a snapshot: one small task per kind, each of which outlives every fault of the API server.

mod storage;
mod webhook;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::api::{ApiResource, DynamicObject};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use super::apply::admission::resource_of;
use super::follow::{BROKEN_AFTER, SILENCE, Seen, Selection, Trouble, follow};
use super::watched::{WatchedDaemonSet, WatchedNamespace, WatchedNode, WatchedPod};
use crate::api::names::{GUARD, is_reserved};
use crate::api::{Clearance, DataDeclaration, SensitivityLevel, TrustedCloud};
use crate::guard::Kind;
use crate::plan::{Host, Malformed, Outcome, Probe, Read, Snapshot, Stored, Table, Version, Versions};
use crate::telemetry::Metrics;

/// How often to look for what has grown old in silence.
const LISTEN: Duration = Duration::from_secs(5);

/// What the operator writes.
const OURS: Selection = Selection { labels: Some("app.kubernetes.io/managed-by=rempart"), fields: None, optional: false };

/// The cluster as it was last seen, kept up to date by watches, and a bell that rings when something in it has changed.
#[derive(Clone)]
pub struct World {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
    metrics: Metrics,
}

#[derive(Default)]
struct State {
    snapshot: Snapshot,
    watches: BTreeMap<&'static str, Watch>,
}

#[derive(Default)]
struct Watch {
    /// When the API server last said something about it; none before everything was seen once.
    heard: Option<Instant>,
    /// Failures since then.
    failures: u32,
    last_failure: Option<String>,
}

impl World {
    /// Starts to watch. The tasks end with `tasks`.
    pub fn observe(client: &Client, host: &Host, metrics: Metrics, tasks: &mut JoinSet<()>) -> Self {
        let mutates = host.mutates;
        let state = State { snapshot: Snapshot { host: host.clone(), ..Snapshot::default() }, ..State::default() };
        let world = Self { state: Arc::new(Mutex::new(state)), changed: Arc::new(Notify::new()), metrics };

        world.custom::<TrustedCloud>(client, "trustedclouds", tasks, |snapshot| &mut snapshot.clouds);
        world.custom::<SensitivityLevel>(client, "sensitivitylevels", tasks, |snapshot| &mut snapshot.levels);
        world.custom::<DataDeclaration>(client, "datadeclarations", tasks, |snapshot| &mut snapshot.declarations);
        world.custom::<Clearance>(client, "clearances", tasks, |snapshot| &mut snapshot.clearances);

        let all = Selection::default;
        // A finished pod holds no node any more.
        let pods = Selection { fields: Some("status.phase!=Succeeded,status.phase!=Failed"), ..all() };
        world.follow(Api::<WatchedNode>::all(client.clone()), all(), "nodes", tasks, |s| &mut s.nodes, Into::into);
        world.follow(Api::<WatchedNamespace>::all(client.clone()), all(), "namespaces", tasks, |s| &mut s.namespaces, Into::into);
        world.follow(Api::<WatchedPod>::all(client.clone()), pods, "pods", tasks, |s| &mut s.pods, Into::into);
        world.follow(Api::<WatchedDaemonSet>::all(client.clone()), all(), "daemonsets", tasks, |s| &mut s.daemon_sets, Into::into);
        world.storage(client, tasks);
        world.admission(client, mutates, tasks);
        world.webhook(client, host, tasks);
        tasks.spawn(world.clone().listen());
        world
    }

    /// Rings when something has grown old: silence does not.
    async fn listen(self) {
        let mut known = Vec::new();
        loop {
            tokio::time::sleep(LISTEN).await;
            let stale = self.state().stale();
            if known != stale {
                if !stale.is_empty() {
                    warn!(kinds = stale.join(", "), "cannot be read; what is known of them is kept");
                }
                self.changed.notify_one();
                known = stale;
            }
        }
    }

    /// Waits until something has changed since the last call.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The cluster as it was last seen; none until every watch has seen everything once.
    pub fn snapshot(&self) -> Option<Snapshot> {
        let state = self.state();
        if state.watches.values().any(|watch| watch.heard.is_none()) {
            return None;
        }
        let mut snapshot = state.snapshot.clone();
        snapshot.stale = state.stale();
        Some(snapshot)
    }

    /// What keeps the first snapshot from being complete, for people.
    pub fn missing(&self) -> Vec<String> {
        let state = self.state();
        let missing = state.watches.iter().filter(|(_, watch)| watch.heard.is_none());
        missing
            .map(|(kind, watch)| match &watch.last_failure {
                Some(error) => format!("{kind}: {error}"),
                None => format!("{kind}: not listed yet"),
            })
            .collect()
    }

    /// Whether the API server serves mutating policies.
    pub fn mutates(&self) -> bool {
        self.state().snapshot.host.mutates
    }

    /// Keeps what a probe found, and which policies it has seen in use, by all API servers or by those that could be asked; says whether what it
    /// found is something else than last time.
    pub fn record_probe(&self, probe: Probe, seen: Versions, unasked: bool) -> bool {
        let mut turned = false;
        self.update(|snapshot| {
            turned = snapshot.probe.as_ref() != Some(&probe);
            // Who was asked once need not be asked again before the rest goes.
            let unasked = unasked && (snapshot.unasked || snapshot.in_use != seen);
            let news = matches!(probe.outcome, Outcome::Holds(_)) && (snapshot.in_use != seen || snapshot.unasked != unasked);
            if news {
                (snapshot.in_use, snapshot.unasked) = (seen, unasked);
            }
            snapshot.probe = Some(probe);
            turned || news
        });
        turned
    }

    /// Keeps which writes failed.
    pub fn record_failures(&self, failures: BTreeMap<String, String>) {
        // No bell: whoever records them knows when to try again.
        self.state().snapshot.failures = failures;
    }

    fn update(&self, change: impl FnOnce(&mut Snapshot) -> bool) {
        let rang = change(&mut self.state().snapshot);
        if rang {
            self.changed.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is complete when the lock is given back, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches one of our kinds. What does not have the form of its kind is kept as [`Malformed`].
    fn custom<K>(&self, client: &Client, kind: &'static str, tasks: &mut JoinSet<()>, table: fn(&mut Snapshot) -> &mut Table<Read<K>>)
    where
        K: Resource<DynamicType = ()> + DeserializeOwned + PartialEq + Send + Sync + 'static,
    {
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::erase::<K>(&()));
        self.follow(api, Selection::default(), kind, tasks, table, read);
    }

    fn admission(&self, client: &Client, mutates: bool, tasks: &mut JoinSet<()>) {
        for kind in Kind::ALL.into_iter().filter(|kind| mutates || !kind.is_mutating()) {
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource_of(kind));
            let part = Part { prefix: Some(format!("{}/", kind.as_str())) };
            self.follow_part(
                api,
                OURS,
                kind.plural(),
                tasks,
                part,
                |snapshot| &mut snapshot.admission,
                move |object: DynamicObject| stored(kind, &object),
            );
        }
    }

    fn follow<K, T>(
        &self,
        api: Api<K>,
        selection: Selection,
        kind: &'static str,
        tasks: &mut JoinSet<()>,
        table: fn(&mut Snapshot) -> &mut Table<T>,
        facts: impl Fn(K) -> T + Send + 'static,
    ) where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
        T: PartialEq + Send + Sync + 'static,
    {
        self.follow_part(api, selection, kind, tasks, Part { prefix: None }, table, facts);
    }

    #[allow(clippy::too_many_arguments, reason = "private, and every argument is a different thing")]
    fn follow_part<K, T>(
        &self,
        api: Api<K>,
        selection: Selection,
        kind: &'static str,
        tasks: &mut JoinSet<()>,
        part: Part,
        table: fn(&mut Snapshot) -> &mut Table<T>,
        facts: impl Fn(K) -> T + Send + 'static,
    ) where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
        T: PartialEq + Send + Sync + 'static,
    {
        self.state().watches.insert(kind, Watch::default());
        let world = self.clone();
        let mut listed: BTreeMap<String, Arc<T>> = BTreeMap::new();
        let tell = move |seen: Result<Seen<K>, Trouble>| {
            // Before a list is complete, nothing is known that was not known before.
            let heard = !matches!(seen, Ok(Seen::Listing | Seen::Listed(_)) | Err(_));
            match seen {
                Ok(Seen::Listing) => listed.clear(),
                Ok(Seen::Listed(objects)) => listed.extend(objects.into_iter().map(|object| (part.key(&object), Arc::new(facts(object))))),
                Ok(Seen::Complete) => world.relist(kind, &part, table, std::mem::take(&mut listed)),
                Ok(Seen::Put(object)) => {
                    let key = part.key(&object);
                    let facts = facts(object);
                    world.update(|snapshot| put(table(snapshot), key, facts));
                }
                Ok(Seen::Gone(object)) => {
                    let key = part.key(&object);
                    world.update(|snapshot| Arc::make_mut(table(snapshot)).remove(&key).is_some());
                }
                Ok(Seen::Nothing) => {}
                Err(trouble) => world.failed(kind, &trouble),
            }
            if heard {
                world.heard(kind);
            }
        };
        tasks.spawn(follow(api, selection, tell));
    }

    fn relist<T: PartialEq>(
        &self,
        kind: &'static str,
        part: &Part,
        table: fn(&mut Snapshot) -> &mut Table<T>,
        listed: BTreeMap<String, Arc<T>>,
    ) {
        debug!(kind, objects = listed.len(), "listed");
        self.update(|snapshot| {
            let table = table(snapshot);
            let mine: BTreeSet<&String> = table.keys().filter(|key| part.contains(key)).collect();
            let same =
                mine.len() == listed.len() && listed.iter().all(|(key, facts)| table.get(key).is_some_and(|found| **found == **facts));
            if !same {
                let table = Arc::make_mut(table);
                table.retain(|key, _| !part.contains(key));
                table.extend(listed);
            }
            !same
        });
    }

    fn heard(&self, kind: &'static str) {
        let mut state = self.state();
        let watch = state.watches.entry(kind).or_default();
        if watch.is_broken() {
            info!(kind, "can be read again");
        }
        // The first time, the snapshot may be complete now.
        if watch.is_broken() || watch.heard.is_none() {
            self.changed.notify_one();
        }
        *watch = Watch { heard: Some(Instant::now()), ..Watch::default() };
    }

    fn failed(&self, kind: &'static str, trouble: &Trouble) {
        self.metrics.watch_failed(kind);
        let mut state = self.state();
        let watch = state.watches.entry(kind).or_default();
        let error = why(trouble);
        watch.failures = watch.failures.saturating_add(1);
        if watch.heard.is_none() && watch.failures == 1 {
            warn!(kind, error, "cannot be read yet; nothing is written until it can");
        } else if watch.failures == BROKEN_AFTER {
            warn!(kind, error, "failed again and again, and is tried again");
            self.changed.notify_one();
        } else {
            debug!(kind, error, "failed, and is tried again");
        }
        watch.last_failure = Some(error);
    }
}

/// What the API server said, and what to do about it.
fn why(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Refused(kube::Error::Api(status)) if status.code == 404 => {
            "the API server does not know this kind (404): install the CRDs, kubectl apply --server-side -f crds/".to_owned()
        }
        Trouble::Refused(kube::Error::Api(status)) if status.code == 403 => {
            format!("{trouble}: install the operator's rights, deploy/rempart.yaml")
        }
        _ => trouble.to_string(),
    }
}

impl State {
    /// Kinds of which what is known may be old.
    fn stale(&self) -> Vec<&'static str> {
        self.watches.iter().filter(|(_, watch)| watch.is_broken()).map(|(kind, _)| *kind).collect()
    }
}

impl Watch {
    fn is_broken(&self) -> bool {
        self.failures >= BROKEN_AFTER || self.heard.is_some_and(|at| at.elapsed() > SILENCE)
    }
}

/// Several kinds may share a table; each then has a prefix of its own.
struct Part {
    prefix: Option<String>,
}

impl Part {
    fn key<K: Resource>(&self, object: &K) -> String {
        let name = object.meta().name.as_deref().unwrap_or_default();
        match (&self.prefix, object.meta().namespace.as_deref()) {
            (Some(prefix), _) => format!("{prefix}{name}"),
            (None, Some(namespace)) => format!("{namespace}/{name}"),
            (None, None) => name.to_owned(),
        }
    }

    fn contains(&self, key: &str) -> bool {
        self.prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix))
    }
}

/// Whether something is different now. What changes at a node's heartbeat is not among the facts, so heartbeats ring no bell.
fn put<T: PartialEq>(table: &mut Table<T>, key: String, facts: T) -> bool {
    if table.get(&key).is_some_and(|found| **found == facts) {
        return false;
    }
    Arc::make_mut(table).insert(key, Arc::new(facts));
    true
}

fn stored(kind: Kind, object: &DynamicObject) -> Stored {
    Stored {
        kind,
        name: object.name_any(),
        spec: object.data.get("spec").cloned().unwrap_or_default(),
        version: Version { uid: object.uid().unwrap_or_default(), generation: object.metadata.generation.unwrap_or_default() },
        held: object.finalizers().iter().any(|finalizer| finalizer == GUARD),
        deleting: object.metadata.deletion_timestamp.is_some(),
    }
}

fn read<K: Resource<DynamicType = ()> + DeserializeOwned>(mut object: DynamicObject) -> Read<K> {
    object.metadata.managed_fields = None;
    let metadata = object.metadata.clone();
    let conditions = object.data.pointer("/status/conditions").cloned();
    let value = serde_json::json!(object);
    let read = serde_path_to_error::deserialize(value).map_err(|error| error.to_string());
    // The CRD refuses it; it may have been stored before there was this CRD.
    let reserved = is_reserved(&K::kind(&()), metadata.name.as_deref().unwrap_or_default());
    let read =
        read.and_then(|object| if reserved { Err("metadata.name: it is reserved: choose another name".to_owned()) } else { Ok(object) });
    read.map_err(|error| {
        let conditions = conditions.and_then(|conditions| serde_json::from_value(conditions).ok()).unwrap_or_default();
        Box::new(Malformed { metadata, conditions, error })
    })
}

#[cfg(test)]
mod tests;
