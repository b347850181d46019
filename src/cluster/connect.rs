//! Finding the API server, and finding out who we are to it.

use std::path::Path;
use std::time::Duration;

use http::header::USER_AGENT;
use http::{HeaderValue, Uri};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use tracing::warn;

use super::apiservers::ApiServers;
use super::follow::{ANSWER, SILENCE};
use super::served;
use crate::guard::{Grants, Reach};
use crate::plan::Host;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No configuration was found, or it cannot be used.
    #[error("no usable cluster configuration: {0}; set --kubeconfig or KUBECONFIG, or run in a pod with a service account")]
    Configuration(String),
    /// The API server does not answer.
    #[error("the API server does not answer: {0}")]
    Unreachable(#[source] Box<kube::Error>),
    /// The API server does not answer in time.
    #[error("the API server does not answer within {} s", ANSWER.as_secs())]
    Silent,
    /// The API server does not say who we are.
    #[error(
        "the API server does not say who this is (SelfSubjectReview names no user): without that name no policy would let the operator pass; let it authenticate, with the token of its ServiceAccount for instance"
    )]
    Nobody,
}

impl ConnectError {
    /// Whether the same question may be answered in a moment.
    fn may_pass(&self) -> bool {
        match self {
            Self::Configuration(_) | Self::Nobody => false,
            Self::Unreachable(error) => !matches!(&**error, kube::Error::Api(status) if status.code < 500 && status.code != 429),
            Self::Silent => true,
        }
    }
}

/// A client for the cluster that `kubeconfig` names, or that the environment or the pod's service account does; and its API
/// servers one by one, if need be at the addresses `each`. Audit logs name the replica called `instance`.
pub async fn connect(
    kubeconfig: Option<&Path>,
    context: Option<String>,
    each: Vec<Uri>,
    instance: &str,
) -> Result<(Client, ApiServers), ConnectError> {
    let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
    let unusable = |error: &dyn std::fmt::Display| ConnectError::Configuration(error.to_string());
    let mut config = match kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path).map_err(|error| unusable(&error))?;
            Config::from_custom_kubeconfig(file, &options).await.map_err(|error| unusable(&error))?
        }
        None if options.context.is_some() => Config::from_kubeconfig(&options).await.map_err(|error| unusable(&error))?,
        None => Config::infer().await.map_err(|error| unusable(&error))?,
    };
    let agent = HeaderValue::try_from(format!("rempart/{} ({instance})", env!("CARGO_PKG_VERSION"))).map_err(|error| unusable(&error))?;
    config.headers.push((USER_AGENT, agent));
    config.connect_timeout = Some(Duration::from_secs(5));
    // Everything that is asked has a time of its own to be answered in; this is for what nobody waits for any more.
    config.read_timeout = Some(SILENCE);
    config.reset_reader_on_write = true;
    // Whoever asks must learn that it failed: a watch that is tried again unseen is one that nobody knows to be broken.
    config.default_retry = false;
    let servers = ApiServers::new(config.clone(), each);
    Ok((Client::try_from(config).map_err(|error| unusable(&error))?, servers))
}

/// How long to wait before an API server that did not answer, or is busy, is asked again; at first, and at most.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(8));

/// Who the operator is, and what the API server serves. One that does not answer is asked until it does: an end would only be followed by
/// another start, and those are ever further apart.
pub async fn host(
    client: Client,
    namespace: &str,
    node_labelers: Vec<String>,
    grants: Grants,
    webhook: Option<Reach>,
) -> Result<Host, ConnectError> {
    let mut pause = AGAIN.0;
    let (user, mutates) = loop {
        match ask(&client).await {
            Err(error) if error.may_pass() => {
                warn!(%error, "asking again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(AGAIN.1);
            }
            found => break found?,
        }
    };
    Ok(Host { user, namespace: namespace.to_owned(), mutates, webhook, node_labelers, grants })
}

/// The operator's user name, and whether the API server serves mutating policies.
async fn ask(client: &Client) -> Result<(String, bool), ConnectError> {
    let reviews: Api<SelfSubjectReview> = Api::all(client.clone());
    let review = answer(reviews.create(&PostParams::default(), &SelfSubjectReview::default())).await?;
    let user = named(review)?;
    let mutates = served::asked(client).await?.unwrap_or(false);
    Ok((user, mutates))
}

/// The user that a review names.
fn named(review: SelfSubjectReview) -> Result<String, ConnectError> {
    let user = review.status.and_then(|status| status.user_info).and_then(|user| user.username);
    user.filter(|user| !user.is_empty()).ok_or(ConnectError::Nobody)
}

/// What is answered within the time that an answer may take.
pub(super) async fn answer<T>(asked: impl Future<Output = Result<T, kube::Error>>) -> Result<T, ConnectError> {
    let answered = tokio::time::timeout(ANSWER, asked).await.map_err(|_| ConnectError::Silent)?;
    answered.map_err(|error| ConnectError::Unreachable(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_has_no_name_is_nobody_and_not_somebody_without_a_name() {
        let review = |status: serde_json::Value| serde_json::from_value(json!({"metadata": {}, "status": status})).unwrap();
        for status in [json!(null), json!({}), json!({"userInfo": {}}), json!({"userInfo": {"username": ""}})] {
            let error = named(review(status.clone())).expect_err(&status.to_string());
            assert!(matches!(error, ConnectError::Nobody) && !error.may_pass(), "{status}: {error}");
        }
        assert_eq!(named(review(json!({"userInfo": {"username": "rempart"}}))).unwrap(), "rempart");
    }
}
