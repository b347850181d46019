//! What the claims of a snapshot amount to: which levels apply to each, and whether its data is where it should be.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::pods::Found;
use super::view::View;
use crate::placement::{self, ClaimFacts, Held, Verdict, VolumeFacts, Why};

/// A claim whose data is on storage that is not cleared for it.
#[derive(Clone, Debug)]
pub(super) struct Stranded {
    pub(super) claim: String,
    pub(super) bytes: u64,
    pub(super) why: Why,
    created: Option<Timestamp>,
}

impl<'a> View<'a> {
    /// Levels that apply to the claims of a namespace: they follow it, since a claim does not show who will mount it.
    pub(super) fn levels_of_claims(&self, namespace: &str) -> BTreeSet<&'a str> {
        if self.is_system(namespace) { BTreeSet::new() } else { self.namespace_levels(namespace) }
    }

    pub(super) fn judge_claims(&mut self) {
        let mut levels_of: BTreeMap<&str, BTreeSet<&'a str>> = BTreeMap::new();
        let mut attached: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for attachment in self.snapshot.attachments.values() {
            attached.entry(&attachment.volume).or_default().push(&attachment.node);
        }
        let (mut by_level, mut by_declaration) = (std::mem::take(&mut self.found_by_level), std::mem::take(&mut self.found_by_declaration));
        for (key, claim) in self.snapshot.claims.iter() {
            let levels = levels_of.entry(&claim.namespace).or_insert_with(|| self.levels_of_claims(&claim.namespace));
            if levels.is_empty() {
                continue;
            }
            let volume = claim.volume.as_deref().and_then(|volume| self.snapshot.volumes.get(volume));
            let nodes = claim.volume.as_deref().and_then(|volume| attached.get(volume)).map_or(&[][..], Vec::as_slice);
            let class = volume.and_then(|volume| volume.class.as_deref());
            let driver = class.and_then(|class| self.snapshot.storage_classes.get(class)).map(|class| class.driver.as_str());
            let held = Held { volume: volume.map(AsRef::as_ref), driver, nodes };
            let verdicts: BTreeMap<&str, Verdict> =
                levels.iter().map(|level| (*level, placement::judge_claim(&self.clearing.spec, [*level], held))).collect();
            for (level, verdict) in &verdicts {
                by_level.entry(level).or_default().add_claim(key, claim, held.volume, verdict);
            }
            for (declaration_key, declaration) in self.declarations_in(&claim.namespace) {
                let whole = declaration.spec.workloads.is_none();
                if let Some(verdict) = verdicts.get(declaration.spec.level.0.as_str()).filter(|_| whole) {
                    by_declaration.entry(declaration_key).or_default().add_claim(key, claim, held.volume, verdict);
                }
            }
        }
        for found in by_level.values_mut().chain(by_declaration.values_mut()) {
            found.stranded.sort_by(|a, b| (a.created, &a.claim).cmp(&(b.created, &b.claim)));
        }
        (self.found_by_level, self.found_by_declaration) = (by_level, by_declaration);
    }
}

impl Found {
    fn add_claim(&mut self, key: &str, claim: &ClaimFacts, volume: Option<&VolumeFacts>, verdict: &Verdict) {
        match verdict {
            Verdict::Compliant => {
                self.claims.compliant += 1;
                self.unpinned += usize::from(volume.is_some_and(|volume| volume.pinned.is_none()));
            }
            Verdict::Unplaced => self.claims.unknown += 1,
            Verdict::Violating(why) => {
                self.claims.violating += 1;
                self.stranded.push(Stranded { claim: key.to_owned(), bytes: claim.bytes, why: why.clone(), created: claim.created });
            }
        }
    }
}
