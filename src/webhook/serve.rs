//! TLS, and the few things that may be asked.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRequest, Request};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::answer::Review;
use super::certificates::Current;
use super::connections::{Client, PATIENCE, Tls};
use super::{Sight, WebhookError};
use crate::guard::Mutation;
use crate::telemetry::{Answered, WebhookMetrics};

/// Longest body: an API server takes objects of 3 MiB, and sends what was there before beside what is to be, with some words around both.
pub(super) const LONGEST: usize = (2 * 3 * 1_024 + 256) * 1_024;

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
    let routes = routes(&sight, &metrics).into_make_service_with_connect_info::<Client>();
    Ok(axum::serve(tls, routes).with_graceful_shutdown(async move { stop.cancelled().await }).await?)
}

/// One path for each mutation. Nothing else is there, and nothing but a POST is an answer's beginning.
fn routes(sight: &Sight, metrics: &WebhookMetrics) -> Router {
    let router = Mutation::ALL.into_iter().fold(Router::new(), |router, mutation| {
        let (sight, metrics) = (sight.clone(), metrics.clone());
        let path = format!("/{}", mutation.as_str());
        let answered = async move |ConnectInfo(client): ConnectInfo<Client>, request: Request| {
            let asked = metrics.asked();
            let (response, answered) = answer(request, mutation, &sight, &client).await;
            asked.is(answered);
            response
        };
        router.route(&path, post(answered))
    });
    router.layer(DefaultBodyLimit::max(LONGEST)).layer(from_fn(answered))
}

/// Whatever the answer is, the connection may be silent after it.
async fn answered(ConnectInfo(client): ConnectInfo<Client>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    client.answered();
    response
}

async fn answer(request: Request, mutation: Mutation, sight: &Sight, client: &Client) -> (Response, Answered) {
    let rejected = |response: Response| (response, Answered::Rejected);
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let heard = async {
        let room = client.room(length.unwrap_or(LONGEST)).await?;
        Some((room, <Bytes as FromRequest<()>>::from_request(request, &()).await))
    };
    // What was read stays in memory until it is answered, and its room with it.
    let (_room, review) = match timeout(PATIENCE, heard).await {
        Ok(Some((room, Ok(body)))) => (room, Review::read(&body)),
        Ok(Some((_, Err(refused)))) => return rejected(refused.into_response()),
        Ok(None) => return rejected(StatusCode::SERVICE_UNAVAILABLE.into_response()),
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
