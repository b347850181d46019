//! The invariant, held against one change after the other: **no pod of a sensitive namespace is bound to a node that the
//! Clearance did not clear for its level at that time, and none comes into being after the end of its clearance.** What it says of
//! claims and their volumes is in `volumes.rs`.
//!
//! It is promised from the first revision at which some level says `Enforced`, for every level but those in `Audit` or `Warn`
//! (and those until they say `Enforced`), and for levels that do not exist. Deliberately not promised, see docs/src/limits.md: that a
//! Binding looks at `notAfter`, and that it looks at the level of the pod itself. That one is promised for pods that got it when
//! they were made: the scheduler binds them to nodes that have the label.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rempart::api::names::NO_LEVEL;

use super::volumes::{Claim, Volume};

/// An API server learns of a change a little after it is stored. What was in force within this time may have been what it
/// judged by: `every API server refuses in under 1 s` is what is promised, and what is measured is 20 ms. The history says how
/// old the oldest state was that somebody was judged by.
pub const LAG: Duration = Duration::from_secs(1);

/// Namespaces that have no level, whatever their labels.
const SYSTEM: [&str; 4] = ["kube-system", "kube-public", "kube-node-lease", "rempart-system"];

/// One object that changed; what is none is gone.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Pod { namespace: String, name: String, pod: Option<Pod> },
    Namespace { name: String, namespace: Option<Namespace> },
    Node { name: String, levels: BTreeSet<String> },
    Clearance(Option<Cleared>),
    Level { name: String, level: Option<Level> },
    Claim { namespace: String, name: String, claim: Option<Claim> },
    Volume { name: String, volume: Option<Volume> },
}

#[derive(Clone, Debug)]
pub(super) struct Namespace {
    pub(super) level: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Pod {
    pub(super) level: Option<String>,
    /// Second since 1970, by the clock of the API server.
    pub(super) created: i64,
    /// Empty until it is bound.
    pub(super) node: String,
}

/// What a Clearance clears.
#[derive(Clone, Debug, Default)]
pub(super) struct Cleared {
    pub(super) nodes: BTreeMap<String, String>,
    pub(super) clouds: BTreeMap<String, Vec<String>>,
    pub(super) classes: BTreeMap<String, String>,
    /// Level to the second at which its clearance ends.
    pub(super) levels: BTreeMap<String, i64>,
}

impl Cleared {
    fn clears(&self, node: &str, level: &str) -> bool {
        self.nodes.get(node).is_some_and(|cloud| self.trusts(cloud, level))
    }

    pub(super) fn trusts(&self, cloud: &str, level: &str) -> bool {
        self.clouds.get(cloud).is_some_and(|levels| levels.iter().any(|cleared| cleared == level))
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    /// What it asks for.
    pub(super) enforced: bool,
    /// The operator says of this generation that it is enforced.
    pub(super) seen: bool,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub revision: u64,
    /// Namespace and name, of a pod or a claim.
    pub object: String,
    pub what: String,
}

/// The state of a cluster at a revision, and what was wrong on the way there.
#[derive(Debug, Default)]
pub struct Replay {
    pub revision: u64,
    pub violations: Vec<Violation>,
    /// Violations in a time in which a test took the guard away.
    pub excused: Vec<Violation>,
    /// Whether it is such a time.
    pub excusing: bool,
    /// Pods that were bound, and how many of them have a level to which the promise applies.
    pub bound: usize,
    pub judged: usize,
    /// Claims that were bound, and how many of them have a level to which the promise applies.
    pub claims_bound: usize,
    pub claims_judged: usize,
    /// Age of the oldest state that had to be looked at to find a bound pod in its right place.
    pub oldest: Duration,
    /// Whether the Clearance was ever there.
    pub cleared: bool,
    /// Whether anything is promised yet.
    pub guarded: bool,
    pub(super) clearance: Past<Option<Cleared>>,
    /// Levels to which the promise does not apply.
    lax: Past<BTreeSet<String>>,
    pub(super) namespaces: BTreeMap<String, Past<Option<String>>>,
    nodes: BTreeMap<String, Past<BTreeSet<String>>>,
    pods: BTreeMap<(String, String), Known>,
    pub(super) claims: BTreeMap<(String, String), Claim>,
    pub(super) volumes: BTreeMap<String, Volume>,
}

/// What is remembered of a pod.
#[derive(Debug)]
struct Known {
    bound: bool,
    /// The level that it was made with, if that was promised to hold.
    level: Option<String>,
}

impl Replay {
    /// Promises from now on what the operator would promise; for a suite that does its work. These levels are not enforced.
    pub fn promise(&mut self, lax: &[&str]) {
        self.guarded = true;
        self.lax.now.extend(lax.iter().map(|&level| level.to_owned()));
    }

