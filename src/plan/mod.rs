//! DECIDE: a snapshot and an instant in, everything there is to do out, in order, with the instant at which to look again. Pure.

mod admission;
mod claims;
mod pods;
mod settings;
mod snapshot;
mod status;
mod steps;
mod storage;
mod view;
mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

pub use admission::with_defaults;
pub use snapshot::{Host, Malformed, Outcome, Probe, Read, Snapshot, Stored, StoredWebhook, Table, Version, Versions};
pub use steps::{Epoch, Notice, Phase, Plan, Relabel, Replaced, Step, Summary};
pub use webhook::mutations;

use crate::api::TrustedCloud;
use crate::api::names::{CLEARANCE_PREFIX, DECLARED, LEVEL_IN_USE, SENSITIVITY};
use crate::api::sensitivity_level::Enforcement;
use crate::api::values::Tally;
use crate::placement::{self, Perimeters};
use crate::trust::end_of_day;
use pods::{Found, Waiting};
use view::View;

/// What to do about `snapshot` at `now`: only what is not as it should be. A cluster that is as it should be gets no step.
pub fn plan(snapshot: &Snapshot, now: Timestamp) -> Plan {
    Planner::default().plan(snapshot, now)
}

/// Makes plans one after another. What it keeps is only what takes long to compute again: the same snapshot gets the same plan from any.
#[derive(Debug, Default)]
pub struct Planner {
    /// Perimeters, and the clouds that they are of.
    perimeters: Option<(Table<Read<TrustedCloud>>, Perimeters)>,
}

impl Planner {
    /// See [`plan`].
    pub fn plan(&mut self, snapshot: &Snapshot, now: Timestamp) -> Plan {
        planned(snapshot, self.perimeters(&snapshot.clouds), now)
    }

    /// Expressions take a tenth of a millisecond each to compile, and clouds seldom change.
    fn perimeters(&mut self, clouds: &Table<Read<TrustedCloud>>) -> &Perimeters {
        let known = self.perimeters.take().filter(|(known, _)| Arc::ptr_eq(known, clouds));
        let (_, perimeters) = self.perimeters.insert(known.unwrap_or_else(|| (Arc::clone(clouds), view::perimeters(clouds))));
        perimeters
    }
}

fn planned(snapshot: &Snapshot, perimeters: &Perimeters, now: Timestamp) -> Plan {
    let view = View::new(snapshot, perimeters, now);
    let mut steps = Vec::new();
    steps.extend(clearance(&view));
    steps.extend(view.upkeep.steps());
    steps.extend(webhook::step(snapshot, view.webhook.clone(), in_use(&view)));
    steps.extend(namespaces(&view));
    steps.extend(storage::quotas(&view));
    steps.extend(storage::classes(&view));
    steps.extend(nodes(&view));
    steps.extend(levels(&view));
    steps.extend(daemon_sets(&view));
    steps.extend(waiting_pods(&view));
    // A status speaks of what is in force: while the Clearance or a policy is being written it would be out of date at once.
    if view.guarded || view.guard_failed() {
        steps.extend(status::steps(&view));
    }
    steps.sort_by_key(Step::phase);
    Plan {
        steps,
        wake_at: wake_at(&view),
        guarded: view.guarded,
        webhook: webhook::is_in_place(snapshot, view.webhook.as_ref()),
        summary: summary(&view),
        epoch: view.upkeep.epoch_to_ask_for(),
        policies: view.policies,
        clearance: view.clearing.spec,
    }
}

fn clearance(view: &View<'_>) -> Option<Step> {
    let in_force = view.snapshot.clearance().map(|clearance| &clearance.spec);
    (in_force != Some(&view.clearing.spec)).then(|| Step::WriteClearance(Box::new(view.clearing.spec.clone())))
}

