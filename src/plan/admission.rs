//! Keeping policies and bindings as they should be, without a moment in which one of them is not in force.
//!
//! Nothing is ever deleted to be written again. What somebody deletes stays in force, because our finalizer keeps it, until the
//! same policy stands beside it under a second name and every API server was seen to use that one (enforcement.md, fact 22).
//! Then the first is let go, written again, seen in use, and the second is deleted in its turn.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::snapshot::{Snapshot, Stored, Versions};
use super::steps::{Epoch, Step};
use crate::api::names::GUARD;
use crate::guard::{self, AdmissionObject, EPOCH, FIRST, PolicySet, Slot};

/// What is to be done about policies and bindings.
pub(super) struct Upkeep {
    /// Those that are missing or altered.
    pub(super) write: Vec<AdmissionObject>,
    /// Whether every one that should be there was seen in use as it is, but for what changes with the fleet.
    pub(super) text_in_use: bool,
    /// Those that are no longer needed. Empty until the others were seen in use everywhere.
    retire: Vec<Step>,
    epoch: Epoch,
    /// What makes API servers name the epoch, as far as it is missing.
    show: Vec<AdmissionObject>,
}

impl Upkeep {
    /// What is to be done for `wanted`. `text` is the same set with nothing of the fleet in it.
    pub(super) fn of(snapshot: &Snapshot, wanted: &[AdmissionObject], text: &[AdmissionObject]) -> Self {
        let empty: BTreeMap<String, &Value> = text.iter().map(|object| (object.key(), &object.object)).collect();
        let keys = wanted.iter().map(|object| (object.key(), &object.object));
        let of_the_fleet: BTreeSet<String> = keys.filter(|(key, object)| empty.get(key) != Some(object)).map(|(key, _)| key).collect();
        let served = |object: &AdmissionObject| snapshot.host.mutates || !object.kind.is_mutating();
        let wanted: Vec<AdmissionObject> = wanted.iter().filter(|object| served(object)).cloned().collect();
        let mut write = Vec::new();
        let mut needed = BTreeSet::new();
        for set in guard::sets(&wanted) {
            let slots = slots(snapshot, &set);
            let beyond = slots.keys().last().map_or(FIRST, |last| last.saturating_add(1));
            let free = (FIRST..=beyond).find(|slot| slots.get(slot) != Some(&Standing::Deleted)).unwrap_or(FIRST);
            for slot in slots.keys().copied().chain([free]).collect::<BTreeSet<_>>() {
                write.extend(set.in_slot(slot).into_iter().filter(|object| match snapshot.admission.get(&object.key()) {
                    // A binding cannot be let go without its policy: the API server looks there for what its writer must be allowed.
                    None => slot == free || object.kind.is_policy(),
                    Some(found) => !is_in_place(found, object),
                }));
            }
            needed.extend(set.keys(free));
        }
        let stored = |object: &AdmissionObject| snapshot.admission.get(&object.key());
        let first = write.iter().filter_map(|object| guard::without_stale_exceptions(object, &stored(object)?.spec));
        let first: Vec<AdmissionObject> = first.collect();
        let waits = |object: &AdmissionObject| {
            let policy =
                |binding: &AdmissionObject| binding.kind.policy() == object.kind && binding.object["spec"]["policyName"] == object.name;
            first.iter().any(|binding| binding.key() == object.key() || policy(binding))
        };
        write.retain(|object| !waits(object));
        write.extend(first);
        for object in &mut write {
            object.object["metadata"]["finalizers"] = json!([GUARD]);
        }

        // Whoever else labels a policy as ours has another name for it.
        let ours = || snapshot.admission.iter().filter(|(_, stored)| stored.name.starts_with("rempart-") && stored.name != EPOCH);
        let versions: Versions = ours().map(|(key, stored)| (key.clone(), stored.version.clone())).collect();
        let seen = |key: &&String| versions.contains_key(*key) && versions.get(*key) == snapshot.in_use.get(*key);
        let unseen: Vec<&String> = needed.iter().filter(|key| !seen(key)).collect();
        let in_use = write.is_empty() && unseen.is_empty();
        let text_in_use = unseen.iter().all(|key| of_the_fleet.contains(*key));
        let superfluous: Vec<&Stored> =
            ours().filter(|(key, _)| in_use && !snapshot.unasked && !needed.contains(*key)).map(|(_, stored)| stored.as_ref()).collect();
        let bound = superfluous.iter().any(|stored| !stored.kind.is_policy());
        let next = superfluous.into_iter().filter(|stored| !(bound && stored.kind.is_policy()) && (stored.held || !stored.deleting));
        let retire = next.map(|stored| Step::RetireAdmission {
            kind: stored.kind,
            name: stored.name.clone(),
            uid: stored.version.uid.clone(),
            deleted: stored.deleting,
        });
        let retire = retire.collect();

        let epoch = Epoch { name: name(&versions), versions };
        let shows = |object: &AdmissionObject| {
            let found = snapshot.admission.get(&object.key());
            found.is_some_and(|found| !found.deleting && found.spec == with_defaults(&object.object["spec"]))
        };
        let show = guard::epoch(&epoch.name).into_iter().filter(|object| served(object) && !shows(object)).collect();
        Self { write, text_in_use, retire, epoch, show }
    }

