//! The fields of a kind, out of the schema of its CRD.

use std::collections::BTreeSet;

use rempart::api::{qualification, sensitivity_level, storage, values};
use schemars::{JsonSchema, schema_for};
use serde_json::Value;

/// A field as the reference shows it.
pub(super) struct Field {
    pub(super) path: String,
    pub(super) type_: String,
    pub(super) default: String,
    pub(super) meaning: String,
}

/// A set of values to choose from, each with what it means.
pub(super) struct Named {
    pub(super) meaning: String,
    pub(super) values: Vec<String>,
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What somebody may write there.
fn type_of(schema: &Value) -> String {
    let choice: Vec<String> = schema["enum"].as_array().into_iter().flatten().map(|value| format!("`{}`", text(value))).collect();
    match (text(&schema["type"]), text(&schema["format"])) {
        _ if !choice.is_empty() => choice.join(", "),
        ("array", _) => format!("list of {}", type_of(&schema["items"])),
        ("object", _) if schema["additionalProperties"].is_object() => format!("map of {}", type_of(&schema["additionalProperties"])),
        ("string", "date") => "date".to_owned(),
        ("string", "date-time") => "time".to_owned(),
        (plain, _) => plain.to_owned(),
    }
}

/// What it may not be longer or larger than, and the form that it has.
fn bounds(schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (least, most, unit) in
        [("minLength", "maxLength", "characters"), ("minItems", "maxItems", "entries"), ("minProperties", "maxProperties", "keys")]
    {
        match (schema[least].as_u64(), schema[most].as_u64()) {
            (Some(least), Some(most)) => found.push(format!("{least} to {most} {unit}")),
            (None, Some(most)) => found.push(format!("at most {most} {unit}")),
            (Some(least), None) => found.push(format!("at least {least} {unit}")),
            (None, None) => {}
        }
    }
    if let Some(pattern) = schema["pattern"].as_str() {
        found.push(format!("`{pattern}`"));
    }
    let each = [&schema["items"], &schema["additionalProperties"]].into_iter().filter(|inner| inner.is_object()).flat_map(bounds);
    found.extend(each.map(|bound| format!("each {bound}")));
    found
}

fn field(path: &str, schema: &Value, required: bool) -> Field {
    let default = match &schema["default"] {
        Value::Null => String::new(),
        Value::Object(fields) if fields.is_empty() => String::new(),
        Value::String(plain) => plain.clone(),
        other => other.to_string(),
    };
    let mut sentences: Vec<String> = vec![text(&schema["description"]).split_whitespace().collect::<Vec<_>>().join(" ")];
    let bounds = bounds(schema).join(", ");
    if !bounds.is_empty() {
        sentences.push(format!("{}{}.", bounds[..1].to_uppercase(), &bounds[1..]));
    }
    let items = [schema, &schema["items"], &schema["additionalProperties"]];
    let rules = items.into_iter().flat_map(|schema| schema["x-kubernetes-validations"].as_array().into_iter().flatten());
    sentences.extend(rules.map(|rule| format!("*{}.*", text(&rule["message"]))));
    let required = if required { ", required" } else { "" };
    Field {
        path: path.to_owned(),
        type_: format!("{}{required}", type_of(schema)),
        default,
        meaning: sentences.join(" ").trim().to_owned(),
    }
}

/// All fields below `path`, each before those inside it.
pub(super) fn of(path: &str, schema: &Value) -> Vec<Field> {
    let required: BTreeSet<&str> = schema["required"].as_array().into_iter().flatten().map(text).collect();
    let mut found = Vec::new();
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        found.push(field(&path, schema, required.contains(name.as_str())));
        // These have their own page.
        if path != "status.conditions" {
            found.extend(of(&path, schema));
            found.extend(of(&format!("{path}[]"), &schema["items"]));
            found.extend(of(&format!("{path}.*"), &schema["additionalProperties"]));
        }
    }
    found
}

/// Every set of values to choose from in a schema.
pub(super) fn enums_of(schema: &Value) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    match schema {
        Value::Object(fields) => {
            if let (Some(Value::Array(values)), Some(_)) = (fields.get("enum"), fields.get("type")) {
                // A condition's status has the three values of Kubernetes.
                let values: Vec<String> = values.iter().map(|value| text(value).to_owned()).collect();
                if values.iter().any(|value| value == "Unknown") {
                    return found;
                }
                found.insert(values);
            }
            found.extend(fields.values().flat_map(enums_of));
        }
        Value::Array(items) => found.extend(items.iter().flat_map(enums_of)),
        _ => {}
    }
    found
}

fn named<T: JsonSchema>() -> (Vec<String>, Named) {
    let schema = schema_for!(T).to_value();
    let choices: Vec<&Value> = schema["oneOf"].as_array().into_iter().flatten().collect();
    let value = |choice: &Value| text(&choice["const"]).to_owned();
    let meaning = |choice: &Value| text(&choice["description"]).replace('\n', " ");
    let values = choices.iter().map(|choice| value(choice)).collect();
    (values, Named { meaning: text(&schema["description"]).to_owned(), values: choices.into_iter().map(meaning).collect() })
}

/// What the values mean, from the comments in the code. Each set that is used must have some.
pub(super) fn explained(used: &BTreeSet<Vec<String>>) -> Vec<(Vec<String>, Named)> {
    let all = [
        named::<values::Model>(),
        named::<values::KeyCustody>(),
        named::<values::Isolation>(),
        named::<values::Veto>(),
        named::<qualification::Milestone>(),
        named::<qualification::EventType>(),
        named::<storage::ReclaimPolicy>(),
        named::<storage::VolumeNames>(),
        named::<storage::DriverUse>(),
        named::<sensitivity_level::Enforcement>(),
        named::<sensitivity_level::OnTrustLoss>(),
        named::<sensitivity_level::Credentials>(),
        named::<storage::StaticVolumes>(),
    ];
    for values in used {
        assert!(all.iter().any(|(known, _)| known == values), "nobody says what {values:?} mean");
    }
    all.into_iter().filter(|(values, _)| used.contains(values)).collect()
}
