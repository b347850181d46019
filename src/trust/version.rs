//! Versions of schemes.

use std::fmt;

/// A version. Dotted numbers have an order, in which missing parts are 0 (`3.2` is `3.2.0`); anything else, such as
/// `RD 311/2022`, only equals itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    /// Without the zeros at its end, so that equal versions are equal values. As long as the API allows, a number fits.
    Dotted(Vec<u128>),
    /// As it was written.
    Named(String),
}

impl Version {
    /// Reads any text.
    pub(super) fn of(written: &str) -> Self {
        let number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten();
        match written.split('.').map(number).collect::<Option<Vec<u128>>>() {
            Some(mut parts) => {
                while parts.last() == Some(&0) {
                    parts.pop();
                }
                Self::Dotted(parts)
            }
            None => Self::Named(written.to_owned()),
        }
    }

    /// Whether this is `minimum` or comes after it.
    pub(super) fn reaches(&self, minimum: &Self) -> bool {
        match (self, minimum) {
            (Self::Dotted(found), Self::Dotted(minimum)) => found >= minimum,
            _ => self == minimum,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dotted(parts) if parts.is_empty() => f.write_str("0"),
            Self::Dotted(parts) => f.write_str(&parts.iter().map(u128::to_string).collect::<Vec<_>>().join(".")),
            Self::Named(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotted_numbers_compare_as_numbers_and_names_exactly() {
        for (found, minimum, reached) in [
            ("3.2", "3.2", true),
            ("3.2.0", "3.2", true),
            ("3.2", "3.2.0", true),
            ("3.10", "3.2", true),
            ("3.2", "3.10", false),
            ("4", "3.2", true),
            ("3.1.9", "3.2", false),
            ("2026", "2020", true),
            ("311/2022", "311/2022", true),
            ("312/2022", "311/2022", false),
            ("3.2b", "3.2", false),
            ("3.2", "3.2b", false),
            ("99999999999999999999999999999999", "1", true),
            ("2", "99999999999999999999999999999999", false),
            ("1.", "1", false),
        ] {
            assert_eq!(Version::of(found).reaches(&Version::of(minimum)), reached, "{found} for {minimum}");
        }
        assert_eq!(Version::of("3.2.0").to_string(), "3.2");
        assert_eq!(Version::of("0.0").to_string(), "0");
    }
}
