//! Dates and spans of a spec as instants.

use std::fmt;
use std::sync::LazyLock;

use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

use super::spelling;
use crate::api::values;

/// The database inside the binary, never the machine's: every replica and every `rempart check` has the same calendar.
static TIME_ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// Turns the dates of one object into instants, in its time zone.
#[derive(Clone, Debug)]
pub(super) struct Calendar {
    zone: TimeZone,
}

impl Calendar {
    /// The calendar of an IANA time zone, or what to write instead.
    pub(super) fn of(zone: &str) -> Result<Self, String> {
        match TIME_ZONES.get(zone) {
            // `Etc/Unknown` is a name for not knowing, and behaves as UTC.
            Ok(found) if !found.is_unknown() => Ok(Self { zone: found }),
            _ => {
                let names: Vec<String> = TIME_ZONES.available().map(|name| name.to_string()).collect();
                let meant = spelling::meant(zone, names.iter().map(String::as_str));
                Err(format!("{zone:?} is not a time zone{meant}: write an IANA name such as Europe/Paris"))
            }
        }
    }

    /// 00:00 of `day`. Where a clock change skips midnight, the instant just after it; where midnight comes twice, the
    /// first. The last representable instant stands for everything later: it never comes.
    pub(super) fn begin(&self, day: Date) -> Timestamp {
        day.to_zoned(self.zone.clone()).map_or(if day.year() < 0 { Timestamp::MIN } else { Timestamp::MAX }, |start| start.timestamp())
    }

    /// 24:00 of `day`: by definition 00:00 of the next, so that two periods that follow each other neither overlap nor
    /// leave a gap.
    pub(super) fn end(&self, day: Date) -> Timestamp {
        day.tomorrow().map_or(Timestamp::MAX, |next| self.begin(next))
    }

    /// The day that `instant` falls on.
    pub(super) fn day(&self, instant: Timestamp) -> Date {
        self.zone.to_datetime(instant).date()
    }
}

/// 24:00 of `day` in an IANA time zone, or what to write instead of that zone.
pub fn end_of_day(day: Date, zone: &str) -> Result<Timestamp, String> {
    Calendar::of(zone).map(|calendar| calendar.end(day))
}

/// A length of time of the API: whole minutes, and a day is 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    minutes: u32,
}

impl Span {
    /// Reads `90m`, `72h`, `35d`.
    pub(super) fn parse(written: &values::Span) -> Result<Self, String> {
        let minutes = written.duration().and_then(|duration| u32::try_from(duration.as_mins()).ok());
        let wrong = || format!("{:?} is not a length of time: write a number from 1 to 99999 and m, h or d, such as 90d", written.0);
        minutes.map(|minutes| Self { minutes }).ok_or_else(wrong)
    }

    /// `instant` and this long after it, at most the end of time.
    pub(super) fn after(self, instant: Timestamp) -> Timestamp {
        instant.checked_add(self.duration()).unwrap_or(Timestamp::MAX)
    }

    /// This long before `instant`, at least the beginning of time. What never comes has no time before it either.
    pub(super) fn before(self, instant: Timestamp) -> Timestamp {
        if instant == Timestamp::MAX {
            return instant;
        }
        instant.checked_sub(self.duration()).unwrap_or(Timestamp::MIN)
    }

    pub(super) fn duration(self) -> SignedDuration {
        SignedDuration::from_mins(i64::from(self.minutes))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.minutes {
            minutes if minutes % (24 * 60) == 0 => write!(f, "{}d", minutes / (24 * 60)),
            minutes if minutes % 60 == 0 => write!(f, "{}h", minutes / 60),
            minutes => write!(f, "{minutes}m"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_runs_from_midnight_to_midnight_in_its_zone() {
        for (zone, day, begin, end, why) in [
            ("UTC", "2026-11-30", "2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z", "plain"),
            ("Europe/Paris", "2026-11-30", "2026-11-29T23:00:00Z", "2026-11-30T23:00:00Z", "winter"),
            ("Europe/Paris", "2028-05-30", "2028-05-29T22:00:00Z", "2028-05-30T22:00:00Z", "summer"),
            ("Europe/Paris", "2026-03-29", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", "a day of 23 hours"),
            ("Europe/Paris", "2026-10-25", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", "a day of 25 hours"),
            ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z", "midnight does not exist"),
            ("America/Havana", "2025-11-02", "2025-11-02T04:00:00Z", "2025-11-03T05:00:00Z", "midnight comes twice"),
            ("Pacific/Apia", "2011-12-29", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z", "the next day does not exist"),
            ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z", "it does not exist"),
            ("Indian/Reunion", "2026-12-31", "2026-12-30T20:00:00Z", "2026-12-31T20:00:00Z", "overseas"),
        ] {
            let calendar = Calendar::of(zone).unwrap();
            let day: Date = day.parse().unwrap();
            assert_eq!(calendar.begin(day).to_string(), begin, "{zone} {day}: {why}");
            assert_eq!(calendar.end(day).to_string(), end, "{zone} {day}: {why}");
        }
    }

    #[test]
    fn absurd_dates_and_spans_saturate() {
        for zone in ["UTC", "Europe/Paris", "Pacific/Kiritimati", "Pacific/Niue"] {
            let calendar = Calendar::of(zone).unwrap();
            assert_eq!(calendar.end(Date::MAX), Timestamp::MAX, "{zone}");
            assert!(calendar.begin(Date::MIN) < calendar.end("-9998-01-01".parse().unwrap_or(Date::ZERO)), "{zone}");
        }
        let longest = Span::parse(&"99999d".into()).unwrap();
        assert_eq!(longest.after(Timestamp::MAX), Timestamp::MAX);
        assert_eq!(longest.before(Timestamp::MIN), Timestamp::MIN);
    }

    #[test]
    fn spans_are_read_strictly() {
        for (text, shown) in [("90d", "90d"), ("72h", "3d"), ("36h", "36h"), ("90m", "90m"), ("99999d", "99999d"), ("1440m", "1d")] {
            assert_eq!(Span::parse(&text.into()).unwrap().to_string(), shown, "{text}");
        }
        for text in ["", "d", "0d", "01d", "100000d", "3w", "-3d", "+3d", "3 d", "3é", "é"] {
            assert!(Span::parse(&text.into()).unwrap_err().contains("such as 90d"), "{text}");
        }
    }

    #[test]
    fn an_unknown_time_zone_says_what_was_meant() {
        assert_eq!(
            Calendar::of("Europe/Pariss").unwrap_err(),
            "\"Europe/Pariss\" is not a time zone (did you mean Europe/Paris?): write an IANA name such as Europe/Paris"
        );
        assert!(Calendar::of("Etc/Unknown").is_err());
        assert!(Calendar::of("").is_err());
    }
}
