//! What the invariant says of storage: **no claim of a sensitive namespace is bound to a volume whose class the Clearance did not
//! clear for its level at that time, or of which some node affinity term does not require the cloud of that class.**

use std::time::Duration;

use super::invariant::{Cleared, Replay};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Claim {
    /// Empty until it is bound.
    pub(super) volume: String,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Volume {
    /// As Kubernetes reads it: the old annotation before the field.
    pub(super) class: String,
    /// The cloud that each node affinity term requires.
    pub(super) terms: Vec<Option<String>>,
}

impl Replay {
    pub(super) fn see_claim(&mut self, revision: u64, at: Duration, key: (String, String), claim: Claim) {
        let before = self.claims.insert(key.clone(), claim.clone()).unwrap_or_default();
        if claim.volume.is_empty() || claim == before {
            return;
        }
        self.claims_bound += 1;
        let namespace = self.namespaces.get(&key.0).cloned().unwrap_or_default();
        let (mut fits, mut concerns) = (None::<Duration>, false);
        for (level, level_age) in namespace.recent(at) {
            let free = level.as_deref().is_none_or(|level| self.is_free(at, &key.0, level));
            concerns |= !free;
            let clearances = self.clearance.recent(at).filter(|(cleared, _)| {
                free || cleared.as_ref().zip(level.as_deref()).is_some_and(|(cleared, level)| self.is_right(cleared, level, &claim.volume))
            });
            fits = fits.into_iter().chain(clearances.map(|(_, age)| age.max(level_age))).min();
        }
        self.claims_judged += usize::from(concerns);
        if let Some(age) = fits {
            self.oldest = self.oldest.max(age);
        } else {
            let (level, volume) = (namespace.now.unwrap_or_default(), self.volumes.get(&claim.volume));
            let what = format!("it was bound to {} ({volume:?}), which was not cleared for {level}", claim.volume);
            self.report(revision, &key, what);
        }
    }

    fn is_right(&self, cleared: &Cleared, level: &str, volume: &str) -> bool {
        let Some(volume) = self.volumes.get(volume) else { return false };
        let Some(cloud) = cleared.classes.get(&volume.class) else { return false };
        let pinned = !volume.terms.is_empty() && volume.terms.iter().all(|term| term.as_ref() == Some(cloud));
        cleared.trusts(cloud, level) && pinned
    }
}

#[cfg(test)]
mod tests {
    use super::super::invariant::{Change, Level, Namespace};
    use super::*;

    fn volume(name: &str, class: &str, terms: &[Option<&str>]) -> Change {
        let terms = terms.iter().map(|term| term.map(str::to_owned)).collect();
        Change::Volume { name: name.to_owned(), volume: Some(Volume { class: class.to_owned(), terms }) }
    }

    fn claim(volume: &str) -> Change {
        Change::Claim { namespace: "emr".to_owned(), name: "c".to_owned(), claim: Some(Claim { volume: volume.to_owned() }) }
    }

    fn clearance(levels: &[&str]) -> Change {
        Change::Clearance(Some(Cleared {
            clouds: [("snc".to_owned(), levels.iter().map(|&level| level.to_owned()).collect())].into(),
            classes: [("block".to_owned(), "snc".to_owned())].into(),
            ..Cleared::default()
        }))
    }

    #[test]
    fn a_claim_that_gets_the_wrong_volume_is_found_and_no_other_is() {
        let snc = Some("snc");
        for (name, level, change, bound_to, wrong) in [
            ("as it should be", Some("restreint"), volume("v", "block", &[snc, snc]), "v", false),
            ("of another class", Some("restreint"), volume("v", "standard", &[snc]), "v", true),
            ("of no affinity", Some("restreint"), volume("v", "block", &[]), "v", true),
            ("with a term that leads elsewhere", Some("restreint"), volume("v", "block", &[snc, Some("aws")]), "v", true),
            ("with a term that leads anywhere", Some("restreint"), volume("v", "block", &[snc, None]), "v", true),
            ("that nobody has seen", Some("restreint"), volume("v", "block", &[snc]), "other", true),
            ("when trust has ended", Some("restreint"), clearance(&[]), "good", true),
            ("in a plain namespace", None, volume("v", "standard", &[]), "v", false),
            ("of an unknown level", Some("nosuch"), volume("v", "block", &[snc]), "v", true),
        ] {
            let mut replay = Replay::default();
            let level = Namespace { level: level.map(str::to_owned) };
            let begin = [
                Change::Level { name: "restreint".to_owned(), level: Some(Level { enforced: true, seen: true }) },
                clearance(&["restreint"]),
                Change::Namespace { name: "emr".to_owned(), namespace: Some(level) },
                volume("good", "block", &[snc]),
                claim(""),
                change,
            ];
            let all = begin.into_iter().map(|change| (Duration::from_secs(1), change)).chain([(Duration::from_mins(1), claim(bound_to))]);
            for (revision, (at, change)) in all.enumerate() {
                replay.see(revision as u64, at, change);
            }
            assert_eq!(replay.violations.len(), usize::from(wrong), "{name}: {:?}", replay.violations);
            assert_eq!(replay.claims_bound, 1, "{name}");
        }
    }
}
