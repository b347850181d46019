//! api.md, the statuses: what they say against what the reference does.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::super::World;
use super::Reference;
use super::compare::Say;
use super::fleet::Counts;
use super::storage::{Shelf, counted, is_bad};
use crate::api::values::Tally;
use crate::plan::{Read, Table};

/// Objects that can be read, by name.
fn readable<K>(table: &Table<Read<K>>) -> impl Iterator<Item = (&String, &K)> {
    table.iter().filter_map(|(name, read)| Some((name, read.as_ref().as_ref().ok()?)))
}

fn condition<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

fn status_of<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a str> {
    condition(conditions, type_).map(|condition| condition.status.as_str())
}

pub(super) fn of_clouds(say: &mut Say<'_>, reference: &Reference<'_>, world: &World, shelf: &Shelf, at: Timestamp) {
    let (states, nodes, points) = (reference.states(at), reference.clouds_of_nodes(), reference.turning_points());
    let (cleared, satisfied) = (reference.cleared(at), reference.satisfied(at));
    for (name, cloud) in readable(&world.0.clouds) {
        let status = cloud.status.as_ref().unwrap();
        let found: Vec<&str> = status.qualifications.iter().map(|qualification| qualification.state.as_str()).collect();
        say(&format!("states of {name}"), &found, &states.get(name).cloned().unwrap_or_default());
        let clears: BTreeSet<&str> = status.clears.iter().map(|level| level.0.as_str()).collect();
        let wanted: BTreeSet<&str> = cleared.iter().filter(|(_, cloud)| cloud == name).map(|(level, _)| level.as_str()).collect();
        say(&format!("what {name} clears"), &clears, &wanted);
        let ready = condition(&status.conditions, "Ready").unwrap();
        say(&format!("whether {name} ({}) is accepted", ready.message), &(ready.status == "True"), &reference.is_sound(name));
        let standings = reference.standings(name, shelf);
        let ready = match standings.iter().all(|(_, standing)| *standing == "InPlace") {
            _ if standings.is_empty() => None,
            true => Some("True"),
            false => Some("False"),
        };
        say(&format!("whether the storage of {name} is ready"), &status_of(&status.conditions, "StorageReady"), &ready);
        if !reference.is_sound(name) {
            continue;
        }
        let found: Vec<(&str, &str)> = status.storage_classes.iter().map(|class| (class.name.as_str(), class.state.as_str())).collect();
        say(&format!("classes of {name}"), &found, &standings);
        let count = status.nodes.unwrap_or_default();
        say(&format!("nodes of {name}"), &count.matched, &nodes.values().filter(|cloud| *cloud == name).count());
        say(&format!("ambiguous nodes of {name}"), &count.ambiguous, &reference.ambiguous(name));
        let unmet: BTreeSet<&str> = status.unmet.iter().map(|unmet| unmet.level.as_str()).collect();
        let levels = readable(&world.0.levels).map(|(level, _)| level);
        let wanted: BTreeSet<&str> =
            levels.filter(|level| !satisfied.contains(&((*level).clone(), name.clone()))).map(String::as_str).collect();
        say(&format!("levels that {name} lacks something for"), &unmet, &wanted);

        // Not later than anything changes, and only when something may.
        let of_it = |then: Timestamp| {
            let levels: BTreeSet<String> =
                reference.satisfied(then).iter().filter(|(_, cloud)| cloud == name).map(|(level, _)| level.clone()).collect();
            (reference.states(then).remove(name), levels)
        };
        let (now, mut later) = (of_it(at), points.range(at..).filter(|point| **point > at));
        let first = later.find(|point| of_it(**point) != now).copied();
        let in_time = first.is_none_or(|first| status.next_change.is_some_and(|next| at < next && next <= first));
        say(&format!("whether {:?} is when {name} may change, which it does at {first:?}", status.next_change), &in_time, &true);
        say("whether that is a turning point", &status.next_change.is_none_or(|next| points.contains(&next)), &true);
        for (index, held) in status.qualifications.iter().enumerate() {
            let state = |then: Timestamp| reference.states(then)[name][index];
            let first = points.range(at..).find(|point| **point > at && state(**point) != held.state).copied();
            let in_time = first.is_none_or(|first| held.until.is_some_and(|until| at < until && until <= first));
            say(&format!("whether {:?} is when {name}[{index}] may change, which it does at {first:?}", held.until), &in_time, &true);
        }
    }
}

