//! Connections under TLS. Anybody may open one: no client takes what others need, and none holds one for ever.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::debug;

/// Connections at once: of all, and of one address. They speak HTTP/1, so an API server has one for each request that waits for an answer, and keeps
/// 25 when none does.
const CONNECTIONS: usize = 512;
const CONNECTIONS_OF_ONE: usize = 64;
/// Requests in memory at once, in KiB: of all, and of one address. It takes the longest request, or hundreds as they are.
const ROOM: usize = 32 * 1_024;
const ROOM_OF_ONE: usize = 8 * 1_024;
/// How long a client may take to say hello, and for a request from its first byte to the answer. An API server waits for two seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How long a connection may be silent before a request.
const IDLE: Duration = Duration::from_mins(2);
/// How long to wait when no connection can be accepted.
const AGAIN: Duration = Duration::from_millis(100);

/// Connections whose clients have said hello: one that does not keeps nobody else waiting.
pub(super) struct Tls {
    address: SocketAddr,
    greeted: mpsc::Receiver<(Connection, SocketAddr)>,
    _greeting: JoinSet<()>,
}

impl Tls {
    pub(super) fn accept_at(listener: TcpListener, acceptor: TlsAcceptor) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let (sender, greeted) = mpsc::channel(1);
        let mut greeting = JoinSet::new();
        greeting.spawn(greet(listener, acceptor, sender));
        Ok(Self { address, greeted, _greeting: greeting })
    }
}

async fn greet(listener: TcpListener, acceptor: TlsAcceptor, greeted: mpsc::Sender<(Connection, SocketAddr)>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut sources = Sources::new();
    let mut greetings = JoinSet::new();
    loop {
        while greetings.try_join_next().is_some() {}
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                debug!(%error, "no connection is accepted");
                sleep(AGAIN).await;
                continue;
            }
        };
        let Some(client) = sources.client(address.ip().to_canonical()) else {
            debug!(%address, "one connection too many of this address");
            continue;
        };
        let (acceptor, greeted) = (acceptor.clone(), greeted.clone());
        greetings.spawn(async move {
            match timeout(PATIENCE, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let connection = Connection { stream, client, asks: false, until: Box::pin(sleep(IDLE)), _place: place };
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

/// The addresses that connections come from, and what each may have.
struct Sources {
    connected: BTreeMap<IpAddr, Weak<Source>>,
    room: Arc<Semaphore>,
}

struct Source {
    places: Arc<Semaphore>,
    room: Semaphore,
    room_of_all: Arc<Semaphore>,
}

impl Sources {
    fn new() -> Self {
        Self { connected: BTreeMap::new(), room: Arc::new(Semaphore::new(ROOM)) }
    }

    /// One more connection from `address`; none if it has all that it may have.
    fn client(&mut self, address: IpAddr) -> Option<Client> {
        self.connected.retain(|_, source| source.strong_count() > 0);
        let known = self.connected.get(&address).and_then(Weak::upgrade);
        let source = known.unwrap_or_else(|| {
            let places = Arc::new(Semaphore::new(CONNECTIONS_OF_ONE));
            let source = Arc::new(Source { places, room: Semaphore::new(ROOM_OF_ONE), room_of_all: self.room.clone() });
            self.connected.insert(address, Arc::downgrade(&source));
            source
        });
        let place = source.places.clone().try_acquire_owned().ok()?;
        Some(Client { source, answered: Arc::default(), _place: Arc::new(place) })
    }
}

/// Who is at the other end of a connection.
#[derive(Clone)]
pub(super) struct Client {
    source: Arc<Source>,
    answered: Arc<AtomicBool>,
    _place: Arc<OwnedSemaphorePermit>,
}

impl Client {
    /// Waits for room for a request of `bytes`, of that of its address first: others never wait for what one address has asked.
    pub(super) async fn room(&self, bytes: usize) -> Option<(SemaphorePermit<'_>, SemaphorePermit<'_>)> {
        let size = u32::try_from(bytes.div_ceil(1_024).clamp(1, ROOM_OF_ONE)).ok()?;
        let own = self.source.room.acquire_many(size).await.ok()?;
        Some((own, self.source.room_of_all.acquire_many(size).await.ok()?))
    }

    /// The request that it has sent has its answer.
    pub(super) fn answered(&self) {
        self.answered.store(true, Ordering::Release);
    }
}

impl Connected<IncomingStream<'_, Tls>> for Client {
    fn connect_info(stream: IncomingStream<'_, Tls>) -> Self {
        stream.io().client.clone()
    }
}

/// One of the connections there may be. It ends when its client is silent for long, or long about a request.
pub(super) struct Connection {
    stream: TlsStream<TcpStream>,
    client: Client,
    /// Whether something of a request was read that has no answer.
    asks: bool,
    until: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        if this.client.answered.swap(false, Ordering::Acquire) {
            this.asks = false;
            this.until.as_mut().reset(Instant::now() + IDLE);
        }
        if this.until.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(std::io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if !this.asks && buffer.filled().len() > before {
            this.asks = true;
            this.until.as_mut().reset(Instant::now() + PATIENCE);
            // A timer that is not asked wakes nobody.
            if this.until.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(std::io::ErrorKind::TimedOut.into()));
            }
        }
        read
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

#[cfg(test)]
mod tests;
