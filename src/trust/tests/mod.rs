//! Tests of the room as a whole: specs in, assessment out.

mod chains;
mod examples;
mod laws;
mod levels;
mod problems;
mod requirements;
mod states;
mod worlds;

use jiff::Timestamp;

use crate::api::{SensitivityLevelSpec, TrustedCloudSpec};

use super::{CloudStanding, Problem, Register};

fn read<T: serde::de::DeserializeOwned>(yaml: &str) -> T {
    serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"))
}

/// A cloud that offers `IaaS`, and whatever `more` says.
fn cloud(more: &str) -> TrustedCloudSpec {
    read(&format!("offering: {{service: x, model: IaaS}}\n{more}"))
}

fn level(requires: &str) -> SensitivityLevelSpec {
    read(&format!("requires: {requires}"))
}

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn register(clouds: &[(&str, TrustedCloudSpec)], levels: &[(&str, SensitivityLevelSpec)]) -> Register {
    Register::new(clouds.iter().map(|(name, spec)| (*name, spec)), levels.iter().map(|(name, spec)| (*name, spec)))
}

/// Where cloud `c` stands at `now` with no level.
fn standing(clouds: &[(&str, TrustedCloudSpec)], now: &str) -> CloudStanding {
    register(clouds, &[]).assess(instant(now)).clouds["c"].clone()
}

/// `found, not required` of everything that cloud `c` lacks for a level that requires `requires`.
fn lacks(clouds: &[(&str, TrustedCloudSpec)], requires: &str, now: &str) -> Vec<String> {
    let register = register(clouds, &[("l", level(requires))]);
    assert_eq!(said(register.level_problems("l")), Vec::<String>::new(), "{requires}");
    let standing = register.assess(instant(now)).clouds["c"].clone();
    standing.lacks("l").iter().map(|unmet| format!("{}: {}, not {}", unmet.requirement, unmet.found, unmet.required)).collect()
}

fn said(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(Problem::to_string).collect()
}
