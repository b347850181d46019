//! The status of a level.

use super::conditions::Conditions;
use super::storage;
use crate::api::conditions::{COMPLIANT, ENFORCED, SATISFIABLE, SCHEDULABLE, Truth};
use crate::api::reasons::Reason;
use crate::api::sensitivity_level::Enforcement;
use crate::api::{SensitivityLevel, SensitivityLevelStatus};
use crate::plan::pods::Found;
use crate::plan::snapshot::Outcome;
use crate::plan::steps::Notice;
use crate::plan::view::{View, count, listed};

pub(super) fn status(view: &View<'_>, name: &str, level: &SensitivityLevel) -> (SensitivityLevelStatus, Vec<Notice>) {
    let before = level.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let mut conditions = Conditions::new(before, level.metadata.generation, view.now);
    let clouds = view.clouds_cleared_for(name);
    let nodes = view.nodes_of(&clouds);
    let namespaces = view.clearing.spec.namespaces.values().filter(|level| *level == name).count();
    let nothing = Found::default();
    let found = view.found_by_level.get(name).unwrap_or(&nothing);

    let accepted = if level.metadata.deletion_timestamp.is_some() {
        format!("being deleted, which waits until nothing names it: {}", listed(&view.users_of(name)))
    } else {
        let cleared = format!("{} in {} cleared", count(nodes, "node"), count(clouds.len(), "cloud"));
        let warnings = view.register.level_warnings(name).iter().map(ToString::to_string);
        let starving = starving(found).filter(|_| level.spec.enforcement == Enforcement::Enforce);
        let unset = storage::when_unset(&view.clearing.spec, name, &level.spec);
        [cleared].into_iter().chain(warnings).chain(unset).chain(starving).collect::<Vec<_>>().join("; ")
    };
    let problems = view.register.level_problems(name);
    let held = format!("SensitivityLevel/{name} finalizers");
    // A label that could not be taken off a node may be of any level.
    let under_way = view.under_way(|key| key == held || key.starts_with("Node/") && key.ends_with(" -"));
    conditions.readiness(problems, under_way, accepted);
    satisfiable(view, name, &clouds, &mut conditions);
    schedulable(view, found, nodes, &mut conditions);
    enforced(view, name, &mut conditions);
    compliant(found, &mut conditions);
    storage::migration(view, name, found, &mut conditions);

    let (conditions, notices) = conditions.finish();
    let status = SensitivityLevelStatus {
        observed_generation: level.metadata.generation.unwrap_or_default(),
        conditions,
        clouds,
        nodes: i32::try_from(nodes).unwrap_or(i32::MAX),
        namespaces: i32::try_from(namespaces).unwrap_or(i32::MAX),
        pods: found.tally,
        storage_classes: view.classes_cleared_for(name),
        claims: found.claims,
        not_after: view.clearing.spec.levels.get(name).map(|level| level.not_after),
        policy_digest: view.guarded.then(|| view.policies.clone()),
    };
    (status, notices)
}

/// Pods from before their namespace had its level that nobody can give the selector any more.
fn starving(found: &Found) -> Option<String> {
    const NAMED: usize = 3;
    let pods = &found.starving;
    let named = pods.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    (!pods.is_empty()).then(|| {
        let pods = count(pods.len(), "pod");
        format!(
            "waiting without the selector of the level: {pods}, such as {named}; those of a Job or of nobody must be made again by hand"
        )
    })
}

fn satisfiable(view: &View<'_>, name: &str, clouds: &[String], conditions: &mut Conditions<'_>) {
    let contradictions = view.register.contradictions(name);
    let problems = view.register.level_problems(name);
    if !problems.is_empty() {
        conditions.unknown(SATISFIABLE, problems);
    } else if !contradictions.is_empty() {
        let message = contradictions.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        conditions.set(SATISFIABLE, Truth::False, Reason::Contradictory, message);
    } else if !clouds.is_empty() {
        conditions.set(SATISFIABLE, Truth::True, Reason::CloudsCleared, format!("satisfied by {}", listed(clouds)));
    } else {
        conditions.set(SATISFIABLE, Truth::False, Reason::NoEligibleCloud, no_cloud(view, name));
    }
}

/// Whether pods find room on what is cleared. A moment without is no news: an autoscaler may be about to add nodes.
fn schedulable(view: &View<'_>, found: &Found, nodes: usize, conditions: &mut Conditions<'_>) {
    let waiting: Vec<_> = found.waiting.iter().filter(|waiting| waiting.is_news(view.now)).collect();
    let Some(first) = waiting.first() else {
        return conditions.set(SCHEDULABLE, Truth::True, Reason::NoPodWaits, "no pod has waited for a node for a minute");
    };
    let message = format!(
        "{} waiting for a node, and {} cleared; {} since {}: {}. Add nodes to a cloud that is cleared, or make room on those",
        count(waiting.len(), "pod"),
        count(nodes, "node"),
        first.pod,
        first.since,
        first.why.trim_end_matches('.')
    );
    conditions.set(SCHEDULABLE, Truth::False, Reason::NoRoom, message);
}

