//! The book under `docs/`: nothing in it leads nowhere, what is made of the code is up to date, and its commands do what it says.

mod commands;
mod fields;
mod links;
mod messages;
mod reference;

use std::fs;
use std::path::{Path, PathBuf};

/// The pages of the book, as the book names them.
const SOURCE: &str = "docs/src";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(relative: impl AsRef<Path>) -> String {
    let path = root().join(relative);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Files with this extension under a folder, by their path from the root of the repository.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut rest = vec![root().join(folder)];
    while let Some(folder) = rest.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                rest.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}
