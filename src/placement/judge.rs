//! Whether a pod, or the data of a claim, is where it may be.

use std::fmt;

use super::VolumeFacts;
use crate::api::ClearanceSpec;
use crate::api::reasons::Reason;

/// Where a pod or a claim is, against where it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// On a node, or on storage, that is cleared for every level concerned.
    Compliant,
    /// On one that is not.
    Violating(Why),
    /// Bound to no node, or to no volume that is known, yet.
    Unplaced,
}

/// Why something may not be where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The level does not exist, so nothing is cleared for it.
    UnknownLevel {
        /// Its name.
        level: String,
    },
    /// The node belongs to no trusted cloud that is known now.
    NodeUnknown {
        /// The level.
        level: String,
    },
    /// The node's cloud is not cleared for the level now.
    NodeNotCleared {
        /// The level.
        level: String,
        /// The node's cloud.
        cloud: String,
    },
    /// The volume's class belongs to no trusted cloud that is known now.
    ClassUnknown {
        /// The level.
        level: String,
        /// The class.
        class: String,
    },
    /// The cloud of the volume's class is not cleared for the level now.
    ClassNotCleared {
        /// The level.
        level: String,
        /// The class.
        class: String,
        /// Its cloud.
        cloud: String,
    },
    /// The volume is of another driver than its class.
    OtherDriver {
        /// The class.
        class: String,
        /// The volume's driver.
        driver: String,
    },
    /// The volume's own affinity leads to another cloud than that of its class.
    VolumeElsewhere {
        /// The cloud that its affinity requires.
        cloud: String,
    },
    /// The volume is attached to a node where a pod of the level may not be.
    AttachedElsewhere {
        /// The node.
        node: String,
    },
}

impl Why {
    /// The reason as one word, for status and events.
    pub fn reason(&self) -> Reason {
        match self {
            Self::UnknownLevel { .. } => Reason::UnknownLevel,
            Self::NodeUnknown { .. } => Reason::NodeUnknown,
            Self::NodeNotCleared { .. } => Reason::NodeNotCleared,
            Self::ClassUnknown { .. } => Reason::ClassUnknown,
            Self::ClassNotCleared { .. } => Reason::ClassNotCleared,
            Self::OtherDriver { .. } => Reason::OtherDriver,
            Self::VolumeElsewhere { .. } => Reason::VolumeElsewhere,
            Self::AttachedElsewhere { .. } => Reason::AttachedElsewhere,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownLevel { level } => write!(f, "no sensitivity level is named {level}"),
            Self::NodeUnknown { level } => write!(f, "the node belongs to no trusted cloud, {level} requires one"),
            Self::NodeNotCleared { level, cloud } => write!(f, "cloud {cloud} is not cleared for {level}"),
            Self::ClassUnknown { level, class } => write!(f, "class {class} belongs to no trusted cloud, {level} requires one"),
            Self::ClassNotCleared { level, class, cloud } => write!(f, "class {class} of cloud {cloud} is not cleared for {level}"),
            Self::OtherDriver { class, driver } => write!(f, "the volume is of driver {driver}, its class {class} is not"),
            Self::VolumeElsewhere { cloud } => write!(f, "the volume's affinity leads to cloud {cloud}, its class does not"),
            Self::AttachedElsewhere { node } => write!(f, "the volume is attached to node {node}, which is not cleared"),
        }
    }
}

/// Judges a pod that is on `node` against the levels that apply to it, in order; the first that fails is the reason.
/// A pod that no level applies to is compliant anywhere.
pub fn judge<'a>(clearance: &ClearanceSpec, levels: impl IntoIterator<Item = &'a str>, node: Option<&str>) -> Verdict {
    let mut levels = levels.into_iter().peekable();
    if levels.peek().is_none() {
        return Verdict::Compliant;
    }
    let Some(node) = node else { return Verdict::Unplaced };
    let cloud = clearance.nodes.get(node);
    levels.find_map(|level| objection(clearance, level, cloud)).map_or(Verdict::Compliant, Verdict::Violating)
}

fn objection(clearance: &ClearanceSpec, level: &str, cloud: Option<&String>) -> Option<Why> {
    let level_owned = || level.to_owned();
    if !clearance.levels.contains_key(level) {
        return Some(Why::UnknownLevel { level: level_owned() });
    }
    let Some(cloud) = cloud else { return Some(Why::NodeUnknown { level: level_owned() }) };
    (!clearance.clears(cloud, level)).then(|| Why::NodeNotCleared { level: level_owned(), cloud: cloud.clone() })
}

/// What a claim holds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Held<'a> {
    /// The volume; none if it has none, or one that nobody has seen.
    pub volume: Option<&'a VolumeFacts>,
    /// The driver of the volume's class; none if there is no such class any more.
    pub driver: Option<&'a str>,
    /// Nodes that the volume is attached to.
    pub nodes: &'a [&'a str],
}

/// Judges what a claim holds against the levels of its namespace; the first that fails is the reason. What counts is the volume:
/// a claim may be bound to one of another class than its own.
pub fn judge_claim<'a>(clearance: &ClearanceSpec, levels: impl IntoIterator<Item = &'a str>, held: Held<'_>) -> Verdict {
    let mut levels = levels.into_iter().peekable();
    if levels.peek().is_none() {
        return Verdict::Compliant;
    }
    let Some(volume) = held.volume else { return Verdict::Unplaced };
    levels.find_map(|level| objection_to_volume(clearance, level, volume, held)).map_or(Verdict::Compliant, Verdict::Violating)
}

/// Classes whose volumes are made by hand name this instead of a driver (Kubernetes, "Local").
const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

