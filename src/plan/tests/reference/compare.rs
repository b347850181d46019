//! The same world, given to `plan` and to the reference.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use kube::Resource;
use serde_json::json;

use super::super::{World, change};
use super::storage::{KINDS, STORAGE, Shelf, counted};
use super::worlds::{Edit, Objects, Scene, Spec, When};
use super::{Before, Reference, settings, statuses};
use crate::api::ClearanceSpec;
use crate::api::names::QUOTA;
use crate::api::sensitivity_level::Enforcement;
use crate::api::storage::LevelStorage;
use crate::placement::{ClassFacts, QuotaFacts};
use crate::plan::{Malformed, Phase, Plan, Read, Snapshot, Step, Stored, Table, plan};

/// What `plan` and the reference say differently about a scene.
pub(super) fn differences(scene: &Scene) -> Vec<String> {
    let mut found = Vec::new();
    let mut world = built(&scene.objects);
    let settled = compare(&mut found, &mut world, &Before::default(), scene.now);
    if scene.later.is_none() {
        before_it_wakes(&mut found, &world, &settled, scene.now);
    }
    if let (Some((when, edits)), true) = (&scene.later, found.is_empty()) {
        let at = match when {
            When::Woken => settled.wake_at.unwrap_or(scene.now),
            When::After(length) => scene.now + *length,
        };
        let mut before = Before {
            cleared: Reference::new(&world.0, &Before::default()).cleared(scene.now),
            not_after: settled.clearance.levels.iter().map(|(level, clearance)| (level.clone(), clearance.not_after)).collect(),
        };
        for edit in edits {
            make(&mut world, &mut before, edit);
        }
        compare(&mut found, &mut world, &before, at);
        for difference in &mut found {
            difference.insert_str(0, "later, ");
        }
    }
    found
}

fn compare(found: &mut Vec<String>, world: &mut World, before: &Before, at: Timestamp) -> Plan {
    let start = world.0.clone();
    let reference = Reference::new(&start, before);
    let first = plan(&world.0, at);
    let settled = settle(world, first.clone(), at);
    let mut say = |what: &str, planned: &dyn Debug, wanted: &dyn Debug| {
        let (planned, wanted) = (format!("{planned:?}"), format!("{wanted:?}"));
        if planned != wanted {
            found.push(format!("{what}: the plan says {planned}, the reference {wanted}"));
        }
    };

    for (when, plan) in [("at once", &first), ("in the end", &settled)] {
        say(&format!("clouds of levels, {when}"), &pairs(&plan.clearance), &reference.cleared(at));
        say(&format!("clouds of nodes, {when}"), &nodes(&plan.clearance), &reference.clouds_of_nodes());
        say(&format!("levels and schedulers, {when}"), &levels(&plan.clearance), &reference.schedulers());
    }
    let shelf = reference.shelf_in_the_end();
    classes(&mut say, &reference, &first, &reference.shelf(), "at once");
    classes(&mut say, &reference, &settled, &shelf, "in the end");
    stored(&mut say, &reference, world, &shelf, at);
    settings::compare(&mut say, &reference, world, at);
    let ours = settled.clearance.namespaces.iter().filter(|(name, _)| !name.starts_with("rempart"));
    say("levels of namespaces", &ours.collect::<BTreeMap<_, _>>(), &reference.levels_of_namespaces());
    let labels: BTreeMap<_, _> = world.0.nodes.iter().map(|(name, node)| (name, &node.labels)).collect();
    say("labels of nodes", &labels, &reference.labels_of_nodes(at));
    ends(&mut say, &reference, &settled, before, at);
    statuses::of_clouds(&mut say, &reference, world, &shelf, at);
    statuses::of_levels(&mut say, &reference, world, &shelf, at);
    statuses::of_declarations(&mut say, &reference, world, &shelf, at);
    let claims = reference.levels.keys().map(|level| ((*level).to_owned(), counted(&reference.judged_claims(level, &shelf, at))));
    let summed = settled.summary.claims.iter().map(|(level, counts)| (level.clone(), counts.map(|count| i32::try_from(count).unwrap())));
    say("claims for the metrics", &summed.collect::<BTreeMap<_, _>>(), &claims.collect::<BTreeMap<_, _>>());
    settled
}

