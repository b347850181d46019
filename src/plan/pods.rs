//! What the pods of a snapshot amount to: which levels apply to each, and whether it runs where it should.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::claims::Stranded;
use super::view::View;
use crate::api::DataDeclaration;
use crate::api::values::Tally;
use crate::placement::{self, PodFacts, Unschedulable, Verdict, Why};

/// Pods and claims that a level or a declaration concerns.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) tally: Tally,
    /// Pods on no node yet that do not ask for one that is cleared.
    pub(super) starving: Vec<String>,
    /// Pods that ask for a cleared node, and for which the scheduler finds none.
    pub(super) waiting: Vec<Waiting>,
    /// Oldest first.
    pub(super) violations: Vec<Misplaced>,
    pub(super) claims: Tally,
    /// Claims on storage that is not cleared, oldest first.
    pub(super) stranded: Vec<Stranded>,
    /// Claims on cleared storage whose volumes carry no affinity of their cloud.
    pub(super) unpinned: usize,
}

/// A pod on a node that is not cleared for it.
#[derive(Clone, Debug)]
pub(super) struct Misplaced {
    pub(super) pod: String,
    pub(super) node: String,
    pub(super) why: Why,
    created: Option<Timestamp>,
}

/// A pod that the scheduler finds no node for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Waiting {
    pub(super) since: Timestamp,
    pub(super) pod: String,
    pub(super) why: String,
}

impl Waiting {
    /// After how long it is news: an autoscaler may be about to add nodes.
    const PATIENCE: SignedDuration = SignedDuration::from_mins(1);

    /// When it becomes news.
    pub(super) fn news_at(&self) -> Timestamp {
        self.since.saturating_add(Self::PATIENCE).unwrap_or(Timestamp::MAX)
    }

    pub(super) fn is_news(&self, now: Timestamp) -> bool {
        self.news_at() <= now
    }
}

impl<'a> View<'a> {
    /// Levels that apply to a pod: those of its namespace, its own, and those of declarations that select it.
    pub(super) fn levels_of(&self, pod: &'a PodFacts) -> BTreeSet<&'a str> {
        if self.is_system(&pod.namespace) {
            return BTreeSet::new();
        }
        let namespace = self.snapshot.namespaces.get(&pod.namespace).and_then(|namespace| namespace.level());
        let declared = self.declarations_in(&pod.namespace).iter().filter(|(_, declaration)| selects(declaration, pod));
        namespace.into_iter().chain(pod.level()).chain(declared.map(|(_, declaration)| declaration.spec.level.0.as_str())).collect()
    }

    /// Whether a controller has pods on nodes that are not cleared for them.
    pub(super) fn has_misplaced_pods(&self, kind: &str, namespace: &str, name: &str) -> bool {
        let mut pods = self.snapshot.pods.values().filter(|pod| {
            pod.namespace == namespace
                && !pod.finished
                && pod.controller.as_ref().is_some_and(|owner| owner.kind == kind && owner.name == name)
        });
        pods.any(|pod| matches!(placement::judge(&self.clearing.spec, self.levels_of(pod), pod.node.as_deref()), Verdict::Violating(_)))
    }

    pub(super) fn judge_pods(&mut self) {
        let mut by_level: BTreeMap<&'a str, Found> = BTreeMap::new();
        let mut by_declaration: BTreeMap<&'a str, Found> = BTreeMap::new();
        for (key, pod) in self.snapshot.pods.iter().filter(|(_, pod)| !pod.finished) {
            let levels = self.levels_of(pod);
            let verdicts: BTreeMap<&str, Verdict> =
                levels.iter().map(|level| (*level, placement::judge(&self.clearing.spec, [*level], pod.node.as_deref()))).collect();
            for (level, verdict) in &verdicts {
                let found = by_level.entry(level).or_default();
                found.add(key, pod, verdict);
                if *verdict == Verdict::Unplaced && !pod.asks_for(level) {
                    found.starving.push(key.clone());
                } else if let (Verdict::Unplaced, Some(Unschedulable { since, why }), false) = (verdict, &pod.unschedulable, pod.deleting) {
                    found.waiting.push(Waiting { since: *since, pod: key.clone(), why: why.clone() });
                }
            }
            for (declaration_key, declaration) in self.declarations_in(&pod.namespace) {
                if let Some(verdict) = verdicts.get(declaration.spec.level.0.as_str()).filter(|_| selects(declaration, pod)) {
                    by_declaration.entry(declaration_key).or_default().add(key, pod, verdict);
                }
            }
        }
        for found in by_level.values_mut().chain(by_declaration.values_mut()) {
            found.waiting.sort();
            found.violations.sort_by(|a, b| (a.created, &a.pod).cmp(&(b.created, &b.pod)));
        }
        (self.found_by_level, self.found_by_declaration) = (by_level, by_declaration);
    }
}

impl Found {
    fn add(&mut self, key: &str, pod: &PodFacts, verdict: &Verdict) {
        match verdict {
            Verdict::Compliant => self.tally.compliant += 1,
            Verdict::Unplaced => self.tally.unknown += 1,
            Verdict::Violating(why) => {
                self.tally.violating += 1;
                let node = pod.node.clone().unwrap_or_default();
                self.violations.push(Misplaced { pod: key.to_owned(), node, why: why.clone(), created: pod.created });
            }
        }
    }
}

/// Whether a declaration concerns a pod of its namespace.
fn selects(declaration: &DataDeclaration, pod: &PodFacts) -> bool {
    declaration
        .spec
        .workloads
        .as_ref()
        .is_none_or(|workloads| pod.has_labels(workloads.match_labels.iter().map(|(key, value)| (key.as_str(), value.0.as_str()))))
}
