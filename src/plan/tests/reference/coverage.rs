//! Whether the generated worlds hit the cases that matter: a comparison of worlds in which nothing happens proves nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::strategy::{Strategy, ValueTree};

use super::compare::{built, make};
use super::storage::{ATTRIBUTES, SNAPSHOTS, STORAGE, class_of, is_bad};
use super::worlds::{Edit, Scene, When};
use super::{Before, Reference, runner, worlds};
use crate::api::DataDeclaration;
use crate::api::names::QUOTA;
use crate::api::sensitivity_level::{Enforcement, OnTrustLoss, SensitivityLevelSpec};
use crate::api::storage::{DriverUse, StaticVolumes, VolumeNames};
use crate::placement::{ClaimFacts, ClassFacts};
use crate::plan::Snapshot;

/// Cases, and whether each is met in a scene.
fn cases(scene: &Scene) -> BTreeMap<&'static str, bool> {
    let world = built(&scene.objects);
    let nothing = Before::default();
    let reference = Reference::new(&world.0, &nothing);
    let satisfied = reference.satisfied(scene.now);
    let level = |name: &str| reference.levels.get(name).copied().flatten();
    let relies = |cloud: &str| !reference.clouds[cloud].relies_on.is_empty();
    let any = |what: &dyn Fn(&str, &str) -> bool| satisfied.iter().any(|(level, cloud)| what(level, cloud));
    let states: Vec<&str> = reference.states(scene.now).into_values().flatten().collect();
    let (of_levels, of_declarations) = reference.pods(scene.now);
    let pods = |verdict: usize| of_levels.values().any(|counts| counts[verdict] > 0);
    let is_at_an_edge = reference.turning_points().contains(&scene.now);
    let mut found: BTreeMap<&str, bool> = [
        ("a level is cleared", !satisfied.is_empty()),
        ("a level that asks for a qualification", any(&|name, _| level(name).is_some_and(|l| !l.requires.qualifications.is_empty()))),
        ("a level that extends another", any(&|name, _| level(name).is_some_and(|level| !level.extends.is_empty()))),
        ("a level that only warns", any(&|name, _| level(name).is_some_and(|level| level.enforcement != Enforcement::Enforce))),
        ("a cloud that relies on another", any(&|_, cloud| relies(cloud))),
        ("a cloud with problems", reference.clouds.keys().any(|cloud| !reference.is_sound(cloud))),
        ("a level with problems", world.0.levels.keys().any(|level| !reference.is_sound_level(level))),
        ("an object that cannot be read", world.0.clouds.values().any(|read| read.is_err())),
        ("an ambiguous node", reference.clouds.keys().any(|cloud| reference.ambiguous(cloud) > 0)),
        ("a pod placed well", pods(0)),
        ("a pod placed badly", pods(1)),
        ("a pod not placed", pods(2)),
        ("a pod of a declaration", of_declarations.values().flatten().any(|count| *count > 0)),
        ("a review that is due", reference.reviews(scene.now).values().any(|due| *due == "True")),
        ("an instant at which something turns", is_at_an_edge),
        ("an end within the lease", reference.ends(scene.now).iter().any(|(level, end)| *end < scene.now + reference.unattended()[level])),
    ]
    .into();
    let all = ["Candidate", "Withdrawn", "Suspended", "NotYetValid", "Expired", "Stale", "OutOfScope", "Broken", "Expiring", "Valid"];
    found.extend(all.map(|state| (state, states.contains(&state))));
    found.extend(storage(&reference, &world.0, scene));
    if let Some((when, edits)) = &scene.later {
        let at = match when {
            When::Woken => reference.next_change(scene.now).unwrap_or(scene.now),
            When::After(length) => scene.now + *length,
        };
        let mut before = Before { cleared: reference.cleared(scene.now), not_after: BTreeMap::new() };
        let mut world = built(&scene.objects);
        for edit in edits {
            make(&mut world, &mut before, edit);
        }
        let reference = Reference::new(&world.0, &before);
        let (satisfied, cleared) = (reference.satisfied(at), reference.cleared(at));
        let reports = |name: &str| reference.levels.get(name).copied().flatten().is_some_and(|l| l.on_trust_loss == OnTrustLoss::Report);
        found.extend([
            ("a cloud that is kept", cleared.len() > satisfied.len()),
            (
                "trust that is lost",
                before.cleared.iter().any(|(level, cloud)| !reports(level) && !satisfied.contains(&(level.clone(), cloud.clone()))),
            ),
            ("trust that begins", satisfied.iter().any(|pair| !before.cleared.contains(pair))),
        ]);
        found.extend(storage_later(&reference, &world.0, &before, at));
    }
    found
}