/// Takes what is spoken of, what the plan says of it, and what the reference does.
pub(super) type Say<'a> = dyn FnMut(&str, &dyn Debug, &dyn Debug) + 'a;

/// What the Clearance says of classes, and of what levels say of them.
fn classes(say: &mut Say<'_>, reference: &Reference<'_>, plan: &Plan, shelf: &Shelf, when: &str) {
    let clearance = &plan.clearance;
    let found = [&clearance.storage_classes, &clearance.volume_snapshot_classes, &clearance.volume_attributes_classes];
    for (kind, name) in KINDS {
        say(&format!("clouds of {name} classes, {when}"), found[kind], &reference.clouds_of_classes(kind, shelf));
    }
    for (level, spec) in &reference.levels {
        let nothing = LevelStorage::default();
        let storage = spec.map_or(&nothing, |spec| &spec.storage);
        let (found, unset) = (&clearance.levels[*level], storage.when_unset.as_deref().unwrap_or_default());
        say(&format!("the class of {level}, {when}"), &found.when_unset, &unset);
        say(&format!("inline drivers of {level}, {when}"), &found.inline_drivers, &storage.inline_drivers);
    }
}

/// Classes and quotas as they are in the end.
fn stored(say: &mut Say<'_>, reference: &Reference<'_>, world: &World, shelf: &Shelf, at: Timestamp) {
    let parts = |class: &ClassFacts| (class.written_for.clone(), class.driver.clone(), class.body.clone());
    let found: BTreeMap<_, _> = world.0.storage_classes.iter().map(|(name, class)| (name, parts(class))).collect();
    say("classes", &found, &shelf[STORAGE].iter().map(|(name, class)| (name, parts(class))).collect::<BTreeMap<_, _>>());
    let quotas = reference.quotas(shelf, at);
    for (name, namespace) in world.0.namespaces.iter().filter(|(_, namespace)| !namespace.deleting) {
        let found = world.0.quotas.get(&format!("{name}/{QUOTA}"));
        let (hard, wanted) = (found.map(|quota| (&quota.hard, quota.scoped)), quotas.get(name).map(|hard| (hard, false)));
        say(&format!("quota of {name} ({:?})", namespace.labels), &hard, &wanted);
    }
}

fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_nanosecond().div_euclid(1_000_000_000).try_into().unwrap()).unwrap()
}

/// Until a plan wants to be made again, there is nothing to do.
fn before_it_wakes(found: &mut Vec<String>, world: &World, settled: &Plan, at: Timestamp) {
    let last = settled.wake_at.map_or(at + SignedDuration::from_hours(9_000), |wake| wake - SignedDuration::from_nanos(1));
    let keys: Vec<String> = plan(&world.0, last.max(at)).steps.iter().map(Step::key).collect();
    if !keys.is_empty() {
        found.push(format!("at {last}, before it wakes, there are {keys:?} to do"));
    }
}

/// Until when each level is accepted, and when the plan is looked at again.
fn ends(say: &mut Say<'_>, reference: &Reference<'_>, plan: &Plan, before: &Before, at: Timestamp) {
    let (ends, unattended) = (reference.ends(at), reference.unattended());
    let mut renewals = BTreeSet::new();
    for (level, length) in unattended {
        let found = plan.clearance.levels[&level].not_after;
        let end = ends.get(&level).map(|end| whole_seconds(*end));
        let fresh = end.into_iter().chain([whole_seconds(at + length)]).min().unwrap();
        // A lease that is not half over is not renewed.
        let kept = before.not_after.get(&level).filter(|kept| **kept <= fresh && **kept > at + length / 2);
        if Some(&found) != kept {
            say(&format!("end of {level}"), &found, &fresh);
        }
        if end.is_none_or(|end| found < end) {
            renewals.insert(found - length / 2);
        }
    }
    let change = reference.next_change(at);
    let latest = change.into_iter().chain(renewals.iter().copied()).min();
    if let Some(latest) = latest {
        let early_enough = plan.wake_at.is_some_and(|wake| at < wake && wake <= latest);
        say(&format!("whether {:?} is before {latest}", plan.wake_at), &early_enough, &true);
    }
    let points: BTreeSet<Timestamp> = reference.turning_points();
    let for_a_reason = plan.wake_at.is_none_or(|wake| points.contains(&wake) || renewals.contains(&wake));
    say(&format!("whether something may change at {:?}", plan.wake_at), &for_a_reason, &true);
}

