//! api.md, "storage", and what its fields say of themselves: whose each class is, what is closed to whom, and which claims have
//! their data where it may not be.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::fleet::{Counts, is_in_namespace, is_system};
use super::{Pair, Reference};
use crate::api::names::SENSITIVITY;
use crate::api::sensitivity_level::Enforcement;
use crate::api::storage::CloudStorage;
use crate::api::{DataDeclaration, TrustedCloudSpec};
use crate::placement::{ClaimFacts, ClassFacts, VolumeFacts};

/// Classes by name: of storage, of snapshots, of attributes.
pub(super) type Shelf = [BTreeMap<String, ClassFacts>; 3];

/// Places on a shelf.
pub(super) const STORAGE: usize = 0;
pub(super) const SNAPSHOTS: usize = 1;
pub(super) const ATTRIBUTES: usize = 2;
pub(super) const KINDS: [(usize, &str); 3] = [(STORAGE, "storage"), (SNAPSHOTS, "snapshot"), (ATTRIBUTES, "attributes")];

/// Drivers of classes whose volumes people make.
const NOBODY: &str = "kubernetes.io/no-provisioner";

/// What a cloud says of a class.
pub(super) struct Said {
    kind: usize,
    class: String,
    driver: String,
    /// What the operator is to write; none if somebody else does.
    body: Option<Value>,
}

/// Everything that a cloud says of classes, in the order of its spec.
pub(super) fn said(cloud: &str, spec: &TrustedCloudSpec) -> Vec<Said> {
    let storage = spec.storage.iter().map(|entry| Said {
        kind: STORAGE,
        class: class_of(cloud, entry),
        driver: entry.provisioner.clone(),
        body: entry.name.is_some().then(|| body(entry)),
    });
    let lists = [(SNAPSHOTS, &spec.snapshots), (ATTRIBUTES, &spec.volume_attributes)];
    let lists = lists.into_iter().flat_map(|(kind, lists)| lists.iter().map(move |list| (kind, list)));
    let listed = lists.flat_map(|(kind, list)| {
        list.classes.iter().map(move |class| Said { kind, class: class.clone(), driver: list.driver.clone(), body: None })
    });
    storage.chain(listed).collect()
}

