//! `rempart run`.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::config::{Said, Settings};
use super::follow::Followed;
use super::{ANEW, Failure, UNREADABLE, USAGE};
use crate::guard::{Grants, Reach};
use crate::operator::{self, RunError, Terms};
use crate::telemetry::{self, LogFormat, Metrics};
use crate::{cluster, webhook};

/// How the operator runs.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// YAML file with what is not given otherwise; its keys are below
    #[arg(long, env = "REMPART_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Kubeconfig file; otherwise KUBECONFIG, ~/.kube/config or the pod's service account
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long)]
    context: Option<String>,
    /// Namespace that the operator runs in
    #[arg(long, env = "POD_NAMESPACE", default_value = "rempart-system")]
    namespace: String,
    /// Name under which it reports events and holds the lease; every replica needs its own. Without one, each start makes a new one
    #[arg(long, env = "POD_NAME")]
    instance: Option<String>,
    /// Address of /healthz, /readyz and /metrics; "none" to serve none
    #[arg(long, env = "REMPART_LISTEN", default_value = "[::]:8080", value_parser = listen)]
    listen: Listen,
    /// Other users that may label nodes with clearances, such as a cluster autoscaler
    #[arg(long = "node-labeler", env = "REMPART_NODE_LABELERS", value_name = "USER", value_delimiter = ',')]
    node_labelers: Vec<String>,
    /// What becomes of roles and role bindings that lead around placement, when those who write them do not hold `administer`
    #[arg(long, env = "REMPART_GRANTS", default_value = "warn")]
    grants: Grants,
    /// URL of each API server, where they cannot be found as the endpoints of the service kubernetes; each is proven by itself
    #[arg(long = "apiserver", env = "REMPART_APISERVERS", value_name = "URL", value_delimiter = ',', value_parser = server)]
    apiservers: Vec<Uri>,
    /// Address of the webhook that does what mutating policies would do, where the API server serves none; "none" to go without
    #[arg(long, env = "REMPART_WEBHOOK_LISTEN", default_value = "[::]:9443", value_parser = listen)]
    webhook_listen: Listen,
    /// URL under which API servers reach the webhook, where they cannot by the service rempart-webhook
    #[arg(long, env = "REMPART_WEBHOOK_URL", value_name = "URL", value_parser = called)]
    webhook_url: Option<String>,
    /// How long a certificate of the webhook is valid; another takes its place at half of that time
    #[arg(long, env = "REMPART_WEBHOOK_CERTIFICATES", default_value = "24h", value_parser = duration)]
    webhook_certificates: Duration,
    /// How often to see whether every API server refuses a violation
    #[arg(long, env = "REMPART_PROBE_EVERY", default_value = "30s", value_parser = duration)]
    probe_every: Duration,
    /// After how long without a renewal another replica takes over
    #[arg(long, env = "REMPART_LEASE_DURATION", default_value = "15s", value_parser = duration)]
    lease_duration: Duration,
    /// After how long without a renewal the replica that writes stops writing
    #[arg(long, env = "REMPART_LEASE_RENEW_WITHIN", default_value = "10s", value_parser = duration)]
    lease_renew_within: Duration,
    /// How often the replica that writes renews its lease
    #[arg(long, env = "REMPART_LEASE_RENEW_EVERY", default_value = "2s", value_parser = duration)]
    lease_renew_every: Duration,
    /// What to log: a level, or a list such as info,rempart::cluster=debug
    #[arg(long, env = "REMPART_LOG", default_value = "info", value_parser = filter)]
    log: String,
    /// Form of a log line
    #[arg(long, env = "REMPART_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug)]
struct Listen(Option<SocketAddr>);

fn listen(text: &str) -> Result<Listen, String> {
    if text == "none" {
        return Ok(Listen(None));
    }
    text.parse().map(|address| Listen(Some(address))).map_err(|_| "write an address and a port such as 127.0.0.1:8080, or none".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text.parse().map_err(|_| "write a length of time such as 30s or 5m".to_owned())?;
    let bounds = Duration::from_secs(1)..=Duration::from_hours(90 * 24);
    Duration::try_from(span)
        .ok()
        .filter(|duration| bounds.contains(duration))
        .ok_or_else(|| "from 1s to 2160h, which are 90 days".to_owned())
}

fn server(text: &str) -> Result<Uri, String> {
    let url = text.parse::<Uri>().ok().filter(|url| match (url.scheme_str(), url.host()) {
        (Some("https"), Some(_)) => true,
        // The operator's token goes there: in clear only where it leaves no machine.
        (Some("http"), Some(host)) => {
            host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|host: IpAddr| host.is_loopback())
        }
        _ => false,
    });
    url.ok_or_else(|| "write a URL such as https://192.0.2.1:6443; http is for this machine alone".to_owned())
}

