//! `rempart policies`.

use super::{Failure, print_yaml};
use crate::guard;

/// What is filled in; the defaults are those of a default installation.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// User name of the operator
    #[arg(long, default_value = "system:serviceaccount:rempart-system:rempart")]
    operator: String,
    /// Namespace of the operator
    #[arg(long, default_value = "rempart-system")]
    namespace: String,
    /// Other users that may label nodes with clearances
    #[arg(long = "node-labeler", value_name = "USER")]
    node_labelers: Vec<String>,
    /// What becomes of roles and role bindings that lead around placement, when those who write them do not hold `administer`
    #[arg(long, default_value = "warn")]
    grants: guard::Grants,
    /// Levels with enforcement Audit
    #[arg(long, value_name = "LEVEL")]
    audit: Vec<String>,
    /// Levels with enforcement Warn
    #[arg(long, value_name = "LEVEL")]
    warn: Vec<String>,
    /// Levels with credentials Withhold
    #[arg(long, value_name = "LEVEL")]
    withheld: Vec<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let settings = guard::Settings {
        operator: arguments.operator.clone(),
        namespace: arguments.namespace.clone(),
        node_labelers: arguments.node_labelers.clone(),
        grants: arguments.grants,
        audit: arguments.audit.iter().cloned().collect(),
        warn: arguments.warn.iter().cloned().collect(),
        withheld: arguments.withheld.iter().cloned().collect(),
        ..guard::Settings::default()
    };
    let objects: Vec<_> = guard::policies(&settings).into_iter().map(|object| object.object).collect();
    print_yaml(&objects)
}