impl Reference<'_> {
    /// Classes as they are.
    pub(super) fn shelf(&self) -> Shelf {
        let snapshot = self.snapshot;
        [&snapshot.storage_classes, &snapshot.snapshot_classes, &snapshot.attributes_classes]
            .map(|table| table.iter().map(|(name, class)| (name.clone(), class.as_ref().clone())).collect())
    }

    /// Classes as they come to be: those that clouds ask the operator for are as they say, and what it wrote for a cloud that
    /// asks for it no longer is gone. What a cloud that cannot be read asks for is not known, so its classes stay.
    pub(super) fn shelf_in_the_end(&self) -> Shelf {
        let mut shelf = self.shelf();
        let is_unreadable = |cloud: &str| self.snapshot.clouds.contains_key(cloud) && !self.clouds.contains_key(cloud);
        shelf[STORAGE].retain(|name, class| {
            class
                .written_for
                .as_deref()
                .is_none_or(|cloud| is_unreadable(cloud) || self.asks_for(cloud, name) || self.is_named_as_existing(name))
        });
        for cloud in self.clouds.keys().filter(|cloud| self.is_sound(cloud)) {
            for said in self.said(cloud).iter().filter(|said| self.claimants(STORAGE, &said.class).len() == 1) {
                let Some(body) = said.body.clone() else { continue };
                let there = shelf[STORAGE].get(&said.class);
                if there.is_none_or(|there| there.written_for.as_deref() == Some(*cloud)) {
                    let written_for = Some((*cloud).to_owned());
                    let (name, driver) = (said.class.clone(), said.driver.clone());
                    shelf[STORAGE].insert(name.clone(), ClassFacts { name, driver, written_for, body, ..ClassFacts::default() });
                }
            }
        }
        shelf
    }

    fn said(&self, cloud: &str) -> &[Said] {
        self.said.get(cloud).map_or(&[], Vec::as_slice)
    }

    /// Whether a cloud asks the operator for a class.
    fn asks_for(&self, cloud: &str, class: &str) -> bool {
        self.said(cloud).iter().any(|said| said.class == class && said.body.is_some())
    }

    /// Whether a cloud says that a class is there already: it is never edited then, and even less taken away.
    pub(super) fn is_named_as_existing(&self, class: &str) -> bool {
        self.clouds.values().any(|spec| spec.storage.iter().any(|entry| entry.existing_class.as_deref() == Some(class)))
    }

    /// Every class of a kind that a cloud names.
    pub(super) fn named(&self, kind: usize) -> BTreeSet<String> {
        self.said.values().flatten().filter(|said| said.kind == kind).map(|said| said.class.clone()).collect()
    }

    /// Clouds that name a class.
    pub(super) fn claimants(&self, kind: usize, class: &str) -> BTreeSet<&str> {
        let names = |cloud: &str| self.said(cloud).iter().any(|said| said.kind == kind && said.class == class);
        self.clouds.keys().copied().filter(|cloud| names(cloud)).collect()
    }

    /// Whether a cloud names a storage class twice: then it is not known what it means.
    pub(super) fn repeats_a_class(&self, cloud: &str) -> bool {
        let mut seen = BTreeSet::new();
        self.said(cloud).iter().any(|said| said.kind == STORAGE && !seen.insert(&said.class))
    }

    /// Where each class that a cloud names stands, in the order of its spec. One cloud has a class.
    pub(super) fn standings(&self, cloud: &str, shelf: &Shelf) -> Vec<(String, &'static str)> {
        let standing = |said: &Said| match (shelf[said.kind].get(&said.class), &said.body) {
            _ if self.claimants(said.kind, &said.class).len() > 1 => "Shared",
            (None, _) => "Missing",
            (Some(found), Some(_)) if found.written_for.as_deref() != Some(cloud) => "NotOurs",
            (Some(found), Some(body)) if found.body != *body => "Altered",
            (Some(found), None) if found.driver != said.driver => "OtherDriver",
            _ => "InPlace",
        };
        self.said(cloud).iter().map(|said| (said.class.clone(), standing(said))).collect()
    }

    /// The cloud of every class that has one: all that it says of the class is so.
    pub(super) fn clouds_of_classes(&self, kind: usize, shelf: &Shelf) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let mut doubtful = BTreeSet::new();
        for cloud in self.clouds.keys() {
            for (said, (class, standing)) in self.said(cloud).iter().zip(self.standings(cloud, shelf)) {
                if said.kind == kind && standing == "InPlace" {
                    found.insert(class, (*cloud).to_owned());
                } else if said.kind == kind {
                    doubtful.insert(class);
                }
            }
        }
        found.retain(|class, _| !doubtful.contains(class));
        found
    }

    /// Storage classes that are cleared for a level.
    pub(super) fn classes_cleared_for(&self, level: &str, shelf: &Shelf, at: Timestamp) -> BTreeSet<String> {
        let cleared = self.cleared(at);
        let classes = self.clouds_of_classes(STORAGE, shelf).into_iter();
        classes.filter(|(_, cloud)| cleared.contains(&(level.to_owned(), cloud.clone()))).map(|(class, _)| class).collect()
    }

    /// Whether a level is enforced. One that is not there or cannot be read is: a typing mistake opens nothing.
    pub(super) fn is_enforced(&self, level: &str) -> bool {
        self.levels.get(level).copied().flatten().is_none_or(|level| level.enforcement == Enforcement::Enforce)
    }

    /// Levels of the claims of a namespace: they follow it, whatever a declaration says of some workloads.
    pub(super) fn levels_of_claims(&self, namespace: &str) -> BTreeSet<String> {
        if is_system(namespace) {
            return BTreeSet::new();
        }
        let label = self.snapshot.namespaces.get(namespace).and_then(|found| found.labels.get(SENSITIVITY).cloned());
        let whole = self.declarations.iter().filter(|(_, found)| is_in_namespace(found, namespace) && found.spec.workloads.is_none());
        label.into_iter().chain(whole.map(|(_, found)| found.spec.level.0.clone())).collect()
    }

    /// What the quota of each sensitive namespace allows no claim of: every class that is not cleared for all of its levels that
    /// are enforced. A class whose name leaves no room in the name of a resource cannot be counted. There is no quota of nothing.
    pub(super) fn quotas(&self, shelf: &Shelf, at: Timestamp) -> BTreeMap<String, BTreeMap<String, String>> {
        let namespaces = self.snapshot.namespaces.iter().filter(|(_, found)| !found.deleting);
        let quotas = namespaces.filter_map(|(name, _)| {
            let levels: Vec<String> = self.levels_of_claims(name).into_iter().filter(|level| self.is_enforced(level)).collect();
            let open = levels.iter().map(|level| self.classes_cleared_for(level, shelf, at)).reduce(|a, b| &a & &b)?;
            let closed = shelf[STORAGE].keys().filter(|class| !open.contains(*class));
            let counted = closed.map(|class| format!("{class}.storageclass.storage.k8s.io")).filter(|prefix| prefix.len() <= 253);
            let hard: BTreeMap<_, _> = counted.map(|prefix| (format!("{prefix}/persistentvolumeclaims"), "0".to_owned())).collect();
            (!hard.is_empty()).then(|| (name.clone(), hard))
        });
        quotas.collect()
    }

    /// What is wrong with where the data of a claim is, for a level; "" if nothing is, none if it has no volume that is known.
    fn judged_claim(&self, level: &str, claim: &ClaimFacts, classes: &BTreeMap<String, String>, of: &Judging) -> Option<&'static str> {
        let name = claim.volume.as_deref()?;
        let volume: &VolumeFacts = self.snapshot.volumes.get(name)?;
        let may_be_in = |cloud: &String| of.cleared.contains(&(level.to_owned(), cloud.clone()));
        let Some((class, cloud)) = volume.class.as_ref().and_then(|class| classes.get_key_value(class)) else {
            return Some(if self.levels.contains_key(level) { "ClassUnknown" } else { "UnknownLevel" });
        };
        let driver = &of.shelf[STORAGE][class].driver;
        let mut nodes = self.snapshot.attachments.values().filter(|found| found.volume == name).map(|found| &found.node);
        Some(if !self.levels.contains_key(level) {
            "UnknownLevel"
        } else if !may_be_in(cloud) {
            "ClassNotCleared"
        } else if driver != NOBODY && volume.driver.as_ref().is_some_and(|found| found != driver) {
            "OtherDriver"
        } else if volume.pinned.as_ref().is_some_and(|pinned| pinned != cloud) {
            "VolumeElsewhere"
        } else if !nodes.all(|node| of.nodes.get(node).is_some_and(may_be_in)) {
            "AttachedElsewhere"
        } else {
            ""
        })
    }

    /// What is found of each claim of a level, the oldest first.
    pub(super) fn judged_claims(&self, level: &str, shelf: &Shelf, at: Timestamp) -> Vec<(Option<&'static str>, &ClaimFacts)> {
        let of = Judging { cleared: self.cleared(at), nodes: self.clouds_of_nodes(), shelf };
        let classes = self.clouds_of_classes(STORAGE, shelf);
        let claims = self.snapshot.claims.values().filter(|claim| self.levels_of_claims(&claim.namespace).contains(level));
        let mut judged: Vec<_> = claims.map(|claim| (self.judged_claim(level, claim, &classes, &of), claim.as_ref())).collect();
        judged.sort_by_key(|(_, claim)| (claim.created, &claim.namespace, &claim.name));
        judged
    }

    /// Claims of a declaration: those of its namespace, if it is of the whole of it.
    pub(super) fn claims_of(&self, found: &DataDeclaration, shelf: &Shelf, at: Timestamp) -> Vec<(Option<&'static str>, &ClaimFacts)> {
        let mut judged = self.judged_claims(&found.spec.level.0, shelf, at);
        judged.retain(|(_, claim)| found.spec.workloads.is_none() && is_in_namespace(found, &claim.namespace));
        judged
    }
}

