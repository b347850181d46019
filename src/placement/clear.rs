//! The Clearance: which clouds are cleared for what now, which nodes are whose, and until when.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::Classes;
use crate::api::names::{CANARY, CLEARED};
use crate::api::sensitivity_level::OnTrustLoss;
use crate::api::{ClearanceSpec, LevelClearance};
use crate::trust::Assessment;

/// What the Clearance needs to know of a level beside its requirements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelRule {
    /// How long a clearance stays valid with no operator to renew it.
    pub unattended_for: SignedDuration,
    /// What happens when a cloud stops satisfying the level.
    pub on_trust_loss: OnTrustLoss,
    /// Schedulers, beside kube-scheduler, that may bind.
    pub schedulers: Vec<String>,
    /// Class of a claim whose author named none.
    pub when_unset: String,
    /// CSI drivers allowed as inline volumes.
    pub inline_drivers: Vec<String>,
}

/// The facts that a Clearance is made from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Which cloud satisfies which level.
    pub assessment: &'a Assessment,
    /// Every level there is.
    pub levels: &'a BTreeMap<String, LevelRule>,
    /// Node to cloud.
    pub nodes: &'a BTreeMap<String, String>,
    /// Namespace to level.
    pub namespaces: &'a BTreeMap<String, String>,
    /// Storage classes and their clouds.
    pub classes: &'a Classes,
    /// Cloud and level, where these very objects, and not others of the same names, were seen to be cleared.
    pub seen_cleared: &'a BTreeSet<(String, String)>,
    /// The Clearance in force. It says until when, never what is cleared: somebody may have edited it.
    pub previous: Option<&'a ClearanceSpec>,
    /// Whether what was read of clouds, levels or nodes may be old: then nothing is promised that was not promised before.
    pub stale: bool,
}

/// A Clearance, and what to know about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Clearing {
    /// What the object should say.
    pub spec: ClearanceSpec,
    /// Cloud and level, where the level only reports that the cloud no longer satisfies it.
    pub kept: Vec<(String, String)>,
    /// When the end of a level is next put off.
    pub renew_at: Option<Timestamp>,
}

/// The Clearance that these facts ask for at `now`.
pub fn clear(facts: &Facts<'_>, now: Timestamp) -> Clearing {
    let mut kept = Vec::new();
    let mut spec = ClearanceSpec {
        nodes: facts.nodes.clone(),
        namespaces: facts.namespaces.clone(),
        storage_classes: facts.classes.storage.clone(),
        volume_snapshot_classes: facts.classes.snapshots.clone(),
        volume_attributes_classes: facts.classes.attributes.clone(),
        ..ClearanceSpec::default()
    };
    for (cloud, standing) in &facts.assessment.clouds {
        let mut cleared = Vec::new();
        for (level, rule) in facts.levels {
            let satisfied = standing.levels.get(level).is_some_and(Result::is_ok);
            let was_cleared = || facts.seen_cleared.contains(&(cloud.clone(), level.clone()));
            if satisfied {
                cleared.push(level.clone());
            } else if rule.on_trust_loss == OnTrustLoss::Report && was_cleared() {
                kept.push((cloud.clone(), level.clone()));
                cleared.push(level.clone());
            }
        }
        spec.clouds.insert(cloud.clone(), cleared);
    }

    let mut renew_at: Option<Timestamp> = None;
    for (level, rule) in facts.levels {
        let end = end_of_trust(facts.assessment, level);
        let previous = facts.previous.and_then(|previous| previous.levels.get(level)).map(|level| level.not_after);
        let (not_after, renewal) = lease(rule.unattended_for, end, previous, facts.stale, now);
        renew_at = renew_at.into_iter().chain(renewal).min();
        spec.levels.insert(
            level.clone(),
            LevelClearance {
                not_after,
                when_unset: rule.when_unset.clone(),
                schedulers: rule.schedulers.clone(),
                inline_drivers: rule.inline_drivers.clone(),
            },
        );
    }
    add_canary(&mut spec);
    Clearing { spec, kept, renew_at }
}

/// The name of the node that only the writes of this Clearance cleared for the operator's own probe (enforcement.md, fact 21).
/// An API server that lets the probe bind there has seen this content.
pub fn epoch(spec: &ClearanceSpec) -> Option<&str> {
    spec.nodes.iter().find(|(_, cloud)| *cloud == CANARY).map(|(node, _)| node.as_str())
}

/// The first instant at which a cloud that satisfies `level` now may stop doing so.
fn end_of_trust(assessment: &Assessment, level: &str) -> Option<Timestamp> {
    assessment.clouds.values().filter_map(|standing| standing.levels.get(level)?.as_ref().ok()?.until).min()
}

