//! What somebody probably meant.

/// ` (did you mean x?)` for the known name nearest to `written`; nothing when none is near.
pub(super) fn meant<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    known
        .into_iter()
        .filter(|name| name.len().abs_diff(written.len()) <= 2)
        .map(|name| (distance(written, name), name))
        .filter(|(distance, _)| (1..=2).contains(distance))
        .min()
        .map_or_else(String::new, |(_, name)| format!(" (did you mean {name}?)"))
}

/// Levenshtein's distance, letters compared without case.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().flat_map(char::to_lowercase).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in one.chars().flat_map(char::to_lowercase).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &against) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != against);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_and_nothing_far_away() {
        let known = ["secnumcloud", "hds", "iso27001"];
        for (written, said) in [
            ("secnumcluod", " (did you mean secnumcloud?)"),
            ("secnum-cloud", " (did you mean secnumcloud?)"),
            ("iso-27001", " (did you mean iso27001?)"),
            ("hds", ""),
            ("our-own-scheme", ""),
            ("", ""),
        ] {
            assert_eq!(meant(written, known), said, "{written}");
        }
    }
}
