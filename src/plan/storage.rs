//! Storage classes of clouds, and the quotas that leave no claim to any other class.

use std::collections::{BTreeMap, BTreeSet};

use super::steps::{Replaced, Step};
use super::view::{self, View};
use crate::api::names::QUOTA;
use crate::placement::{self, ClassStanding};

/// Longest prefix of a qualified name, which a class is in a quota: one with a longer name cannot be counted.
const LONGEST_PREFIX: usize = 253;

/// StorageClasses that clouds ask for, and those that were written for a cloud that asks for them no more, unless somebody names
/// them as existing. Volumes that were made are not touched: they have all that they need of their class.
pub(super) fn classes(view: &View<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    let (mut kept, mut existing) = (BTreeSet::new(), BTreeSet::new());
    for (cloud, object) in view::readable(&view.snapshot.clouds) {
        let standings: BTreeMap<&str, &ClassStanding> =
            view.classes.standings(cloud).iter().map(|(name, standing)| (name.as_str(), standing)).collect();
        for (name, class) in placement::storage_class(cloud, &object.spec) {
            let standing = standings.get(name.as_str());
            if matches!(standing, Some(ClassStanding::Missing | ClassStanding::Altered)) && view.cloud_problems(cloud).is_empty() {
                let there = view.snapshot.storage_classes.get(&name);
                let replaces = there.map(|there| Replaced { uid: there.uid.clone(), default: there.default });
                steps.push(Step::WriteStorageClass { name: name.clone(), object: class, replaces });
            }
            kept.insert((name, cloud));
        }
        existing.extend(object.spec.storage.iter().filter_map(|entry| entry.existing_class.as_ref()));
    }
    let unreadable = |cloud: &str| view.snapshot.clouds.get(cloud).is_some_and(|read| read.is_err());
    let ours = view.snapshot.storage_classes.values().filter_map(|class| Some((class, class.written_for.as_deref()?)));
    let named = |class: &String, cloud| existing.contains(class) || kept.contains(&(class.clone(), cloud));
    let dropped = ours.filter(|(class, cloud)| !named(&class.name, cloud) && !unreadable(cloud));
    steps.extend(dropped.map(|(class, _)| Step::DeleteStorageClass { name: class.name.clone(), uid: class.uid.clone() }));
    steps
}

/// A quota of no claims for every class that is not cleared, in every namespace whose level is enforced. It is a plugin of the API
/// server of its own, so it holds without any of our policies.
pub(super) fn quotas(view: &View<'_>) -> Vec<Step> {
    let mut by_levels: BTreeMap<BTreeSet<&str>, BTreeMap<String, String>> = BTreeMap::new();
    let mut steps = Vec::new();
    for namespace in view.snapshot.namespaces.values().filter(|namespace| !namespace.deleting) {
        let mut levels = view.levels_of_claims(&namespace.name);
        levels.retain(|level| view.is_enforced(level));
        let hard = by_levels.entry(levels).or_insert_with_key(|levels| closed_to(view, levels));
        let namespace = namespace.name.clone();
        match view.snapshot.quotas.get(&format!("{namespace}/{QUOTA}")) {
            Some(found) if hard.is_empty() => steps.push(Step::DeleteQuota { namespace, uid: found.uid.clone() }),
            Some(found) if found.hard == *hard && !found.scoped => {}
            None if hard.is_empty() => {}
            _ => steps.push(Step::WriteQuota { namespace, hard: hard.clone() }),
        }
    }
    steps
}

/// What a quota says of classes that are closed to claims of these levels. Where there are no levels, or no such classes, there
/// is nothing to say, and no quota.
fn closed_to(view: &View<'_>, levels: &BTreeSet<&str>) -> BTreeMap<String, String> {
    let all = view.snapshot.storage_classes.keys().map(String::as_str).filter(|_| !levels.is_empty());
    let closed = placement::closed_to(&view.clearing.spec, levels, all).into_iter();
    closed.filter_map(|class| Some((counted(class)?, "0".to_owned()))).collect()
}

/// Claims of a class, as a quota counts them.
fn counted(class: &str) -> Option<String> {
    let prefix = format!("{class}.storageclass.storage.k8s.io");
    (prefix.len() <= LONGEST_PREFIX).then(|| format!("{prefix}/persistentvolumeclaims"))
}
