//! Values that a schema of a CRD lets through, and whether it lets one through. Rules in CEL are not read: what they refuse
//! may have been stored before there were any.

use jiff::Timestamp;
use jiff::civil::Date;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::string::string_regex;
use regex::Regex;
use serde_json::{Map, Value};

/// Names of objects, so that some of them name each other.
pub(super) const NAMES: [&str; 4] = ["one", "two", "three", "rempart-canary"];

/// Any value that `schema` lets through. `path` says what it is, so that names are often those of something.
pub(super) fn value(schema: &Value, path: &str) -> BoxedStrategy<Value> {
    let plain = match schema["type"].as_str() {
        Some("object") => object(schema, path),
        Some("array") => array(schema, path),
        Some("string") => string(schema, path),
        Some("integer") if schema["format"] == "int32" => any::<i32>().prop_map(Value::from).boxed(),
        Some("integer") => any::<i64>().prop_map(Value::from).boxed(),
        Some("boolean") => any::<bool>().prop_map(Value::from).boxed(),
        other => panic!("{path} has type {other:?}"),
    };
    if schema["nullable"] == true { prop_oneof![9 => plain, 1 => Just(Value::Null)].boxed() } else { plain }
}

fn object(schema: &Value, path: &str) -> BoxedStrategy<Value> {
    if let Some(values) = schema.get("additionalProperties") {
        let least = usize_of(&schema["minProperties"], 0);
        let entries = btree_map(names(path).unwrap_or_else(|| text(0, 63)), value(values, path), least..=least + 3);
        return entries.prop_map(|entries| Value::Object(entries.into_iter().collect())).boxed();
    }
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let fields = schema["properties"].as_object().into_iter().flatten().map(|(name, field)| {
        let value = value(field, &format!("{path}.{name}"));
        let there = required.contains(&name.as_str());
        (Just(name.clone()), if there { value.prop_map(Some).boxed() } else { proptest::option::weighted(0.6, value).boxed() })
    });
    let fields: Vec<_> = fields.collect();
    fields.prop_map(|fields| fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect::<Map<_, _>>().into()).boxed()
}

fn array(schema: &Value, path: &str) -> BoxedStrategy<Value> {
    let (least, most) = (usize_of(&schema["minItems"], 0), usize_of(&schema["maxItems"], 3));
    vec(value(&schema["items"], path), least..=most.clamp(least, least + 2)).prop_map(Value::Array).boxed()
}

fn string(schema: &Value, path: &str) -> BoxedStrategy<Value> {
    if let Some(allowed) = schema["enum"].as_array() {
        return select(allowed.clone()).boxed();
    }
    let (least, most) = (usize_of(&schema["minLength"], 0), usize_of(&schema["maxLength"], 300));
    let any = match (schema["format"].as_str(), schema["pattern"].as_str()) {
        (Some("date"), _) => date(),
        (_, Some(pattern)) => string_regex(pattern.trim_start_matches('^').trim_end_matches('$')).unwrap().boxed(),
        (Some("date-time"), None) => instant(),
        _ => text(least, most),
    };
    let found = match names(path) {
        Some(known) => prop_oneof![3 => known, 1 => any].boxed(),
        None => any,
    };
    found
        .prop_filter_map("does not fit", {
            let schema = schema.clone();
            move |text| Some(Value::String(text)).filter(|text| accepts(&schema, text).is_ok())
        })
        .boxed()
}

/// What somebody would write there.
fn names(path: &str) -> Option<BoxedStrategy<String>> {
    let field = path.rsplit('.').next().unwrap_or_default();
    let known: &[&str] = match field {
        "cloud" | "clouds" | "clears" | "extends" | "level" | "levels" | "nodes" | "namespaces" | "eligibleClouds" => &NAMES,
        "timeZone" => {
            &["Europe/Paris", "europe/paris", "Pacific/Apia", "America/Havana", "UTC", "Etc/Unknown", "Mars/Base", "+02:00", "CET-1"]
        }
        "scheme" => &["secnumcloud", "hds", "eucs", "on-premises", "c5"],
        "providerID" => &[
            "kwok://one/.*",
            ".*",
            "(",
            "(?x)a # b",
            "a|b",
            "(a{999}){999}",
            r"\p{L}{50}",
            "[[:alpha:]]+",
            "(?i)ÉTÉ",
            "(?:)*",
            "^$",
            r"\b\B",
            "\\",
        ],
        "operator" if path.contains("selector") => &["In", "NotIn", "Exists", "DoesNotExist", "in", ""],
        "version" | "minimumVersion" => &["3.2", "3.10", "", ".", "..", "3..2", "340282366920938463463374607431768211456"],
        _ => return None,
    };
    Some(select(known.to_vec()).prop_map(ToOwned::to_owned).boxed())
}

