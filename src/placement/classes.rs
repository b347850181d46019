//! Which cloud a storage class belongs to, and whether it is what its cloud says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::ClassFacts;
use crate::api::names::{CLOUD, MANAGED_BY};
use crate::api::reasons::Reason;
use crate::api::storage::{CloudStorage, VolumeNames};
use crate::api::{ClearanceSpec, TrustedCloudSpec};
use crate::trust::Problem;

/// A class that a cloud names, against the one that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClassStanding {
    /// It is there and as it should be.
    InPlace,
    /// There is none of that name.
    Missing,
    /// The operator wrote it, and it is not as its cloud says now.
    Altered,
    /// The operator should write it, but there is one of that name that is somebody else's.
    NotOurs,
    /// It has another driver.
    OtherDriver(String),
    /// Other clouds name it too.
    Shared(Vec<String>),
}

/// All classes that clouds name.
#[derive(Clone, Debug, Default)]
pub struct Classes {
    /// StorageClass to cloud, where exactly one cloud names it, whether or not it is there.
    pub named: BTreeMap<String, String>,
    /// Those of them whose driver does not name volumes after claims.
    pub named_otherwise: BTreeSet<String>,
    /// VolumeSnapshotClasses that clouds name.
    pub named_snapshots: BTreeSet<String>,
    /// VolumeAttributesClasses that clouds name.
    pub named_attributes: BTreeSet<String>,
    /// StorageClass to cloud, of those that are as they should be.
    pub storage: BTreeMap<String, String>,
    /// VolumeSnapshotClass to cloud, likewise.
    pub snapshots: BTreeMap<String, String>,
    /// VolumeAttributesClass to cloud, likewise.
    pub attributes: BTreeMap<String, String>,
    standings: BTreeMap<String, Vec<(String, ClassStanding)>>,
    problems: BTreeMap<String, Vec<Problem>>,
}

/// Classes as they are in a cluster, by name.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// StorageClasses.
    pub storage: &'a ByName,
    /// VolumeSnapshotClasses.
    pub snapshots: &'a ByName,
    /// VolumeAttributesClasses.
    pub attributes: &'a ByName,
}

type ByName = BTreeMap<String, Arc<ClassFacts>>;

/// The classes of one kind that clouds name: name, cloud, and what it should be.
type Named<'a> = Vec<(String, &'a str, Wanted<'a>)>;

enum Wanted<'a> {
    /// What the operator writes.
    Written(Value),
    /// Something that is there, of this driver.
    Existing(&'a str),
}