pub(super) fn of_levels(say: &mut Say<'_>, reference: &Reference<'_>, world: &World, shelf: &Shelf, at: Timestamp) {
    let (cleared, nodes, namespaces) = (reference.cleared(at), reference.clouds_of_nodes(), reference.levels_of_namespaces());
    let (pods, _) = reference.pods(at);
    for (name, level) in readable(&world.0.levels) {
        let status = level.status.as_ref().unwrap();
        let ready = condition(&status.conditions, "Ready").unwrap();
        say(&format!("whether {name} ({}) is accepted", ready.message), &(ready.status == "True"), &reference.is_sound_level(name));
        let clouds: BTreeSet<&String> = cleared.iter().filter(|(level, _)| level == name).map(|(_, cloud)| cloud).collect();
        say(&format!("clouds of {name}"), &status.clouds.iter().collect::<BTreeSet<_>>(), &clouds);
        let satisfiable = if !reference.is_sound_level(name) {
            "Unknown"
        } else if clouds.is_empty() {
            "False"
        } else {
            "True"
        };
        say(&format!("whether {name} is satisfiable"), &status_of(&status.conditions, "Satisfiable"), &Some(satisfiable));
        say(&format!("nodes of {name}"), &status.nodes, &nodes.values().filter(|cloud| clouds.contains(cloud)).count());
        say(&format!("namespaces of {name}"), &status.namespaces, &namespaces.values().filter(|level| *level == name).count());
        say(&format!("pods of {name}"), &counts(status.pods), &pods[name]);
        let classes: BTreeSet<&String> = status.storage_classes.iter().collect();
        say(&format!("classes of {name}"), &classes, &reference.classes_cleared_for(name, shelf, at));
        let claims = counted(&reference.judged_claims(name, shelf, at));
        say(&format!("claims of {name}"), &counts(status.claims), &claims);
        say(&format!("whether data of {name} must move"), &status_of(&status.conditions, "MigrationRequired"), &must_move(claims));
        let compliant = if pods[name][1] + claims[1] == 0 { "True" } else { "False" };
        say(&format!("whether {name} is compliant"), &status_of(&status.conditions, "Compliant"), &Some(compliant));
    }
}

pub(super) fn of_declarations(say: &mut Say<'_>, reference: &Reference<'_>, world: &World, shelf: &Shelf, at: Timestamp) {
    let (cleared, reviews) = (reference.cleared(at), reference.reviews(at));
    let (_, pods) = reference.pods(at);
    for (key, declaration) in readable(&world.0.declarations) {
        let status = declaration.status.as_ref().unwrap();
        say(&format!("pods of {key}"), &counts(status.pods), &pods[key]);
        let judged = reference.claims_of(declaration, shelf, at);
        let claims = counted(&judged);
        say(&format!("claims of {key}"), &counts(status.claims), &claims);
        say(&format!("whether data of {key} must move"), &status_of(&status.conditions, "MigrationRequired"), &must_move(claims));
        let compliant = if pods[key][1] + claims[1] == 0 { "True" } else { "False" };
        say(&format!("whether {key} is compliant"), &status_of(&status.conditions, "Compliant"), &Some(compliant));
        let listed: Vec<(&str, &str, Option<&str>)> =
            status.violations.iter().map(|bad| (bad.kind.as_str(), bad.name.as_str(), bad.node.as_deref())).collect();
        // Those of pods first, and twenty of both together.
        let pods = reference.violations(declaration, at).into_iter().map(|(name, node)| ("Pod", name, node));
        let bad = judged.iter().filter(|(found, _)| is_bad(*found));
        let wanted: Vec<_> =
            pods.chain(bad.clone().map(|(_, claim)| ("PersistentVolumeClaim", claim.name.as_str(), None))).take(20).collect();
        say(&format!("violations of {key}"), &listed, &wanted);
        let reasons = status.violations.iter().filter(|bad| bad.kind != "Pod").map(|bad| bad.reason.as_str());
        let wanted = bad.filter_map(|(found, _)| *found).take(reasons.clone().count());
        say(&format!("reasons of {key}"), &reasons.collect::<Vec<_>>(), &wanted.collect::<Vec<_>>());
        let due = status_of(&status.conditions, "ReviewDue");
        say(&format!("review of {key}"), &due, &reviews.get(key).copied());
        let clouds: BTreeSet<&String> = cleared.iter().filter(|(level, _)| *level == declaration.spec.level.0).map(|(_, c)| c).collect();
        say(&format!("clouds of {key}"), &status.eligible_clouds.iter().collect::<BTreeSet<_>>(), &clouds);
    }
}

/// A condition that is there only if some of the claims are badly placed.
fn must_move(claims: Counts) -> Option<&'static str> {
    (claims[1] > 0).then_some("True")
}

fn counts(tally: Tally) -> Counts {
    [tally.compliant, tally.violating, tally.unknown]
}
