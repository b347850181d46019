//! What of the fleet stands in the text of the policies. Where a policy guards updates, or what belongs to no namespace, it has no parameter, because
//! one that is missing or unreadable would hinder the whole cluster; so the few names that it needs are literals.
//!
//! The YAML holds a name for each that nothing in a cluster can have, and keeps it: no list or map is ever empty.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::{AdmissionObject, Settings};

/// Stands in the YAML for a storage class.
const CLASS: &str = "rempart_class";
/// Stands for a snapshot class.
const SNAPSHOT_CLASS: &str = "rempart_snapshot_class";
/// Stands for a volume attributes class.
const ATTRIBUTES_CLASS: &str = "rempart_attributes_class";
/// Stands for a cloud.
const CLOUD: &str = "rempart_cloud";
/// Stands for a level.
const LEVEL: &str = "rempart_level";
/// Stands for a namespace.
const NAMESPACE: &str = "rempart_namespace";
/// Stands for a driver.
const DRIVER: &str = "rempart_driver";
/// Stands for a driver that no plain user may use by hand.
const EXCLUSIVE_DRIVER: &str = "rempart_exclusive_driver";
/// Stands for a class whose volumes have other names than `pvc-<uid>`.
const NAMED_OTHERWISE: &str = "rempart_named_otherwise";
/// Stands for a level that takes static volumes.
const STATIC_LEVEL: &str = "rempart_static_level";

/// The places of a text, and what belongs there; of two that begin alike, the longer one comes first. What is filled in is never looked at again.
pub(super) struct Literals {
    /// Parts of expressions.
    pub(super) places: Vec<(String, String)>,
    /// Items of lists.
    pub(super) items: Vec<(&'static str, Vec<Value>)>,
}

impl Literals {
    /// What of the fleet stands in the text.
    pub(super) fn of(settings: &Settings) -> Self {
        let listed = |all: &mut dyn Iterator<Item = &String>, none: &str| {
            let all = all.map(|name| quoted(name)).chain([placed(none)]);
            (placed(none), all.collect::<Vec<_>>().join(", "))
        };
        let mapped = |all: &mut dyn Iterator<Item = (&String, String)>, none: String| {
            let all = all.map(|(key, value)| format!("{}: {value}", quoted(key))).chain([none.clone()]);
            (none, all.collect::<Vec<_>>().join(", "))
        };
        let pairs = |all: &BTreeMap<String, String>, key: &str, value: &str| {
            mapped(&mut all.iter().map(|(key, value)| (key, quoted(value))), format!("{}: {}", placed(key), placed(value)))
        };
        let mut cleared = settings.cleared.iter().map(|(cloud, levels)| {
            let levels: Vec<String> = levels.iter().map(|level| quoted(level)).collect();
            (cloud, format!("[{}]", levels.join(", ")))
        });
        let (classes, namespaces) = (with_room(&settings.classes), with_room(&settings.namespaces));
        let places = vec![
            pairs(&classes, CLASS, CLOUD),
            pairs(&settings.attributes_clouds, ATTRIBUTES_CLASS, CLOUD),
            mapped(&mut cleared, format!("{}: [{}]", placed(CLOUD), placed(LEVEL))),
            pairs(&namespaces, NAMESPACE, LEVEL),
            listed(&mut classes.keys(), CLASS),
            listed(&mut settings.snapshot_classes.iter(), SNAPSHOT_CLASS),
            listed(&mut settings.attributes_classes.iter(), ATTRIBUTES_CLASS),
            listed(&mut settings.drivers.iter(), DRIVER),
            listed(&mut settings.exclusive_drivers.iter(), EXCLUSIVE_DRIVER),
            listed(&mut settings.named_otherwise.iter(), NAMED_OTHERWISE),
            listed(&mut settings.static_levels.iter(), STATIC_LEVEL),
        ];
        let namespaces = namespaces.keys().map(String::as_str).chain([NAMESPACE]).map(Value::from).collect();
        Self { places, items: vec![(NAMESPACE, namespaces)] }
    }

    /// Fills in the expressions and lists of an object.
    pub(super) fn fill_in(&self, value: &mut Value) {
        match value {
            Value::String(text) if text.contains(QUOTE) => *text = self.filled(text),
            Value::Array(items) => {
                let mut filled = Vec::with_capacity(items.len());
                for mut item in std::mem::take(items) {
                    if let Some((_, values)) = self.items.iter().find(|(place, _)| item == *place) {
                        filled.extend(values.iter().cloned());
                    } else {
                        self.fill_in(&mut item);
                        filled.push(item);
                    }
                }
                *items = filled;
            }
            Value::Object(fields) => fields.values_mut().for_each(|field| self.fill_in(field)),
            _ => {}
        }
    }

