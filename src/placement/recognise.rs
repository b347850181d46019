//! Which cloud a node belongs to.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt};
use regex::{Regex, RegexBuilder};

use super::NodeFacts;
use crate::api::TrustedCloudSpec;
use crate::trust::Problem;

/// Memory that one compiled expression may take: a nested repetition must not eat the operator.
const EXPRESSION_LIMIT: usize = 256 * 1024;

/// What to write instead of an expression that cannot be used.
const HOW_TO_MATCH: &str =
    "write a regular expression for the whole provider ID, without look-around or back-references, such as openstack:///region-1/.*";

/// The perimeters of all clouds, ready to match nodes.
#[derive(Debug, Default)]
pub struct Perimeters {
    clouds: BTreeMap<String, Vec<Entry>>,
    problems: BTreeMap<String, Vec<Problem>>,
}

/// The cloud that a node belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Belonging<'a> {
    /// Exactly one.
    Cloud(&'a str),
    /// More than one: it gets nothing.
    Ambiguous(Vec<&'a str>),
    /// None.
    Nowhere,
}

#[derive(Debug)]
struct Entry {
    provider_id: Option<Regex>,
    selector: Option<Selector>,
}

impl Perimeters {
    /// Compiles `spec.nodes` of every cloud. A cloud of which one entry cannot be read has a problem; whoever places by what it
    /// claims must look at [`Self::problems`] first.
    pub fn new<'a>(clouds: impl IntoIterator<Item = (&'a str, &'a TrustedCloudSpec)>) -> Self {
        let mut perimeters = Self::default();
        for (name, spec) in clouds {
            let mut problems = Vec::new();
            let mut entries = Vec::new();
            for (index, entry) in spec.nodes.iter().enumerate() {
                let path = format!("spec.nodes[{index}]");
                let mut note = |field: &str, message: String| problems.push(Problem::new(format!("{path}{field}"), message));
                let provider_id = entry
                    .provider_id
                    .as_deref()
                    .map(|text| whole(text).map_err(|error| note(".providerID", format!("{error}: {HOW_TO_MATCH}"))));
                let selector = entry.selector.as_ref().map(|selector| readable(selector).map_err(|message| note(".selector", message)));
                match (provider_id.transpose(), selector.transpose()) {
                    (Ok(None), Ok(None)) => note("", "an empty entry would match every node: give providerID, selector or both".into()),
                    (Ok(provider_id), Ok(selector)) => entries.push(Entry { provider_id, selector }),
                    _ => {}
                }
            }
            // What can be read goes on claiming its nodes: a node that two clouds shared must not become one's alone because
            // the other has a mistake elsewhere.
            perimeters.clouds.insert(name.to_owned(), entries);
            if !problems.is_empty() {
                perimeters.problems.insert(name.to_owned(), problems);
            }
        }
        perimeters
    }

    /// What is wrong with the entries of `cloud`.
    pub fn problems(&self, cloud: &str) -> &[Problem] {
        self.problems.get(cloud).map_or(&[], Vec::as_slice)
    }

    /// The cloud that `node` belongs to.
    pub fn belonging(&self, node: &NodeFacts) -> Belonging<'_> {
        let mut matches =
            self.clouds.iter().filter(|(_, entries)| entries.iter().any(|entry| entry.matches(node))).map(|(name, _)| name.as_str());
        match (matches.next(), matches.next()) {
            (None, _) => Belonging::Nowhere,
            (Some(only), None) => Belonging::Cloud(only),
            (Some(first), Some(second)) => Belonging::Ambiguous([first, second].into_iter().chain(matches).collect()),
        }
    }
}

impl Entry {
    fn matches(&self, node: &NodeFacts) -> bool {
        let provider_id = self.provider_id.as_ref().is_none_or(|regex| node.provider_id.as_deref().is_some_and(|id| regex.is_match(id)));
        let selector = self.selector.as_ref().is_none_or(|selector| selector.matches(&node.labels));
        provider_id && selector
    }
}

/// `text` as an expression that must match from end to end. It is compiled alone first, so that no unbalanced
/// parenthesis can end the group that it is wrapped in.
fn whole(text: &str) -> Result<Regex, String> {
    let compile = |text: &str| RegexBuilder::new(text).size_limit(EXPRESSION_LIMIT).build();
    compile(text).and_then(|_| compile(&format!(r"\A(?:{text})\z"))).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "the expression is too large".to_owned(),
        // The library draws the place on several lines; its last line says what is wrong.
        other => other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
    })
}

