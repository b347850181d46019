//! Values that change by themselves at known instants.

use jiff::Timestamp;

/// A value for every instant. Since everything that depends on time is one of these, "when does this next change?" is a
/// look-up and cannot disagree with "what is it now?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Timeline<T> {
    /// From when, and what; sorted, the first from the beginning of time, neighbours differ.
    stretches: Vec<(Timestamp, T)>,
}

impl<T: PartialEq> Timeline<T> {
    /// Samples `value_at` at the beginning of time and at `instants`, the only ones at which it may change. The last
    /// representable instant stands for "never" (see [`super::calendar`]) and is left out.
    pub(super) fn sampled(instants: impl IntoIterator<Item = Timestamp>, value_at: impl Fn(Timestamp) -> T) -> Self {
        let mut instants: Vec<Timestamp> = instants.into_iter().filter(|instant| *instant < Timestamp::MAX).collect();
        instants.push(Timestamp::MIN);
        instants.sort_unstable();
        let mut stretches: Vec<(Timestamp, T)> = Vec::new();
        for instant in instants {
            let value = value_at(instant);
            if stretches.last().is_none_or(|(_, before)| *before != value) {
                stretches.push((instant, value));
            }
        }
        Self { stretches }
    }

    /// The value at `now`.
    pub(super) fn at(&self, now: Timestamp) -> &T {
        // There is always a first stretch, and it begins at `Timestamp::MIN`.
        &self.stretches[self.after(now).saturating_sub(1)].1
    }

    /// The first instant after `now` at which the value is another one.
    pub(super) fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        self.changes_after(now).next()
    }

    /// Every instant after `now` at which the value changes.
    pub(super) fn changes_after(&self, now: Timestamp) -> impl Iterator<Item = Timestamp> {
        self.stretches[self.after(now)..].iter().map(|(from, _)| *from)
    }

    /// Every instant at which the value changes.
    pub(super) fn changes(&self) -> impl Iterator<Item = Timestamp> {
        self.stretches[1..].iter().map(|(from, _)| *from)
    }

    /// The first instant after `now` at which `holds` is false.
    pub(super) fn first_after(&self, now: Timestamp, holds: impl Fn(&T) -> bool) -> Option<Timestamp> {
        self.stretches[self.after(now)..].iter().find(|(_, value)| !holds(value)).map(|(from, _)| *from)
    }

    fn after(&self, now: Timestamp) -> usize {
        self.stretches.partition_point(|(from, _)| *from <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn only_true_changes_are_kept() {
        let parity = |instant: Timestamp| (instant.as_second().max(0) / 10) % 2;
        let line = Timeline::sampled([30, 10, 10, 15, 20].map(second).into_iter().chain([Timestamp::MAX]), parity);
        assert_eq!(line.changes().collect::<Vec<_>>(), [10, 20, 30].map(second));
        for (now, value, next) in [(-5, 0, Some(10)), (9, 0, Some(10)), (10, 1, Some(20)), (25, 0, Some(30)), (30, 1, None)] {
            assert_eq!(*line.at(second(now)), value, "{now}");
            assert_eq!(line.next_change(second(now)), next.map(second), "{now}");
        }
        assert_eq!(line.first_after(second(10), |value| *value == 1), Some(second(20)));
        assert_eq!(*line.at(Timestamp::MIN), 0);
        assert_eq!(*line.at(Timestamp::MAX), 1);
    }
}