impl Classes {
    /// Compares what `clouds` name with what was found.
    pub fn new<'a>(clouds: impl IntoIterator<Item = (&'a str, &'a TrustedCloudSpec)>, found: Found<'_>) -> Self {
        let (mut storage, mut snapshots, mut attributes) = (Named::new(), Named::new(), Named::new());
        let mut classes = Self::default();
        for (cloud, spec) in clouds {
            classes.note_repetitions(cloud, spec);
            let otherwise = spec.storage.iter().filter(|entry| entry.volume_names == VolumeNames::Any);
            classes.named_otherwise.extend(otherwise.filter_map(|entry| class_name(cloud, entry)));
            storage.extend(spec.storage.iter().filter_map(|entry| {
                let wanted = match entry.name {
                    Some(_) => Wanted::Written(body(entry)),
                    None => Wanted::Existing(&entry.provisioner),
                };
                Some((class_name(cloud, entry)?, cloud, wanted))
            }));
            for (named, lists) in [(&mut snapshots, &spec.snapshots), (&mut attributes, &spec.volume_attributes)] {
                let all = lists.iter().flat_map(|list| list.classes.iter().map(|class| (class.clone(), list.driver.as_str())));
                named.extend(all.map(|(class, driver)| (class, cloud, Wanted::Existing(driver))));
            }
        }
        classes.storage = classes.place(&storage, found.storage);
        classes.snapshots = classes.place(&snapshots, found.snapshots);
        classes.attributes = classes.place(&attributes, found.attributes);
        let names = |named: &Named<'_>| named.iter().map(|(name, ..)| name.clone()).collect();
        (classes.named_snapshots, classes.named_attributes) = (names(&snapshots), names(&attributes));
        let claimants = claimants(&storage);
        let alone = storage.iter().filter(|(name, ..)| claimants[name.as_str()].len() == 1);
        classes.named = alone.map(|(name, cloud, _)| (name.clone(), (*cloud).to_owned())).collect();
        classes
    }

    /// Where the classes that `cloud` names stand, in the order of its spec.
    pub fn standings(&self, cloud: &str) -> &[(String, ClassStanding)] {
        self.standings.get(cloud).map_or(&[], Vec::as_slice)
    }

    /// What is wrong with what `cloud` says of its classes.
    pub fn problems(&self, cloud: &str) -> &[Problem] {
        self.problems.get(cloud).map_or(&[], Vec::as_slice)
    }

    fn place(&mut self, named: &Named<'_>, found: &ByName) -> BTreeMap<String, String> {
        let claimants = claimants(named);
        let (mut in_place, mut doubtful) = (BTreeMap::new(), BTreeSet::new());
        for (name, cloud, wanted) in named {
            let others = || claimants[name.as_str()].iter().filter(|other| *other != cloud).map(|other| (*other).to_owned());
            let standing = match others().collect::<Vec<_>>() {
                others if others.is_empty() => found.get(name).map_or(ClassStanding::Missing, |found| standing(cloud, wanted, found)),
                others => ClassStanding::Shared(others),
            };
            if standing == ClassStanding::InPlace {
                in_place.insert(name.clone(), (*cloud).to_owned());
            } else {
                doubtful.insert(name);
            }
            self.standings.entry((*cloud).to_owned()).or_default().push((name.clone(), standing));
        }
        // A cloud may name a class twice, and say something else of it the second time.
        in_place.retain(|name, _| !doubtful.contains(name));
        in_place
    }

    fn note_repetitions(&mut self, cloud: &str, spec: &TrustedCloudSpec) {
        let mut seen = BTreeSet::new();
        for (index, entry) in spec.storage.iter().enumerate() {
            let Some(class) = class_name(cloud, entry) else { continue };
            if !seen.insert(class.clone()) {
                let message = format!("class {class} is named above already: remove one of the two");
                self.problems.entry(cloud.to_owned()).or_default().push(Problem::new(format!("spec.storage[{index}]"), message));
            }
        }
    }
}

fn claimants<'a>(named: &'a Named<'_>) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let mut claimants: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, cloud, _) in named {
        claimants.entry(name).or_default().insert(cloud);
    }
    claimants
}

fn standing(cloud: &str, wanted: &Wanted<'_>, found: &ClassFacts) -> ClassStanding {
    match wanted {
        Wanted::Existing(driver) if found.driver == *driver => ClassStanding::InPlace,
        Wanted::Existing(_) => ClassStanding::OtherDriver(found.driver.clone()),
        Wanted::Written(_) if found.written_for.as_deref() != Some(cloud) => ClassStanding::NotOurs,
        Wanted::Written(body) if found.body == *body => ClassStanding::InPlace,
        Wanted::Written(_) => ClassStanding::Altered,
    }
}

/// The class that an entry of `cloud` is about; none where it names none, which the CRD refuses.
fn class_name(cloud: &str, entry: &CloudStorage) -> Option<String> {
    entry.name.as_ref().map(|name| format!("{cloud}-{name}")).or_else(|| entry.existing_class.clone())
}

/// The StorageClasses that the operator writes for `cloud`: name and object.
pub fn storage_class<'a>(cloud: &'a str, spec: &'a TrustedCloudSpec) -> impl Iterator<Item = (String, Value)> + 'a {
    spec.storage.iter().filter(|entry| entry.name.is_some()).filter_map(move |entry| {
        let name = class_name(cloud, entry)?;
        let mut object = body(entry);
        object["apiVersion"] = "storage.k8s.io/v1".into();
        object["kind"] = "StorageClass".into();
        object["metadata"] = json!({"name": name, "labels": {MANAGED_BY: "rempart", CLOUD: cloud}});
        Some((name, object))
    })
}

