//! What the book quotes is what the code says.

use regex::Regex;

use super::{SOURCE, files, text};

/// What Kubernetes itself says.
const NOT_OURS: [&str; 3] = ["failed to find resource referenced by paramKind", "no params found", "exceeded quota: "];

/// The quotations in the first column of the tables under a heading.
fn quoted(page: &str, heading: &str) -> Vec<String> {
    let section = page.split_once(&format!("{heading}\n")).unwrap_or_else(|| panic!("there is no {heading}")).1;
    let section = section.split("\n## ").next().unwrap_or_default();
    let span = Regex::new("`([^`]+)`").unwrap();
    let firsts = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    firsts.flat_map(|first| span.captures_iter(first).map(|found| found[1].to_owned()).collect::<Vec<_>>()).collect()
}

#[test]
fn every_message_in_the_table_of_recovery_is_one_that_somebody_gets() {
    let sources: Vec<String> =
        [("src", "rs"), ("src", "yaml")].iter().flat_map(|(folder, extension)| files(folder, extension)).map(text).collect();
    let page = text(format!("{SOURCE}/recovery.md"));
    let quoted = [quoted(&page, "## By the message"), quoted(&page, "## The operator does not come up")].concat();
    assert!(quoted.len() > 15, "only {quoted:?}");
    for message in quoted {
        for part in message.split('…').map(str::trim).filter(|part| !part.is_empty()) {
            let known =
                NOT_OURS.iter().any(|other| part.starts_with(other.trim_end())) || sources.iter().any(|source| source.contains(part));
            assert!(known, "nothing says {part:?}, of {message:?}");
        }
    }
}
