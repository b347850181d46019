//! A proxy between the operator and its API servers. It spoils the requests that it is told to spoil, and remembers all of them.
//!
//! It belongs to the runtime of its test and ends with it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use futures::stream::BoxStream;
use futures::{AsyncBufReadExt as _, Stream, StreamExt, TryStreamExt, stream};
use http::{StatusCode, header};
use kube::client::Client;
use kube::config::{AuthInfo, Config, KubeConfigOptions, Kubeconfig};
use regex::Regex;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is answered with this status, and no API server hears of it. 429 says when to come back.
    Status(u16),
    /// The connection is reset, and no API server hears of it.
    ResetBefore,
    /// The connection is reset when the API server has done what it was asked to do: only the answer is lost.
    ResetAfter,
    /// No API server hears of it, and it is never answered.
    BlackHole,
    /// It is passed on after this time.
    Late(Duration),
    /// The world stands still before this request reaches the API server: nothing else is let through, until [`Proxy::heal`].
    FreezeBefore,
    /// The world stands still when the API server has done what this request asks for.
    FreezeAfter,
    /// The watch begins well, and its first event is an error with this code, which ends it.
    ErrorEvent(u16),
    /// After so many events, the next one is lost with its connection.
    Cut(usize),
    /// Every event comes twice.
    Repeat,
    /// All events are lost, and the watch ends when it would have ended.
    Lose,
    /// All events are lost, and the watch never ends.
    Mute,
    /// Every event comes so much later.
    Delay(Duration),
    /// Every event comes so long after the one before.
    Trickle(Duration),
    /// Resources of this kind are left out of the list of what is served.
    Without(&'static str),
}

/// Which requests a fault is for.
#[derive(Clone, Debug)]
pub enum On {
    /// Those of which this is found in `METHOD /path?query @number-of-the-API-server`.
    Requests(Regex),
    /// Those that change something that stays: no dry runs, no Events, and no renewals of the lease, which come by the clock.
    Writes,
}

impl On {
    pub fn requests(pattern: &str) -> Self {
        Self::Requests(Regex::new(pattern).expect("patterns in tests are well-formed"))
    }

    fn concerns(&self, line: &str) -> bool {
        match self {
            Self::Requests(pattern) => pattern.is_match(line),
            Self::Writes => is_write(line),
        }
    }
}

/// Whether a request changes something that stays.
pub fn is_write(line: &str) -> bool {
    !line.starts_with("GET ") && !["dryRun=", "/events", "/selfsubjectreviews", "/leases/"].iter().any(|exempt| line.contains(exempt))
}

struct Rule {
    on: On,
    /// Which of the requests that it is for, counted from 1.
    which: Box<dyn Fn(usize) -> bool + Send>,
    fault: Fault,
    met: usize,
    spoilt: usize,
}

/// A rule of a proxy.
#[derive(Clone, Copy, Debug)]
pub struct RuleId(usize);

/// A running proxy.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    servers: Vec<Client>,
    ledger: Mutex<Ledger>,
}

#[derive(Default)]
struct Ledger {
    rules: Vec<Rule>,
    /// Rules before this one are no longer in force.
    healed: usize,
    /// Nothing is let through any more.
    frozen: bool,
    /// And what was to be done before has been done.
    still: bool,
    requests: Vec<String>,
    /// Watches that began, and how to end them.
    watches: Vec<(String, CancellationToken)>,
}

impl Proxy {
    /// One before the first API server of `cluster`.
    pub async fn start(cluster: &Cluster) -> Self {
        Self::before(cluster, 1).await
    }

    /// One before all API servers of `cluster`, each of which gets every so-manieth request.
    pub async fn balancing(cluster: &Cluster) -> Self {
        Self::before(cluster, usize::MAX).await
    }

