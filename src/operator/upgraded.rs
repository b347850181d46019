//! Noticing that API servers serve mutating policies now, or no longer do: after an upgrade of the cluster, or a way back.
//!
//! Everything that a replica does rests on that, from what it watches to what it serves. So it begins anew rather than turn in its course.

use std::time::Duration;

use tracing::debug;

use crate::cluster::{ApiServers, Mandate, served};

/// How often in a row all API servers must answer otherwise than one did at the start. While they are upgraded one after another, some
/// answer so and others so, and behind one address nobody knows which of them is asked.
const TIMES: u32 = 4;

/// Asks every `every`, and returns once what is served is no longer as `it_was`.
pub(super) async fn noticed(servers: &ApiServers, it_was: bool, every: Duration, mandate: &Mandate) {
    let mut row = Row { it_was, times: 0 };
    loop {
        tokio::time::sleep(every).await;
        let answer = served(servers).await;
        if row.ends_with(answer, mandate.left().is_some()) {
            return;
        }
        debug!(?answer, times = row.times, "whether mutating policies are served");
    }
}

/// Answers, one after another.
struct Row {
    it_was: bool,
    /// How many of the last were another than it was.
    times: u32,
}

impl Row {
    /// Whether it is certain with this answer that it is another. Whoever leads takes twice as long: the others have begun anew by then, and one
    /// of them takes over at once. Until then the webhook is there.
    fn ends_with(&mut self, answer: Option<bool>, leads: bool) -> bool {
        self.times = if answer == Some(!self.it_was) { self.times + 1 } else { 0 };
        self.times >= if leads { 2 * TIMES } else { TIMES }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With which of the answers it is certain.
    fn certain(it_was: bool, leads: bool, answers: &[Option<bool>]) -> Option<usize> {
        let mut row = Row { it_was, times: 0 };
        answers.iter().position(|answer| row.ends_with(*answer, leads))
    }

    #[test]
    fn only_many_answers_in_a_row_are_news_and_who_leads_goes_last() {
        for it_was in [true, false] {
            let (same, other) = (Some(it_was), Some(!it_was));
            assert_eq!(certain(it_was, false, &[other; 20]), Some(3));
            assert_eq!(certain(it_was, true, &[other; 20]), Some(7));
            for kept in [same, None] {
                assert_eq!(certain(it_was, false, &[kept; 20]), None);
                assert_eq!(certain(it_was, false, &[other, other, other, kept].repeat(5)), None, "{kept:?} ends a row");
                assert_eq!(certain(it_was, false, &[&[other, other, other, kept][..], &[other; 4]].concat()), Some(7));
            }
        }
    }
}
