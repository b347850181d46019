//! What a snapshot means at an instant: everything that steps and statuses are derived from, computed once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};
use serde_json::Value;

use super::admission::Upkeep;
use super::pods::Found;
use super::settings::settings;
use super::snapshot::{Host, Outcome, Read, Snapshot, Table};
use super::webhook;
use crate::api::conditions::ENFORCED;
use crate::api::names::CANARY;
use crate::api::reasons::Reason;
use crate::api::sensitivity_level::{Enforcement, OnTrustLoss};
use crate::api::{DataDeclaration, SensitivityLevel, TrustedCloud};
use crate::guard;
use crate::placement::{self, Belonging, Classes, Clearing, FoundClasses, LevelRule, NamespaceFacts, Perimeters};
use crate::trust::{Assessment, Problem, Register, Unreadable, unattended_for};

/// Namespaces of the platform. A level there could stop the cluster, so they can have none.
const SYSTEM_NAMESPACES: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

/// A snapshot, understood.
pub(super) struct View<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) now: Timestamp,
    pub(super) register: Register,
    pub(super) assessment: Assessment,
    pub(super) belonging: BTreeMap<&'a str, Belonging<'a>>,
    pub(super) classes: Classes,
    pub(super) clearing: Clearing,
    /// What is to be done about policies and bindings.
    pub(super) upkeep: Upkeep,
    /// The webhook configuration as it should be, if there should be one.
    pub(super) webhook: Option<Value>,
    /// Digest of the policies and bindings as they should be.
    pub(super) policies: String,
    /// Whether the Clearance and every policy and binding are in place.
    pub(super) guarded: bool,
    pub(super) found_by_level: BTreeMap<&'a str, Found>,
    pub(super) found_by_declaration: BTreeMap<&'a str, Found>,
    perimeters: &'a Perimeters,
    declarations: BTreeMap<&'a str, Vec<(&'a str, &'a DataDeclaration)>>,
}

/// The perimeters of the clouds that can be read.
pub(super) fn perimeters(clouds: &Table<Read<TrustedCloud>>) -> Perimeters {
    Perimeters::new(readable(clouds).map(|(name, cloud)| (name, &cloud.spec)))
}