    pub(super) fn steps(&self) -> Vec<Step> {
        let write = if self.write.is_empty() { &self.show } else { &self.write };
        write.iter().cloned().map(Step::WriteAdmission).chain(self.retire.iter().cloned()).collect()
    }

    /// The epoch, once everything that it stands for is as it should be and API servers can name it.
    pub(super) fn epoch_to_ask_for(&self) -> Option<Epoch> {
        (self.write.is_empty() && self.show.is_empty()).then(|| self.epoch.clone())
    }
}

/// How a set stands in one of its slots.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Some of it is there, and none of that was deleted.
    Live,
    /// Some of it was deleted and is kept by a finalizer.
    Deleted,
}

fn slots(snapshot: &Snapshot, set: &PolicySet<'_>) -> BTreeMap<Slot, Standing> {
    let mut slots = BTreeMap::new();
    for stored in snapshot.admission.values() {
        if let Some(slot) = set.slot_of(stored.kind, &stored.name) {
            let found = slots.entry(slot).or_insert(Standing::Live);
            if stored.deleting {
                *found = Standing::Deleted;
            }
        }
    }
    slots
}

/// Whether `object` stands in the cluster to the letter: whatever somebody added or took away makes a difference.
fn is_in_place(found: &Stored, object: &AdmissionObject) -> bool {
    // One that is being deleted can get no finalizer any more.
    found.spec == with_defaults(&object.object["spec"]) && (found.held || found.deleting)
}

fn name(versions: &Versions) -> String {
    let mut hash = Sha256::new();
    for (key, version) in versions {
        hash.update(format!("{key} {} {}\n", version.uid, version.generation));
    }
    hash.finalize().iter().take(6).fold(String::new(), |name, byte| format!("{name}{byte:02x}"))
}

/// A spec as the API server stores it: with the defaults of `admissionregistration.k8s.io/v1`.
pub fn with_defaults(spec: &Value) -> Value {
    let mut spec = spec.clone();
    for selection in ["matchConstraints", "matchResources"] {
        if let Some(selection) = spec.get_mut(selection).and_then(Value::as_object_mut) {
            selection.entry("matchPolicy").or_insert_with(|| "Equivalent".into());
            selection.entry("namespaceSelector").or_insert_with(|| json!({}));
            selection.entry("objectSelector").or_insert_with(|| json!({}));
            for rule in selection.get_mut("resourceRules").and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(rule) = rule.as_object_mut() {
                    rule.entry("scope").or_insert_with(|| "*".into());
                }
            }
        }
    }
    spec
}