/// Applies a plan, and plans again, until nothing but statuses was left; those are applied too.
fn settle(world: &mut World, first: Plan, at: Timestamp) -> Plan {
    let mut next = first;
    for _ in 0..6 {
        for step in &next.steps {
            world.apply(step);
        }
        if next.steps.iter().all(|step| step.phase() == Phase::Report) {
            return next;
        }
        next = plan(&world.0, at);
    }
    panic!("it never settles");
}

pub(super) fn pairs(clearance: &ClearanceSpec) -> BTreeSet<(String, String)> {
    let ours = clearance.clouds.iter().filter(|(cloud, _)| !cloud.starts_with("rempart"));
    ours.flat_map(|(cloud, levels)| levels.iter().map(|level| (level.clone(), cloud.clone()))).collect()
}

fn nodes(clearance: &ClearanceSpec) -> BTreeMap<&String, &String> {
    clearance.nodes.iter().filter(|(_, cloud)| !cloud.starts_with("rempart")).collect()
}

/// Levels, and who may schedule for them beside kube-scheduler.
fn levels(clearance: &ClearanceSpec) -> BTreeMap<&str, Vec<&str>> {
    let ours = clearance.levels.iter().filter(|(level, _)| !level.starts_with("rempart"));
    ours.map(|(level, found)| (level.as_str(), found.schedulers.iter().map(String::as_str).collect())).collect()
}

pub(super) fn built(objects: &Objects) -> World {
    // What is said of an object before it is spoilt does not matter.
    let any = json!({"offering": {"service": "any", "model": "IaaS"}, "level": "interne"});
    let spec = |spec: &Option<Spec>| spec.as_ref().map_or_else(|| any.clone(), |spec| spec.0.clone());
    let mut world = World::default();
    for (name, written) in &objects.clouds {
        world = world.cloud(name, &spec(written));
        spoil(&mut world.0.clouds, name, written.is_none());
    }
    for (name, written) in &objects.levels {
        world = world.level(name, &spec(written));
        spoil(&mut world.0.levels, name, written.is_none());
    }
    for ((namespace, name), written) in &objects.declarations {
        world = world.declaration(namespace, name, &spec(written));
        spoil(&mut world.0.declarations, &format!("{namespace}/{name}"), written.is_none());
    }
    let snapshot = &mut world.0;
    snapshot.admission = guard(snapshot);
    Arc::make_mut(&mut snapshot.nodes).extend(objects.nodes.iter().map(|node| (node.name.clone(), Arc::new(node.clone()))));
    let namespaces = objects.namespaces.iter().map(|namespace| (namespace.name.clone(), Arc::new(namespace.clone())));
    Arc::make_mut(&mut snapshot.namespaces).extend(namespaces);
    let pods = objects.pods.iter().map(|pod| (format!("{}/{}", pod.namespace, pod.name), Arc::new(pod.clone())));
    Arc::make_mut(&mut snapshot.pods).extend(pods);
    stock(snapshot, objects);
    world
}

/// Fills the tables of storage.
fn stock(snapshot: &mut Snapshot, objects: &Objects) {
    let shelf = [&mut snapshot.storage_classes, &mut snapshot.snapshot_classes, &mut snapshot.attributes_classes];
    for (table, classes) in shelf.into_iter().zip(&objects.classes) {
        Arc::make_mut(table).extend(classes.iter().map(|class| (class.name.clone(), Arc::new(class.clone()))));
    }
    let volumes = objects.volumes.iter().map(|(name, volume)| (name.clone(), Arc::new(volume.clone())));
    Arc::make_mut(&mut snapshot.volumes).extend(volumes);
    let claims = objects.claims.iter().map(|claim| (format!("{}/{}", claim.namespace, claim.name), Arc::new(claim.clone())));
    Arc::make_mut(&mut snapshot.claims).extend(claims);
    let attachments = objects.attachments.iter().enumerate().map(|(number, found)| (number.to_string(), Arc::new(found.clone())));
    Arc::make_mut(&mut snapshot.attachments).extend(attachments);
    objects.quotas.iter().for_each(|quota| put_quota(snapshot, quota));
}

