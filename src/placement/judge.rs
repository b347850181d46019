//! Whether a pod is where it may be.

use std::fmt;

use crate::api::ClearanceSpec;

/// Where a pod is, against where it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// On a node that is cleared for every level concerned.
    Compliant,
    /// On a node that is not.
    Violating(Why),
    /// Bound to no node yet.
    Unplaced,
}

/// Why a pod may not be where it is.
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
}

impl Why {
    /// The reason as one word, for status and events.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::UnknownLevel { .. } => "UnknownLevel",
            Self::NodeUnknown { .. } => "NodeUnknown",
            Self::NodeNotCleared { .. } => "NodeNotCleared",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownLevel { level } => write!(f, "no sensitivity level is named {level}"),
            Self::NodeUnknown { level } => write!(f, "the node belongs to no trusted cloud, {level} requires one"),
            Self::NodeNotCleared { level, cloud } => write!(f, "cloud {cloud} is not cleared for {level}"),
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
    let cleared = clearance.clouds.get(cloud).is_some_and(|levels| levels.iter().any(|cleared| cleared == level));
    (!cleared).then(|| Why::NodeNotCleared { level: level_owned(), cloud: cloud.clone() })
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
}
