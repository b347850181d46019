//! Whether the generated worlds hit the cases that matter: a comparison of worlds in which nothing happens proves nothing.

use std::collections::BTreeMap;

use proptest::strategy::{Strategy, ValueTree};

use super::compare::{built, make};
use super::worlds::{Scene, When};
use super::{Before, Reference, runner, worlds};
use crate::api::sensitivity_level::{Enforcement, OnTrustLoss};

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
    }
    found
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