fn objection_to_volume(clearance: &ClearanceSpec, level: &str, volume: &VolumeFacts, held: Held<'_>) -> Option<Why> {
    if !clearance.levels.contains_key(level) {
        return Some(Why::UnknownLevel { level: level.to_owned() });
    }
    let class = volume.class.clone().unwrap_or_else(|| "(none)".to_owned());
    let Some(cloud) = volume.class.as_ref().and_then(|class| clearance.storage_classes.get(class)) else {
        return Some(Why::ClassUnknown { level: level.to_owned(), class });
    };
    if !clearance.clears(cloud, level) {
        return Some(Why::ClassNotCleared { level: level.to_owned(), class, cloud: cloud.clone() });
    }
    let other_driver = |driver: &&String| held.driver.is_some_and(|wanted| wanted != driver.as_str() && wanted != NO_PROVISIONER);
    if let Some(driver) = volume.driver.as_ref().filter(other_driver) {
        return Some(Why::OtherDriver { class, driver: driver.clone() });
    }
    if let Some(elsewhere) = volume.pinned.as_ref().filter(|pinned| *pinned != cloud) {
        return Some(Why::VolumeElsewhere { cloud: elsewhere.clone() });
    }
    let foreign = held.nodes.iter().find(|node| objection(clearance, level, clearance.nodes.get(**node)).is_some());
    foreign.map(|node| Why::AttachedElsewhere { node: (*node).to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::LevelClearance;

    fn clearance() -> ClearanceSpec {
        let level = || LevelClearance {
            not_after: "2026-12-01T00:00:00Z".parse().unwrap(),
            when_unset: String::new(),
            schedulers: vec![],
            inline_drivers: vec![],
        };
        ClearanceSpec {
            levels: [("interne".into(), level()), ("restreint".into(), level())].into(),
            clouds: [("snc".into(), vec!["interne".into(), "restreint".into()]), ("aws".into(), vec!["interne".into()])].into(),
            nodes: [("snc-1".into(), "snc".into()), ("aws-1".into(), "aws".into())].into(),
            ..ClearanceSpec::default()
        }
    }

    #[test]
    fn a_pod_is_compliant_only_where_every_level_is_cleared() {
        let not_cleared = |level: &str, cloud: &str| Verdict::Violating(Why::NodeNotCleared { level: level.into(), cloud: cloud.into() });
        let cases: &[(&[&str], Option<&str>, Verdict)] = &[
            (&[], Some("anywhere"), Verdict::Compliant),
            (&[], None, Verdict::Compliant),
            (&["restreint"], None, Verdict::Unplaced),
            (&["restreint"], Some("snc-1"), Verdict::Compliant),
            (&["restreint"], Some("aws-1"), not_cleared("restreint", "aws")),
            (&["interne"], Some("aws-1"), Verdict::Compliant),
            (&["interne", "restreint"], Some("aws-1"), not_cleared("restreint", "aws")),
            (&["interne"], Some("new-1"), Verdict::Violating(Why::NodeUnknown { level: "interne".into() })),
            (&["nosuch"], Some("snc-1"), Verdict::Violating(Why::UnknownLevel { level: "nosuch".into() })),
        ];
        for (levels, node, expected) in cases {
            assert_eq!(judge(&clearance(), levels.iter().copied(), *node), *expected, "{levels:?} on {node:?}");
        }
    }
    #[test]
    fn a_claim_is_compliant_only_where_its_volume_is_of_a_cleared_class_and_nothing_about_it_says_otherwise() {
        let mut clearance = clearance();
        clearance.storage_classes = [("snc-block".into(), "snc".into()), ("aws-gp3".into(), "aws".into())].into();
        let volume = |class: &str, driver: &str, pinned: &str| {
            let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            VolumeFacts { class: given(class), driver: given(driver), pinned: given(pinned) }
        };
        let (class, level) = (|class: &str| class.to_owned(), || "restreint".to_owned());
        let foreign = Why::ClassNotCleared { level: level(), class: class("aws-gp3"), cloud: "aws".into() };
        let cases: Vec<(VolumeFacts, &str, &[&str], Option<Why>)> = vec![
            (volume("snc-block", "csi", "snc"), "csi", &["snc-1"], None),
            (volume("snc-block", "csi", ""), "csi", &[], None),
            (volume("snc-block", "", "snc"), "csi", &[], None),
            (volume("snc-block", "csi", "snc"), "kubernetes.io/no-provisioner", &[], None),
            (volume("aws-gp3", "csi", "aws"), "csi", &[], Some(foreign)),
            (volume("standard", "csi", ""), "csi", &[], Some(Why::ClassUnknown { level: level(), class: class("standard") })),
            (volume("", "csi", ""), "csi", &[], Some(Why::ClassUnknown { level: level(), class: class("(none)") })),
            (volume("snc-block", "nfs", "snc"), "csi", &[], Some(Why::OtherDriver { class: class("snc-block"), driver: "nfs".into() })),
            (volume("snc-block", "csi", "aws"), "csi", &[], Some(Why::VolumeElsewhere { cloud: "aws".into() })),
            (volume("snc-block", "csi", "snc"), "csi", &["snc-1", "aws-1"], Some(Why::AttachedElsewhere { node: "aws-1".into() })),
        ];
        for (volume, driver, nodes, expected) in cases {
            let held = Held { volume: Some(&volume), driver: Some(driver), nodes };
            let expected = expected.map_or(Verdict::Compliant, Verdict::Violating);
            assert_eq!(judge_claim(&clearance, ["restreint"], held), expected, "{volume:?}");
            assert_eq!(judge_claim(&clearance, [], held), Verdict::Compliant, "no level, no question");
        }
        assert_eq!(judge_claim(&clearance, ["restreint"], Held::default()), Verdict::Unplaced);
    }
}