/// What claims are judged by.
struct Judging<'a> {
    cleared: BTreeSet<Pair>,
    nodes: BTreeMap<String, String>,
    shelf: &'a Shelf,
}

/// Well placed, badly placed, not known.
pub(super) fn counted(judged: &[(Option<&str>, &ClaimFacts)]) -> Counts {
    let number = |what: &dyn Fn(Option<&str>) -> bool| judged.iter().filter(|(found, _)| what(*found)).count().try_into().unwrap();
    [number(&|found| found == Some("")), number(&is_bad), number(&|found| found.is_none())]
}

pub(super) fn is_bad(found: Option<&str>) -> bool {
    found.is_some_and(|found| !found.is_empty())
}

/// "The operator writes and owns a StorageClass named after the cloud and this: `<cloud>-<name>`", or one that is already there.
pub(super) fn class_of(cloud: &str, entry: &CloudStorage) -> String {
    entry.existing_class.clone().unwrap_or_else(|| format!("{cloud}-{}", entry.name.as_ref().unwrap()))
}

/// A class as its cloud says, in the words of Kubernetes; what is absent is as the fields say.
fn body(entry: &CloudStorage) -> Value {
    let said = serde_json::to_value(entry).unwrap();
    let mut body = json!({"reclaimPolicy": "Delete", "volumeBindingMode": "WaitForFirstConsumer"});
    for field in ["provisioner", "parameters", "reclaimPolicy", "allowVolumeExpansion", "mountOptions", "allowedTopologies"] {
        if let Some(value) = said.get(field) {
            body[field] = value.clone();
        }
    }
    body
}