impl<'a> View<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, perimeters: &'a Perimeters, now: Timestamp) -> Self {
        let unreadable = Unreadable { clouds: malformed(&snapshot.clouds), levels: malformed(&snapshot.levels) };
        let register = Register::beside(
            &unreadable,
            readable(&snapshot.clouds).map(|(name, cloud)| (name, &cloud.spec)),
            readable(&snapshot.levels).map(|(name, level)| (name, &level.spec)),
        );
        let mut assessment = register.assess(now);
        assessment.clouds.retain(|cloud, _| perimeters.problems(cloud).is_empty() && register.cloud_problems(cloud).is_empty());
        let belonging: BTreeMap<_, _> = snapshot.nodes.iter().map(|(name, node)| (name.as_str(), perimeters.belonging(node))).collect();
        let classes = classes(snapshot);
        assessment.clouds.retain(|cloud, _| classes.problems(cloud).is_empty());
        let clearing = clearing(snapshot, &assessment, &belonging, &classes, now);
        let settings = settings(snapshot, &classes, &clearing);
        // What changes with the fleet is no other text: who has seen this one in use need not begin anew.
        let text = guard::constant_text(&settings);
        let admission = guard::with_data(&text, &settings);
        let policies = guard::digest(&text);
        let declarations = declarations(snapshot);
        let webhook = webhook::wanted(snapshot, &settings);
        let upkeep = Upkeep::of(snapshot, &admission, &text);
        let guarded = upkeep.write.is_empty() && snapshot.clearance().is_some_and(|clearance| clearance.spec == clearing.spec);
        let mut view = Self {
            snapshot,
            now,
            register,
            assessment,
            belonging,
            classes,
            clearing,
            upkeep,
            webhook,
            policies,
            guarded,
            found_by_level: BTreeMap::new(),
            found_by_declaration: BTreeMap::new(),
            perimeters,
            declarations,
        };
        view.judge_pods();
        view.judge_claims();
        view
    }

    /// Everything that is wrong with the spec of a cloud.
    pub(super) fn cloud_problems(&self, cloud: &str) -> Vec<Problem> {
        let problems = self.register.cloud_problems(cloud).iter().chain(self.perimeters.problems(cloud));
        problems.chain(self.classes.problems(cloud)).cloned().collect()
    }

    pub(super) fn clouds_cleared_for(&self, level: &str) -> Vec<String> {
        let clearance = &self.clearing.spec;
        clearance.clouds.keys().filter(|cloud| clearance.clears(cloud, level)).cloned().collect()
    }

    pub(super) fn classes_cleared_for(&self, level: &str) -> Vec<String> {
        let clearance = &self.clearing.spec;
        clearance.storage_classes.iter().filter(|(_, cloud)| clearance.clears(cloud, level)).map(|(class, _)| class.clone()).collect()
    }

    /// How many nodes belong to `clouds`.
    pub(super) fn nodes_of(&self, clouds: &[String]) -> usize {
        self.clearing.spec.nodes.values().filter(|cloud| clouds.contains(cloud)).count()
    }

    /// How a level is enforced; none if there is no such level. One that cannot be read is enforced.
    pub(super) fn enforcement(&self, level: &str) -> Option<Enforcement> {
        let read = self.snapshot.levels.get(level)?;
        Some(read.as_ref().as_ref().map_or(Enforcement::Enforce, |level| level.spec.enforcement))
    }

    /// Whether pods of a level are refused when they do not meet it. A level that does not exist is: a typing mistake opens nothing.
    pub(super) fn is_enforced(&self, level: &str) -> bool {
        self.enforcement(level).is_none_or(|enforcement| enforcement == Enforcement::Enforce)
    }

    pub(super) fn is_system(&self, namespace: &str) -> bool {
        is_system(&self.snapshot.host, namespace)
    }

    pub(super) fn declarations_in(&self, namespace: &str) -> &[(&'a str, &'a DataDeclaration)] {
        self.declarations.get(namespace).map_or(&[], Vec::as_slice)
    }

    /// Whether a declaration of `namespace` cannot be read: then nothing can be said of what it holds.
    pub(super) fn has_malformed_declaration(&self, namespace: &str) -> bool {
        let malformed = self.snapshot.declarations.values().filter(|read| read.is_err());
        malformed.into_iter().any(|read| metadata(read).namespace.as_deref() == Some(namespace))
    }

    /// Levels of a whole namespace: its label, and declarations without `workloads`.
    pub(super) fn namespace_levels(&self, namespace: &str) -> BTreeSet<&'a str> {
        let label = self.snapshot.namespaces.get(namespace).and_then(|namespace| namespace.level());
        let declared = self.declarations_in(namespace).iter().filter(|(_, declaration)| declaration.spec.workloads.is_none());
        label.into_iter().chain(declared.map(|(_, declaration)| declaration.spec.level.0.as_str())).collect()
    }

    /// Why work is not done yet, as reason and message: a write failed that concerns everything, or one that `concerns` the
    /// object in question, or a kind cannot be read. What fails for one tenant must not keep the others waiting.
    pub(super) fn under_way(&self, concerns: impl Fn(&str) -> bool) -> Option<(Reason, String)> {
        if let Some((key, error)) = self.snapshot.failures.iter().find(|(key, _)| is_guard(key) || concerns(key)) {
            return Some((Reason::WriteFailed, format!("writing {key} failed and is tried again: {error}")));
        }
        let stale = &self.snapshot.stale;
        (!stale.is_empty()).then(|| {
            let renewal = if trust_may_be_old(self.snapshot) { ", and no clearance is renewed" } else { "" };
            let message = format!("{} cannot be read at the moment: what is known of them is kept{renewal}", listed(stale));
            (Reason::WatchBroken, message)
        })
    }

    /// Whether the Clearance, a policy or a binding could not be written.
    pub(super) fn guard_failed(&self) -> bool {
        self.snapshot.failures.keys().any(|key| is_guard(key))
    }

    /// What names a level, for whoever wants to delete it.
    pub(super) fn users_of(&self, level: &str) -> Vec<String> {
        let namespaces = self.snapshot.namespaces.values().filter(|namespace| namespace.level() == Some(level));
        let declarations = readable(&self.snapshot.declarations).filter(|(_, declaration)| declaration.spec.level.0 == level);
        let levels = readable(&self.snapshot.levels).filter(|(_, other)| other.spec.extends.iter().any(|extended| extended.0 == level));
        namespaces
            .map(|namespace| format!("namespace {}", namespace.name))
            .chain(declarations.map(|(key, _)| format!("declaration {key}")))
            .chain(levels.map(|(name, _)| format!("level {name}")))
            .collect()
    }

    /// What was last seen of the policies that should be in place. An operator that has just started has seen nothing yet, but
    /// the statuses hold what was seen of the same policies before.
    pub(super) fn seen(&self) -> Option<Outcome> {
        let Some(probe) = &self.snapshot.probe else {
            return readable(&self.snapshot.levels).find_map(|(_, level)| self.told_by(level)).map(Outcome::Holds);
        };
        let holds = matches!(probe.outcome, Outcome::Holds(_));
        (probe.policies == self.policies && (self.upkeep.text_in_use || !holds)).then(|| probe.outcome.clone())
    }

    /// What a status says was seen of the policies that should be in place.
    fn told_by(&self, level: &SensitivityLevel) -> Option<String> {
        let status = level.status.as_ref().filter(|status| status.policy_digest.as_ref() == Some(&self.policies))?;
        let enforced = status.conditions.iter().find(|condition| condition.type_ == ENFORCED && condition.status == "True")?;
        Some(enforced.message.clone())
    }

    /// Levels that a namespace, a declaration or a level that stays leads to. Levels that are deleted together with all that
    /// names them wait for nobody, not even for each other in a circle.
    pub(super) fn needed_levels(&self) -> BTreeSet<&str> {
        let namespaces = self.snapshot.namespaces.values().filter_map(|namespace| namespace.level());
        let declarations = readable(&self.snapshot.declarations).map(|(_, declaration)| declaration.spec.level.0.as_str());
        let staying = self.snapshot.levels.iter().filter(|(_, read)| metadata(read).deletion_timestamp.is_none());
        let mut next: Vec<&str> = namespaces.chain(declarations).chain(staying.map(|(name, _)| name.as_str())).collect();
        let mut needed = BTreeSet::new();
        while let Some(name) = next.pop() {
            if let (true, Some(Ok(level))) = (needed.insert(name), self.snapshot.levels.get(name).map(|read| read.as_ref().as_ref())) {
                next.extend(level.spec.extends.iter().map(|extended| extended.0.as_str()));
            }
        }
        needed
    }
}

