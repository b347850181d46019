use std::io::{Read as _, Write as _};
use std::time::SystemTime;

use futures::FutureExt as _;
use tokio::net::TcpSocket;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::telemetry::Metrics;
use crate::webhook::certificates::{Current, Generation};
use crate::webhook::serve::{LONGEST, serve};

/// More than any of this takes.
const EVER: Duration = Duration::from_mins(1);

/// A webhook that knows no cluster, and whom to trust to reach it.
struct Served {
    address: SocketAddr,
    config: Arc<ClientConfig>,
    _task: JoinSet<()>,
}

impl Served {
    async fn start() -> Self {
        let generation = Generation::new("127.0.0.1", SystemTime::now(), Duration::from_hours(1)).unwrap();
        let metrics = Metrics::default().webhook();
        let current = Current::new(metrics.clone());
        current.set(&generation);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let (_nothing, sight) = tokio::sync::watch::channel(None);
            serve(listener, current, sight, metrics, CancellationToken::new()).await.unwrap();
        });
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(generation.authority.as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        Self { address, config: Arc::new(config), _task: task }
    }

    /// A connection from `source`.
    async fn connect(&self, source: &str) -> std::io::Result<Greeted> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(source.parse().unwrap(), 0))?;
        let mut stream = socket.connect(self.address).await?.into_std()?;
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(EVER))?;
        let mut client = ClientConnection::new(self.config.clone(), ServerName::try_from("127.0.0.1").unwrap()).unwrap();
        while client.is_handshaking() {
            client.complete_io(&mut stream)?;
        }
        Ok(StreamOwned::new(client, stream))
    }
}

type Greeted = StreamOwned<ClientConnection, std::net::TcpStream>;

/// What is answered to something that is no review.
fn ask(connection: &mut Greeted) -> String {
    connection.write_all(b"POST /rempart-volume HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}").unwrap();
    connection.flush().unwrap();
    let mut answer = vec![0; 1_024];
    let length = connection.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_takes_no_connection_of_another() {
    let served = Served::start().await;
    let mut many = Vec::new();
    for _ in 0..CONNECTIONS_OF_ONE {
        many.push(served.connect("127.0.0.2").await.unwrap());
    }
    assert!(served.connect("127.0.0.2").await.is_err(), "one too many");
    let answer = ask(&mut served.connect("127.0.0.3").await.unwrap());
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    many.clear();
    let again = async {
        while served.connect("127.0.0.2").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(EVER, again).await.expect("what is given back can be taken again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_never_ends_is_ended_and_a_connection_that_is_silent_after_its_answer_is_not() {
    let served = Served::start().await;
    let mut polite = served.connect("127.0.0.1").await.unwrap();
    assert!(ask(&mut polite).starts_with("HTTP/1.1 400"));
    for begins in ["POST /rempart-volume HTTP/1.1\r\nX: ", "POST /rempart-volume HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"] {
        let mut slow = served.connect("127.0.0.1").await.unwrap();
        slow.write_all(begins.as_bytes()).unwrap();
        slow.sock.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let began = Instant::now();
        let mut answer = [0; 1_024];
        loop {
            assert!(began.elapsed() < EVER, "nobody hangs up");
            match slow.read(&mut answer) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => break,
                // Whatever it is told, it goes on.
                Ok(_) => {}
            }
            if slow.write_all(b"x").and_then(|()| slow.flush()).is_err() {
                break;
            }
        }
    }
    let answer = ask(&mut polite);
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[tokio::test]
async fn what_one_address_sends_leaves_room_for_others() {
    let mut sources = Sources::new();
    let [greedy, same, other] = ["192.0.2.1", "192.0.2.1", "192.0.2.2"].map(|address| sources.client(address.parse().unwrap()).unwrap());
    let held = greedy.room(LONGEST).now_or_never().flatten().expect("it is the first");
    assert!(same.room(LONGEST).now_or_never().is_none(), "there is no more for this address");
    let others = other.room(LONGEST).now_or_never().flatten().expect("others have theirs");
    drop(held);
    assert!(same.room(LONGEST).now_or_never().flatten().is_some());
    drop(others);
    let most = [usize::MAX, 0].map(|bytes| other.room(bytes).now_or_never().flatten().is_some());
    assert_eq!(most, [true, true], "nothing waits for what there never is");
}
