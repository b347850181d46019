//! Making certificates, and changing from one to the next without a moment in which an API server trusts neither.
//!
//! The authority of the next certificate is published beside that of the present one; the next one is served when the webhook configuration trusts it;
//! and the authority of the one before stays published as long as the next lives, when it has long expired.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, info, warn};

use super::answer::decoded;
use super::certificates::{Current, Generation};
use super::{Sight, WebhookError};
use crate::cluster::{Authorities, World};
use crate::guard::WEBHOOK;

/// How long to wait before what failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// How often to look whether the webhook configuration trusts the next certificate.
const LOOK: Duration = Duration::from_millis(200);
/// How long an API server may take to hear of a change of the webhook configuration.
const HEARD: Duration = Duration::from_secs(2);
/// How soon it is noticed that the entry is gone.
const MISSED: Duration = Duration::from_secs(2);
/// What an entry begins with.
const UNTIL: &str = "until ";

/// Keeps a certificate that is valid and trusted, for ever.
pub(super) async fn keep(
    current: &Current,
    name: String,
    valid_for: Duration,
    authorities: &Authorities,
    sight: Sight,
) -> Result<(), WebhookError> {
    let make = || Generation::new(&name, SystemTime::now(), valid_for);
    let mut serving = make()?;
    current.set(&serving);
    while !publish(authorities, &[&serving]).await {
        sleep(AGAIN).await;
        // One that nobody heard of grows no older.
        serving = make()?;
        current.set(&serving);
    }
    loop {
        let due = Instant::now() + valid_for / 2;
        while Instant::now() < due {
            sleep_until(due.min(Instant::now() + MISSED)).await;
            // Somebody may have taken the entry away, and this replica with it.
            if !is_published(&sight, &serving) {
                publish(authorities, &[&serving]).await;
            }
        }
        let next = loop {
            let next = make()?;
            if publish(authorities, &[&serving, &next]).await {
                break next;
            }
            sleep(AGAIN).await;
        };
        let deadline = Instant::now() + serving.until.duration_since(SystemTime::now()).unwrap_or_default();
        let mut seen = Instant::now();
        while !is_trusted(&sight, &next) && Instant::now() < deadline {
            sleep(LOOK).await;
            // Nobody will trust what is no longer published.
            if is_published(&sight, &next) {
                seen = Instant::now();
            } else if seen.elapsed() >= MISSED {
                publish(authorities, &[&serving, &next]).await;
                seen = Instant::now();
            }
        }
        if is_trusted(&sight, &next) {
            sleep(HEARD).await;
        } else {
            warn!("the webhook configuration does not trust the next certificate of the webhook: is there a replica that leads?");
        }
        current.set(&next);
        info!("the webhook serves its next certificate");
        serving = next;
    }
}

/// Publishes the authorities of `generations`, and takes away what others left behind; says whether they are published.
async fn publish(authorities: &Authorities, generations: &[&Generation]) -> bool {
    let published = match authorities.publish(&entry(generations)).await {
        Ok(published) => published,
        Err(error) => {
            warn!(error, "the certificate authority of the webhook is not published; API servers cannot call this replica");
            return false;
        }
    };
    debug!("the certificate authority of the webhook is published");
    let left = expired(&published, Timestamp::now());
    if !left.is_empty()
        && let Err(error) = authorities.forget(&left).await
    {
        warn!(error, "what replicas that are gone have published is still there");
    }
    true
}

/// What is published: until when it is of use, and the certificates.
fn entry(generations: &[&Generation]) -> String {
    let until = generations.iter().map(|generation| generation.until).max().unwrap_or(SystemTime::UNIX_EPOCH);
    let until = Timestamp::try_from(until).map(|until| until.to_string()).unwrap_or_default();
    let authorities: String = generations.iter().map(|generation| generation.authority.as_str()).collect();
    format!("{UNTIL}{until}\n{authorities}")
}

/// Entries that are of no use any more, and those that are none.
fn expired(published: &BTreeMap<String, String>, now: Timestamp) -> Vec<String> {
    let until = |entry: &String| entry.lines().next()?.strip_prefix(UNTIL)?.parse::<Timestamp>().ok();
    published.iter().filter(|(_, entry)| until(entry).is_none_or(|until| until < now)).map(|(name, _)| name.clone()).collect()
}

/// Whether the entry with `generation` was still there when it was last looked at; nobody looks before there is a sight.
fn is_published(sight: &Sight, generation: &Generation) -> bool {
    let snapshot = sight.borrow().as_ref().and_then(World::snapshot);
    snapshot.is_none_or(|snapshot| {
        let mut published = snapshot.authorities.values().flat_map(|published| published.iter());
        published.any(|authority| body(authority) == body(&generation.authority))
    })
}

/// Whether the webhook configuration, as it was last seen, trusts `generation`.
fn is_trusted(sight: &Sight, generation: &Generation) -> bool {
    let Some(snapshot) = sight.borrow().as_ref().and_then(World::snapshot) else { return false };
    let Some(found) = snapshot.webhooks.get(WEBHOOK) else { return false };
    let webhooks = found.webhooks.as_array().map_or(&[][..], Vec::as_slice);
    let authority = body(&generation.authority);
    let trusts = |webhook: &Value| {
        let bundle = webhook["clientConfig"]["caBundle"].as_str().and_then(decoded);
        bundle.is_some_and(|bundle| body(&bundle).contains(&authority))
    };
    !webhooks.is_empty() && webhooks.iter().all(trusts)
}

/// Certificates in PEM without what stands around them, however their lines end.
fn body(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with('-')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_says_until_when_it_is_of_use_and_what_is_expired_or_no_entry_goes() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let generation = |hours: u64| Generation::new("a.example", now, Duration::from_secs(3_600 * hours)).unwrap();
        let (short, long) = (generation(1), generation(2));
        let both = entry(&[&short, &long]);
        assert!(both.contains(&short.authority) && both.contains(&long.authority) && !both.contains("PRIVATE"), "{both}");
        let published: BTreeMap<String, String> =
            [("both", both), ("short", entry(&[&short])), ("no", "x".to_owned()), ("none", String::new())]
                .map(|(name, entry)| (name.to_owned(), entry))
                .into();
        let at = |seconds: i64| expired(&published, Timestamp::from_second(1_000_000 + seconds).unwrap());
        assert_eq!(at(0), ["no", "none"]);
        assert_eq!(at(3_601), ["no", "none", "short"]);
        assert_eq!(at(7_201), ["both", "no", "none", "short"]);
    }

    #[test]
    fn no_two_authorities_are_alike() {
        let generation = || Generation::new("a.example", SystemTime::now(), Duration::from_mins(1)).unwrap();
        assert_ne!(body(&generation().authority), body(&generation().authority));
    }
}