    async fn before(cluster: &Cluster, count: usize) -> Self {
        let file = Kubeconfig::read_from(cluster.dir().join("kubeconfig")).expect("the supervisor wrote this file");
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.expect("the file is a kubeconfig");
        let server = |url: String| {
            let mut config = config.clone();
            // Who the operator is, it says itself.
            config.auth_info = AuthInfo::default();
            config.default_retry = false;
            config.cluster_url = url.parse().expect("the supervisor gives URLs");
            Client::try_from(config).expect("the certificates are well-formed")
        };
        let servers = cluster.servers().into_iter().take(count).map(server).collect();
        let shared = Arc::new(Shared { servers, ledger: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let router = Router::new().fallback(handle).with_state(shared.clone());
        let service = router.into_make_service_with_connect_info::<Link>();
        tokio::spawn(async { axum::serve(Doors(listener), service).await });
        Self { address, shared }
    }

    /// Where it listens, without encryption.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on, `fault` happens to those of these requests, counted from 1, that are `which`. The first rule wins.
    pub fn spoil(&self, on: On, which: impl Fn(usize) -> bool + Send + 'static, fault: Fault) -> RuleId {
        let mut ledger = self.shared.ledger();
        ledger.rules.push(Rule { on, which: Box::new(which), fault, met: 0, spoilt: 0 });
        RuleId(ledger.rules.len() - 1)
    }

    /// How many requests met this rule.
    pub fn spoilt(&self, rule: RuleId) -> usize {
        self.shared.ledger().rules[rule.0].spoilt
    }

    /// How many requests met any rule.
    pub fn spoilt_by_any(&self) -> usize {
        self.shared.ledger().rules.iter().map(|rule| rule.spoilt).sum()
    }

    /// From now on nothing is spoilt. What is lost stays lost.
    pub fn heal(&self) {
        let mut ledger = self.shared.ledger();
        ledger.healed = ledger.rules.len();
        (ledger.frozen, ledger.still) = (false, false);
    }

    /// Whether the world stands still, by [`Fault::FreezeBefore`] or [`Fault::FreezeAfter`].
    pub fn is_still(&self) -> bool {
        self.shared.ledger().still
    }

    /// Resets the connections of these watches.
    pub fn hang_up(&self, on: &On) {
        self.shared.ledger().watches.iter().filter(|(line, _)| on.concerns(line)).for_each(|(_, watch)| watch.cancel());
    }

    /// All requests that came, as `METHOD /path?query @number-of-the-API-server`.
    pub fn requests(&self) -> Vec<String> {
        self.shared.ledger().requests.clone()
    }
}

/// What is to become of a request.
struct Admitted {
    /// Number of the API server that gets it.
    server: usize,
    fault: Option<Fault>,
    /// For a watch, what ends it.
    watch: Option<CancellationToken>,
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("nobody panics with it")
    }

    /// Writes a request down, and says what is to become of it.
    fn admit(&self, line: &str) -> Admitted {
        let mut ledger = self.ledger();
        let server = ledger.requests.len() % self.servers.len();
        let line = format!("{line} @{server}");
        let fault = ledger.fault(&line);
        let watch = line.contains("watch=true").then(CancellationToken::new);
        ledger.watches.retain(|(_, watch)| !watch.is_cancelled());
        ledger.watches.extend(watch.iter().map(|watch| (line.clone(), watch.clone())));
        ledger.requests.push(line);
        Admitted { server, fault, watch }
    }

    async fn forward(&self, server: usize, request: Request) -> Response {
        let (mut parts, body) = request.into_parts();
        for name in [header::HOST, header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
            parts.headers.remove(name);
        }
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
        match self.servers[server].send(Request::from_parts(parts, body.into())).await {
            Ok(mut response) => {
                // It may be another one by the time it is passed on.
                response.headers_mut().remove(header::CONTENT_LENGTH);
                response.map(Body::new)
            }
            Err(error) => status(502, &error.to_string()),
        }
    }
}

impl Ledger {
    fn fault(&mut self, line: &str) -> Option<Fault> {
        if self.frozen {
            return Some(Fault::BlackHole);
        }
        let mut found = None;
        for rule in self.rules.iter_mut().skip(self.healed).filter(|rule| rule.on.concerns(line)) {
            rule.met += 1;
            if found.is_none() && (rule.which)(rule.met) {
                rule.spoilt += 1;
                found = Some(rule.fault);
            }
        }
        self.frozen = matches!(found, Some(Fault::FreezeBefore | Fault::FreezeAfter));
        self.still = matches!(found, Some(Fault::FreezeBefore));
        found
    }
}

async fn handle(State(shared): State<Arc<Shared>>, ConnectInfo(link): ConnectInfo<Link>, request: Request) -> Response {
    let line = format!("{} {}", request.method(), request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str));
    let Admitted { server, fault, watch } = shared.admit(&line);
    match fault {
        Some(Fault::Status(code)) => return status(code, "spoilt on its way"),
        Some(Fault::ResetBefore) => return link.cut(),
        Some(Fault::BlackHole | Fault::FreezeBefore) => return std::future::pending().await,
        Some(Fault::ErrorEvent(code)) => {
            let event = json!({"type": "ERROR", "object": failure(code, "spoilt on its way")});
            let response = Response::builder().header(header::CONTENT_TYPE, "application/json");
            return response.body(Body::from(format!("{event}\n"))).expect("it is complete");
        }
        Some(Fault::Late(pause)) => tokio::time::sleep(pause).await,
        _ => {}
    }
    let response = shared.forward(server, request).await;
    match (fault, watch) {
        (Some(Fault::ResetAfter), _) => {
            let _ = axum::body::to_bytes(response.into_body(), usize::MAX).await;
            link.cut()
        }
        (Some(Fault::FreezeAfter), _) => {
            let _ = axum::body::to_bytes(response.into_body(), usize::MAX).await;
            shared.ledger().still = true;
            std::future::pending().await
        }
        (Some(Fault::Without(kind)), _) => {
            let (parts, body) = response.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
            Response::from_parts(parts, without(kind, &body))
        }
        (_, Some(watch)) => response.map(|body| {
            let hung_up = stream::once(watch.cancelled_owned()).map({
                let link = link.clone();
                move |()| Err(link.reset())
            });
            // The API server ends a watch, too.
            let events = spoilt(lines(body), fault, link).map(Some).chain(stream::iter([None]));
            let events = stream::select(events, hung_up.map(Some)).take_while(|event| futures::future::ready(event.is_some()));
            Body::from_stream(events.filter_map(futures::future::ready))
        }),
        _ => response,
    }
}

