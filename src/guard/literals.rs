//! What of the fleet stands in the text of the policies. Where a policy guards updates, or what belongs to no namespace, it has no parameter, because
//! one that is missing or unreadable would hinder the whole cluster; so the few names that it needs are literals.
//!
//! The YAML holds a name for each that nothing in a cluster can have, and keeps it: no list or map is ever empty.

use std::collections::{BTreeMap, BTreeSet};

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
pub(super) const NAMESPACE: &str = "rempart_namespace";
/// Stands for a driver.
const DRIVER: &str = "rempart_driver";
/// Stands for a driver that no plain user may use by hand.
const EXCLUSIVE_DRIVER: &str = "rempart_exclusive_driver";
/// Stands for a class whose volumes have other names than `pvc-<uid>`.
const NAMED_OTHERWISE: &str = "rempart_named_otherwise";
/// Stands for a level that takes static volumes.
const STATIC_LEVEL: &str = "rempart_static_level";

/// An expression with the names of the fleet in their places.
pub(super) fn filled(text: &str, settings: &Settings) -> String {
    if !text.contains("rempart_") {
        return text.to_owned();
    }
    let names = |all: &BTreeSet<String>, none: &str| -> Vec<String> { all.iter().map(|name| quoted(name)).chain([quoted(none)]).collect() };
    let classes = with_room(&settings.classes);
    let pairs = |all: &BTreeMap<String, String>, none: &str| {
        all.iter().map(|(key, value)| format!("{}: {}", quoted(key), quoted(value))).chain([none.to_owned()]).collect::<Vec<_>>()
    };
    let cleared = settings.cleared.iter().map(|(cloud, levels)| {
        let levels: Vec<String> = levels.iter().map(|level| quoted(level)).collect();
        format!("{}: [{}]", quoted(cloud), levels.join(", "))
    });
    // In one pass: what is filled in is never looked at again.
    let no_class = format!("'{CLASS}': '{CLOUD}'");
    let no_attributes = format!("'{ATTRIBUTES_CLASS}': '{CLOUD}'");
    let no_cloud = format!("'{CLOUD}': ['{LEVEL}']");
    let no_namespace = format!("'{NAMESPACE}': '{LEVEL}'");
    let places = [
        (no_class.clone(), pairs(&classes, &no_class)),
        (no_attributes.clone(), pairs(&settings.attributes_clouds, &no_attributes)),
        (no_cloud.clone(), cleared.chain([no_cloud.clone()]).collect()),
        (no_namespace.clone(), pairs(&known(settings), &no_namespace)),
        (quoted(CLASS), names(&classes.keys().cloned().collect(), CLASS)),
        (quoted(SNAPSHOT_CLASS), names(&settings.snapshot_classes, SNAPSHOT_CLASS)),
        (quoted(ATTRIBUTES_CLASS), names(&settings.attributes_classes, ATTRIBUTES_CLASS)),
        (quoted(DRIVER), names(&settings.drivers, DRIVER)),
        (quoted(EXCLUSIVE_DRIVER), names(&settings.exclusive_drivers, EXCLUSIVE_DRIVER)),
        (quoted(NAMED_OTHERWISE), names(&settings.named_otherwise, NAMED_OTHERWISE)),
        (quoted(STATIC_LEVEL), names(&settings.static_levels, STATIC_LEVEL)),
    ];
    let (mut filled, mut rest) = (String::new(), text);
    while let Some((at, place, values)) =
        places.iter().filter_map(|(place, values)| Some((rest.find(place.as_str())?, place, values))).min_by_key(|(at, ..)| *at)
    {
        filled.push_str(&rest[..at]);
        filled.push_str(&values.join(", "));
        rest = &rest[at + place.len()..];
    }
    filled + rest
}

/// The namespaces that are named in the text. Those that find no room are parameters of the policy, which costs more, and guards them as well.
pub(super) fn known(settings: &Settings) -> BTreeMap<String, String> {
    with_room(&settings.namespaces)
}

/// As many as find room in an expression: an API server takes 100,000 characters, and refuses the whole policy otherwise. A class that
/// finds none is cleared for nothing.
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

/// A string literal of the expression language.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'").replace('\n', r"\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            r"d in ['rempart_level\'] || true || [\'x', 'rempart_static_level', 'rempart_driver'] || l in ['rempart_static_level']"
        );
    }

    #[test]
    fn namespaces_that_find_no_room_are_left_to_the_parameters() {
        let namespaces = |count: usize| -> BTreeMap<String, String> { (0..count).map(|i| (format!("n{i:062}"), "l".repeat(63))).collect() };
        let all = Settings { namespaces: namespaces(500), ..Settings::default() };
        assert_eq!(known(&all), all.namespaces);
        let many = Settings { namespaces: namespaces(2_000), ..Settings::default() };
        let text = filled("{'rempart_namespace': 'rempart_level'}", &many);
        assert!(text.len() < 95_000, "{}", text.len());
        assert_eq!(text.matches(": ").count(), known(&many).len() + 1);
    }
}