/// A namespace gets the level of its first declaration, unless it has one, and the mark that holds its pods to its declarations.
/// Declarations of levels that are not enforced give no mark: what the mark selects is refused, not reported. A declaration that
/// cannot be read takes no mark off: the API server may well be able to read its level.
fn namespaces<'a>(view: &'a View<'_>) -> impl Iterator<Item = Step> + 'a {
    view.snapshot.namespaces.values().filter(|namespace| !namespace.deleting && !view.is_system(&namespace.name)).filter_map(|namespace| {
        let declarations = view.declarations_in(&namespace.name);
        let mut labels = BTreeMap::new();
        let whole = declarations.iter().map(|(_, declaration)| declaration).find(|declaration| declaration.spec.workloads.is_none());
        if let (None, Some(declaration)) = (namespace.level(), whole) {
            labels.insert(SENSITIVITY.to_owned(), Some(declaration.spec.level.0.clone()));
        }
        let holds = declarations.iter().any(|(_, declaration)| view.is_enforced(&declaration.spec.level.0))
            || namespace.is_marked() && view.has_malformed_declaration(&namespace.name);
        if holds != namespace.is_marked() {
            labels.insert(DECLARED.to_owned(), holds.then(|| "true".to_owned()));
        }
        (!labels.is_empty()).then(|| Step::LabelNamespace(Relabel { name: namespace.name.clone(), uid: namespace.uid.clone(), labels }))
    })
}

fn nodes<'a>(view: &'a View<'_>) -> impl Iterator<Item = Step> + 'a {
    view.snapshot.nodes.values().flat_map(|node| {
        let cloud = view.clearing.spec.nodes.get(&node.name);
        let wanted = cloud.map(|cloud| placement::node_labels(&view.clearing.spec, cloud)).unwrap_or_default();
        let (off, on) = Relabel::between(&node.labels, &wanted, |key| key.starts_with(CLEARANCE_PREFIX));
        [off, on]
            .into_iter()
            .filter(|labels| !labels.is_empty())
            .map(|labels| Step::LabelNode(Relabel { name: node.name.clone(), uid: node.uid.clone(), labels }))
            .collect::<Vec<_>>()
    })
}

/// A level that is deleted while something names it would leave a name that refuses every pod: its finalizer waits.
fn levels<'a>(view: &'a View<'_>) -> impl Iterator<Item = Step> + 'a {
    let needed = view.needed_levels();
    view.snapshot.levels.iter().filter_map(move |(name, read)| {
        let metadata = view::metadata(read);
        let found = metadata.finalizers.as_deref().unwrap_or_default();
        let held = found.iter().any(|finalizer| finalizer == LEVEL_IN_USE);
        let finalizers: Vec<String> = match (metadata.deletion_timestamp.is_some(), held) {
            (false, false) => found.iter().cloned().chain([LEVEL_IN_USE.to_owned()]).collect(),
            (true, true) if !needed.contains(name.as_str()) => {
                found.iter().filter(|finalizer| *finalizer != LEVEL_IN_USE).cloned().collect()
            }
            _ => return None,
        };
        Some(Step::HoldLevel { name: name.clone(), resource_version: metadata.resource_version.clone().unwrap_or_default(), finalizers })
    })
}

/// Levels of `levels` that exist and that pods are held to, in order.
fn enforced<'a>(view: &View<'_>, levels: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    levels.into_iter().filter(|level| view.enforcement(level) == Some(Enforcement::Enforce)).collect()
}

/// Whether the API server uses the policies as they should be, and was seen to, and something adds what is missing. What makes it look at an object
/// again waits for that: sooner, it would still use the old policies, and a DaemonSet is not touched twice.
fn in_use(view: &View<'_>) -> bool {
    let adds = view.snapshot.host.mutates || view.snapshot.probe.as_ref().is_some_and(|probe| probe.adds);
    adds && view.guarded && matches!(view.seen(), Some(Outcome::Holds(_)))
}

