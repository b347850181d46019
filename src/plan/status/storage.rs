//! What statuses say of storage: whether the classes of a cloud are in place, and which data must move.

use super::conditions::Conditions;
use crate::api::conditions::{CLASS_STATES, MIGRATION_REQUIRED, STORAGE_READY, Truth};
use crate::api::reasons::Reason;
use crate::api::sensitivity_level::SensitivityLevelSpec;
use crate::api::storage::{DriverUse, StorageClassStatus};
use crate::api::{ClearanceSpec, TrustedCloud};
use crate::placement::ClassStanding;
use crate::plan::pods::Found;
use crate::plan::view::{View, count, listed};

/// Claims that a message names at most.
const NAMED: usize = 3;

/// Where the classes of a cloud stand, for its status.
pub(super) fn of_cloud(view: &View<'_>, name: &str) -> Vec<StorageClassStatus> {
    let standings = view.classes.standings(name).iter();
    debug_assert!(standings.clone().all(|(_, standing)| CLASS_STATES.contains(&standing.reason())), "not all in the table");
    standings.map(|(name, standing)| StorageClassStatus { name: name.clone(), state: standing.reason().as_str().to_owned() }).collect()
}

/// Whether the classes that a cloud names are as they should be. A cloud that names none has no such condition.
pub(super) fn ready(view: &View<'_>, name: &str, conditions: &mut Conditions<'_>) {
    let standings = view.classes.standings(name);
    if standings.is_empty() {
        return;
    }
    let refused = |class: &str| {
        let key = format!("StorageClass/{class}");
        view.snapshot.failures.iter().find(|(failed, _)| **failed == key || **failed == format!("{key} -")).map(|(_, error)| error)
    };
    let failed: Vec<_> = standings.iter().filter_map(|(class, _)| Some((class, refused(class)?))).collect();
    let off: Vec<_> = standings.iter().filter(|(_, standing)| *standing != ClassStanding::InPlace).collect();
    if let Some((class, error)) = failed.first() {
        let message = format!("class {class} could not be written and is tried again: {error}");
        conditions.set(STORAGE_READY, Truth::False, Reason::WriteFailed, message);
    } else if let Some((_, first)) = off.first() {
        let message = off.iter().map(|(class, standing)| format!("class {class} {standing}")).collect::<Vec<_>>().join("; ");
        let reason = if off.len() == 1 { first.reason() } else { Reason::SeveralClasses };
        conditions.set(STORAGE_READY, Truth::False, reason, message);
    } else {
        conditions.set(STORAGE_READY, Truth::True, Reason::ClassesInPlace, format!("{} in place", several(standings.len(), "class", "es")));
    }
}

/// What to know about the drivers of a cloud. Who may make volumes can attach any disk of a shared driver whose handle they know.
pub(super) fn shared_drivers(cloud: &TrustedCloud) -> Option<String> {
    let shared = cloud.spec.storage.iter().filter(|entry| entry.driver_use == DriverUse::Shared);
    let mut drivers: Vec<_> = shared.map(|entry| entry.provisioner.as_str()).collect();
    drivers.sort_unstable();
    drivers.dedup();
    (!drivers.is_empty()).then(|| {
        let drivers = listed(&drivers);
        format!("driver {drivers} is shared: who knows the handle of a disk can attach it from a plain namespace (driverUse: Exclusive)")
    })
}

/// What a level says of storage that cannot work.
pub(super) fn when_unset(clearance: &ClearanceSpec, level: &str, spec: &SensitivityLevelSpec) -> Option<String> {
    let class = spec.storage.when_unset.as_ref()?;
    let cleared = clearance.storage_classes.get(class).is_some_and(|cloud| clearance.clears(cloud, level));
    (!cleared)
        .then(|| format!("spec.storage.whenUnset: class {class} is not cleared for {level}, so claims that name no class are refused"))
}

/// That data must move, how much of it, and where to.
pub(super) fn migration(view: &View<'_>, level: &str, found: &Found, conditions: &mut Conditions<'_>) {
    if found.stranded.is_empty() {
        return;
    }
    let bytes = found.stranded.iter().map(|stranded| stranded.bytes).fold(0, u64::saturating_add);
    let named =
        found.stranded.iter().take(NAMED).map(|stranded| format!("{} ({}): {}", stranded.claim, size(stranded.bytes), stranded.why));
    let named = named.collect::<Vec<_>>().join("; ");
    let more = found.stranded.len().saturating_sub(NAMED);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let cleared = view.classes_cleared_for(level);
    let target = if cleared.is_empty() {
        "no storage class is cleared, so there is nowhere to move it yet".to_owned()
    } else {
        format!("classes that could take it: {}", listed(&cleared))
    };
    let message = format!(
        "{} with {} on storage that is not cleared for {level}: {named}{more}; {target}. Nothing is moved or deleted by itself",
        count(found.stranded.len(), "claim"),
        size(bytes),
    );
    conditions.set(MIGRATION_REQUIRED, Truth::True, Reason::ClaimsElsewhere, message);
}

/// `1 class`, `2 classes`.
fn several(number: usize, thing: &str, plural: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}{plural}") }
}

/// Bytes as people write them in claims: `40Gi`, `1.5Ti`.
fn size(bytes: u64) -> String {
    const UNITS: [(&str, u32); 6] = [("Ei", 60), ("Pi", 50), ("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)];
    let Some((unit, shift)) = UNITS.into_iter().find(|(_, shift)| bytes >> shift > 0) else { return bytes.to_string() };
    let tenths = (u128::from(bytes) * 10) >> shift;
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{whole}{unit}"),
        (whole, tenth) => format!("{whole}.{tenth}{unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_read_like_those_in_claims() {
        let gi = 1 << 30;
        for (bytes, expected) in
            [(0, "0"), (512, "512"), (40 * gi, "40Gi"), (1536 * gi, "1.5Ti"), (u64::MAX, "15.9Ei"), (5_000_000_000, "4.6Gi")]
        {
            assert_eq!(size(bytes), expected);
        }
    }
}
