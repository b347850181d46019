//! What fills in the policies: what users say of levels, and of the fleet what policies without a parameter must know.

use std::collections::BTreeSet;

use super::snapshot::Snapshot;
use super::view::{is_system, level_of, readable};
use crate::api::sensitivity_level::{Credentials, Enforcement, SensitivityLevelSpec};
use crate::api::storage::{DriverUse, StaticVolumes};
use crate::guard;
use crate::placement::{Classes, Clearing};

pub(super) fn settings(snapshot: &Snapshot, classes: &Classes, clearing: &Clearing) -> guard::Settings {
    let having = |wanted: fn(&SensitivityLevelSpec) -> bool| -> BTreeSet<String> {
        readable(&snapshot.levels).filter(|(_, level)| wanted(&level.spec)).map(|(name, _)| name.to_owned()).collect()
    };
    let (audit, warn) = (having(|level| level.enforcement == Enforcement::Audit), having(|level| level.enforcement == Enforcement::Warn));
    let enforced = |level: &str| !audit.contains(level) && !warn.contains(level);
    let entries = || readable(&snapshot.clouds).flat_map(|(_, cloud)| &cloud.spec.storage);
    let listed = readable(&snapshot.clouds).flat_map(|(_, cloud)| cloud.spec.snapshots.iter().chain(&cloud.spec.volume_attributes));
    let drivers = entries().map(|entry| entry.provisioner.clone()).chain(listed.map(|list| list.driver.clone())).collect();
    let exclusive = entries().filter(|entry| entry.driver_use == DriverUse::Exclusive).map(|entry| entry.provisioner.clone());
    // Policies ask it of classes alone: a cloud without one would have them written anew for nothing.
    let with_classes: BTreeSet<&String> = classes.named.values().chain(classes.attributes.values()).collect();
    let cleared = clearing.spec.clouds.iter().filter(|(cloud, _)| with_classes.contains(cloud)).map(|(cloud, levels)| {
        let levels: BTreeSet<String> = levels.iter().filter(|level| enforced(level)).cloned().collect();
        (cloud.clone(), levels)
    });
    let namespaces = snapshot.namespaces.values().filter(|namespace| !is_system(&snapshot.host, &namespace.name));
    let namespaces = namespaces.filter_map(|namespace| {
        let level = level_of(namespace).filter(|level| enforced(level))?;
        Some((namespace.name.clone(), level.to_owned()))
    });
    let schedulers = readable(&snapshot.levels).filter(|(level, _)| enforced(level)).flat_map(|(_, level)| level.spec.schedulers.clone());
    guard::Settings {
        schedulers: schedulers.collect(),
        operator: snapshot.host.user.clone(),
        namespace: snapshot.host.namespace.clone(),
        node_labelers: snapshot.host.node_labelers.clone(),
        grants: snapshot.host.grants,
        withheld: having(|level| level.enforcement == Enforcement::Enforce && level.credentials == Credentials::Withhold),
        classes: classes.named.clone(),
        snapshot_classes: classes.named_snapshots.clone(),
        attributes_classes: classes.named_attributes.clone(),
        attributes_clouds: classes.attributes.clone(),
        cleared: cleared.collect(),
        drivers,
        exclusive_drivers: exclusive.collect(),
        named_otherwise: classes.named_otherwise.clone(),
        namespaces: namespaces.collect(),
        static_levels: having(|level| level.enforcement == Enforcement::Enforce && level.storage.static_volumes == StaticVolumes::Cleared),
        audit,
        warn,
    }
}
