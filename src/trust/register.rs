//! All clouds and levels, parsed once.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::values::Model;
use crate::api::{SensitivityLevelSpec, TrustedCloudSpec};

use super::alternatives::TooMany;
use super::cloud::{self, Cloud, Holdings};
use super::graph::{self, Edges};
use super::level;
use super::places::Places;
use super::problem::Problem;
use super::requirements::Requirements;
use super::spelling;

/// All clouds and levels, parsed once. What has a problem is known by name only.
#[derive(Debug)]
pub struct Register {
    clouds: BTreeMap<String, Entry<SoundCloud>>,
    levels: BTreeMap<String, Entry<SoundLevel>>,
}

/// An object, or what is wrong with it.
#[derive(Debug)]
pub(super) struct Entry<T> {
    pub(super) sound: Result<T, Vec<Problem>>,
    warnings: Vec<Problem>,
}

/// A cloud without problems.
#[derive(Debug)]
pub(super) struct SoundCloud {
    pub(super) cloud: Cloud,
    /// Its qualifications over time.
    pub(super) holdings: Holdings,
    /// The clouds that it relies on, directly or not.
    pub(super) below: BTreeSet<String>,
}

/// A level without problems, and all that it extends.
#[derive(Debug)]
pub(super) struct SoundLevel {
    pub(super) requirements: Requirements,
    contradictions: Vec<Problem>,
}

/// Names of objects that are there but cannot be read at all.
#[derive(Clone, Debug, Default)]
pub struct Unreadable<'a> {
    /// Of clouds.
    pub clouds: BTreeSet<&'a str>,
    /// Of levels.
    pub levels: BTreeSet<&'a str>,
}

impl Register {
    /// Reads every cloud and level. Of two with the same name the last counts.
    pub fn new<'a>(
        clouds: impl IntoIterator<Item = (&'a str, &'a TrustedCloudSpec)>,
        levels: impl IntoIterator<Item = (&'a str, &'a SensitivityLevelSpec)>,
    ) -> Self {
        Self::beside(&Unreadable::default(), clouds, levels)
    }

    /// The same beside objects that cannot be read: whoever names one of those does not name nothing.
    pub fn beside<'a>(
        unreadable: &Unreadable<'_>,
        clouds: impl IntoIterator<Item = (&'a str, &'a TrustedCloudSpec)>,
        levels: impl IntoIterator<Item = (&'a str, &'a SensitivityLevelSpec)>,
    ) -> Self {
        Self {
            clouds: sound_clouds(&clouds.into_iter().collect(), &unreadable.clouds),
            levels: sound_levels(&levels.into_iter().collect(), &unreadable.levels),
        }
    }

    /// What is wrong with `cloud`: while there is anything, it satisfies no level. Nothing for a name that is not there.
    pub fn cloud_problems(&self, cloud: &str) -> &[Problem] {
        self.clouds.get(cloud).map_or(&[], Entry::problems)
    }

    /// What is allowed in `cloud` but deserves a look.
    pub fn cloud_warnings(&self, cloud: &str) -> &[Problem] {
        self.clouds.get(cloud).map_or(&[], |entry| &entry.warnings)
    }

    /// What is wrong with `level`: while there is anything, no cloud satisfies it. Nothing for a name that is not there.
    pub fn level_problems(&self, level: &str) -> &[Problem] {
        self.levels.get(level).map_or(&[], Entry::problems)
    }

    /// What is allowed in `level` but deserves a look.
    pub fn level_warnings(&self, level: &str) -> &[Problem] {
        self.levels.get(level).map_or(&[], |entry| &entry.warnings)
    }

    /// Requirements of `level` that no cloud whatsoever can meet, because what it extends asks for opposite things.
    pub fn contradictions(&self, level: &str) -> &[Problem] {
        self.levels.get(level).and_then(|entry| entry.sound.as_ref().ok()).map_or(&[], |level| &level.contradictions)
    }

    pub(super) fn clouds(&self) -> &BTreeMap<String, Entry<SoundCloud>> {
        &self.clouds
    }

    pub(super) fn levels(&self) -> &BTreeMap<String, Entry<SoundLevel>> {
        &self.levels
    }
}

impl<T> Entry<T> {
    fn problems(&self) -> &[Problem] {
        self.sound.as_ref().err().map_or(&[], Vec::as_slice)
    }
}

