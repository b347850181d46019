//! A mutating webhook that takes off what Rempart added, and has the last word: webhooks are called after the policies
//! of the API server, and this one again when they have added it again.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::serve::Listener;
use axum::{Router, routing};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::server::TlsStream;

/// Starts it, until this process ends, and gives the configuration that makes an API server call it: for pods with the
/// label `strip`, whose value says whether only the selector goes (`selector`) or the labels as well (`all`).
pub(super) async fn configuration() -> Value {
    let (address, certificate) = serve(Router::new().route("/", routing::post(strip))).await;
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "strip"},
        "webhooks": [{
            "name": "strip.example.com",
            "clientConfig": {"url": format!("https://{address}/"), "caBundle": BASE64_STANDARD.encode(certificate)},
            "objectSelector": {"matchExpressions": [{"key": "strip", "operator": "Exists"}]},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "reinvocationPolicy": "IfNeeded",
        }],
    })
}

/// Serves it by TLS until this process ends; its address, and the certificate to believe, in PEM.
pub(super) async fn serve(router: Router) -> (SocketAddr, String) {
    let (ready, address) = tokio::sync::oneshot::channel();
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a name is all it needs");
    let certificate = cert.pem();
    // Not on the runtime of the test that happens to come first: it ends with that test.
    std::thread::spawn(move || {
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("it was just made");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider knows them")
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .expect("key and certificate belong together");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
            ready.send(listener.local_addr().expect("it is bound")).expect("somebody waits");
            axum::serve(Tls { listener, acceptor: TlsAcceptor::from(Arc::new(config)) }, router).await.expect("it serves");
        });
    });
    (address.await.expect("it starts"), certificate)
}

async fn strip(review: String) -> ([(http::HeaderName, &'static str); 1], String) {
    let review: Value = serde_json::from_str(&review).expect("the API server sends JSON");
    let labels = &review["request"]["object"]["metadata"]["labels"];
    let mut patch = vec![json!({"op": "add", "path": "/spec/nodeSelector", "value": {}})];
    if labels["strip"] == "all" && !labels["rempart.dev/sensitivity"].is_null() {
        patch.push(json!({"op": "remove", "path": "/metadata/labels/rempart.dev~1sensitivity"}));
    }
    let patch = BASE64_STANDARD.encode(Value::from(patch).to_string());
    let response = json!({"uid": review["request"]["uid"], "allowed": true, "patchType": "JSONPatch", "patch": patch});
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
    ([(CONTENT_TYPE, "application/json")], review.to_string())
}

struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            if let Ok((stream, address)) = self.listener.accept().await
                && let Ok(stream) = self.acceptor.accept(stream).await
            {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
