//! What the Service is in a cluster with a network: connections go to any of the operators that live.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

/// An address that leads to the webhook of every operator whose log it knows. It is there until this process ends.
pub struct Service {
    address: SocketAddr,
    logs: Arc<Mutex<Vec<PathBuf>>>,
    led: Arc<Mutex<Vec<TcpStream>>>,
}

impl Service {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let logs = Arc::new(Mutex::new(Vec::<PathBuf>::new()));
        let led = Arc::new(Mutex::new(Vec::new()));
        let (known, leads) = (logs.clone(), led.clone());
        thread::spawn(move || {
            for (turn, connection) in listener.incoming().flatten().enumerate() {
                let mut addresses: Vec<SocketAddr> = known.lock().unwrap().iter().filter_map(|log| webhook_of(log)).collect();
                if !addresses.is_empty() {
                    let first = turn % addresses.len();
                    addresses.rotate_left(first);
                }
                if let Some(operator) = addresses.iter().find_map(|address| TcpStream::connect(address).ok()) {
                    leads.lock().unwrap().extend([connection.try_clone(), operator.try_clone()].into_iter().flatten());
                    lead(connection, operator);
                }
            }
        });
        Self { address, logs, led }
    }

    /// Where API servers find it.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection that there is: whoever comes back looks at the certificate anew.
    pub fn cut(&self) {
        for connection in self.led.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// From now on it leads to the operator that writes this log, too.
    pub fn know(&self, log: &Path) {
        let mut logs = self.logs.lock().unwrap();
        if !logs.iter().any(|known| known == log) {
            logs.push(log.to_owned());
        }
    }
}

/// Where an operator says that it serves its webhook.
fn webhook_of(log: &Path) -> Option<SocketAddr> {
    let log = std::fs::read_to_string(log).ok()?;
    log.lines().find_map(|line| line.split_once("serving the webhook webhook=")?.1.trim().parse().ok())
}

fn lead(client: TcpStream, operator: TcpStream) {
    let halves = [(client.try_clone(), operator.try_clone()), (Ok(operator), Ok(client))];
    for half in halves {
        let (Ok(mut from), Ok(mut to)) = half else { return };
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = (to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both));
        });
    }
}