/// A quota, if there is such a namespace.
fn put_quota(snapshot: &mut Snapshot, quota: &QuotaFacts) {
    if snapshot.namespaces.contains_key(&quota.namespace) {
        Arc::make_mut(&mut snapshot.quotas).insert(format!("{}/{QUOTA}", quota.namespace), Arc::new(quota.clone()));
    }
}

/// The policies and bindings that these levels lead to, all in place: that they come to be is another test's affair.
fn guard(snapshot: &Snapshot) -> Table<Stored> {
    static KNOWN: Mutex<BTreeMap<String, Table<Stored>>> = Mutex::new(BTreeMap::new());
    let levels = snapshot.levels.iter().filter_map(|(name, read)| Some((name.clone(), read.as_ref().as_ref().ok()?.spec.enforcement)));
    let unenforced: Vec<_> = levels.filter(|(_, enforcement)| *enforcement != Enforcement::Enforce).collect();
    let settled = || {
        let levels = unenforced.iter().map(|(name, enforcement)| (name, json!({"enforcement": enforcement})));
        let world = levels.fold(World::default(), |world, (name, spec)| world.level(name, &spec));
        world.settle(Timestamp::UNIX_EPOCH).0.admission
    };
    KNOWN.lock().unwrap().entry(format!("{unenforced:?}")).or_insert_with(settled).clone()
}

/// Leaves an object, if it is there, in a form that cannot be read.
fn spoil<K: Clone + Resource>(table: &mut Table<Read<K>>, name: &str, really: bool) {
    let Some(read) = Arc::make_mut(table).get_mut(name).filter(|_| really) else { return };
    if let Ok(object) = read.as_ref().clone() {
        let malformed = Malformed { metadata: object.meta().clone(), conditions: Vec::new(), error: "made unreadable".to_owned() };
        *read = Arc::new(Err(Box::new(malformed)));
    }
}

pub(super) fn make(world: &mut World, before: &mut Before, edit: &Edit) {
    match edit {
        Edit::Cloud(name, spec) if is_read(&world.0.clouds, name) => {
            change(&mut world.0.clouds, name, |cloud| {
                cloud.spec = serde_json::from_value(spec.0.clone()).unwrap();
                cloud.metadata.generation = cloud.metadata.generation.map(|generation| generation + 1);
            });
        }
        Edit::Level(name, spec) if is_read(&world.0.levels, name) => {
            change(&mut world.0.levels, name, |level| {
                level.spec = serde_json::from_value(spec.0.clone()).unwrap();
                level.metadata.generation = level.metadata.generation.map(|generation| generation + 1);
            });
        }
        Edit::AgainCloud(name) if is_read(&world.0.clouds, name) => {
            change(&mut world.0.clouds, name, |cloud| cloud.status = None);
            before.cleared.retain(|(_, cloud)| cloud != name);
        }
        Edit::AgainLevel(name) if is_read(&world.0.levels, name) => {
            change(&mut world.0.levels, name, |level| level.status = None);
            before.cleared.retain(|(level, _)| level != name);
        }
        Edit::SpoilCloud(name) => spoil(&mut world.0.clouds, name, true),
        Edit::SpoilLevel(name) => spoil(&mut world.0.levels, name, true),
        Edit::DeleteCloud(name) => {
            Arc::make_mut(&mut world.0.clouds).remove(name);
        }
        Edit::DeleteLevel(name) => {
            Arc::make_mut(&mut world.0.levels).remove(name);
        }
        Edit::Class(class) => {
            Arc::make_mut(&mut world.0.storage_classes).insert(class.name.clone(), Arc::new(class.clone()));
        }
        Edit::DeleteClass(name) => {
            Arc::make_mut(&mut world.0.storage_classes).remove(name);
        }
        Edit::Quota(quota) => put_quota(&mut world.0, quota),
        Edit::Scope(namespace) => {
            if let Some(quota) = Arc::make_mut(&mut world.0.quotas).get_mut(&format!("{namespace}/{QUOTA}")) {
                Arc::make_mut(quota).scoped = true;
            }
        }
        _ => {}
    }
}

fn is_read<K>(table: &Table<Read<K>>, name: &str) -> bool {
    table.get(name).is_some_and(|read| read.is_ok())
}