/// Whether a write is one of those that everything rests on.
fn is_guard(key: &str) -> bool {
    ["Clearance/", "ValidatingAdmissionPolicy", "MutatingAdmissionPolicy"].iter().any(|kind| key.starts_with(kind))
}

/// Names of the objects of a table that cannot be read.
fn malformed<K>(table: &Table<Read<K>>) -> BTreeSet<&str> {
    table.iter().filter(|(_, read)| read.is_err()).map(|(name, _)| name.as_str()).collect()
}

/// The metadata of an object, whether or not the rest of it can be read.
pub(super) fn metadata<K: Resource>(read: &Read<K>) -> &ObjectMeta {
    read.as_ref().map_or_else(|malformed| &malformed.metadata, |object| object.meta())
}

/// The objects of a table that can be read.
pub(super) fn readable<K>(table: &Table<Read<K>>) -> impl Iterator<Item = (&str, &K)> {
    table.iter().filter_map(|(key, read)| Some((key.as_str(), read.as_ref().as_ref().ok()?)))
}

fn declarations(snapshot: &Snapshot) -> BTreeMap<&str, Vec<(&str, &DataDeclaration)>> {
    let mut by_namespace: BTreeMap<&str, Vec<(&str, &DataDeclaration)>> = BTreeMap::new();
    for (key, declaration) in readable(&snapshot.declarations) {
        if let Some(namespace) = declaration.metadata.namespace.as_deref() {
            by_namespace.entry(namespace).or_default().push((key, declaration));
        }
    }
    for declarations in by_namespace.values_mut() {
        declarations.sort_by_key(|(key, declaration)| (declaration.creation_timestamp(), *key));
    }
    by_namespace
}

pub(super) fn classes(snapshot: &Snapshot) -> Classes {
    let found = FoundClasses {
        storage: &snapshot.storage_classes,
        snapshots: &snapshot.snapshot_classes,
        attributes: &snapshot.attributes_classes,
    };
    Classes::new(readable(&snapshot.clouds).map(|(name, cloud)| (name, &cloud.spec)), found)
}

