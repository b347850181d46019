//! Spans for whoever collects traces: OTLP over HTTP, to where the variables `OTEL_*` of OpenTelemetry say.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use http::Uri;
use kube::client::Body;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::{Layer, Registry};

/// How long a collector may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What sends spans.
pub(super) type Sender = Box<dyn Layer<Registry> + Send + Sync>;

/// What sends spans, and what must be told when there are no more; nothing where no variable names a collector.
pub(super) fn start() -> Result<Option<(Sender, SdkTracerProvider)>, String> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let named = set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(|| set("OTEL_EXPORTER_OTLP_ENDPOINT")).is_some();
    let off = set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        || set("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
    if !named || off {
        return Ok(None);
    }
    let exporter = SpanExporter::builder().with_http().with_http_client(Collector(Handle::current()));
    let exporter = exporter.build().map_err(|error| format!("no traces can be sent: {error}; correct the variables OTEL_*"))?;
    let mut resource = Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    let says_name = set("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|value| value.contains("service.name="));
    if set("OTEL_SERVICE_NAME").is_none() && !says_name {
        resource = resource.with_service_name("rempart");
    }
    let provider = SdkTracerProvider::builder().with_resource(resource.build()).with_batch_exporter(exporter).build();
    let ours = Targets::new().with_target("rempart", Level::DEBUG);
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("rempart")).with_filter(ours);
    Ok(Some((layer.boxed(), provider)))
}

/// Sends to the collector with the client that speaks to the API server, so that there is one implementation of TLS. Spans are
/// sent from a thread of their own, which has no runtime: this is the operator's.
#[derive(Debug)]
struct Collector(Handle);

impl HttpClient for Collector {
    fn send_bytes<'life0, 'async_trait>(
        &'life0 self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let sent = self.0.spawn(async { tokio::time::timeout(PATIENCE, send(request)).await });
        Box::pin(async { sent.await?? })
    }
}

async fn send(request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let (mut head, body) = request.into_parts();
    let mut server = std::mem::take(&mut head.uri).into_parts();
    if let Some(path) = server.path_and_query.replace("/".parse()?) {
        head.uri = Uri::from(path);
    }
    let client = kube::Client::try_from(kube::Config::new(Uri::from_parts(server)?))?;
    let (head, body) = client.send(Request::from_parts(head, Body::from(body.to_vec()))).await?.into_parts();
    Ok(Response::from_parts(head, body.collect_bytes().await?))
}
