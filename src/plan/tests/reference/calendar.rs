//! Days, as a calendar on the wall of a time zone shows them.

use std::sync::LazyLock;

use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::api::values::Span;

/// The calendar must be the same on every machine.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// Whether there is such a time zone.
pub(super) fn is_zone(name: &str) -> bool {
    ZONES.get(name).is_ok()
}

/// The day that is shown at an instant.
pub(super) fn day(at: Timestamp, zone: &str) -> Date {
    ZONES.get(zone).unwrap().to_datetime(at).date()
}

/// The end of a day: the first instant at which a later one is shown, found by halving.
pub(super) fn end(of: Date, zone: &str) -> Timestamp {
    let midnight = of.at(0, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp().as_second();
    let (mut shown, mut over) = (midnight - 2 * 86_400, midnight + 3 * 86_400);
    while over - shown > 1 {
        let middle = i64::midpoint(shown, over);
        if day(Timestamp::from_second(middle).unwrap(), zone) > of { over = middle } else { shown = middle }
    }
    Timestamp::from_second(over).unwrap()
}

/// The beginning of a day.
pub(super) fn start(of: Date, zone: &str) -> Timestamp {
    end(of.checked_sub(1.day()).unwrap(), zone)
}

/// From when until when something that was seen on a day is fresh: not before that day, and no longer after it than said.
pub(super) fn freshness(seen: Date, most: &Span, zone: &str) -> [Timestamp; 2] {
    [start(seen, zone), end(seen, zone) + length(most)]
}

pub(super) fn is_fresh(seen: Date, most: &Span, zone: &str, at: Timestamp) -> bool {
    let [from, until] = freshness(seen, most, zone);
    from <= at && at < until
}

/// `90d`, `72h`, `5m`.
pub(super) fn length(span: &Span) -> SignedDuration {
    let (number, unit) = span.0.split_at(span.0.len() - 1);
    let minutes = match unit {
        "m" => 1,
        "h" => 60,
        "d" => 24 * 60,
        _ => panic!("{span} is no length of time"),
    };
    SignedDuration::from_mins(number.parse::<i64>().unwrap() * minutes)
}