    /// An expression with everything in its place.
    fn filled(&self, text: &str) -> String {
        let (mut filled, mut rest) = (String::with_capacity(text.len()), text);
        while let Some(at) = rest.find([LIST, QUOTE]) {
            let (before, after) = rest.split_at(at);
            filled.push_str(before);
            let found = self.places.iter().find_map(|(place, values)| Some((after.strip_prefix(place.as_str())?, values.as_str())));
            let (values, next) = found.map_or_else(|| after.split_at(1), |(next, values)| (values, next));
            filled.push_str(values);
            rest = next;
        }
        filled + rest
    }
}

/// A place begins with one of these: a literal, or a list of some.
const QUOTE: char = '\'';
const LIST: char = '[';

/// As many as find room in an expression: an API server takes 100,000 characters, and refuses the whole policy otherwise. A class that
/// finds none is cleared for nothing; a namespace is a parameter of the policy, which costs more, and guards it as well.
fn with_room(all: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    const ROOM: usize = 90_000;
    let mut taken = 0;
    let named = all.iter().take_while(|(key, value)| {
        taken += key.len() + value.len() + "'': '', ".len();
        taken <= ROOM
    });
    named.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// A namespace that leaves the text of a policy must be a parameter again before: nothing would judge its volumes in between. So a binding that leaves
/// out namespaces which it is not to leave out any more is written before its policy, and like this: with none that it did not leave out already.
pub fn without_stale_exceptions(binding: &AdmissionObject, stored: &Value) -> Option<AdmissionObject> {
    let exceptions = |spec: &Value| -> Option<(usize, Vec<Value>)> {
        let expressions = spec["paramRef"]["selector"]["matchExpressions"].as_array()?;
        expressions.iter().enumerate().find_map(|(place, expression)| {
            let values = expression["values"].as_array()?;
            values.iter().any(|value| value == NAMESPACE).then(|| (place, values.clone()))
        })
    };
    let ((place, wanted), (_, found)) = (exceptions(&binding.object["spec"])?, exceptions(stored)?);
    if found.iter().all(|namespace| wanted.contains(namespace)) {
        return None;
    }
    let mut first = binding.clone();
    let kept: Vec<Value> = wanted.into_iter().filter(|namespace| found.contains(namespace)).collect();
    first.object["spec"]["paramRef"]["selector"]["matchExpressions"][place]["values"] = kept.into();
    Some(first)
}

/// What every name begins with that stands for something of the fleet.
const PLACE: &str = "rempart_";

/// A string literal of the expression language, in which no control character may stand as it is: some end the literal. Nor does it ever look
/// like a place, because the text that it is filled into may be filled in again.
pub(super) fn quoted(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    for character in text.chars() {
        match character {
            '\\' | '\'' => literal.extend(['\\', character]),
            control if control.is_control() => {
                let _ = write!(literal, r"\u{:04x}", u32::from(control));
            }
            other => literal.push(other),
        }
    }
    format!("'{}'", literal.replace(PLACE, r"rempart\u005f"))
}

/// How the text holds a place.
fn placed(name: &str) -> String {
    format!("'{name}'")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn filled(text: &str, settings: &Settings) -> String {
        Literals::of(settings).filled(text)
    }

    fn settings() -> Settings {
        let pairs = |all: &[(&str, &str)]| all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Settings {
            classes: pairs(&[("fast", "alpha"), ("slow", "beta")]),
            cleared: [("alpha".to_owned(), ["interne".to_owned(), "restreint".to_owned()].into()), ("beta".to_owned(), BTreeSet::new())]
                .into(),
            drivers: ["disk.example".to_owned()].into(),
            namespaces: pairs(&[("emr", "restreint")]),
            ..Settings::default()
        }
    }

    #[test]
    fn maps_and_lists_are_filled_in_and_never_empty() {
        let text = "{'rempart_class': 'rempart_cloud'}[c] in {'rempart_cloud': ['rempart_level']}[x] || c in ['rempart_class'] \
            || {'rempart_namespace': 'rempart_level'}[n] == '' || d in ['rempart_driver'] || d in ['rempart_exclusive_driver']";
        assert_eq!(
            filled(text, &settings()),
            "{'fast': 'alpha', 'slow': 'beta', 'rempart_class': 'rempart_cloud'}[c] \
             in {'alpha': ['interne', 'restreint'], 'beta': [], 'rempart_cloud': ['rempart_level']}[x] || c in ['fast', 'slow', 'rempart_class'] \
             || {'emr': 'restreint', 'rempart_namespace': 'rempart_level'}[n] == '' \
             || d in ['disk.example', 'rempart_driver'] || d in ['rempart_exclusive_driver']"
        );
        assert_eq!(filled(text, &Settings::default()), text);
    }

    #[test]
    fn what_is_filled_in_is_text_and_never_a_place_or_an_expression() {
        let named =
            Settings { drivers: ["rempart_level'] || true || ['x".to_owned(), "rempart_static_level".to_owned()].into(), ..settings() };
        let filled = filled("d in ['rempart_driver'] || l in ['rempart_static_level']", &named);
        assert_eq!(
            filled,
            r"d in ['rempart\u005flevel\'] || true || [\'x', 'rempart\u005fstatic_level', 'rempart_driver'] || l in ['rempart_static_level']"
        );
    }

    #[test]
    fn namespaces_that_find_no_room_are_left_to_the_parameters() {
        let namespaces = |count: usize| -> BTreeMap<String, String> { (0..count).map(|i| (format!("n{i:062}"), "l".repeat(63))).collect() };
        let all = Settings { namespaces: namespaces(500), ..Settings::default() };
        assert_eq!(with_room(&all.namespaces), all.namespaces);
        let many = Settings { namespaces: namespaces(2_000), ..Settings::default() };
        let text = filled("{'rempart_namespace': 'rempart_level'}", &many);
        assert!(text.len() < 95_000, "{}", text.len());
        assert_eq!(text.matches(": ").count(), with_room(&many.namespaces).len() + 1);
    }
}