    /// Takes in a change that was stored as `revision` and seen at `at`.
    pub(super) fn see(&mut self, revision: u64, at: Duration, change: Change) {
        match change {
            Change::Clearance(clearance) => {
                self.cleared |= clearance.is_some();
                self.clearance.set(clearance, at);
            }
            Change::Namespace { name, namespace: None } => drop(self.namespaces.remove(&name)),
            // One that is new had no other level a moment ago.
            Change::Namespace { name, namespace: Some(Namespace { level }) } => {
                self.namespaces.entry(name).and_modify(|past| past.set(level.clone(), at)).or_insert_with(|| Past::begin(level));
            }
            Change::Node { name, levels } => self.nodes.entry(name).or_default().set(levels, at),
            Change::Level { name, level } => self.see_level(name, level, at),
            Change::Volume { name, volume: None } => drop(self.volumes.remove(&name)),
            Change::Volume { name, volume: Some(volume) } => drop(self.volumes.insert(name, volume)),
            Change::Claim { namespace, name, claim: None } => drop(self.claims.remove(&(namespace, name))),
            Change::Claim { namespace, name, claim: Some(claim) } => self.see_claim(revision, at, (namespace, name), claim),
            Change::Pod { namespace, name, pod: None } => drop(self.pods.remove(&(namespace, name))),
            Change::Pod { namespace, name, pod: Some(pod) } => self.see_pod(revision, at, (namespace, name), &pod),
        }
    }

    fn see_level(&mut self, name: String, level: Option<Level>, at: Duration) {
        let Some(level) = level else { return };
        self.guarded |= level.enforced && level.seen;
        let mut lax = self.lax.now.clone();
        let changed = if level.enforced { level.seen && lax.remove(&name) } else { lax.insert(name) };
        if changed {
            self.lax.set(lax, at);
        }
    }

    fn see_pod(&mut self, revision: u64, at: Duration, key: (String, String), pod: &Pod) {
        let was_there = self.pods.contains_key(&key);
        if !was_there {
            let level = pod.level.clone().filter(|_| self.guarded);
            for what in self.objections_to_being(at, &key.0, pod) {
                self.report(revision, &key, what);
            }
            self.pods.insert(key.clone(), Known { bound: false, level });
        }
        let Some(known) = self.pods.get_mut(&key) else { return };
        if pod.node.is_empty() || std::mem::replace(&mut known.bound, true) {
            return;
        }
        let own = known.level.clone();
        self.bound += 1;
        for what in self.objections_to_place(at, &key.0, own, &pod.node) {
            self.report(revision, &key, what);
        }
    }

    pub(super) fn report(&mut self, revision: u64, (namespace, name): &(String, String), what: String) {
        let violation = Violation { revision, object: format!("{namespace}/{name}"), what };
        if self.excusing { &mut self.excused } else { &mut self.violations }.push(violation);
    }

    /// What speaks against a pod that comes into being.
    fn objections_to_being(&self, at: Duration, namespace: &str, pod: &Pod) -> Vec<String> {
        let namespaces = Past::default();
        let of_namespace = self.namespaces.get(namespace).unwrap_or(&namespaces);
        let in_date = |level: &str| {
            let mut recent = self.clearance.recent(at);
            recent.any(|(clearance, _)| {
                clearance.as_ref().and_then(|clearance| clearance.levels.get(level)).is_some_and(|end| pod.created < *end)
            })
        };
        let right = |level: Option<&str>| level.is_none_or(|level| self.is_free(at, namespace, level) || in_date(level));
        let objection = |level: &str| format!("it was made without a clearance for {level} that is in date");
        let by_namespace = (!of_namespace.recent(at).any(|(level, _)| right(level.as_deref())))
            .then(|| objection(of_namespace.now.as_deref().unwrap_or_default()));
        let by_itself = (!right(pod.level.as_deref())).then(|| objection(pod.level.as_deref().unwrap_or_default()));
        by_namespace.into_iter().chain(by_itself).collect()
    }

    /// What speaks against the node that a pod was bound to.
    fn objections_to_place(&mut self, at: Duration, namespace: &str, own: Option<String>, node: &str) -> Vec<String> {
        let by_namespace = self.namespaces.get(namespace).cloned().unwrap_or_default();
        let by_itself = Past::begin(own);
        let labels = self.nodes.get(node).cloned().unwrap_or_default();
        let nobody = Past::default();
        let mut objections = Vec::new();
        let mut concerns = false;
        for (levels, labels, said_by) in [(&by_namespace, &nobody, "its namespace"), (&by_itself, &labels, "the pod itself")] {
            // The youngest state that allows it.
            let mut age: Option<Duration> = None;
            for (level, level_age) in levels.recent(at) {
                let Some(level) = level.as_deref().filter(|level| !self.is_free(at, namespace, level)) else {
                    age = Some(age.map_or(level_age, |age| age.min(level_age)));
                    continue;
                };
                concerns = true;
                let by_clearance =
                    self.clearance.recent(at).filter(|(cleared, _)| cleared.as_ref().is_some_and(|cleared| cleared.clears(node, level)));
                let by_label = labels.recent(at).filter(|(labels, _)| labels.contains(level));
                let ages = by_clearance.map(|(_, age)| age).chain(by_label.map(|(_, age)| age)).map(|age| age.max(level_age));
                age = age.into_iter().chain(ages).min();
            }
            if let Some(age) = age {
                self.oldest = self.oldest.max(age);
            } else {
                let level = levels.now.as_deref().unwrap_or_default();
                objections.push(format!("it was bound to {node}, which was not cleared for {level}, the level of {said_by}"));
            }
        }
        self.judged += usize::from(concerns);
        objections
    }

