//! Every API server by itself: what one has read, another may not have read yet.

use std::time::Duration;

use http::Uri;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{Api, Client, Config};
use tracing::debug;

use super::apply::said;

/// The service whose endpoints are the API servers.
const SERVICE: (&str, &str) = ("default", "kubernetes");
/// The name that every API server's certificate has.
const SERVER_NAME: &str = "kubernetes.default.svc";
/// How often the one address is asked when there may be several API servers behind it: each connection may end at another.
const CONNECTIONS: usize = 3;
/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// How long the answer to the question for their addresses may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How to reach the API servers.
#[derive(Clone)]
pub struct ApiServers {
    config: Config,
    given: Vec<Uri>,
}

/// The API servers that can be asked one by one, by address.
pub(super) struct Each {
    pub(super) clients: Vec<(String, Client)>,
    /// Whether there may be others behind the same address.
    pub(super) may_be_more: bool,
}

impl ApiServers {
    pub(super) fn new(config: Config, given: Vec<Uri>) -> Self {
        Self { config, given }
    }

    /// Those that were given; otherwise those that the cluster names; otherwise whatever answers at the one address that is known.
    pub(super) async fn each(&self) -> Result<Each, kube::Error> {
        if !self.given.is_empty() {
            return self.clients(&self.given, false);
        }
        let named = self.named().await;
        // A single address may be that of a load balancer.
        if named.len() > 1 { self.clients(&named, false) } else { self.clients(&vec![self.config.cluster_url.clone(); CONNECTIONS], true) }
    }

    /// The addresses that the API servers write for themselves.
    async fn named(&self) -> Vec<Uri> {
        let slice = match self.client(self.config.cluster_url.clone()) {
            Ok(client) => {
                let slices = Api::<EndpointSlice>::namespaced(client, SERVICE.0);
                let answered = tokio::time::timeout(ANSWER_WITHIN, slices.get_opt(SERVICE.1)).await;
                answered.map_err(|_| "no answer".to_owned()).and_then(|slice| slice.map_err(|error| said(&error)))
            }
            Err(error) => Err(said(&error)),
        };
        let slice = slice.unwrap_or_else(|error| {
            debug!(error, "the addresses of the API servers cannot be read");
            None
        });
        let addresses = slice.iter().flat_map(|slice| {
            let mut ports = slice.ports.iter().flatten().filter(|port| port.name.as_deref().is_none_or(|name| name == "https"));
            let port = ports.find_map(|port| port.port).unwrap_or(443);
            slice.endpoints.iter().flatten().flat_map(|endpoint| &endpoint.addresses).filter_map(move |address| url(address, port))
        });
        addresses.collect()
    }

    fn clients(&self, urls: &[Uri], may_be_more: bool) -> Result<Each, kube::Error> {
        let client = |url: &Uri| Ok((url.authority().map(ToString::to_string).unwrap_or_default(), self.client(url.clone())?));
        let clients = urls.iter().map(client).collect::<Result<_, kube::Error>>()?;
        Ok(Each { clients, may_be_more })
    }

    /// A client with a connection of its own.
    fn client(&self, url: Uri) -> Result<Client, kube::Error> {
        let mut config = self.config.clone();
        if url != config.cluster_url && self.given.is_empty() {
            config.tls_server_name = Some(SERVER_NAME.to_owned());
        }
        config.cluster_url = url;
        config.connect_timeout = Some(CONNECT_WITHIN);
        Client::try_from(config)
    }
}

fn url(address: &str, port: i32) -> Option<Uri> {
    let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    format!("https://{host}:{port}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_either_family_is_a_url() {
        assert_eq!(url("192.0.2.1", 6443).unwrap().to_string(), "https://192.0.2.1:6443/");
        assert_eq!(url("2001:db8::1", 443).unwrap().to_string(), "https://[2001:db8::1]:443/");
    }
}