fn failure(code: u16, message: &str) -> serde_json::Value {
    let reason = match code {
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        _ => "InternalError",
    };
    let details = if code == 429 { json!({"retryAfterSeconds": 1}) } else { json!({}) };
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "details": details, "code": code,
    })
}

fn status(code: u16, message: &str) -> Response {
    let response = Response::builder()
        .status(StatusCode::from_u16(code).expect("tests use codes that exist"))
        .header(header::CONTENT_TYPE, "application/json");
    let response = if code == 429 { response.header(header::RETRY_AFTER, "1") } else { response };
    response.body(Body::from(failure(code, message).to_string())).expect("it is complete")
}

/// The list of what is served, without resources of this kind.
fn without(kind: &str, list: &[u8]) -> Body {
    let mut list: serde_json::Value = serde_json::from_slice(list).expect("the API server lists what it serves");
    let resources = list["resources"].as_array_mut().expect("it serves something");
    resources.retain(|resource| resource["kind"] != kind);
    Body::from(list.to_string())
}

/// The events of a watch, one a line.
fn lines(body: Body) -> BoxStream<'static, io::Result<String>> {
    let lines = body.into_data_stream().map_err(io::Error::other).into_async_read().lines();
    lines.map_ok(|line| line + "\n").boxed()
}

fn spoilt(
    events: BoxStream<'static, io::Result<String>>,
    fault: Option<Fault>,
    link: Link,
) -> Pin<Box<dyn Stream<Item = io::Result<String>> + Send>> {
    let lost = |event: io::Result<String>| futures::future::ready(event.is_err().then_some(event));
    match fault {
        Some(Fault::Cut(after)) => {
            let cut = move |(number, event)| {
                if number < after { event } else { Err(link.reset()) }
            };
            Box::pin(events.enumerate().map(cut))
        }
        Some(Fault::Repeat) => Box::pin(events.map_ok(|event| event.clone() + &event)),
        Some(Fault::Lose) => Box::pin(events.filter_map(lost)),
        Some(Fault::Mute) => Box::pin(events.filter_map(lost).chain(stream::pending())),
        Some(Fault::Trickle(time)) => Box::pin(events.then(move |event| async move {
            tokio::time::sleep(time).await;
            event
        })),
        Some(Fault::Delay(time)) => Box::pin(
            events
                .map(move |event| async move {
                    tokio::time::sleep(time).await;
                    event
                })
                .buffered(10_000),
        ),
        _ => events,
    }
}

/// The connection that a request came by.
#[derive(Clone, Default)]
struct Link(Arc<AtomicBool>);

impl Link {
    /// Resets the connection as soon as anything is to be written to it.
    fn reset(&self) -> io::Error {
        self.0.store(true, Ordering::SeqCst);
        io::ErrorKind::ConnectionReset.into()
    }

    fn cut(&self) -> Response {
        let _ = self.reset();
        Response::default()
    }
}

impl Connected<IncomingStream<'_, Doors>> for Link {
    fn connect_info(stream: IncomingStream<'_, Doors>) -> Self {
        stream.io().link.clone()
    }
}

struct Doors(TcpListener);

impl Listener for Doors {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        loop {
            if let Ok((stream, address)) = self.0.accept().await {
                return (Wire { stream, link: Link::default() }, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A connection that can be reset.
struct Wire {
    stream: TcpStream,
    link: Link,
}

impl Wire {
    fn check(&self) -> io::Result<()> {
        if self.link.0.load(Ordering::SeqCst) {
            self.stream.set_zero_linger()?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
