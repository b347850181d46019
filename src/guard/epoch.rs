//! The objects that show which version of the policies an API server uses.

use std::sync::LazyLock;

use serde_json::Value;

use super::policies::{AdmissionObject, finished, items};

/// Name of the four objects.
pub const EPOCH: &str = "rempart-epoch";

/// Stands in the YAML for the epoch.
const NONE: &str = "rempart-epoch-none";

static SOURCE: LazyLock<Vec<Value>> = LazyLock::new(|| items(include_str!("policies/05-epoch.yaml")));

/// The objects for `epoch`. They are to be written after everything that it stands for: an API server that names it, as
/// [`answer`] has it, then uses all of that, because it takes up all its policies and bindings at once.
pub fn epoch(epoch: &str) -> Vec<AdmissionObject> {
    let mut objects: Vec<_> = SOURCE.iter().map(|object| finished(filled(object.clone(), epoch))).collect();
    objects.sort_by_key(|object| object.kind);
    objects
}

/// What an API server says of `epoch` in its refusal. Where it serves no mutating policies there is nothing to say of them.
pub fn answer(epoch: &str, mutates: bool) -> String {
    format!("validating {epoch}, mutating {}", if mutates { epoch } else { "nothing" })
}

fn filled(value: Value, epoch: &str) -> Value {
    match value {
        Value::String(text) => text.replace(NONE, epoch).into(),
        Value::Array(items) => items.into_iter().map(|item| filled(item, epoch)).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, field)| (name, filled(field, epoch))).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_halves_name_the_epoch_and_match_it_only() {
        let text: Vec<_> = epoch("abc").into_iter().map(|object| object.object.to_string()).collect();
        assert_eq!(text.len(), 4);
        assert!(text.iter().all(|text| text.contains("abc") && !text.contains(NONE)), "{text:?}");
    }
}