/// Names the cloud that lacks least, and what it lacks.
fn no_cloud(view: &View<'_>, name: &str) -> String {
    let closest = view
        .assessment
        .clouds
        .iter()
        .filter_map(|(cloud, standing)| Some((cloud, standing.levels.get(name)?.as_ref().err()?)))
        .min_by_key(|(_, unmet)| unmet.len());
    closest.map_or_else(
        || "no trusted cloud satisfies it: create a TrustedCloud that does".to_owned(),
        |(cloud, unmet)| {
            let unmet: Vec<_> =
                unmet.iter().map(|unmet| format!("{} (found {}, required {})", unmet.requirement, unmet.found, unmet.required)).collect();
            format!("no trusted cloud satisfies it; closest is {cloud}, which lacks {}", unmet.join("; "))
        },
    )
}

/// Whether the API server does what the level says: true only after it was seen to.
pub(super) fn enforced(view: &View<'_>, level: &str, conditions: &mut Conditions<'_>) {
    match (view.enforcement(level), view.seen()) {
        (None, _) => conditions.set(
            ENFORCED,
            Truth::False,
            Reason::UnknownLevel,
            "the level does not exist, so the API server refuses every pod concerned",
        ),
        (Some(Enforcement::Audit), _) => {
            conditions.set(
                ENFORCED,
                Truth::False,
                Reason::AuditOnly,
                "enforcement is Audit: violations are written to the audit log and refused nowhere",
            );
        }
        (Some(Enforcement::Warn), _) => {
            conditions.set(
                ENFORCED,
                Truth::False,
                Reason::Warning,
                "enforcement is Warn: whoever violates the level is warned and not refused",
            );
        }
        (Some(Enforcement::Enforce), _) if !view.guarded => {
            conditions.set(ENFORCED, Truth::False, Reason::PolicyMissing, "the Clearance, a policy or a binding is missing or altered");
        }
        (Some(Enforcement::Enforce), Some(Outcome::Holds(text))) => conditions.set(ENFORCED, Truth::True, Reason::ProbeRefused, text),
        (Some(Enforcement::Enforce), Some(Outcome::Open(what))) => conditions.set(ENFORCED, Truth::False, Reason::ProbeAdmitted, what),
        (Some(Enforcement::Enforce), Some(Outcome::Unclear(why))) => conditions.set(ENFORCED, Truth::Unknown, Reason::ProbeUnclear, why),
        (Some(Enforcement::Enforce), None) => {
            conditions.set(ENFORCED, Truth::Unknown, Reason::ProbePending, "the API server was not yet seen to refuse a violation");
        }
    }
}

/// Whether everything seen is where it may be.
pub(super) fn compliant(found: &Found, conditions: &mut Conditions<'_>) {
    let number = |number: i32| usize::try_from(number).unwrap_or_default();
    if found.violations.is_empty() && found.stranded.is_empty() {
        let pods = format!("{} on cleared nodes, none elsewhere", count(number(found.tally.compliant), "pod"));
        let claims = (found.claims.compliant > 0)
            .then(|| format!("; {} on cleared storage, none elsewhere", count(number(found.claims.compliant), "claim")));
        let unpinned = (found.unpinned > 0).then(|| {
            let volumes = count(found.unpinned, "volume");
            format!(" ({volumes} without the node affinity of their cloud, made before they would have got it)")
        });
        conditions.set(
            COMPLIANT,
            Truth::True,
            Reason::PlacedWell,
            [Some(pods), claims, unpinned].into_iter().flatten().collect::<String>(),
        );
        return;
    }
    let pods = found.violations.iter().map(|violation| format!("{} on {}: {}", violation.pod, violation.node, violation.why));
    let pods = some_of("pod", "nodes that are not cleared", found.violations.len(), pods);
    let claims = found.stranded.iter().map(|stranded| format!("{}: {}", stranded.claim, stranded.why));
    let claims = some_of("claim", "storage that is not cleared", found.stranded.len(), claims);
    conditions.set(COMPLIANT, Truth::False, Reason::PlacedBadly, [pods, claims].into_iter().flatten().collect::<Vec<_>>().join("; "));
}

/// How many there are, and the first of them; none if there are none.
fn some_of(thing: &str, place: &str, total: usize, each: impl Iterator<Item = String>) -> Option<String> {
    const NAMED: usize = 3;
    let named = each.take(NAMED).collect::<Vec<_>>().join("; ");
    let more = if total > NAMED { format!("; and {} more", total - NAMED) } else { String::new() };
    (total > 0).then(|| format!("{} on {place}: {named}{more}", count(total, thing)))
}
