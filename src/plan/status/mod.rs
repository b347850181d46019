//! What users are told: one status per object of ours, and a notice for what turned.

mod cloud;
mod conditions;
mod declaration;
mod level;
mod storage;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use serde::Serialize;
use serde_json::{Value, json};

use self::conditions::Conditions;
use super::snapshot::{Malformed, Read, Snapshot, Table};
use super::steps::{Notice, Step};
use super::view::View;
use crate::api::conditions::CONDITIONS;
use crate::api::reasons::Reason;

/// A step for every object whose status does not say what was found.
pub(super) fn steps(view: &View<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    for (name, read) in view.snapshot.clouds.iter() {
        match read.as_ref() {
            Ok(cloud) => {
                let (status, notices) = cloud::status(view, name, cloud);
                steps.extend(step("TrustedCloud", &cloud.metadata, cloud.status.as_ref(), &status, notices));
            }
            Err(malformed) => steps.extend(malformed_step(view, "TrustedCloud", malformed)),
        }
    }
    for (name, read) in view.snapshot.levels.iter() {
        match read.as_ref() {
            Ok(level) => {
                let (status, notices) = level::status(view, name, level);
                steps.extend(step("SensitivityLevel", &level.metadata, level.status.as_ref(), &status, notices));
            }
            Err(malformed) => steps.extend(malformed_step(view, "SensitivityLevel", malformed)),
        }
    }
    for (key, read) in view.snapshot.declarations.iter() {
        match read.as_ref() {
            Ok(declaration) => {
                let (status, notices) = declaration::status(view, key, declaration);
                steps.extend(step("DataDeclaration", &declaration.metadata, declaration.status.as_ref(), &status, notices));
            }
            Err(malformed) => steps.extend(malformed_step(view, "DataDeclaration", malformed)),
        }
    }
    steps
}

/// How many objects of each kind have each status of each condition, as far as users can see: what is being written counts when it is seen.
pub(super) fn tally(snapshot: &Snapshot) -> BTreeMap<(&'static str, &'static str, &'static str), usize> {
    let found = [
        ("TrustedCloud", said(&snapshot.clouds, |cloud| Some(&cloud.status.as_ref()?.conditions))),
        ("SensitivityLevel", said(&snapshot.levels, |level| Some(&level.status.as_ref()?.conditions))),
        ("DataDeclaration", said(&snapshot.declarations, |declaration| Some(&declaration.status.as_ref()?.conditions))),
    ];
    let each = found.iter().flat_map(|(kind, said)| {
        let own = CONDITIONS.iter().filter(|condition| condition.kinds.contains(kind));
        own.flat_map(|condition| condition.says.iter().map(|(truth, _)| (condition.type_, truth.as_str())))
            .map(|(type_, status)| ((*kind, type_, status), said.get(&(type_, status)).copied().unwrap_or_default()))
    });
    each.collect()
}

/// How many objects of a table have each condition with each status.
fn said<K>(table: &Table<Read<K>>, conditions: impl Fn(&K) -> Option<&Vec<Condition>>) -> BTreeMap<(&str, &str), usize> {
    let mut said = BTreeMap::new();
    for (_, read) in table.iter() {
        let conditions = match read.as_ref() {
            Ok(object) => conditions(object).map_or(&[][..], Vec::as_slice),
            Err(malformed) => &malformed.conditions,
        };
        for condition in conditions {
            *said.entry((condition.type_.as_str(), condition.status.as_str())).or_default() += 1;
        }
    }
    said
}

fn step<S: Serialize + PartialEq>(
    kind: &'static str,
    of: &ObjectMeta,
    before: Option<&S>,
    status: &S,
    notices: Vec<Notice>,
) -> Option<Step> {
    (before != Some(status)).then(|| write(kind, of, json!(status), notices))
}

fn write(kind: &'static str, of: &ObjectMeta, status: Value, notices: Vec<Notice>) -> Step {
    let name = of.name.clone().unwrap_or_default();
    Step::WriteStatus { kind, namespace: of.namespace.clone(), name, uid: of.uid.clone(), status, notices }
}

/// An object that cannot be read counts for nothing, and says so.
fn malformed_step(view: &View<'_>, kind: &'static str, malformed: &Malformed) -> Option<Step> {
    let metadata = &malformed.metadata;
    let mut conditions = Conditions::new(&malformed.conditions, metadata.generation, view.now);
    let message = format!(
        "{}: write the object again in the form of its CRD, with kubectl replace or patch; until then it counts for nothing",
        malformed.error
    );
    conditions.stalled(Reason::Malformed, &message);
    let (found, notices) = conditions.finish();
    let unchanged = malformed.conditions == found;
    let status: Value = json!({"observedGeneration": metadata.generation, "conditions": found});
    (!unchanged).then(|| write(kind, metadata, status, notices))
}