/// Cases of storage in a world.
fn storage(reference: &Reference<'_>, snapshot: &Snapshot, scene: &Scene) -> BTreeMap<&'static str, bool> {
    let (shelf, end) = (reference.shelf(), reference.shelf_in_the_end());
    let clouds = || reference.clouds.keys();
    let standings: Vec<&str> = clouds().flat_map(|cloud| reference.standings(cloud, &shelf)).map(|(_, standing)| standing).collect();
    let entries = || reference.clouds.iter().flat_map(|(cloud, spec)| spec.storage.iter().map(move |entry| (*cloud, entry)));
    let kept = |what: &dyn Fn(&str, &str) -> bool| {
        shelf[STORAGE]
            .values()
            .any(|class| class.written_for.as_ref().is_some_and(|cloud| end[STORAGE].contains_key(&class.name) && what(cloud, &class.name)))
    };
    let both = entries().filter(|(_, entry)| entry.name.is_some()).map(|(cloud, entry)| class_of(cloud, entry)).collect::<Vec<_>>();
    let is_unreadable = |cloud: &str| snapshot.clouds.get(cloud).is_some_and(|read| read.is_err());
    let levels = |what: &dyn Fn(&SensitivityLevelSpec) -> bool| reference.levels.values().flatten().any(|level| what(level));
    let quotas = reference.quotas(&end, scene.now);
    let enforced = |name: &String| reference.levels_of_claims(name).iter().filter(|level| reference.is_enforced(level)).count();
    let namespaces = |what: &dyn Fn(&String) -> bool| snapshot.namespaces.iter().any(|(name, found)| !found.deleting && what(name));
    let edits = || scene.later.iter().flat_map(|(_, edits)| edits);
    let has = |name: &String| snapshot.quotas.contains_key(&format!("{name}/{QUOTA}"));
    let mut found: BTreeMap<&str, bool> = [
        ("a class that is written", end[STORAGE].keys().any(|class| !shelf[STORAGE].contains_key(class))),
        (
            "two clouds that ask for one class",
            both.iter()
                .any(|class| both.iter().filter(|other| *other == class).count() > 1 && reference.claimants(STORAGE, class).len() > 1),
        ),
        ("a class that a cloud names twice", clouds().any(|cloud| reference.repeats_a_class(cloud))),
        ("a class that is left behind", shelf[STORAGE].keys().any(|class| !end[STORAGE].contains_key(class))),
        ("a class that stays, of a cloud that cannot be read", kept(&|cloud, _| is_unreadable(cloud))),
        (
            "a class that stays because it is named as existing",
            kept(&|cloud, class| !is_unreadable(cloud) && reference.is_named_as_existing(class)),
        ),
        (
            "a class of the operator for another cloud",
            entries().any(|(cloud, entry)| {
                entry.name.is_some()
                    && shelf[STORAGE]
                        .get(&class_of(cloud, entry))
                        .is_some_and(|class| class.written_for.as_deref().is_some_and(|other| other != cloud))
            }),
        ),
        (
            "a class that cannot be counted",
            quotas.values().any(|hard| hard.len() < shelf[STORAGE].len()) && shelf[STORAGE].contains_key(&"u".repeat(226)),
        ),
        ("the longest class that can be counted", quotas.values().any(|hard| hard.keys().any(|key| key.starts_with(&"c".repeat(225))))),
        ("snapshot classes in place", !reference.clouds_of_classes(SNAPSHOTS, &shelf).is_empty()),
        ("attributes classes in place", !reference.clouds_of_classes(ATTRIBUTES, &shelf).is_empty()),
        ("a quota that is put right", namespaces(&|name| has(name) && quotas.contains_key(name))),
        ("a quota that is taken away", namespaces(&|name| has(name) && !quotas.contains_key(name))),
        ("a quota that somebody scopes", edits().any(|edit| matches!(edit, Edit::Scope(namespace) if quotas.contains_key(namespace)))),
        ("a quota that leaves a class open", quotas.values().any(|hard| hard.len() < end[STORAGE].len())),
        ("a quota for two levels", namespaces(&|name| enforced(name) > 1)),
        ("claims of a level that only warns", namespaces(&|name| enforced(name) < reference.levels_of_claims(name).len())),
        ("a namespace of a level that is not there", namespaces(&|name| reference.levels_of_claims(name).contains("nowhere"))),
        ("a namespace with an empty level", namespaces(&|name| reference.levels_of_claims(name).contains(""))),
        ("an exclusive driver", entries().any(|(_, entry)| entry.driver_use == DriverUse::Exclusive)),
        ("a class with volumes of any name", entries().any(|(_, entry)| entry.volume_names == VolumeNames::Any)),
        ("a level that takes volumes made by hand", levels(&|level| level.storage.static_volumes == StaticVolumes::Cleared)),
        ("a level with a class for claims that name none", levels(&|level| level.storage.when_unset.is_some())),
    ]
    .into();
    let all = ["InPlace", "Missing", "Altered", "NotOurs", "OtherDriver", "Shared"];
    found.extend(all.map(|standing| (standing, standings.contains(&standing))));
    let judged = reference.levels.keys().flat_map(|level| reference.judged_claims(level, &end, scene.now));
    let reasons: Vec<Option<&str>> = judged.map(|(reason, _)| reason).collect();
    let names = [("a claim placed well", Some("")), ("a claim on no volume that is known", None)];
    found.extend(names.map(|(name, reason)| (name, reasons.contains(&reason))));
    let bad = ["ClassUnknown", "ClassNotCleared", "VolumeElsewhere", "AttachedElsewhere"];
    found.extend(bad.map(|reason| (reason, reasons.contains(&Some(reason)))));
    found.insert("a volume of another driver than its class", reasons.contains(&Some("OtherDriver")));
    let by_hand = |claim: &ClaimFacts| {
        let volume = claim.volume.as_ref().and_then(|volume| snapshot.volumes.get(volume));
        volume.and_then(|volume| volume.class.as_ref()).is_some_and(|class| class.starts_with("local-"))
    };
    let mut well = reference.levels.keys().flat_map(|level| reference.judged_claims(level, &end, scene.now));
    found.insert("a claim on a volume made by hand placed well", well.any(|(reason, claim)| reason == Some("") && by_hand(claim)));
    let of_declarations = || reference.declarations.iter().map(|(_, found)| reference.claims_of(found, &end, scene.now));
    found.insert("a claim of a declaration placed badly", of_declarations().flatten().any(|(reason, _)| is_bad(reason)));
    let unknown = |(_, found): &(&str, &DataDeclaration)| !reference.levels.contains_key(found.spec.level.0.as_str());
    let of_unknown = reference.declarations.iter().filter(|found| unknown(found));
    found.insert(
        "UnknownLevel",
        of_unknown.flat_map(|(_, found)| reference.claims_of(found, &end, scene.now)).any(|(reason, _)| reason == Some("UnknownLevel")),
    );
    found
}

/// Cases of storage in a world that is looked at again.
fn storage_later(reference: &Reference<'_>, snapshot: &Snapshot, before: &Before, at: Timestamp) -> BTreeMap<&'static str, bool> {
    let (shelf, end) = (reference.shelf(), reference.shelf_in_the_end());
    let classes = reference.clouds_of_classes(STORAGE, &end);
    let satisfied = reference.cleared(at);
    let gone = |class: &ClassFacts| class.written_for.as_ref().is_some_and(|cloud| !snapshot.clouds.contains_key(cloud));
    [
        (
            "a class in place that is lost with the trust in its cloud",
            before
                .cleared
                .iter()
                .any(|(level, cloud)| !satisfied.contains(&(level.clone(), cloud.clone())) && classes.values().any(|found| found == cloud)),
        ),
        (
            "a class that a deleted cloud leaves behind",
            shelf[STORAGE].values().any(|class| gone(class) && !end[STORAGE].contains_key(&class.name)),
        ),
        (
            "a class that is written anew",
            shelf[STORAGE].iter().any(|(name, class)| end[STORAGE].get(name).is_some_and(|found| found.body != class.body)),
        ),
    ]
    .into()
}

#[test]
fn one_world_in_a_hundred_or_more_has_each_of_the_cases_that_matter() {
    const WORLDS: usize = 200;
    let mut runner = runner(1, 1);
    let mut met: BTreeMap<&str, usize> = BTreeMap::new();
    for _ in 0..WORLDS {
        let scene = worlds::scenes().new_tree(&mut runner).unwrap().current();
        for (case, found) in cases(&scene) {
            *met.entry(case).or_default() += usize::from(found);
        }
    }
    for (case, times) in met {
        assert!(times * 100 >= WORLDS, "only {times} of {WORLDS} worlds have: {case}");
    }
}