/// Until when a level is accepted, and when to put that off: like a lease, renewed at half of its time, and never beyond
/// the end of trust.
fn lease(
    unattended_for: SignedDuration,
    end_of_trust: Option<Timestamp>,
    previous: Option<Timestamp>,
    stale: bool,
    now: Timestamp,
) -> (Timestamp, Option<Timestamp>) {
    let end = end_of_trust.map(whole_second);
    let latest = whole_second(now.saturating_add(unattended_for).unwrap_or(Timestamp::MAX));
    let fresh = end.map_or(latest, |end| end.min(latest));
    let half = SignedDuration::from_secs(unattended_for.as_secs() / 2);
    let renewal_of = |not_after: Timestamp| (Some(not_after) != end).then(|| not_after.saturating_sub(half).unwrap_or(Timestamp::MIN));
    let not_after = match previous {
        None if stale => fresh.min(whole_second(now)),
        Some(previous) if previous <= fresh && (stale || renewal_of(previous).is_none_or(|renewal| now < renewal)) => previous,
        _ => fresh,
    };
    (not_after, renewal_of(not_after).filter(|_| !stale))
}

/// Policies compare the text, whose pattern has no fractions; cutting them off errs on the side of closing.
fn whole_second(instant: Timestamp) -> Timestamp {
    Timestamp::from_second(instant.as_second()).unwrap_or(instant)
}

/// The reserved level of the probe: one node cleared for it, whose name is a digest of everything else.
fn add_canary(spec: &mut ClearanceSpec) {
    let text = serde_json::to_vec(spec).unwrap_or_default();
    let digest = Sha256::digest(&text).iter().take(6).fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    spec.levels.insert(
        CANARY.to_owned(),
        LevelClearance {
            not_after: "9999-12-30T00:00:00Z".parse().unwrap_or(Timestamp::MAX),
            when_unset: String::new(),
            schedulers: Vec::new(),
            inline_drivers: Vec::new(),
        },
    );
    spec.clouds.insert(CANARY.to_owned(), vec![CANARY.to_owned()]);
    spec.namespaces.insert(CANARY.to_owned(), CANARY.to_owned());
    spec.nodes.insert(format!("epoch-{digest}"), CANARY.to_owned());
}

/// The labels that `node`, a node of `cloud`, should carry for its levels.
pub fn node_labels(clearance: &ClearanceSpec, cloud: &str) -> BTreeMap<String, String> {
    let levels = clearance.clouds.get(cloud).into_iter().flatten();
    levels
        .map(|level| (crate::api::names::clearance_label(level), CLEARED.to_owned()))
        .chain([(crate::api::names::NODE_CLOUD.to_owned(), cloud.to_owned())])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What it is about; end of trust, previous end, whether facts are old; the end found, and its renewal.
    type Case = (&'static str, Option<&'static str>, Option<&'static str>, bool, &'static str, Option<&'static str>);

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_lease_is_put_off_at_half_of_its_time_and_never_beyond_the_end_of_trust() {
        let hour = SignedDuration::from_hours(1);
        let now = at("2026-11-25T12:00:00.5Z");
        let cases: &[Case] = &[
            ("new", None, None, false, "2026-11-25T13:00:00Z", Some("2026-11-25T12:30:00Z")),
            ("fresh enough", None, Some("2026-11-25T12:31:00Z"), false, "2026-11-25T12:31:00Z", Some("2026-11-25T12:01:00Z")),
            ("half gone", None, Some("2026-11-25T12:30:00Z"), false, "2026-11-25T13:00:00Z", Some("2026-11-25T12:30:00Z")),
            ("ran out", None, Some("2026-11-25T11:00:00Z"), false, "2026-11-25T13:00:00Z", Some("2026-11-25T12:30:00Z")),
            ("ran out, facts old", None, Some("2026-11-25T11:00:00Z"), true, "2026-11-25T11:00:00Z", None),
            ("new, facts old", None, None, true, "2026-11-25T12:00:00Z", None),
            ("longer than allowed", None, Some("2026-11-26T12:00:00Z"), false, "2026-11-25T13:00:00Z", Some("2026-11-25T12:30:00Z")),
            ("trust ends first", Some("2026-11-25T12:10:00Z"), Some("2026-11-25T12:50:00Z"), false, "2026-11-25T12:10:00Z", None),
            ("at the end of trust", Some("2026-11-25T12:10:00Z"), Some("2026-11-25T12:10:00Z"), false, "2026-11-25T12:10:00Z", None),
        ];
        for (name, end, previous, stale, not_after, renewal) in cases {
            let found = lease(hour, end.map(at), previous.map(at), *stale, now);
            assert_eq!(found, (at(not_after), renewal.map(at)), "{name}");
        }
    }
}