fn clearing(
    snapshot: &Snapshot,
    assessment: &Assessment,
    belonging: &BTreeMap<&str, Belonging<'_>>,
    classes: &Classes,
    now: Timestamp,
) -> Clearing {
    let levels = snapshot.levels.iter().map(|(name, read)| (name.clone(), rule(read.as_ref().as_ref().ok()))).collect();
    let nodes = belonging.iter().filter_map(|(node, belonging)| match belonging {
        Belonging::Cloud(cloud) if assessment.clouds.contains_key(*cloud) => Some(((*node).to_owned(), (*cloud).to_owned())),
        _ => None,
    });
    let nodes = nodes.collect();
    let namespaces = snapshot.namespaces.values().filter_map(|namespace| Some((namespace.name.clone(), level_of(namespace)?.to_owned())));
    let namespaces = namespaces.collect();
    let previous = snapshot.clearance().map(|clearance| &clearance.spec);
    let seen_cleared = seen_cleared(snapshot);
    let facts = placement::Facts {
        assessment,
        levels: &levels,
        nodes: &nodes,
        namespaces: &namespaces,
        classes,
        seen_cleared: &seen_cleared,
        previous,
        stale: trust_may_be_old(snapshot),
    };
    placement::clear(&facts, now)
}

/// What the statuses of a cloud and of a level both say was cleared. A status goes with its object: a cloud or a level that
/// was deleted and made again was never cleared, and a Clearance that somebody edited proves nothing.
fn seen_cleared(snapshot: &Snapshot) -> BTreeSet<(String, String)> {
    let clouds_of = |level: &str| {
        let level = snapshot.levels.get(level)?.as_ref().as_ref().ok()?;
        Some(&level.status.as_ref()?.clouds)
    };
    let pairs = readable(&snapshot.clouds).flat_map(|(cloud, object)| {
        let clears = object.status.iter().flat_map(|status| &status.clears);
        clears.map(move |level| (cloud.to_owned(), level.0.clone()))
    });
    pairs.filter(|(cloud, level)| clouds_of(level).is_some_and(|clouds| clouds.contains(cloud))).collect()
}

/// Whether what a clearance rests on may be old. Pods and the rest say nothing about trust: that they cannot be read must not
/// close sensitive namespaces in the end.
fn trust_may_be_old(snapshot: &Snapshot) -> bool {
    const RESTS_ON: [&str; 6] =
        ["trustedclouds", "sensitivitylevels", "nodes", "storageclasses", "volumeattributesclasses", "volumesnapshotclasses"];
    snapshot.stale.iter().any(|kind| RESTS_ON.contains(kind))
}

/// The level that a namespace has, if it has one at all.
pub(super) fn level_of(namespace: &NamespaceFacts) -> Option<&str> {
    namespace.level().filter(|level| !level.is_empty())
}

/// The rule of a level; that of one that cannot be read, or of which nobody knows how long it may go unattended, is the default, and no cloud
/// satisfies it.
fn rule(level: Option<&SensitivityLevel>) -> LevelRule {
    const A_WEEK_END: SignedDuration = SignedDuration::from_hours(72);
    let unreadable = LevelRule {
        unattended_for: A_WEEK_END,
        on_trust_loss: OnTrustLoss::Block,
        schedulers: Vec::new(),
        when_unset: String::new(),
        inline_drivers: Vec::new(),
    };
    let read = level.and_then(|level| Some((level, unattended_for(&level.spec).ok()?)));
    read.map_or(unreadable, |(level, unattended_for)| LevelRule {
        unattended_for,
        on_trust_loss: level.spec.on_trust_loss,
        schedulers: level.spec.schedulers.clone(),
        when_unset: level.spec.storage.when_unset.clone().unwrap_or_default(),
        inline_drivers: level.spec.storage.inline_drivers.clone(),
    })
}

/// Whether a namespace is one of the platform's, the operator's own or its probe's.
pub(super) fn is_system(host: &Host, namespace: &str) -> bool {
    SYSTEM_NAMESPACES.contains(&namespace) || namespace == host.namespace || namespace == CANARY
}

/// `1 node`, `2 nodes`.
pub(super) fn count(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// Names in a sentence; `nothing` if there are none, and no more than a reader wants.
pub(super) fn listed<S: AsRef<str>>(names: &[S]) -> String {
    const MOST: usize = 20;
    let shown: Vec<&str> = names.iter().take(MOST).map(AsRef::as_ref).collect();
    match names.len() {
        0 => "nothing".to_owned(),
        total if total > MOST => format!("{} and {} more", shown.join(", "), total - MOST),
        _ => shown.join(", "),
    }
}
