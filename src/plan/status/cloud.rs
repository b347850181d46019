//! The status of a cloud.

use super::conditions::Conditions;
use super::storage;
use crate::api::conditions::{QUALIFIED, Truth};
use crate::api::reasons::Reason;
use crate::api::trusted_cloud::{NodeCount, QualificationStatus, UnmetRequirement};
use crate::api::{TrustedCloud, TrustedCloudStatus};
use crate::placement::Belonging;
use crate::plan::steps::Notice;
use crate::plan::view::{View, count, listed};

/// Unmet requirements that a status lists at most: what a level lacks is read there, not searched.
const MOST_UNMET: usize = 32;

pub(super) fn status(view: &View<'_>, name: &str, cloud: &TrustedCloud) -> (TrustedCloudStatus, Vec<Notice>) {
    let before = cloud.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let mut conditions = Conditions::new(before, cloud.metadata.generation, view.now);
    let clears = view.clearing.spec.clouds.get(name).cloned().unwrap_or_default();
    let nodes = nodes(view, name);
    let problems = view.cloud_problems(name);
    let of_this_cloud = |node: &str| view.clearing.spec.nodes.get(node).is_some_and(|cloud| cloud == name);
    let under_way = view.under_way(|key| {
        let node = key.strip_prefix("Node/").and_then(|rest| rest.split(' ').next());
        node.is_some_and(of_this_cloud)
    });
    conditions.readiness(&problems, under_way, accepted(view, name, cloud, &clears, nodes));
    storage::ready(view, name, &mut conditions);

    let Some(standing) = view.assessment.clouds.get(name) else {
        conditions.unknown(QUALIFIED, &problems);
        let (conditions, notices) = conditions.finish();
        let observed_generation = cloud.metadata.generation.unwrap_or_default();
        return (TrustedCloudStatus { observed_generation, conditions, nodes: Some(nodes), ..TrustedCloudStatus::default() }, notices);
    };
    let best = standing.best();
    match best {
        Some(best) => {
            let truth = if best.counts { Truth::True } else { Truth::False };
            conditions.set(QUALIFIED, truth, best.state.reason(), format!("{}: {}", best.name(), best.words));
        }
        None => conditions.set(QUALIFIED, Truth::False, Reason::NoQualification, "spec.qualifications is empty"),
    }

    let unmet = standing.levels.iter().filter_map(|(level, answer)| Some((level, answer.as_ref().err()?))).flat_map(|(level, unmet)| {
        unmet.iter().map(|unmet| UnmetRequirement {
            level: level.clone(),
            requirement: unmet.requirement.to_owned(),
            found: unmet.found.clone(),
            required: unmet.required.clone(),
        })
    });
    let unmet = unmet.take(MOST_UNMET).collect();
    let qualifications = standing.qualifications.iter().map(|standing| QualificationStatus {
        scheme: standing.scheme.clone(),
        version: standing.version.clone(),
        decision: standing.decision.clone(),
        state: standing.state.as_str().to_owned(),
        until: standing.until,
    });
    let (found, notices) = conditions.finish();
    let status = TrustedCloudStatus {
        observed_generation: cloud.metadata.generation.unwrap_or_default(),
        conditions: found,
        qualified: best.map(|best| format!("{} {}", best.name(), best.state.as_str())),
        until: best.and_then(|best| best.counts_until),
        qualifications: qualifications.collect(),
        clears: clears.iter().map(|level| level.as_str().into()).collect(),
        unmet,
        nodes: Some(nodes),
        storage_classes: storage::of_cloud(view, name),
        next_change: standing.next_change,
    };
    (status, notices)
}

fn nodes(view: &View<'_>, name: &str) -> NodeCount {
    let mut nodes = NodeCount::default();
    for belonging in view.belonging.values() {
        match belonging {
            Belonging::Cloud(cloud) if *cloud == name => nodes.matched += 1,
            Belonging::Ambiguous(clouds) if clouds.contains(&name) => nodes.ambiguous += 1,
            _ => {}
        }
    }
    nodes
}

fn accepted(view: &View<'_>, name: &str, cloud: &TrustedCloud, clears: &[String], nodes: NodeCount) -> String {
    let number = |nodes: i32| count(usize::try_from(nodes).unwrap_or_default(), "node");
    let mut sentences = vec![format!("{}, cleared for {}", number(nodes.matched), listed(clears))];
    let kept: Vec<_> = view.clearing.kept.iter().filter(|(kept, _)| kept == name).map(|(_, level)| level.clone()).collect();
    if !kept.is_empty() {
        sentences.push(format!("no longer satisfies {}, which only reports it (onTrustLoss: Report)", listed(&kept)));
    }
    if nodes.ambiguous > 0 {
        sentences.push(format!("{} matched by another cloud too, so cleared for nothing", number(nodes.ambiguous)));
    }
    let by_selector = cloud.spec.nodes.iter().enumerate().filter(|(_, entry)| entry.provider_id.is_none());
    let by_selector: Vec<_> = by_selector.map(|(index, _)| format!("spec.nodes[{index}]")).collect();
    if !by_selector.is_empty() {
        let entries = listed(&by_selector);
        sentences.push(format!(
            "{entries} by selector alone, which is weak evidence (a kubelet chooses most of its own labels): add providerID"
        ));
    }
    sentences.extend(storage::shared_drivers(cloud));
    sentences.extend(view.register.cloud_warnings(name).iter().map(ToString::to_string));
    sentences.join("; ")
}
