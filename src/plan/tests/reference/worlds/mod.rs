//! Worlds that hit the interesting cases: days that end just now, suspensions, chains, perimeters that overlap, mistakes.

mod clouds;
mod fleet;
mod levels;
mod storage;

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use super::calendar;
use crate::placement::{AttachmentFacts, ClaimFacts, ClassFacts, NamespaceFacts, NodeFacts, PodFacts, QuotaFacts, VolumeFacts};

const CLOUDS: [&str; 4] = ["alps", "brie", "caux", "alps-sud"];
const LEVELS: [&str; 4] = ["interne", "restreint", "sante", "strategique"];
const NAMESPACES: [&str; 4] = ["emr", "kube-system", "lab", "web"];

/// Zones where a day ends early, late, twice, never at midnight, or not at all.
const ZONES: [&str; 9] = [
    "UTC",
    "Europe/Paris",
    "Africa/Cairo",
    "America/Havana",
    "America/Santiago",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Kiritimati",
];

/// Days around which something is going on: changes of the clock, a day that did not exist in Apia, ends of months and years.
const DAYS: [&str; 10] = [
    "2026-11-25",
    "2026-10-25",
    "2027-03-28",
    "2026-04-24",
    "2026-09-06",
    "2026-03-08",
    "2026-03-29",
    "2028-02-29",
    "2011-12-30",
    "2026-12-31",
];

/// A spec as somebody wrote it. It is shown as JSON.
#[derive(Clone)]
pub(in super::super) struct Spec(pub(in super::super) Value);

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Objects, each as somebody wrote it; none in the place of one that cannot be read.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Objects {
    pub(in super::super) clouds: BTreeMap<String, Option<Spec>>,
    pub(in super::super) levels: BTreeMap<String, Option<Spec>>,
    /// By namespace and name.
    pub(in super::super) declarations: BTreeMap<(String, String), Option<Spec>>,
    pub(in super::super) namespaces: Vec<NamespaceFacts>,
    pub(in super::super) nodes: Vec<NodeFacts>,
    pub(in super::super) pods: Vec<PodFacts>,
    /// Of storage, of snapshots, of attributes.
    pub(in super::super) classes: [Vec<ClassFacts>; 3],
    pub(in super::super) volumes: BTreeMap<String, VolumeFacts>,
    pub(in super::super) claims: Vec<ClaimFacts>,
    pub(in super::super) attachments: Vec<AttachmentFacts>,
    pub(in super::super) quotas: Vec<QuotaFacts>,
}

/// When a world is looked at again.
#[derive(Clone, Debug)]
pub(in super::super) enum When {
    /// At the instant at which the plan wants to.
    Woken,
    After(SignedDuration),
}

/// What somebody does to an object in the meantime.
#[derive(Clone, Debug)]
pub(in super::super) enum Edit {
    /// Writes another spec.
    Cloud(String, Spec),
    Level(String, Spec),
    /// Deletes it and makes it again as it was.
    AgainCloud(String),
    AgainLevel(String),
    /// Leaves it in a form that cannot be read.
    SpoilCloud(String),
    SpoilLevel(String),
    DeleteCloud(String),
    DeleteLevel(String),
    /// Makes a storage class, in the place of one of its name.
    Class(ClassFacts),
    DeleteClass(String),
    Quota(QuotaFacts),
    /// Lets the quota of a namespace count only some of what it counted.
    Scope(String),
}

/// A world, an instant, and what is found in it later.
#[derive(Clone, Debug)]
pub(in super::super) struct Scene {
    pub(in super::super) now: Timestamp,
    pub(in super::super) objects: Objects,
    pub(in super::super) later: Option<(When, Vec<Edit>)>,
}

pub(in super::super) fn scenes() -> impl Strategy<Value = Scene> {
    (select(&DAYS[..]), select(&ZONES[..])).prop_flat_map(|(day, zone)| {
        let day: Date = day.parse().unwrap();
        let midnight = calendar::start(day, zone);
        let around = select(vec![0, 0, -1_000, 1_000, 500, 43_200_000, -3_600_000, 86_400_000]);
        let now = around.prop_map(move |milliseconds| midnight + SignedDuration::from_millis(milliseconds));
        now.prop_flat_map(move |now| (Just(now), objects(day, now), proptest::option::weighted(0.6, later(day, now))))
            .prop_map(|(now, objects, later)| Scene { now, objects, later })
    })
}

