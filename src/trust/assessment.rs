//! Where every cloud stands at an instant.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::decision::Held;
use super::problem::Problem;
use super::register::{Entry, Register, SoundCloud, SoundLevel};
use super::requirements::Requirements;
use super::schemes;
use super::state::QualificationState;
use super::timeline::Timeline;
use super::unmet::{Chain, Unmet};

/// Where every cloud stands at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// By name.
    pub clouds: BTreeMap<String, CloudStanding>,
}

/// Where a cloud stands at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudStanding {
    /// Its qualifications, in the order of the spec. Empty if the cloud has problems.
    pub qualifications: Vec<QualificationStanding>,
    /// Index of the qualification to put forward: one that counts before one that does not, then the most telling
    /// scheme, the highest version and the latest end.
    pub best: Option<usize>,
    /// For every level: until when the cloud satisfies it, or all that it lacks (never an empty list).
    pub levels: BTreeMap<String, Result<Satisfied, Vec<Unmet>>>,
    /// The earliest instant at which anything here changes by itself; none if nothing ever does.
    pub next_change: Option<Timestamp>,
}

/// Where a qualification stands at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QualificationStanding {
    /// Its scheme.
    pub scheme: String,
    /// Its version, as written.
    pub version: Option<String>,
    /// Number of the decision.
    pub decision: Option<String>,
    /// Its state.
    pub state: QualificationState,
    /// The state in words, such as `Expired after 2026-11-30`.
    pub words: String,
    /// When that state (or its words) changes; none if never by itself.
    pub until: Option<Timestamp>,
    /// When it stops counting; none if it does not count, or never stops by itself.
    pub counts_until: Option<Timestamp>,
    /// Whether it counts: its state satisfies, and its scheme is in force (a draft satisfies nothing).
    pub counts: bool,
}

/// A cloud satisfies a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Satisfied {
    /// The instant at which it stops to; none if never by itself.
    pub until: Option<Timestamp>,
}

impl Register {
    /// Where every cloud stands at `now`.
    pub fn assess(&self, now: Timestamp) -> Assessment {
        let standing = |entry: &Entry<SoundCloud>| match &entry.sound {
            Ok(sound) => self.standing(sound, now),
            Err(problems) => {
                let unmet = without_comparison("cloud", problems);
                let levels = self.levels().keys().map(|level| (level.clone(), Err(vec![unmet.clone()])));
                CloudStanding { qualifications: Vec::new(), best: None, levels: levels.collect(), next_change: None }
            }
        };
        Assessment { clouds: self.clouds().iter().map(|(name, entry)| (name.clone(), standing(entry))).collect() }
    }

    fn standing(&self, sound: &SoundCloud, now: Timestamp) -> CloudStanding {
        let known = |name: &str| self.clouds().get(name).and_then(|entry| entry.sound.as_ref().ok());
        let below: Vec<_> = sound.below.iter().map(|name| (name.as_str(), known(name))).collect();
        let layers = below.iter().filter_map(|(_, layer)| *layer);
        let own = sound.holdings.courses().flat_map(|course| course.changes_after(now));
        // Of a layer it matters only whether a qualification counts.
        let turns: Vec<Timestamp> =
            layers.flat_map(|layer| layer.holdings.courses()).flat_map(|course| flips(course, now)).chain(own).collect();
        let chain = Chain { own: &sound.cloud, holdings: &sound.holdings, below };
        let qualifications = standings(sound, now);
        let mut next_change = turns.iter().min().copied();
        let mut judge = |entry: &Entry<SoundLevel>| match &entry.sound {
            Ok(level) => {
                let ages = ages_after(&chain, &level.requirements, now);
                next_change = next_change.into_iter().chain(ages.iter().copied()).min();
                satisfied(&chain, &level.requirements, now, turns.iter().copied().chain(ages))
            }
            Err(problems) => Err(vec![without_comparison("level", problems)]),
        };
        let levels = self.levels().iter().map(|(name, entry)| (name.clone(), judge(entry))).collect();
        CloudStanding { best: best(&qualifications), qualifications, levels, next_change }
    }
}

/// Whether all is met at `now`, and if so which of `turns` is the first at which it is not.
fn satisfied(
    chain: &Chain<'_>,
    required: &Requirements,
    now: Timestamp,
    turns: impl Iterator<Item = Timestamp>,
) -> Result<Satisfied, Vec<Unmet>> {
    let unmet = chain.unmet(required, now);
    if !unmet.is_empty() {
        return Err(unmet);
    }
    let mut turns: Vec<Timestamp> = turns.collect();
    turns.sort_unstable();
    turns.dedup();
    Ok(Satisfied { until: turns.into_iter().find(|turn| !chain.unmet(required, *turn).is_empty()) })
}

