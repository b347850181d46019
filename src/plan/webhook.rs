//! The webhook of API servers that serve no mutating policies: its configuration, and what it does to an object.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::snapshot::Snapshot;
use super::steps::Step;
use super::view::{classes, readable};
use crate::api::sensitivity_level::Enforcement;
use crate::guard::{self, Facts, Mutation, Object, Settings, WEBHOOK};

/// The configuration as it should be; none where there should be none, or where it is not known yet whom to call.
pub(super) fn wanted(snapshot: &Snapshot, settings: &Settings) -> Option<Value> {
    let reach = snapshot.host.webhook.as_ref().filter(|_| !snapshot.host.mutates)?;
    // Of every replica that lives, so that any of them may answer; in one order, and each once.
    let authorities: BTreeSet<String> = snapshot.authorities.values().flat_map(|published| published.iter().cloned()).collect();
    let authorities: Vec<String> = authorities.into_iter().collect();
    (!authorities.is_empty()).then(|| guard::webhook(settings, reach, &authorities))
}

/// Whether the configuration stands in the cluster as it should be.
pub(super) fn is_in_place(snapshot: &Snapshot, wanted: Option<&Value>) -> bool {
    let found = snapshot.webhooks.get(WEBHOOK);
    wanted.is_some_and(|wanted| found.is_some_and(|found| !found.deleting && found.webhooks == wanted["webhooks"]))
}

/// What is to be done about it. Where mutating policies are served it goes, once they were `seen` in use.
pub(super) fn step(snapshot: &Snapshot, wanted: Option<Value>, seen: bool) -> Option<Step> {
    if snapshot.host.mutates {
        let left = snapshot.webhooks.get(WEBHOOK).filter(|left| seen && !left.deleting)?;
        return Some(Step::DeleteWebhook { uid: left.uid.clone() });
    }
    wanted.filter(|wanted| !is_in_place(snapshot, Some(wanted))).map(Step::WriteWebhook)
}

/// What `mutation` does to `object` of `namespace`, as the operations of a JSON patch. None: that is not known yet, because an API server asks for
/// what it has just stored, and that has not been heard of here.
pub fn mutations(snapshot: &Snapshot, mutation: Mutation, namespace: &str, object: &Object) -> Option<Vec<Value>> {
    let level = snapshot.namespaces.get(namespace).and_then(|namespace| namespace.level()).unwrap_or_default();
    let declarations = readable(&snapshot.declarations)
        .filter(|(_, declaration)| declaration.metadata.namespace.as_deref() == Some(namespace))
        .map(|(_, declaration)| (declaration.metadata.name.as_deref().unwrap_or_default(), &declaration.spec));
    let declarations: Vec<_> = if mutation == Mutation::Declared { declarations.collect() } else { Vec::new() };
    let unenforced = readable(&snapshot.levels).filter(|(_, level)| level.spec.enforcement != Enforcement::Enforce);
    // An API server asks about namespaces that have what the selectors of the configuration want.
    let known = match mutation {
        Mutation::ClaimClass | Mutation::PodSelector => !level.is_empty() && snapshot.clearance().is_some(),
        Mutation::Declared => !declarations.is_empty(),
        Mutation::DaemonSetSelector | Mutation::PodSelectorRaised | Mutation::Volume => true,
    };
    known.then(|| {
        let facts = Facts {
            namespace,
            level,
            clearance: snapshot.clearance().map(|clearance| &clearance.spec),
            declarations,
            unenforced: unenforced.map(|(name, _)| name).collect(),
            classes: if mutation == Mutation::Volume { classes(snapshot).named } else { BTreeMap::default() },
        };
        guard::mutate(mutation, object, &facts)
    })
}
