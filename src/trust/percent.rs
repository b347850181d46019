//! Percentages, compared exactly.

use std::fmt;

/// From 0 to 100, in steps of a ten-thousandth: a holding of 24.0001 % is more than one of 24 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Percent {
    ten_thousandths: u32,
}

impl Percent {
    /// Reads `24`, `39.5`, `0.0001`.
    pub(super) fn parse(written: &str) -> Result<Self, String> {
        read(written).ok_or_else(|| {
            format!("{written:?} is not a percentage: write a number from 0 to 100 with at most four decimals, such as \"39.5\"")
        })
    }
}

fn read(written: &str) -> Option<Percent> {
    let (whole, decimals) = written.split_once('.').map_or((written, None), |(whole, decimals)| (whole, Some(decimals)));
    let digits = |text: &str, most: usize| (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole, 3) || decimals.is_some_and(|decimals| !digits(decimals, 4)) {
        return None;
    }
    let whole: u32 = whole.parse().ok()?;
    let decimals: u32 = format!("{:0<4}", decimals.unwrap_or_default()).parse().ok()?;
    let ten_thousandths = whole * 10_000 + decimals;
    (ten_thousandths <= 1_000_000).then_some(Percent { ten_thousandths })
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, decimals) = (self.ten_thousandths / 10_000, self.ten_thousandths % 10_000);
        if decimals == 0 {
            return write!(f, "{whole}%");
        }
        let decimals = format!("{decimals:04}");
        write!(f, "{whole}.{}%", decimals.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_exact() {
        for (written, shown) in [("0", "0%"), ("24", "24%"), ("39.50", "39.5%"), ("0.0001", "0.0001%"), ("100.0000", "100%"), ("05", "5%")]
        {
            assert_eq!(Percent::parse(written).unwrap().to_string(), shown);
        }
        for written in ["", ".", "1.", ".5", "100.1", "101", "1e1", "-1", "+1", "1,5", "0.00001", "٣"] {
            assert!(Percent::parse(written).is_err(), "{written}");
        }
        assert!(Percent::parse("24.0001").unwrap() > Percent::parse("24").unwrap());
        assert!(Percent::parse("9.5").unwrap() < Percent::parse("10").unwrap());
    }
}
