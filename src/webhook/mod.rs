//! SERVE: the webhook that API servers before 1.36 call, because they serve no mutating policies.
//!
//! Every replica answers, under a certificate of its own. No secret is shared, and none is stored: a replica makes a certificate authority in memory,
//! signs one certificate with it and forgets the key of the authority, so that nobody can ever sign a second one. What it publishes, in an entry of its
//! own, is the certificate of the authority. Whoever leads writes the authorities of all entries into the webhook configuration.

mod answer;
mod certificates;
mod connections;
mod rotation;
mod serve;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cluster::{Authorities, World};
use crate::guard::{Reach, SERVICE};
use crate::telemetry::Metrics;
use certificates::Current;

/// How the webhook runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to serve it.
    pub listen: SocketAddr,
    /// How long a certificate is valid. At half of that time there is another.
    pub valid_for: Duration,
}

/// Why it ended.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The address is taken or not ours.
    #[error(transparent)]
    Listen(#[from] std::io::Error),
    /// No certificate can be made.
    #[error("no certificate can be made: {0}")]
    Certificate(String),
}

/// What of the cluster answers rest on; none while this replica has nothing to look at.
pub type Sight = watch::Receiver<Option<World>>;

/// Serves until `stop`. `namespace` and `reach` say by which name API servers call it.
pub async fn run(
    settings: Settings,
    namespace: &str,
    reach: &Reach,
    authorities: Authorities,
    sight: Sight,
    metrics: &Metrics,
    stop: CancellationToken,
) -> Result<(), WebhookError> {
    let listener = tokio::net::TcpListener::bind(settings.listen).await?;
    let metrics = metrics.webhook();
    let current = Current::new(metrics.clone());
    let name = match reach {
        Reach::Service => format!("{SERVICE}.{namespace}.svc"),
        Reach::Url(url) => host_of(url),
    };
    tokio::select! {
        served = serve::serve(listener, current.clone(), sight.clone(), metrics, stop.clone()) => served,
        ended = rotation::keep(&current, name, settings.valid_for, &authorities, sight) => ended,
    }
}

/// The host that a URL names.
fn host_of(url: &str) -> String {
    let uri: Option<http::Uri> = url.parse().ok();
    uri.and_then(|uri| uri.host().map(|host| host.trim_matches(['[', ']']).to_owned())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_for_the_host_of_a_url() {
        assert_eq!(host_of("https://127.0.0.1:9443"), "127.0.0.1");
        assert_eq!(host_of("https://[::1]:9443/x"), "::1");
        assert_eq!(host_of("https://guard.example.com"), "guard.example.com");
    }
}