fn sound_clouds(specs: &BTreeMap<&str, &TrustedCloudSpec>, unreadable: &BTreeSet<&str>) -> BTreeMap<String, Entry<SoundCloud>> {
    let edges: Edges<'_> = specs.iter().map(|(name, spec)| (*name, cloud::layers(spec))).collect();
    let cycles = graph::cycles(&edges);
    let (order, below) = graph::below(&edges, &cycles);
    let mut clouds: BTreeMap<String, Entry<SoundCloud>> = BTreeMap::new();
    for (name, spec) in order.into_iter().filter_map(|name| Some((name, specs.get(name)?))) {
        let parsed = without(layer_problems(name, spec, specs, unreadable, &cycles), Cloud::parse(spec));
        let sound = parsed.map(|cloud| {
            let known = |layer: &str| clouds.get(layer).and_then(|entry| entry.sound.as_ref().ok()).map(|sound| &sound.holdings);
            let layers: Vec<(&str, Option<&Holdings>)> = edges[name].iter().map(|layer| (*layer, known(layer))).collect();
            let holdings = cloud.courses(&layers);
            SoundCloud { cloud, holdings, below: below[name].iter().map(|layer| (*layer).to_owned()).collect() }
        });
        let mut warnings = cloud::warnings(spec);
        warnings.extend(layer_warnings(spec, specs, unreadable, &clouds));
        clouds.insert(name.to_owned(), Entry { sound, warnings });
    }
    clouds
}

/// What no cloud can see by itself: layers that are not there, and cycles.
fn layer_problems(
    name: &str,
    spec: &TrustedCloudSpec,
    specs: &BTreeMap<&str, &TrustedCloudSpec>,
    unreadable: &BTreeSet<&str>,
    cycles: &BTreeMap<String, String>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, layer) in spec.relies_on.iter().enumerate() {
        let layer = layer.cloud.0.as_str();
        if !specs.contains_key(layer) && !unreadable.contains(layer) {
            let meant = spelling::meant(layer, specs.keys().copied());
            problems.push(Problem::unresolved(
                format!("spec.reliesOn[{index}].cloud"),
                format!("there is no TrustedCloud {layer}{meant}: create it, or correct the name"),
            ));
        }
    }
    if let Some(cycle) = cycles.get(name) {
        problems.push(Problem::new(
            "spec.reliesOn",
            format!("clouds cannot rely on each other in a circle ({cycle}): remove one of the steps"),
        ));
    }
    problems
}

/// Layers that are there but will not carry much.
fn layer_warnings(
    spec: &TrustedCloudSpec,
    specs: &BTreeMap<&str, &TrustedCloudSpec>,
    unreadable: &BTreeSet<&str>,
    clouds: &BTreeMap<String, Entry<SoundCloud>>,
) -> Vec<Problem> {
    let mut warnings = Vec::new();
    for (index, layer) in spec.relies_on.iter().enumerate() {
        let (name, given): (&str, Model) = (&layer.cloud.0, layer.layer);
        if unreadable.contains(name) || clouds.get(name).is_some_and(|entry| entry.sound.is_err()) {
            warnings.push(Problem::new(
                format!("spec.reliesOn[{index}].cloud"),
                format!("{name} has problems, so nothing is known of it and no qualification of this cloud counts: correct {name}"),
            ));
        }
        if let Some(offered) = specs.get(name).map(|spec| spec.offering.model).filter(|offered| *offered != given) {
            warnings.push(Problem::new(
                format!("spec.reliesOn[{index}].layer"),
                format!("{name} offers {offered}, not {given}: name the cloud that gives this layer, or correct one of the two"),
            ));
        }
    }
    warnings
}

