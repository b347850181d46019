//! What of an object a mutation reads. The rest is passed over as it is read, for anybody may send it: a few bytes of JSON that nobody asks for would
//! otherwise take a hundred times as many in memory.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::api::names::NODE_CLOUD;

/// More labels, selectors or terms than any object has. What has more is not read, and must carry by itself what is demanded of it.
const MANY: usize = 1_000;

/// A pod, a DaemonSet, the template of one, a claim or a volume.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Object {
    #[serde(deserialize_with = "or_default")]
    pub(super) metadata: Metadata,
    #[serde(deserialize_with = "or_default")]
    pub(super) spec: Spec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) labels: Option<Texts>,
    pub(super) annotations: Option<Annotations>,
    #[serde(deserialize_with = "or_default")]
    pub(super) managed_fields: Vec<Managed>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Annotations {
    /// [`CLASS_ANNOTATION`](crate::api::names::CLASS_ANNOTATION)
    #[serde(rename = "volume.beta.kubernetes.io/storage-class")]
    pub(super) class: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Spec {
    pub(super) node_selector: Option<Texts>,
    pub(super) template: Option<Box<Object>>,
    pub(super) storage_class_name: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) node_affinity: Affinity,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Affinity {
    #[serde(deserialize_with = "or_default")]
    pub(super) required: Required,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Required {
    #[serde(deserialize_with = "or_default")]
    pub(super) node_selector_terms: Terms,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Term {
    #[serde(deserialize_with = "or_default")]
    pub(super) match_expressions: Vec<Expression>,
    /// How many there are; a vector of nothings takes no memory.
    #[serde(deserialize_with = "or_default")]
    pub(super) match_fields: Vec<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Expression {
    /// Whether it speaks of the cloud of a node.
    #[serde(rename = "key", deserialize_with = "is_cloud")]
    pub(super) is_of_cloud: bool,
}

/// What somebody owns.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Managed {
    #[serde(rename = "fieldsV1", deserialize_with = "or_default")]
    fields: Fields,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Fields {
    #[serde(rename = "f:spec", deserialize_with = "or_default")]
    spec: FieldsOfSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FieldsOfSpec {
    #[serde(rename = "f:storageClassName")]
    class: Option<IgnoredAny>,
}

impl Managed {
    pub(super) fn owns_class(&self) -> bool {
        self.fields.spec.class.is_some()
    }
}

/// Labels, or a node selector.
#[derive(Debug, Default)]
pub(super) struct Texts(BTreeMap<String, String>);

impl Texts {
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Few;
        impl<'de> Visitor<'de> for Few {
            type Value = Texts;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "a map of up to {MANY} texts")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
                let mut texts = BTreeMap::new();
                while let Some((key, text)) = map.next_entry()? {
                    if texts.len() == MANY {
                        return Err(A::Error::invalid_length(MANY + 1, &self));
                    }
                    texts.insert(key, text);
                }
                Ok(Texts(texts))
            }
        }
        from.deserialize_map(Few)
    }
}

/// Terms of an affinity. An answer may say something to each.
#[derive(Debug, Default)]
pub(super) struct Terms(pub(super) Vec<Term>);

impl<'de> Deserialize<'de> for Terms {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Few;
        impl<'de> Visitor<'de> for Few {
            type Value = Terms;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "a list of up to {MANY} terms")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Terms, A::Error> {
                let mut terms = Vec::new();
                while let Some(term) = list.next_element()? {
                    if terms.len() == MANY {
                        return Err(A::Error::invalid_length(MANY + 1, &self));
                    }
                    terms.push(term);
                }
                Ok(Terms(terms))
            }
        }
        from.deserialize_seq(Few)
    }
}

/// `null` says as much as nothing.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

fn is_cloud<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(String::deserialize(from)? == NODE_CLOUD)
}
