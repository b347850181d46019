//! TLS, and the few things that may be asked.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::answer::Review;
use super::certificates::Current;
use super::{Sight, WebhookError};
use crate::guard::Mutation;
use crate::telemetry::{Answered, WebhookMetrics};

/// Longest body: an API server takes objects of 3 MiB, and sends what was there before beside what is to be, with some words around both.
const LONGEST: usize = (2 * 3 * 1_024 + 256) * 1_024;
/// Requests in memory and connections made at once. An API server keeps a few connections, and asks no more at once than it is asked itself.
const AT_ONCE: usize = 16;
const CONNECTIONS: usize = 256;
/// How long a client may take to say hello, and to say all that it has to say.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a connection may be silent.
const IDLE: Duration = Duration::from_mins(2);
/// How long to wait when no connection can be accepted.
const AGAIN: Duration = Duration::from_millis(100);

pub(super) async fn serve(
    listener: TcpListener,
    current: Current,
    sight: Sight,
    metrics: WebhookMetrics,
    stop: CancellationToken,
) -> Result<(), WebhookError> {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| WebhookError::Certificate(error.to_string()))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(current));
    info!(webhook = %listener.local_addr()?, "serving the webhook");
    let tls = Tls::accept_at(listener, TlsAcceptor::from(Arc::new(config)))?;
    Ok(axum::serve(tls, routes(&sight, &metrics)).with_graceful_shutdown(async move { stop.cancelled().await }).await?)
}

/// One path for each mutation. Nothing else is there, and nothing but a POST is an answer's beginning.
fn routes(sight: &Sight, metrics: &WebhookMetrics) -> Router {
    let at_once = Arc::new(Semaphore::new(AT_ONCE));
    let router = Mutation::ALL.into_iter().fold(Router::new(), |router, mutation| {
        let (sight, at_once, metrics) = (sight.clone(), at_once.clone(), metrics.clone());
        let path = format!("/{}", mutation.as_str());
        let answered = async move |request: axum::extract::Request| {
            let asked = metrics.asked();
            let (response, answered) = answer(request, mutation, &sight, &at_once).await;
            asked.is(answered);
            response
        };
        router.route(&path, post(answered))
    });
    router.layer(DefaultBodyLimit::max(LONGEST))
}

async fn answer(request: axum::extract::Request, mutation: Mutation, sight: &Sight, at_once: &Semaphore) -> (Response, Answered) {
    let rejected = |response: Response| (response, Answered::Rejected);
    let Ok(_permit) = at_once.acquire().await else { return rejected(StatusCode::SERVICE_UNAVAILABLE.into_response()) };
    let body = timeout(PATIENCE, <Bytes as axum::extract::FromRequest<()>>::from_request(request, &())).await;
    let review = match body {
        Ok(Ok(body)) => Review::read(&body),
        Ok(Err(refused)) => return rejected(refused.into_response()),
        Err(_) => return rejected(StatusCode::REQUEST_TIMEOUT.into_response()),
    };
    match review {
        Ok(review) => {
            let (answer, answered) = review.answer(mutation, sight).await;
            (([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response(), answered)
        }
        Err(why) => rejected((StatusCode::BAD_REQUEST, why).into_response()),
    }
}

/// Connections whose clients have said hello: one that does not keeps nobody else waiting.
struct Tls {
    address: SocketAddr,
    greeted: mpsc::Receiver<(Connection, SocketAddr)>,
    _greeting: JoinSet<()>,
}

impl Tls {
    fn accept_at(listener: TcpListener, acceptor: TlsAcceptor) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let (sender, greeted) = mpsc::channel(1);
        let mut greeting = JoinSet::new();
        greeting.spawn(greet(listener, acceptor, sender));
        Ok(Self { address, greeted, _greeting: greeting })
    }
}

async fn greet(listener: TcpListener, acceptor: TlsAcceptor, greeted: mpsc::Sender<(Connection, SocketAddr)>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut greetings = JoinSet::new();
    loop {
        while greetings.try_join_next().is_some() {}
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                debug!(%error, "no connection is accepted");
                sleep(AGAIN).await;
                continue;
            }
        };
        let (acceptor, greeted) = (acceptor.clone(), greeted.clone());
        greetings.spawn(async move {
            match timeout(PATIENCE, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let connection = Connection { stream, idle: Box::pin(sleep(IDLE)), _permit: permit };
                    // Nobody takes it when the webhook ends.
                    let _ = greeted.send((connection, address)).await;
                }
                Ok(Err(error)) => debug!(%address, %error, "a connection without TLS, or that does not trust this certificate"),
                Err(_) => debug!(%address, "a connection that says nothing"),
            }
        });
    }
}

impl Listener for Tls {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.greeted.recv().await {
            Some(greeted) => greeted,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok(self.address)
    }
}

/// One of the connections there may be, which ends when its client has said nothing for long.
struct Connection {
    stream: TlsStream<TcpStream>,
    idle: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Pending => this.idle.as_mut().poll(context).map(|()| Err(std::io::ErrorKind::TimedOut.into())),
            ready @ Poll::Ready(_) => {
                this.idle.as_mut().reset(Instant::now() + IDLE);
                ready
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, buffer)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