fn sound_levels(specs: &BTreeMap<&str, &SensitivityLevelSpec>, unreadable: &BTreeSet<&str>) -> BTreeMap<String, Entry<SoundLevel>> {
    let edges: Edges<'_> = specs.iter().map(|(name, spec)| (*name, level::extended(spec))).collect();
    let cycles = graph::cycles(&edges);
    let (order, below) = graph::below(&edges, &cycles);
    let own: BTreeMap<&str, Result<Requirements, Vec<Problem>>> = specs.iter().map(|(name, spec)| (*name, level::parse(spec))).collect();
    let mut levels: BTreeMap<String, Entry<SoundLevel>> = BTreeMap::new();
    for (name, spec) in order.into_iter().filter_map(|name| Some((name, specs.get(name)?))) {
        let extends = extends_problems(name, spec, &levels, specs, unreadable, &cycles);
        let sound = without(extends, own[name].clone()).and_then(|_| {
            // Each level below adds its own requirements once, however many ways lead to it. In the order of names, so
            // that whether alternatives become too many does not hang on the order in which somebody wrote them.
            let several: BTreeSet<&str> = below[name].iter().copied().chain([name]).collect();
            let parts: Vec<(&str, &Requirements)> =
                several.into_iter().filter_map(|part| Some((part, own.get(part)?.as_ref().ok()?))).collect();
            let together = parts.iter().try_fold(Requirements::nothing(), |sum, (_, part)| sum.meet(part));
            let requirements = together.map_err(|TooMany| vec![Problem::new("spec.extends", level::too_many())])?;
            Ok(SoundLevel { contradictions: contradictions(name, &requirements, &parts), requirements })
        });
        levels.insert(name.to_owned(), Entry { sound, warnings: level::warnings(spec) });
    }
    levels
}

fn extends_problems(
    name: &str,
    spec: &SensitivityLevelSpec,
    levels: &BTreeMap<String, Entry<SoundLevel>>,
    specs: &BTreeMap<&str, &SensitivityLevelSpec>,
    unreadable: &BTreeSet<&str>,
    cycles: &BTreeMap<String, String>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    // Of levels in one circle each says so; that the others have a problem is no further one.
    let in_circle = |extended: &str| cycles.contains_key(name) && cycles.contains_key(extended);
    if let Some(cycle) = cycles.get(name) {
        problems
            .push(Problem::new("spec.extends", format!("levels cannot extend each other in a circle ({cycle}): remove one of the steps")));
    }
    for (index, extended) in spec.extends.iter().enumerate() {
        let extended = extended.0.as_str();
        let message =
            if unreadable.contains(extended) || (levels.get(extended).is_some_and(|entry| entry.sound.is_err()) && !in_circle(extended)) {
                format!("{extended} has problems, so what it requires is not known: correct {extended}")
            } else if !specs.contains_key(extended) {
                let meant = spelling::meant(extended, specs.keys().copied());
                format!("there is no SensitivityLevel {extended}{meant}: create it, or correct the name")
            } else {
                continue;
            };
        problems.push(Problem::unresolved(format!("spec.extends[{index}]"), message));
    }
    problems
}

/// Places where nothing is left once all the `parts` of `level` are put together.
fn contradictions(level: &str, together: &Requirements, parts: &[(&str, &Requirements)]) -> Vec<Problem> {
    let nowhere = together.places.iter().filter(|(_, places)| places.is_empty());
    nowhere
        .map(|(place, _)| {
            let asking: Vec<(&str, &Places)> = parts.iter().filter_map(|(name, part)| Some((*name, part.places.get(place)?))).collect();
            let own = asking.iter().any(|(name, _)| *name == level);
            let said = opposed(&asking).into_iter().map(|(name, places)| format!("{name} requires {places}")).collect::<Vec<_>>();
            Problem::new(
                if own { format!("spec.requires.{}", place.path()) } else { "spec.extends".to_owned() },
                format!("no country will do for {}: {}; widen one of them", place.path(), said.join(", ")),
            )
        })
        .collect()
}

/// The first two sets that exclude each other, or all of them where it takes more than two.
fn opposed<'a>(asking: &[(&'a str, &'a Places)]) -> Vec<(&'a str, &'a Places)> {
    let pairs = asking.iter().enumerate().flat_map(|(index, one)| asking[index + 1..].iter().map(move |other| [*one, *other]));
    let mut excluding = pairs.filter(|[(_, one), (_, other)]| one.meet(other).is_empty());
    excluding.next().map_or_else(|| asking.to_vec(), Vec::from)
}

/// What was parsed, unless there are `more` problems.
fn without<T>(more: Vec<Problem>, parsed: Result<T, Vec<Problem>>) -> Result<T, Vec<Problem>> {
    match parsed {
        Ok(value) if more.is_empty() => Ok(value),
        Ok(_) => Err(more),
        Err(mut problems) => {
            problems.extend(more);
            Err(problems)
        }
    }
}