    /// Whether nothing is promised about pods of this level.
    pub(super) fn is_free(&self, at: Duration, namespace: &str, level: &str) -> bool {
        !self.guarded || SYSTEM.contains(&namespace) || level == NO_LEVEL || self.lax.recent(at).any(|(lax, _)| lax.contains(level))
    }
}

/// A value, and those that it replaced of late, each with the time of its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Past<T> {
    pub(super) now: T,
    before: Vec<(T, Duration)>,
}

impl<T> Past<T> {
    pub(super) fn begin(value: T) -> Self {
        Self { now: value, before: Vec::new() }
    }

    fn set(&mut self, value: T, at: Duration) {
        self.before.retain(|(_, end)| *end + LAG >= at);
        self.before.push((std::mem::replace(&mut self.now, value), at));
    }

    /// What an API server may judge by at `at`, and for how long it has not been true.
    pub(super) fn recent(&self, at: Duration) -> impl Iterator<Item = (&T, Duration)> {
        let before = self.before.iter().map(move |(value, end)| (value, at.saturating_sub(*end))).filter(|(_, age)| *age <= LAG);
        std::iter::once((&self.now, Duration::ZERO)).chain(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What it is about; what happens, and when; what must be said about it.
    type Case = (&'static str, Vec<(Duration, Change)>, &'static [&'static str]);

    const LONG_AGO: Duration = Duration::from_secs(10);
    const NOW: Duration = Duration::from_mins(1);

    fn clearance(levels: &[&str]) -> Change {
        Change::Clearance(Some(Cleared {
            nodes: [("snc-1".to_owned(), "snc".to_owned())].into(),
            clouds: [("snc".to_owned(), levels.iter().map(|&level| level.to_owned()).collect())].into(),
            classes: BTreeMap::new(),
            levels: [("restreint".to_owned(), 1000), ("sante".to_owned(), 1000)].into(),
        }))
    }

    fn namespace(level: Option<&str>) -> Change {
        Change::Namespace { name: "emr".to_owned(), namespace: Some(Namespace { level: level.map(str::to_owned) }) }
    }

    fn gone() -> Change {
        Change::Namespace { name: "emr".to_owned(), namespace: None }
    }

    fn pod(level: Option<&str>, created: i64, node: &str) -> Change {
        let pod = Pod { level: level.map(str::to_owned), created, node: node.to_owned() };
        Change::Pod { namespace: "emr".to_owned(), name: "p".to_owned(), pod: Some(pod) }
    }

    fn node(levels: &[&str]) -> Change {
        Change::Node { name: "snc-1".to_owned(), levels: levels.iter().map(|&level| level.to_owned()).collect() }
    }

    fn level(enforced: bool, seen: bool) -> Change {
        Change::Level { name: "restreint".to_owned(), level: Some(Level { enforced, seen }) }
    }

    /// A cluster in which `restreint` is promised and `snc-1` is cleared for it, and what follows.
    fn replay(changes: impl IntoIterator<Item = (Duration, Change)>) -> Replay {
        let mut replay = Replay::default();
        let begin = [level(true, true), clearance(&["restreint"]), node(&["restreint"]), namespace(Some("restreint"))];
        let all = begin.into_iter().map(|change| (LONG_AGO, change)).chain(changes);
        for (revision, (at, change)) in all.enumerate() {
            replay.see(revision as u64, at, change);
        }
        replay
    }

    #[test]
    fn what_is_wrong_is_found_and_nothing_else_is() {
        let just_before = NOW.checked_sub(LAG / 2).unwrap();
        let raised = || pod(Some("sante"), 1, "");
        let cases: Vec<Case> = vec![
            ("where it may be", vec![(NOW, pod(None, 1, "")), (NOW, pod(None, 1, "snc-1"))], &[]),
            (
                "elsewhere",
                vec![(NOW, pod(None, 1, "")), (NOW, pod(None, 1, "aws-1"))],
                &["bound to aws-1, which was not cleared for restreint"],
            ),
            ("elsewhere from the beginning", vec![(NOW, pod(None, 1, "aws-1"))], &["bound to aws-1"]),
            ("it stays there", vec![(LONG_AGO, pod(None, 1, "snc-1")), (LONG_AGO, clearance(&[])), (NOW, pod(None, 1, "snc-1"))], &[]),
            ("trust ended long ago", vec![(LONG_AGO, clearance(&[])), (NOW, pod(None, 1, "snc-1"))], &["bound to snc-1"]),
            ("trust has just ended", vec![(just_before, clearance(&[])), (NOW, pod(None, 1, "snc-1"))], &[]),
            (
                "the Clearance is gone",
                vec![(LONG_AGO, Change::Clearance(None)), (NOW, pod(None, 1, "snc-1"))],
                &["without a clearance", "bound to snc-1"],
            ),
            ("the level is new", vec![(LONG_AGO, namespace(Some("sante"))), (NOW, pod(None, 1, "snc-1"))], &["not cleared for sante"]),
            (
                "the level came just now",
                vec![(LONG_AGO, namespace(None)), (just_before, namespace(Some("sante"))), (NOW, pod(None, 1, "aws-1"))],
                &[],
            ),
            (
                "the namespace is new",
                vec![(LONG_AGO, gone()), (NOW, namespace(Some("sante"))), (NOW, pod(None, 1, "aws-1"))],
                &["bound to aws-1"],
            ),
            ("no level", vec![(LONG_AGO, namespace(None)), (NOW, pod(None, 1, "aws-1"))], &[]),
            (
                "a level that does not exist",
                vec![(LONG_AGO, namespace(Some("typo"))), (NOW, pod(None, 1, "snc-1"))],
                &["without a clearance for typo", "not cleared for typo"],
            ),
            ("too late", vec![(NOW, pod(None, 1000, ""))], &["made without a clearance for restreint that is in date"]),
            ("made in time, bound too late", vec![(NOW, pod(None, 999, "")), (NOW, pod(None, 999, "snc-1"))], &[]),
            ("not enforced", vec![(LONG_AGO, level(false, true)), (NOW, pod(None, 1, "aws-1"))], &[]),
            ("not enforced yet", vec![(LONG_AGO, level(false, true)), (LONG_AGO, level(true, false)), (NOW, pod(None, 1, "aws-1"))], &[]),
            (
                "enforced again",
                vec![(LONG_AGO, level(false, true)), (LONG_AGO, level(true, true)), (NOW, pod(None, 1, "aws-1"))],
                &["bound to aws-1"],
            ),
            (
                "a level of its own, label missing",
                vec![(LONG_AGO, namespace(None)), (NOW, raised()), (NOW, pod(Some("sante"), 1, "snc-1"))],
                &["sante, the level of the pod itself"],
            ),
            (
                "a level of its own, label there",
                vec![(LONG_AGO, namespace(None)), (LONG_AGO, node(&["sante"])), (NOW, raised()), (NOW, pod(Some("sante"), 1, "snc-1"))],
                &[],
            ),
            (
                "a level of its own that came later",
                vec![(LONG_AGO, namespace(None)), (NOW, pod(None, 1, "")), (NOW, pod(Some("sante"), 1, "snc-1"))],
                &[],
            ),
            (
                "a label does not stand for the Clearance",
                vec![(LONG_AGO, clearance(&[])), (LONG_AGO, node(&["restreint"])), (NOW, pod(None, 1, "snc-1"))],
                &["bound to snc-1"],
            ),
        ];
        for (name, changes, wanted) in cases {
            let replay = replay(changes);
            let found: Vec<&str> = replay.violations.iter().map(|violation| violation.what.as_str()).collect();
            assert_eq!(found.len(), wanted.len(), "{name}: {found:?}");
            assert!(found.iter().zip(wanted).all(|(found, wanted)| found.contains(wanted)), "{name}: {found:?}");
        }
    }

    #[test]
    fn it_says_how_many_it_judged_and_how_old_a_state_it_needed() {
        let found = replay([(NOW.checked_sub(LAG / 4).unwrap(), clearance(&[])), (NOW, pod(None, 1, "snc-1"))]);
        assert_eq!((found.bound, found.judged, found.oldest), (1, 1, LAG / 4));
        let found = replay([(LONG_AGO, namespace(None)), (NOW, pod(None, 1, "aws-1"))]);
        assert_eq!((found.bound, found.judged, found.oldest), (1, 0, Duration::ZERO));
    }

    #[test]
    fn before_the_guard_is_there_nothing_is_promised() {
        let mut replay = Replay::default();
        replay.see(1, LONG_AGO, namespace(Some("restreint")));
        replay.see(2, NOW, pod(None, 1, "aws-1"));
        assert_eq!(replay.violations, []);
    }
}
