//! What stands in the file, each value read by the parser of its argument.

use clap::Command;
use clap::error::{ContextKind, ContextValue};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde_saphyr::Spanned;

use super::{KEYS, OF_THE_PROCESS, alone};

/// What the file says about one argument.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) argument: &'static str,
    pub(super) values: Vec<String>,
}

/// Reads the file for the command `run`, or says which key in which line is wrong, and what would be right.
pub(super) fn read(text: &str, run: &Command) -> Result<Vec<Given>, String> {
    let (mut found, mut about) = (Vec::new(), About::default());
    let options = serde_saphyr::options! { with_snippet: false };
    let section = Section { prefix: "", run, found: &mut found, about: &mut about };
    serde_saphyr::with_deserializer_from_str_with_options(text, options, |yaml| section.deserialize(yaml))
        .map_err(|error| about.said(&error))?;
    found.into_iter().map(|entry| entry.checked(run)).collect()
}

/// What is being read, for an error of the YAML itself.
#[derive(Debug, Default)]
struct About {
    /// What the key takes that is read now.
    takes: String,
    /// What is wrong, where that is no matter of YAML.
    wrong: Option<String>,
}

impl About {
    fn said(self, error: &serde_saphyr::Error) -> String {
        let line = error.location().map(|location| format!("line {}: ", location.line())).unwrap_or_default();
        match (self.wrong, error) {
            (Some(wrong), _) => wrong,
            (None, serde_saphyr::Error::DuplicateMappingKey { key, .. }) => {
                format!("{line}duplicate key {}: leave one of them", key.as_deref().unwrap_or_default())
            }
            (None, error) => {
                let error = error.to_string();
                // What follows is where it is, and what a programmer could do about it.
                let what = [" at line ", "; use "].iter().fold(error.as_str(), |text, end| text.split(end).next().unwrap_or(text));
                format!("{line}{}{what}", self.takes)
            }
        }
    }
}

/// An entry as it stands in the file.
#[derive(Debug)]
struct Entry {
    key: &'static str,
    argument: &'static str,
    values: Vec<Spanned<String>>,
}

impl Entry {
    fn checked(self, run: &Command) -> Result<Given, String> {
        let Self { key, argument, values } = self;
        for Spanned { value, referenced, .. } in &values {
            if let Err(error) = alone(run, argument).try_get_matches_from([format!("--value={value}")]) {
                return Err(format!("line {}: {key}: {value:?}: {}", referenced.line(), remedy(&error)));
            }
        }
        Ok(Given { argument, values: values.into_iter().map(|value| value.value).collect() })
    }
}

/// What the parser of an argument says about a value that it does not take.
fn remedy(error: &clap::Error) -> String {
    match (std::error::Error::source(error), error.get(ContextKind::ValidValue)) {
        (Some(why), _) => why.to_string(),
        (None, Some(ContextValue::Strings(valid))) if !valid.is_empty() => format!("write one of {}", valid.join(", ")),
        _ => "write a value that is not empty".to_owned(),
    }
}

/// A mapping, of which the keys begin with `prefix`.
struct Section<'a> {
    prefix: &'a str,
    run: &'a Command,
    found: &'a mut Vec<Entry>,
    about: &'a mut About,
}

impl<'de> DeserializeSeed<'de> for Section<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, yaml: D) -> Result<(), D::Error> {
        yaml.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Section<'_> {
    type Value = ();

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "keys and values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Self { prefix, run, found, about } = self;
        about.takes.clear();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            let path = format!("{prefix}{}", key.value);
            if let Some((key, argument)) = KEYS.into_iter().find(|(known, _)| *known == path) {
                let values = if is_list(run, argument) {
                    about.takes = format!("{path} takes a list: ");
                    entries.next_value::<Vec<Spanned<String>>>()?
                } else {
                    about.takes = format!("{path} takes one value: ");
                    vec![entries.next_value()?]
                };
                found.push(Entry { key, argument, values });
            } else if KEYS.iter().any(|(known, _)| known.strip_prefix(&path).is_some_and(|rest| rest.starts_with('.'))) {
                about.takes = format!("{path} takes keys and values: ");
                entries.next_value_seed(Section { prefix: &format!("{path}."), run, found: &mut *found, about: &mut *about })?;
            } else {
                about.wrong = Some(unknown(&path, key.referenced.line()));
                return Err(A::Error::custom("unknown key"));
            }
            about.takes.clear();
        }
        Ok(())
    }
}

fn is_list(run: &Command, argument: &str) -> bool {
    run.get_arguments().any(|found| found.get_id() == argument && matches!(found.get_action(), clap::ArgAction::Append))
}

fn unknown(path: &str, line: u64) -> String {
    match OF_THE_PROCESS.iter().find(|(known, _)| *known == path) {
        Some((_, instead)) => format!("line {line}: {path} does not belong into the file: {instead}"),
        None => format!("line {line}: there is no key {path}; there are {}", KEYS.map(|(key, _)| key).join(", ")),
    }
}