/// What an API server takes as the URL of a webhook.
fn called(text: &str) -> Result<String, String> {
    let url = text.parse::<Uri>().ok().filter(|url| {
        let authority = url.authority().map_or("", |authority| authority.as_str());
        let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
        url.scheme_str() == Some("https") && !host.is_empty() && !authority.contains('@') && url.query().is_none() && !text.contains('#')
    });
    url.map(|_| text.to_owned()).ok_or_else(|| "write a URL such as https://192.0.2.1:9443, without user, query or fragment".to_owned())
}

fn filter(text: &str) -> Result<String, String> {
    telemetry::read_filter(text).map(|_| text.to_owned())
}

impl Arguments {
    /// Lengths of time of the lease, which must fit one another.
    pub(super) fn terms(&self) -> Result<Terms, String> {
        Terms::new(self.lease_duration, self.lease_renew_within, self.lease_renew_every)
    }

    /// What is logged.
    pub(super) fn log(&self) -> &str {
        &self.log
    }
}

/// A name that no other process has: of two with the same, each would take the other's lease for its own.
fn new_instance() -> String {
    format!("rempart-{:x}", RandomState::new().hash_one(std::process::id()))
}

#[tokio::main]
pub(super) async fn run(arguments: &Arguments, started: Settings, file: Option<Followed>) -> Result<(), Failure> {
    let wrong = |message| Failure { code: USAGE, message };
    let logged = telemetry::init(arguments.log_format, &arguments.log).map_err(wrong)?;
    let terms = arguments.terms().map_err(wrong)?;
    let unreadable = |error: &dyn std::error::Error| Failure { code: UNREADABLE, message: error.to_string() };
    info!(version = env!("CARGO_PKG_VERSION"), settings = %Said(&started), "configured");

    let stop = CancellationToken::new();
    stop_on_signal(stop.clone()).map_err(|error| unreadable(&error))?;
    let metrics = Metrics::default();
    if let Some(file) = file {
        let hangup = signal(SignalKind::hangup()).map_err(|error| unreadable(&error))?;
        tokio::spawn(file.follow(started, logged.clone(), metrics.clone(), hangup));
    }
    let instance = arguments.instance.clone().unwrap_or_else(new_instance);
    let (kubeconfig, context) = (arguments.kubeconfig.as_deref(), arguments.context.clone());
    let connected = cluster::connect(kubeconfig, context, arguments.apiservers.clone(), &instance);
    let (client, apiservers) = connected.await.map_err(|error| unreadable(&error))?;
    let reach = arguments.webhook_listen.0.map(|_| arguments.webhook_url.clone().map_or(Reach::Service, Reach::Url));
    let host = cluster::host(client.clone(), &arguments.namespace, arguments.node_labelers.clone(), arguments.grants, reach);
    let webhook = arguments.webhook_listen.0.map(|listen| webhook::Settings { listen, valid_for: arguments.webhook_certificates });
    let settings = operator::Settings { listen: arguments.listen.0, probe_every: arguments.probe_every, instance, terms, webhook, metrics };
    let outcome = Box::pin(operator::run(client, apiservers, host, settings, stop)).await;
    #[cfg(feature = "otel")]
    logged.end().await;
    outcome.map_err(|error| Failure {
        code: match error {
            RunError::Listen(..) | RunError::Webhook(..) => USAGE,
            RunError::Upgraded(_) => ANEW,
            RunError::Connect(_) | RunError::Task(_) => UNREADABLE,
        },
        message: error.to_string(),
    })
}

/// SIGTERM and SIGINT end the operator once what is being written is written.
fn stop_on_signal(stop: CancellationToken) -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    });
    Ok(())
}