/// A StorageClass as it is stored, without its metadata. Volumes are made where the scheduler has put the pod: sooner, nobody
/// would have asked where the data may be.
fn body(entry: &CloudStorage) -> Value {
    let mut body = Map::new();
    let mut set = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
    set("provisioner", entry.provisioner.as_str().into());
    set("reclaimPolicy", json!(entry.reclaim_policy.unwrap_or_default()));
    set("volumeBindingMode", "WaitForFirstConsumer".into());
    for (name, value, empty) in [
        ("parameters", json!(entry.parameters), entry.parameters.is_empty()),
        ("mountOptions", json!(entry.mount_options), entry.mount_options.is_empty()),
        ("allowedTopologies", json!(entry.allowed_topologies), entry.allowed_topologies.is_empty()),
        ("allowVolumeExpansion", json!(entry.allow_volume_expansion), entry.allow_volume_expansion.is_none()),
    ] {
        if !empty {
            set(name, value);
        }
    }
    body.into()
}

/// The classes of `all` that are not cleared for every one of `levels`.
pub fn closed_to<'a>(clearance: &ClearanceSpec, levels: &BTreeSet<&str>, all: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let cleared = |class: &str| {
        let cloud = clearance.storage_classes.get(class);
        cloud.is_some_and(|cloud| clearance.clouds.contains_key(cloud) && levels.iter().all(|level| clearance.clears(cloud, level)))
    };
    all.into_iter().filter(|class| !cleared(class)).collect()
}

impl ClassStanding {
    /// One word, for statuses.
    pub fn reason(&self) -> Reason {
        match self {
            Self::InPlace => Reason::InPlace,
            Self::Missing => Reason::Missing,
            Self::Altered => Reason::Altered,
            Self::NotOurs => Reason::NotOurs,
            Self::OtherDriver(_) => Reason::OtherDriver,
            Self::Shared(_) => Reason::Shared,
        }
    }
}

