//! What the book builder would warn about, and what it does not look at, without building the book.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use regex::Regex;

use super::{SOURCE, files, root, text};

/// Files outside of the book that link to each other and into it.
const OUTSIDE: [&str; 5] = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "charts/rempart/README.md", "tests/cluster/README.md"];

/// The lines of a page that are not code.
fn prose(page: &str) -> Vec<String> {
    let span = Regex::new("`[^`]*`").unwrap();
    let mut in_code = false;
    let lines = page.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    });
    lines.map(|line| span.replace_all(line, "").into_owned()).collect()
}

/// Where the links of a page lead.
pub(super) fn links(page: &str) -> Vec<String> {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    prose(page).iter().flat_map(|line| link.captures_iter(line).map(|found| found[1].to_owned()).collect::<Vec<_>>()).collect()
}

/// The anchors of a page: of each heading its words, joined as the book builder joins them.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut in_code = false;
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    let headings = page.lines().filter_map(|line| {
        in_code ^= line.starts_with("```");
        let text = line.trim_start_matches('#');
        (!in_code && text.len() < line.len() && text.starts_with(' ')).then_some(text.trim())
    });
    let words = headings.map(|heading| {
        let kept = heading.chars().filter_map(|letter| match letter {
            letter if letter.is_alphanumeric() || letter == '_' || letter == '-' => Some(letter.to_ascii_lowercase()),
            letter if letter.is_whitespace() => Some('-'),
            _ => None,
        });
        kept.collect::<String>()
    });
    let numbered = words.map(|word| {
        let before = times.entry(word.clone()).or_default();
        *before += 1;
        if *before == 1 { word } else { format!("{word}-{}", *before - 1) }
    });
    numbered.collect()
}

/// A path without `..`.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        if part == Component::ParentDir {
            plain.pop();
        } else {
            plain.push(part);
        }
        plain
    })
}

#[test]
fn every_page_is_in_the_summary_once_and_every_entry_of_it_is_a_page() {
    let listed = links(&text(format!("{SOURCE}/SUMMARY.md")));
    let entries: BTreeSet<PathBuf> = listed.iter().map(|entry| Path::new(SOURCE).join(entry)).collect();
    assert_eq!(entries.len(), listed.len(), "a page is listed twice");
    let pages: BTreeSet<PathBuf> = files(SOURCE, "md").into_iter().filter(|page| !page.ends_with("SUMMARY.md")).collect();
    assert_eq!(entries, pages);
}

#[test]
fn every_link_leads_to_a_file_and_every_anchor_to_a_heading() {
    let book = files(SOURCE, "md");
    let outside = OUTSIDE.map(PathBuf::from);
    let mut seen = 0;
    for page in book.iter().chain(&outside) {
        let read = text(page);
        for link in links(&read).into_iter().filter(|link| !link.contains("://")) {
            seen += 1;
            let (file, anchor) = link.split_once('#').map_or((link.as_str(), None), |(file, anchor)| (file, Some(anchor)));
            let target = if file.is_empty() { page.clone() } else { plain(&page.parent().unwrap().join(file)) };
            assert!(root().join(&target).exists(), "{} links to {link}, which is not there", page.display());
            let in_book = |path: &Path| path.starts_with(SOURCE);
            assert!(!in_book(page) || in_book(&target), "{} links to {link}, which is not in the book", page.display());
            if let Some(anchor) = anchor {
                assert!(anchors(&text(&target)).contains(anchor), "{} links to {link}, and there is no such heading", page.display());
            }
        }
    }
    assert!(seen > 20, "only {seen} links: are they still seen?");
}

#[test]
fn what_names_a_page_or_a_file_of_the_repository_names_one_that_there_is() {
    let page = Regex::new(r"\bdocs/[a-z0-9_/.-]+\.(?:md|toml)\b").unwrap();
    let others =
        [("src", "rs"), ("src", "yaml"), ("tests", "rs"), ("charts", "yaml"), ("charts", "tpl"), ("charts", "txt"), ("examples", "yaml")];
    let mut readers: Vec<PathBuf> = others.iter().flat_map(|(folder, extension)| files(folder, extension)).collect();
    readers.extend(OUTSIDE.map(PathBuf::from));
    readers.push("Makefile".into());
    for reader in readers {
        for named in page.find_iter(&text(&reader)) {
            assert!(root().join(named.as_str()).exists(), "{} names {}, which is not there", reader.display(), named.as_str());
        }
    }
    // In the book, files of the repository are named as code.
    let file = Regex::new(r"`((?:charts|crds|deploy|docs|examples|scripts|src|tests|benches)/[A-Za-z0-9_./-]*|[A-Z]{4,}\.md)`").unwrap();
    for reader in files(SOURCE, "md") {
        for named in file.captures_iter(&text(&reader)) {
            assert!(root().join(&named[1]).exists(), "{} names {}, which is not there", reader.display(), &named[1]);
        }
    }
}