fn readable(selector: &LabelSelector) -> Result<Selector, String> {
    let empty =
        selector.match_labels.as_ref().is_none_or(BTreeMap::is_empty) && selector.match_expressions.as_ref().is_none_or(Vec::is_empty);
    if empty {
        return Err("an empty selector would match every node: name a label".into());
    }
    for expression in selector.match_expressions.iter().flatten() {
        let (operator, none) = (expression.operator.as_str(), expression.values.as_ref().is_none_or(Vec::is_empty));
        // `NotIn` with no values would match every node. Kubernetes refuses these selectors wherever it reads one.
        match operator {
            "In" | "NotIn" if none => return Err(format!("{operator} without values: name values of label {}", expression.key)),
            "Exists" | "DoesNotExist" if !none => return Err(format!("{operator} with values: remove them, or use In or NotIn")),
            _ => {}
        }
    }
    selector.clone().try_into().map_err(|error| format!("{error}: use the operators In, NotIn, Exists or DoesNotExist"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::trusted_cloud::NodeMatch;

    /// Provider ID and label of an entry.
    type Sketch<'a> = (Option<&'a str>, Option<(&'a str, &'a str)>);

    fn cloud(entries: &[Sketch<'_>]) -> TrustedCloudSpec {
        let nodes = entries.iter().map(|(provider_id, label)| NodeMatch {
            provider_id: provider_id.map(Into::into),
            selector: label.map(|(key, value)| LabelSelector {
                match_labels: Some([(key.to_owned(), value.to_owned())].into()),
                ..LabelSelector::default()
            }),
        });
        TrustedCloudSpec {
            nodes: nodes.collect(),
            ..serde_json::from_value(serde_json::json!({"offering": {"service": "s", "model": "IaaS"}})).unwrap()
        }
    }

    fn node(provider_id: &str, labels: &[(&str, &str)]) -> NodeFacts {
        NodeFacts {
            name: "n".into(),
            uid: "u".into(),
            provider_id: Some(provider_id.into()),
            labels: labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
        }
    }

    #[test]
    fn a_provider_id_matches_as_a_whole_or_not_at_all() {
        let cases = [
            ("openstack:///fr1/.*", "openstack:///fr1/abc", true),
            ("openstack:///fr1/.*", "xopenstack:///fr1/abc", false),
            ("openstack:///fr1/", "openstack:///fr1/abc", false),
            ("a|ab", "ab", true),
            ("a|b", "axb", false),
            ("(?i)AWS:///.*", "aws:///x", true),
            ("(?x) aws # note", "aws", false), // the wrapped form cannot be compiled: refused, not loosened
        ];
        for (pattern, id, expected) in cases {
            let spec = cloud(&[(Some(pattern), None)]);
            let perimeters = Perimeters::new([("c", &spec)]);
            assert_eq!(perimeters.belonging(&node(id, &[])) == Belonging::Cloud("c"), expected, "{pattern} on {id}");
        }
    }

    #[test]
    fn an_entry_needs_all_of_itself_and_a_cloud_any_of_its_entries() {
        let spec = cloud(&[(Some("aws:///.*"), Some(("account", "ours"))), (None, Some(("pool", "snc")))]);
        let perimeters = Perimeters::new([("c", &spec)]);
        assert_eq!(perimeters.belonging(&node("aws:///1", &[("account", "ours")])), Belonging::Cloud("c"));
        assert_eq!(perimeters.belonging(&node("aws:///1", &[("account", "theirs")])), Belonging::Nowhere);
        assert_eq!(perimeters.belonging(&node("gce://1", &[("pool", "snc")])), Belonging::Cloud("c"));
    }

    #[test]
    fn a_node_of_two_clouds_belongs_to_none() {
        let (one, other) = (cloud(&[(Some("aws:///.*"), None)]), cloud(&[(Some("aws:///eu-.*"), None)]));
        let perimeters = Perimeters::new([("one", &one), ("other", &other)]);
        assert_eq!(perimeters.belonging(&node("aws:///eu-1", &[])), Belonging::Ambiguous(vec!["one", "other"]));
        assert_eq!(perimeters.belonging(&node("aws:///us-1", &[])), Belonging::Cloud("one"));
    }

    #[test]
    fn what_cannot_be_read_matches_nothing_says_what_to_write_and_frees_no_node() {
        let hostile = format!("({}){{500}}", "a{500}");
        for pattern in ["(", "a)|(b", "(?=x)", "[z-a]", hostile.as_str()] {
            let (spec, other) = (cloud(&[(Some(pattern), None), (Some("b.*"), None)]), cloud(&[(Some("bb"), None)]));
            let perimeters = Perimeters::new([("c", &spec), ("other", &other)]);
            assert_eq!(perimeters.belonging(&node("a", &[])), Belonging::Nowhere, "{pattern}");
            assert_eq!(perimeters.belonging(&node("bb", &[])), Belonging::Ambiguous(vec!["c", "other"]), "{pattern}");
            let problem = &perimeters.problems("c")[0];
            assert_eq!(problem.field, "spec.nodes[0].providerID");
            assert!(problem.message.contains("write a regular expression"), "{}", problem.message);
        }
    }

    #[test]
    fn a_selector_that_kubernetes_refuses_is_refused_here_and_matches_nothing() {
        let expressions = [
            serde_json::json!({"key": "pool", "operator": "NotIn", "values": []}),
            serde_json::json!({"key": "pool", "operator": "NotIn"}),
            serde_json::json!({"key": "pool", "operator": "In", "values": []}),
            serde_json::json!({"key": "pool", "operator": "Exists", "values": ["snc"]}),
            serde_json::json!({"key": "pool", "operator": "DoesNotExist", "values": ["snc"]}),
            serde_json::json!({"key": "pool", "operator": "Gt", "values": ["1"]}),
        ];
        for expression in expressions {
            let mut spec = cloud(&[(None, Some(("pool", "snc")))]);
            spec.nodes[0].selector = serde_json::from_value(serde_json::json!({"matchExpressions": [expression]})).unwrap();
            let perimeters = Perimeters::new([("c", &spec)]);
            assert_eq!(perimeters.belonging(&node("any", &[])), Belonging::Nowhere, "{expression}");
            assert_eq!(perimeters.problems("c").len(), 1, "{expression}");
            assert_eq!(perimeters.problems("c")[0].field, "spec.nodes[0].selector");
        }
    }
}
