//! enforcement.md, "The policies are constant text": what the operator fills in, the names of the fleet among it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::super::World;
use super::Reference;
use super::compare::Say;
use super::fleet::is_system;
use super::storage::{ATTRIBUTES, SNAPSHOTS, STORAGE, class_of};
use crate::api::sensitivity_level::{Credentials, Enforcement, SensitivityLevelSpec};
use crate::api::storage::{CloudStorage, DriverUse, StaticVolumes, VolumeNames};
use crate::plan::settings::settings;
use crate::plan::view::{View, perimeters};

impl Reference<'_> {
    fn levels_with(&self, what: impl Fn(&SensitivityLevelSpec) -> bool) -> BTreeSet<String> {
        let levels = self.levels.iter().filter(|(_, level)| level.is_some_and(&what));
        levels.map(|(name, _)| (*name).to_owned()).collect()
    }

    /// Classes that exactly one cloud names, and that cloud. Volumes of a class are of its cloud whether or not the class is
    /// still as it was when they were made.
    fn classes_of_one_cloud(&self) -> BTreeMap<String, String> {
        let named = self.named(STORAGE).into_iter().map(|class| (self.claimants(STORAGE, &class).into_iter().collect::<Vec<_>>(), class));
        named.filter_map(|(clouds, class)| Some((class, clouds.first().filter(|_| clouds.len() == 1)?.to_string()))).collect()
    }

    fn entries(&self) -> Vec<(&str, &CloudStorage)> {
        self.clouds.iter().flat_map(|(cloud, spec)| spec.storage.iter().map(|entry| (*cloud, entry))).collect()
    }

    fn drivers(&self) -> BTreeSet<String> {
        let lists = self.clouds.values().flat_map(|spec| [&spec.snapshots, &spec.volume_attributes]).flatten();
        let listed = lists.map(|list| list.driver.clone());
        self.entries().into_iter().map(|(_, entry)| entry.provisioner.clone()).chain(listed).collect()
    }
}

/// What the policies are filled in with, in the end.
pub(super) fn compare(say: &mut Say<'_>, reference: &Reference<'_>, world: &World, at: Timestamp) {
    let perimeters = perimeters(&world.0.clouds);
    let view = View::new(&world.0, &perimeters, at);
    let found = settings(&world.0, &view.classes, &view.clearing);

    let enforces =
        |what: fn(&SensitivityLevelSpec) -> bool| reference.levels_with(|level| level.enforcement == Enforcement::Enforce && what(level));
    say("levels in Audit", &found.audit, &reference.levels_with(|level| level.enforcement == Enforcement::Audit));
    say("levels in Warn", &found.warn, &reference.levels_with(|level| level.enforcement == Enforcement::Warn));
    say("levels that withhold tokens", &found.withheld, &enforces(|level| level.credentials == Credentials::Withhold));
    let schedulers = reference.levels.iter().filter(|(level, _)| reference.is_enforced(level)).filter_map(|(_, level)| *level);
    let schedulers: BTreeSet<String> = schedulers.flat_map(|level| level.schedulers.iter().cloned()).collect();
    say("schedulers in the policies", &found.schedulers, &schedulers);
    let fixed = enforces(|level| level.storage.static_volumes == StaticVolumes::Cleared);
    say("levels that take volumes made by hand", &found.static_levels, &fixed);

    say("classes in the policies", &found.classes, &reference.classes_of_one_cloud());
    say("snapshot classes in the policies", &found.snapshot_classes, &reference.named(SNAPSHOTS));
    say("attributes classes in the policies", &found.attributes_classes, &reference.named(ATTRIBUTES));
    let attributes = reference.clouds_of_classes(ATTRIBUTES, &reference.shelf());
    say("clouds of attributes classes in the policies", &found.attributes_clouds, &attributes);
    say("drivers in the policies", &found.drivers, &reference.drivers());
    let entries = reference.entries().into_iter();
    let exclusive = entries.clone().filter(|(_, entry)| entry.driver_use == DriverUse::Exclusive);
    let exclusive: BTreeSet<String> = exclusive.map(|(_, entry)| entry.provisioner.clone()).collect();
    say("exclusive drivers in the policies", &found.exclusive_drivers, &exclusive);
    let otherwise = entries.filter(|(_, entry)| entry.volume_names == VolumeNames::Any);
    let otherwise: BTreeSet<String> = otherwise.map(|(cloud, entry)| class_of(cloud, entry)).collect();
    say("classes with volumes of any name", &found.named_otherwise, &otherwise);

    let mut cleared: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let named: BTreeSet<String> = reference.classes_of_one_cloud().into_values().chain(attributes.into_values()).collect();
    for (level, cloud) in reference.cleared(at).into_iter().filter(|(level, cloud)| reference.is_enforced(level) && named.contains(cloud)) {
        cleared.entry(cloud).or_default().insert(level);
    }
    // A cloud that is cleared for nothing may as well not be there.
    let found_cleared: BTreeMap<_, _> = found.cleared.iter().filter(|(_, levels)| !levels.is_empty()).collect();
    say("what clouds are cleared for, in the policies", &found_cleared, &cleared);
    let namespaces = reference.levels_of_namespaces().into_iter();
    let namespaces = namespaces.filter(|(name, level)| !is_system(name) && reference.is_enforced(level));
    say("namespaces in the policies", &found.namespaces, &namespaces.collect::<BTreeMap<_, _>>());
}
