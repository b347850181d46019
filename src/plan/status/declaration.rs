//! The status of a declaration.

use jiff::civil::Date;
use kube::ResourceExt;

use super::conditions::Conditions;
use super::level::{compliant, enforced};
use super::storage;
use crate::api::conditions::{CONFLICT, REVIEW_DUE, Truth, VIOLATIONS};
use crate::api::data_declaration::Violation;
use crate::api::reasons::Reason;
use crate::api::{DataDeclaration, DataDeclarationStatus};
use crate::plan::pods::Found;
use crate::plan::steps::Notice;
use crate::plan::view::{View, count, listed};
use crate::trust::{Problem, end_of_day};

/// Violations that a status lists at most.
const MOST_VIOLATIONS: usize = 20;

pub(super) fn status(view: &View<'_>, key: &str, declaration: &DataDeclaration) -> (DataDeclarationStatus, Vec<Notice>) {
    let before = declaration.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let mut conditions = Conditions::new(before, declaration.metadata.generation, view.now);
    let level = declaration.spec.level.0.as_str();
    let eligible_clouds = view.clouds_cleared_for(level);
    let nothing = Found::default();
    let found = view.found_by_declaration.get(key).unwrap_or(&nothing);

    let accepted = match &declaration.spec.workloads {
        None => format!("namespace {} has level {level}", declaration.namespace().unwrap_or_default()),
        Some(_) => format!("the pods selected have level {level}; claims follow the namespace, not workloads"),
    };
    let namespace = declaration.namespace().unwrap_or_default();
    let prefixes = ["DaemonSet", "Pod"].map(|kind| format!("{kind}/{namespace}/"));
    let own = ["Namespace", "ResourceQuota"].map(|kind| format!("{kind}/{namespace}"));
    let under_way = view.under_way(|key| own.iter().any(|own| key == own) || prefixes.iter().any(|prefix| key.starts_with(prefix)));
    conditions.readiness(&problems(view, declaration), under_way, accepted);
    enforced(view, level, &mut conditions);
    compliant(found, &mut conditions);
    storage::migration(view, level, found, &mut conditions);
    review_due(view, declaration, &mut conditions);
    conflict(view, declaration, &mut conditions);

    let pods = found.violations.iter().map(|violation| ("Pod", &violation.pod, Some(violation.node.clone()), &violation.why));
    let claims = found.stranded.iter().map(|stranded| ("PersistentVolumeClaim", &stranded.claim, None, &stranded.why));
    let violations = pods.chain(claims).take(MOST_VIOLATIONS).map(|(kind, key, node, why)| Violation {
        kind: kind.to_owned(),
        name: key.split_once('/').map_or(key.as_str(), |(_, name)| name).to_owned(),
        node,
        reason: why.reason().as_str().to_owned(),
    });
    let violations: Vec<_> = violations.collect();
    debug_assert!(
        violations.iter().all(|bad| VIOLATIONS.iter().any(|known| known.as_str() == bad.reason)),
        "{violations:?} are not all in the table"
    );
    let (conditions, notices) = conditions.finish();
    let observed_generation = declaration.metadata.generation.unwrap_or_default();
    let (pods, claims) = (found.tally, found.claims);
    (DataDeclarationStatus { observed_generation, conditions, pods, claims, eligible_clouds, violations }, notices)
}

fn problems(view: &View<'_>, declaration: &DataDeclaration) -> Vec<Problem> {
    let mut problems = Vec::new();
    let level = &declaration.spec.level.0;
    if view.enforcement(level).is_none() {
        let known: Vec<_> = view.snapshot.levels.keys().cloned().collect();
        let message = format!(
            "no sensitivity level is named {level}, so every pod concerned is refused: create it or name one of {}",
            listed(&known)
        );
        problems.push(Problem::unresolved("spec.level", message));
    }
    if let Err(message) = end_of_day(Date::ZERO, &declaration.spec.time_zone) {
        problems.push(Problem::new("spec.timeZone", message));
    }
    let namespace = declaration.namespace().unwrap_or_default();
    if view.is_system(&namespace) {
        let message = format!("namespace {namespace} can not have a level: remove this declaration");
        problems.push(Problem::new("metadata.namespace", message));
    }
    problems
}

fn review_due(view: &View<'_>, declaration: &DataDeclaration, conditions: &mut Conditions<'_>) {
    let Some(date) = declaration.spec.review_by else { return };
    match end_of_day(date, &declaration.spec.time_zone) {
        Ok(end) if view.now < end => conditions.set(REVIEW_DUE, Truth::False, Reason::Current, format!("to be reviewed by {date}")),
        Ok(_) => conditions.set(
            REVIEW_DUE,
            Truth::True,
            Reason::ReviewOverdue,
            format!("review was due by {date}: look at this declaration again and set spec.reviewBy"),
        ),
        Err(_) => conditions.set(REVIEW_DUE, Truth::Unknown, Reason::InvalidSpec, "the spec must be corrected first"),
    }
}

/// Another level for the same namespace. Both hold, so the question is which nodes are cleared for both.
fn conflict(view: &View<'_>, declaration: &DataDeclaration, conditions: &mut Conditions<'_>) {
    if declaration.spec.workloads.is_some() {
        return;
    }
    let level = declaration.spec.level.0.as_str();
    let namespace = declaration.namespace().unwrap_or_default();
    let others = view.namespace_levels(&namespace);
    let others: Vec<String> = others.into_iter().filter(|other| *other != level).map(ToOwned::to_owned).collect();
    if others.is_empty() {
        return;
    }
    let clearance = &view.clearing.spec;
    let clears = |cloud: &&String| clearance.clears(cloud, level) && others.iter().all(|other| clearance.clears(cloud, other));
    let both: Vec<_> = clearance.clouds.keys().filter(clears).cloned().collect();
    let nodes = view.nodes_of(&both);
    let message = format!(
        "namespace {namespace} is also of level {}; pods need all of them, which {} of {} satisfy: declare one level that extends {level} and {}",
        listed(&others),
        count(nodes, "node"),
        listed(&both),
        others.join(" and "),
    );
    conditions.set(CONFLICT, Truth::True, Reason::SeveralLevels, message);
}