/// Half of the worlds have anything wrong with them that can be. In the others trust is plain, so that much depends on the rest.
fn objects(day: Date, now: Timestamp) -> BoxedStrategy<Objects> {
    let clouds = some_of(&CLOUDS, move |name| mostly_read(clouds::cloud(name, day, now))).boxed();
    let levels = some_of(&LEVELS, |name| mostly_read(levels::level(name))).boxed();
    let (plain_clouds, plain_levels) =
        (some_of(&CLOUDS, |name| mostly_read(clouds::plain(name))), some_of(&LEVELS, |name| mostly_read(levels::plain(name))));
    let trust = prop_oneof![1 => (clouds, levels), 1 => (plain_clouds, plain_levels)];
    let fleet = (fleet::declarations(day), fleet::namespaces(), fleet::nodes(), fleet::pods());
    let quotas = proptest::collection::vec(storage::quota(), 0..3);
    let data = (storage::classes(), storage::volumes(), storage::claims(), storage::attachments(), quotas);
    (trust, fleet, data)
        .prop_map(|((clouds, levels), (declarations, namespaces, nodes, pods), (classes, volumes, claims, attachments, quotas))| Objects {
            clouds,
            levels,
            declarations,
            namespaces,
            nodes,
            pods,
            classes,
            volumes,
            claims,
            attachments,
            quotas,
        })
        .boxed()
}

fn later(day: Date, now: Timestamp) -> BoxedStrategy<(When, Vec<Edit>)> {
    let lengths = select(vec![0, 1, 3_600, 86_400, 129_599, 129_600, 259_200, 40 * 86_400, 100 * 86_400]);
    let when = prop_oneof![2 => Just(When::Woken), 3 => lengths.prop_map(|seconds| When::After(SignedDuration::from_secs(seconds)))];
    (when, proptest::collection::vec(edit(day, now), 0..4)).boxed()
}

fn edit(day: Date, now: Timestamp) -> BoxedStrategy<Edit> {
    let cloud = || select(&CLOUDS[..]).prop_map(ToOwned::to_owned);
    let level = || select(&LEVELS[..]).prop_map(ToOwned::to_owned);
    prop_oneof![
        8 => select(&CLOUDS[..]).prop_flat_map(move |name| clouds::cloud(name, day, now).prop_map(|spec| Edit::Cloud(name.to_owned(), Spec(spec)))),
        3 => select(&LEVELS[..]).prop_flat_map(|name| levels::level(name).prop_map(|spec| Edit::Level(name.to_owned(), Spec(spec)))),
        1 => cloud().prop_map(Edit::AgainCloud),
        1 => level().prop_map(Edit::AgainLevel),
        1 => cloud().prop_map(Edit::SpoilCloud),
        1 => level().prop_map(Edit::SpoilLevel),
        1 => cloud().prop_map(Edit::DeleteCloud),
        1 => level().prop_map(Edit::DeleteLevel),
        2 => storage::class().prop_map(Edit::Class),
        1 => storage::class().prop_map(|class| Edit::DeleteClass(class.name)),
        1 => storage::quota().prop_map(Edit::Quota),
        3 => select(&NAMESPACES[..]).prop_map(|namespace| Edit::Scope(namespace.to_owned())),
    ]
    .boxed()
}

/// An object for most of `names`.
fn some_of<T: fmt::Debug + Clone, S: Strategy<Value = T>>(
    names: &'static [&'static str],
    one: impl Fn(&'static str) -> S,
) -> impl Strategy<Value = BTreeMap<String, T>> {
    let each: Vec<_> = names.iter().map(|name| (Just((*name).to_owned()), proptest::option::weighted(0.9, one(name)))).collect();
    each.prop_map(|found| found.into_iter().filter_map(|(name, object)| Some((name, object?))).collect())
}

fn mostly_read(spec: impl Strategy<Value = Value>) -> impl Strategy<Value = Option<Spec>> {
    proptest::option::weighted(0.97, spec.prop_map(Spec))
}

/// `usual` so many times out of a hundred, and else one of `others`.
fn mostly<T: Clone + fmt::Debug + 'static>(times: u32, usual: T, others: impl Into<Vec<T>>) -> impl Strategy<Value = T> {
    prop_oneof![times => Just(usual), 100 - times => select(others.into())]
}

/// One of some days, as far from `day` as said.
fn days(day: Date, offsets: &'static [i32]) -> impl Strategy<Value = String> {
    select(offsets).prop_map(move |offset| day.checked_add(offset.days()).unwrap().to_string())
}

/// Some of the names after `name`, and now and then others: itself, one that leads back to it, one that is not there.
fn after(names: &'static [&'static str], name: &str) -> impl Strategy<Value = Vec<&'static str>> {
    let place = names.iter().position(|found| *found == name).unwrap_or_default();
    let after = names[place + 1..].to_vec();
    let most = after.len().min(2);
    prop_oneof![
        20 => Just(Vec::new()),
        16 => proptest::sample::subsequence(after, 0..=most),
        1 => proptest::sample::subsequence(names, 1..3),
        1 => Just(vec!["nowhere"]),
    ]
}