/// Text of so many characters: short and plain, or anything, or as long as may be.
pub(super) fn text(least: usize, most: usize) -> BoxedStrategy<String> {
    let anything = vec(any::<char>(), least..=most.clamp(least, least + 12)).prop_map(|text| text.into_iter().collect());
    let nasty = [
        "",
        "é",
        "a",
        "A.b",
        "-",
        "\u{0}",
        "\n",
        "'",
        "\"",
        "{{",
        "ﷺ",
        "🏥",
        "\u{202e}x",
        "%s",
        "../..",
        "null",
        "rempart.dev/sensitivity",
    ];
    let nasty = select(nasty.to_vec()).prop_map(ToOwned::to_owned);
    let long = select(vec!["x", "é", "\u{10ffff}"]).prop_map(move |letter| letter.repeat(most));
    prop_oneof![4 => anything, 4 => nasty, 1 => long].boxed()
}

fn date() -> BoxedStrategy<String> {
    let near = (2024..2030i16, 1..=12i8, 1..=28i8).prop_map(|(year, month, day)| Date::constant(year, month, day).to_string());
    let far = select(vec!["0000-01-01", "0001-01-01", "9999-12-31", "9999-12-30", "2028-02-29", "1970-01-01", "2011-12-30"]);
    prop_oneof![3 => near, 1 => far.prop_map(ToOwned::to_owned)].boxed()
}

/// Instants as Go reads them, which is not always as Rust does.
pub(super) fn instant() -> BoxedStrategy<String> {
    let near = (1_700_000_000..1_900_000_000i64).prop_map(|second| Timestamp::from_second(second).unwrap().to_string());
    let far = select(vec![
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59.999999999-14:00",
        "1969-12-31T23:59:59.999Z",
        "2026-11-25T12:00:00.000000001+02:00",
        "2026-11-25t12:00:00z",
        "2016-12-31T23:59:60Z",
    ]);
    prop_oneof![3 => near, 1 => far.prop_map(ToOwned::to_owned)].boxed()
}

/// Whether `schema` lets `value` through as it is; if not, why not. A field that it does not know would be dropped.
pub(super) fn accepts(schema: &Value, value: &Value) -> Result<(), String> {
    let within = |size: usize, least: &str, most: &str| {
        let fits = size >= usize_of(&schema[least], 0) && size <= usize_of(&schema[most], usize::MAX);
        if fits { Ok(()) } else { Err(format!("{size} is not within {} and {}", schema[least], schema[most])) }
    };
    match (schema["type"].as_str(), value) {
        (_, Value::Null) if schema["nullable"] == true => Ok(()),
        (Some("object"), Value::Object(fields)) => {
            within(fields.len(), "minProperties", "maxProperties")?;
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            if let Some(missing) = required.into_iter().find(|name| !fields.contains_key(*name)) {
                return Err(format!("{missing} is missing"));
            }
            fields.iter().try_for_each(|(name, value)| {
                let field = schema
                    .get("additionalProperties")
                    .or_else(|| schema["properties"].get(name))
                    .ok_or_else(|| format!("{name} is unknown"))?;
                accepts(field, value).map_err(|error| format!("{name}: {error}"))
            })
        }
        (Some("array"), Value::Array(items)) => {
            within(items.len(), "minItems", "maxItems")?;
            items.iter().try_for_each(|item| accepts(&schema["items"], item))
        }
        (Some("string"), Value::String(text)) => {
            within(text.chars().count(), "minLength", "maxLength")?;
            let listed = schema["enum"].as_array().is_none_or(|allowed| allowed.contains(value));
            let matches = schema["pattern"].as_str().is_none_or(|pattern| Regex::new(pattern).unwrap().is_match(text));
            if listed && matches {
                Ok(())
            } else {
                Err(format!("{text:?} is not one of {} or does not match {}", schema["enum"], schema["pattern"]))
            }
        }
        (Some("integer"), Value::Number(number)) => match number.as_i64() {
            Some(number) if schema["format"] != "int32" || i32::try_from(number).is_ok() => Ok(()),
            _ => Err(format!("{number} does not fit")),
        },
        (Some("boolean"), Value::Bool(_)) => Ok(()),
        (wanted, _) => Err(format!("{value} is not of type {wanted:?}")),
    }
}

fn usize_of(number: &Value, otherwise: usize) -> usize {
    number.as_u64().map_or(otherwise, |number| number.try_into().unwrap())
}