impl fmt::Display for ClassStanding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InPlace => f.write_str("is in place"),
            Self::Missing => f.write_str("does not exist: create it, or correct its name"),
            Self::Altered => f.write_str("is not as this cloud says, and is written again"),
            Self::NotOurs => {
                f.write_str("exists and is not the operator's: name it as existingClass, give this entry another name, or delete the class")
            }
            Self::OtherDriver(found) => write!(f, "is of driver {found}: correct the driver here, or name another class"),
            Self::Shared(others) => write!(f, "is named by {} too: a class belongs to one cloud", others.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud(storage: &Value) -> TrustedCloudSpec {
        serde_json::from_value(json!({"offering": {"service": "s", "model": "IaaS"}, "storage": storage})).unwrap()
    }

    fn found(name: &str, driver: &str, written_for: Option<&str>, body: Value) -> ClassFacts {
        ClassFacts { name: name.into(), driver: driver.into(), written_for: written_for.map(Into::into), body, ..ClassFacts::default() }
    }

    fn standings(clouds: &[(&str, TrustedCloudSpec)], there: &[ClassFacts]) -> Vec<String> {
        let classes = classes(clouds, there);
        let all = clouds.iter().flat_map(|(cloud, _)| classes.standings(cloud).iter().map(move |(name, standing)| (cloud, name, standing)));
        all.map(|(cloud, name, standing)| format!("{cloud} {name} {}", standing.reason().as_str())).collect()
    }

    fn classes(clouds: &[(&str, TrustedCloudSpec)], there: &[ClassFacts]) -> Classes {
        let storage = there.iter().map(|class| (class.name.clone(), Arc::new(class.clone()))).collect();
        let none = BTreeMap::new();
        let found = Found { storage: &storage, snapshots: &none, attributes: &none };
        Classes::new(clouds.iter().map(|(name, spec)| (*name, spec)), found)
    }

    #[test]
    fn a_class_is_in_place_only_if_it_is_what_its_cloud_and_no_other_says() {
        let block = json!({"provisioner": "csi", "reclaimPolicy": "Delete", "volumeBindingMode": "WaitForFirstConsumer", "parameters": {"type": "ssd"}});
        let other =
            json!({"provisioner": "csi", "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate", "parameters": {"type": "ssd"}});
        let snc = || {
            cloud(
                &json!([{"name": "block", "provisioner": "csi", "parameters": {"type": "ssd"}}, {"existingClass": "old", "provisioner": "csi"}]),
            )
        };
        let cases: [(&[ClassFacts], [&str; 2]); 6] = [
            (&[], ["snc snc-block Missing", "snc old Missing"]),
            (&[found("snc-block", "csi", Some("snc"), block.clone())], ["snc snc-block InPlace", "snc old Missing"]),
            (&[found("snc-block", "csi", Some("snc"), other)], ["snc snc-block Altered", "snc old Missing"]),
            (&[found("snc-block", "csi", None, block.clone())], ["snc snc-block NotOurs", "snc old Missing"]),
            (&[found("snc-block", "csi", Some("x"), block.clone())], ["snc snc-block NotOurs", "snc old Missing"]),
            (&[found("old", "nfs", None, json!({}))], ["snc snc-block Missing", "snc old OtherDriver"]),
        ];
        for (there, expected) in cases {
            assert_eq!(standings(&[("snc", snc())], there), expected);
        }
        let old = found("old", "csi", None, json!({}));
        assert_eq!(classes(&[("snc", snc())], std::slice::from_ref(&old)).storage, [("old".to_owned(), "snc".to_owned())].into());
        let two = [("snc", snc()), ("aws", cloud(&json!([{"existingClass": "old", "provisioner": "csi"}])))];
        assert_eq!(standings(&two, std::slice::from_ref(&old)), ["snc snc-block Missing", "snc old Shared", "aws old Shared"]);
        assert_eq!(classes(&two, &[old]).named, [("snc-block".to_owned(), "snc".to_owned())].into(), "what two clouds name is neither's");
    }

    #[test]
    fn a_class_that_a_cloud_names_twice_is_a_mistake_with_a_place() {
        let twice = cloud(&json!([{"name": "block", "provisioner": "csi"}, {"existingClass": "snc-block", "provisioner": "csi"}]));
        let problems = classes(&[("snc", twice)], &[]).problems("snc").to_vec();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].field, "spec.storage[1]");
    }

    #[test]
    fn a_snapshot_class_of_which_a_cloud_says_two_things_is_not_in_place() {
        let lists = |drivers: &[&str]| -> TrustedCloudSpec {
            let lists: Vec<Value> = drivers.iter().map(|driver| json!({"driver": driver, "classes": ["snap"]})).collect();
            serde_json::from_value(json!({"offering": {"service": "s", "model": "IaaS"}, "snapshots": lists})).unwrap()
        };
        let (there, none) = ([("snap".to_owned(), Arc::new(found("snap", "csi", None, Value::Null)))].into(), BTreeMap::new());
        let in_place = |drivers: &[&str]| {
            let found = Found { storage: &none, snapshots: &there, attributes: &none };
            Classes::new([("snc", &lists(drivers))], found).snapshots.len()
        };
        assert_eq!((in_place(&["csi", "csi"]), in_place(&["csi", "nfs"]), in_place(&["nfs", "csi"])), (1, 0, 0));
    }

    #[test]
    fn what_is_not_cleared_for_every_level_is_closed() {
        let clearance = ClearanceSpec {
            clouds: [("snc".into(), vec!["a".into(), "b".into()]), ("aws".into(), vec!["a".into()])].into(),
            storage_classes: [("block".into(), "snc".into()), ("gp3".into(), "aws".into()), ("lost".into(), "gone".into())].into(),
            ..ClearanceSpec::default()
        };
        let all = ["block", "gp3", "lost", "standard"];
        assert_eq!(closed_to(&clearance, &["a"].into(), all), ["lost", "standard"]);
        assert_eq!(closed_to(&clearance, &["a", "b"].into(), all), ["gp3", "lost", "standard"]);
        assert_eq!(closed_to(&clearance, &["nosuch"].into(), all), all);
    }
}