/// Instants after `now` at which a qualification begins or ceases to count.
fn flips(course: &Timeline<Held>, now: Timestamp) -> impl Iterator<Item = Timestamp> {
    let counts = |instant| course.at(instant).state.satisfies();
    let mut before = counts(now);
    course.changes_after(now).filter(move |turn| std::mem::replace(&mut before, counts(*turn)) != counts(*turn))
}

/// Instants after `now` at which figures on ownership come into force or grow too old for `required`.
fn ages_after(chain: &Chain<'_>, required: &Requirements, now: Timestamp) -> Vec<Timestamp> {
    let Some(age) = required.maximum_age else { return Vec::new() };
    let clouds = chain.below.iter().filter_map(|(_, layer)| layer.map(|layer| &layer.cloud)).chain([chain.own]);
    let windows = clouds.filter_map(|cloud| cloud.ownership_window(age));
    windows.flat_map(|(begin, end)| [begin, end]).filter(|turn| *turn > now && *turn < Timestamp::MAX).collect()
}

fn standings(sound: &SoundCloud, now: Timestamp) -> Vec<QualificationStanding> {
    let pairs = sound.cloud.decisions.iter().zip(sound.holdings.courses());
    pairs
        .map(|(decision, course)| {
            let held = course.at(now);
            let counts = held.state.satisfies() && schemes::in_force(&decision.scheme);
            QualificationStanding {
                scheme: decision.scheme.clone(),
                version: decision.written_version.clone(),
                decision: decision.number.clone(),
                state: held.state,
                words: held.words.clone(),
                until: course.next_change(now),
                counts_until: course.first_after(now, |held| held.state.satisfies()).filter(|_| counts),
                counts,
            }
        })
        .collect()
}

fn best(qualifications: &[QualificationStanding]) -> Option<usize> {
    let telling = |(index, standing): &(usize, &QualificationStanding)| {
        let version = standing.version.as_deref().map(super::version::Version::of);
        let end = standing.counts_until.unwrap_or(Timestamp::MAX);
        // Of two that are over, the words name the later day: they end in it, year first.
        (standing.counts, Reverse(schemes::rank(&standing.scheme)), version, standing.state, end, standing.words.clone(), Reverse(*index))
    };
    qualifications.iter().enumerate().max_by_key(telling).map(|(index, _)| index)
}

fn without_comparison(requirement: &'static str, problems: &[Problem]) -> Unmet {
    let found = problems.first().map_or_else(String::new, Problem::to_string);
    Unmet { requirement, found, required: format!("a {requirement} without problems") }
}

impl Assessment {
    /// The earliest instant at which anything changes by itself.
    pub fn next_change(&self) -> Option<Timestamp> {
        self.clouds.values().filter_map(|cloud| cloud.next_change).min()
    }

    /// The clouds that satisfy `level`, by name.
    pub fn satisfying<'a>(&'a self, level: &'a str) -> impl Iterator<Item = (&'a str, Satisfied)> {
        self.clouds.iter().filter_map(move |(name, cloud)| Some((name.as_str(), cloud.satisfies(level)?)))
    }
}

impl CloudStanding {
    /// Whether and until when the cloud satisfies `level`.
    pub fn satisfies(&self, level: &str) -> Option<Satisfied> {
        self.levels.get(level)?.as_ref().ok().copied()
    }

    /// What the cloud lacks for `level`; nothing if it satisfies it, or there is no such level.
    pub fn lacks(&self, level: &str) -> &[Unmet] {
        self.levels.get(level).and_then(|result| result.as_ref().err()).map_or(&[], Vec::as_slice)
    }

    /// The qualification to put forward: columns `QUALIFIED` (its [`QualificationStanding::name`] and state) and `UNTIL` (its
    /// [`QualificationStanding::counts_until`]).
    pub fn best(&self) -> Option<&QualificationStanding> {
        self.qualifications.get(self.best?)
    }
}

impl QualificationStanding {
    /// Scheme and version: `secnumcloud 3.2`.
    pub fn name(&self) -> String {
        [Some(&self.scheme), self.version.as_ref()].into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}
