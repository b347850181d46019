//! What docs/src/gitops.md says of Flux and Argo CD, by the tools themselves. `make gitops` compiles them and runs this.

mod flux;

use crate::cluster::yaml;
use serde_json::Value;

/// The objects of this kind in the recipes of the book, so that what is tried is what is written there.
fn recipes(kind: &str) -> Vec<Value> {
    let page = include_str!("../../docs/src/gitops.md");
    let blocks = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    blocks.filter(|block| block.starts_with("apiVersion: ")).flat_map(yaml).filter(|object| object["kind"] == kind).collect()
}
