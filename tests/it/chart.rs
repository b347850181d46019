//! The Helm chart: what it renders, and a release of it with the real Helm on a real control plane.

mod alerts;
mod containers;
pub mod files;
mod life;
mod render;
mod upgrade;

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

pub use self::alerts::{PROMTOOL, rules};
use crate::cluster::{tool, yaml};

/// Where the chart is.
const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/rempart");

/// What the supervisor says of Helm.
#[derive(Deserialize)]
struct Helm {
    helm: PathBuf,
    /// The folder with the CRDs of the Prometheus operator.
    crds: PathBuf,
}

static HELM: LazyLock<Helm> = LazyLock::new(|| serde_json::from_str(&tool("helm")).expect("it tells both"));

/// What `helm template` says with these flags.
fn try_render(flags: &[&str]) -> Result<String, String> {
    let output = Command::new(&HELM.helm).args(["template", "rempart", CHART]).args(flags).output().expect("Helm is there");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(said(&output.stdout)) } else { Err(said(&output.stderr)) }
}

fn render(flags: &[&str]) -> String {
    try_render(&[&["--namespace", "rempart-system"], flags].concat()).unwrap_or_else(|said| panic!("{flags:?}: {said}"))
}

/// The dashboard for Grafana.
pub fn dashboard() -> Value {
    let file = std::fs::read_to_string(format!("{CHART}/files/dashboard.json")).expect("it is in the chart");
    serde_json::from_str(&file).expect("it is JSON")
}

fn objects(flags: &[&str]) -> Vec<Value> {
    yaml(&render(flags)).into_iter().filter(Value::is_object).collect()
}