/// DaemonSets from before their namespace had its level: any write lets the API server rewrite the template (enforcement.md, fact 11).
/// That rolls the set out, which ends the pods that it has on nodes that are not cleared; so one that has such pods is left alone.
fn daemon_sets<'a>(view: &'a View<'_>) -> impl Iterator<Item = Step> + 'a {
    let in_use = in_use(view);
    let sets = view.snapshot.daemon_sets.values().filter(move |set| in_use && !set.deleting && !view.is_system(&set.namespace));
    let touched = sets.filter_map(move |set| {
        let namespace = view.snapshot.namespaces.get(&set.namespace).and_then(|namespace| namespace.level());
        let levels = enforced(view, namespace);
        let levels: Vec<_> = levels.into_iter().filter(|level| !set.selects(level)).collect();
        let levels = levels.join(",");
        // Touched already and still without: somebody else rewrites the template, and touching it again would be a quarrel.
        (!levels.is_empty() && set.touched_for.as_deref() != Some(levels.as_str())).then_some((set, levels))
    });
    touched.filter(|(set, _)| !view.has_misplaced_pods("DaemonSet", &set.namespace, &set.name)).map(|(set, levels)| Step::TouchDaemonSet {
        namespace: set.namespace.clone(),
        name: set.name.clone(),
        uid: set.uid.clone(),
        levels,
    })
}

/// Controllers that make a deleted pod again as if nothing had happened. A Job counts a deleted pod as failed and may end for
/// good; what other controllers do is their own affair.
const REPLACING: [&str; 4] = ["ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController"];

/// Pods that wait without the selector of their level starve: the scheduler tries nodes that the API server refuses. Those
/// whose controller makes them again come back with it (enforcement.md, fact 11). Running pods are never touched.
fn waiting_pods<'a>(view: &'a View<'_>) -> impl Iterator<Item = Step> + 'a {
    let in_use = in_use(view);
    let pods = view.snapshot.pods.values().filter(move |pod| {
        in_use
            && pod.node.is_none()
            && !pod.finished
            && !pod.deleting
            && pod.controller.as_ref().is_some_and(|owner| REPLACING.contains(&owner.kind.as_str()))
    });
    pods.filter_map(|pod| {
        let levels = enforced(view, view.levels_of(pod));
        let waits_without = levels.iter().any(|level| !pod.asks_for(level));
        waits_without.then(|| Step::ReplacePod { namespace: pod.namespace.clone(), name: pod.name.clone(), uid: pod.uid.clone() })
    })
}

/// The next instant at which something changes by itself: a qualification, a lease, a review, a pod that has waited for too long.
fn wake_at(view: &View<'_>) -> Option<Timestamp> {
    let reviews = view::readable(&view.snapshot.declarations)
        .filter_map(|(_, declaration)| end_of_day(declaration.spec.review_by?, &declaration.spec.time_zone).ok())
        .filter(|end| *end > view.now);
    let waiting = view.found_by_level.values().flat_map(|found| &found.waiting).map(Waiting::news_at).filter(|news| *news > view.now);
    view.assessment.next_change().into_iter().chain(view.clearing.renew_at).chain(reviews).chain(waiting).min()
}

fn summary(view: &View<'_>) -> Summary {
    let usize_of = |number: i32| usize::try_from(number).unwrap_or_default();
    let levels = || view.snapshot.levels.keys();
    let nodes = levels().map(|level| {
        let clouds = view.clouds_cleared_for(level);
        (level.clone(), view.nodes_of(&clouds))
    });
    let tallies = |tally: fn(&Found) -> Tally| {
        let of_level = move |level: &String| {
            let tally = view.found_by_level.get(level.as_str()).map(tally).unwrap_or_default();
            (level.clone(), [usize_of(tally.compliant), usize_of(tally.violating), usize_of(tally.unknown)])
        };
        levels().map(of_level).collect()
    };
    let not_after = levels().filter_map(|level| Some((level.clone(), view.clearing.spec.levels.get(level)?.not_after)));
    let qualified_until =
        view.assessment.clouds.iter().filter_map(|(cloud, standing)| Some((cloud.clone(), standing.best()?.counts_until?)));
    Summary {
        objects: status::tally(view.snapshot),
        nodes: nodes.collect(),
        pods: tallies(|found| found.tally),
        claims: tallies(|found| found.claims),
        unschedulable: levels()
            .map(|level| (level.clone(), view.found_by_level.get(level.as_str()).map_or(0, |found| found.waiting.len())))
            .collect(),
        not_after: not_after.collect(),
        qualified_until: qualified_until.collect(),
    }
}

#[cfg(test)]
mod tests;
