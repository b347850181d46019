//! Seeing for ourselves: whether the API server refuses what it must refuse and has read the Clearance. Everything here is a
//! dry run in the namespace `rempart-canary`, so nothing is ever written (enforcement.md, fact 21).

use std::time::Duration;

use kube::Client;
use serde_json::{Value, json};

use super::apply::said;
use crate::api::names::CANARY;
use crate::plan::Outcome;

/// How often a probe is repeated before its answer counts, and how long it waits in between: an API server takes about
/// 0.7 s to take a new policy into use.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// What an administrator does when the probe itself is refused.
const INSTALL: &str = "install the namespace rempart-canary and its role (kubectl apply --server-side -f deploy/)";

/// What one request was answered.
enum Answer {
    /// Admission let it pass.
    Passed,
    /// A policy refused it.
    Refused,
    /// Neither can be said.
    Unclear(String),
}

/// Asks the API server to let a pod of a sensitive namespace onto a node that is not cleared, and to bind one to the node
/// `epoch` that only the present Clearance clears.
pub async fn probe(client: &Client, epoch: &str) -> Outcome {
    let mut tries = 1;
    loop {
        match once(client, epoch).await {
            Ok(outcome) => return outcome,
            Err(outcome) if tries == TRIES => return outcome,
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
        tries += 1;
    }
}

/// What is found now; as an error, what may be another in a moment, because the API server takes new policies and data into
/// use with a delay.
async fn once(client: &Client, epoch: &str) -> Result<Outcome, Outcome> {
    let refusals = [
        ("a Binding to a node that is not cleared", bind(client, "rempart-not-cleared").await),
        ("a pod that names its node", create_pod(client).await),
    ];
    for (what, answer) in refusals {
        match answer {
            Answer::Refused => {}
            Answer::Passed => return Err(Outcome::Open(format!("the API server let {what} pass in namespace {CANARY}"))),
            Answer::Unclear(why) => return Ok(Outcome::Unclear(format!("{what}: {why}"))),
        }
    }
    match bind(client, epoch).await {
        Answer::Passed => Ok(Outcome::Holds),
        Answer::Refused => Err(Outcome::Unclear("the API server has not read the latest Clearance".to_owned())),
        Answer::Unclear(why) => Ok(Outcome::Unclear(format!("a Binding to a node that is cleared: {why}"))),
    }
}

async fn bind(client: &Client, node: &str) -> Answer {
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": "canary"},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    });
    ask(client, &format!("/api/v1/namespaces/{CANARY}/pods/canary/binding"), &binding).await
}

async fn create_pod(client: &Client) -> Answer {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "canary"},
        "spec": {
            "nodeName": "rempart-not-cleared",
            "automountServiceAccountToken": false,
            "containers": [{"name": "canary", "image": "canary", "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}, "limits": {"cpu": "1m", "memory": "1Mi"}}}],
        },
    });
    ask(client, &format!("/api/v1/namespaces/{CANARY}/pods"), &pod).await
}

async fn ask(client: &Client, path: &str, body: &Value) -> Answer {
    let request = http::Request::post(format!("{path}?dryRun=All"))
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body.to_string().into_bytes());
    let request = match request {
        Ok(request) => request,
        Err(error) => return Answer::Unclear(error.to_string()),
    };
    match client.request::<Value>(request).await {
        Ok(_) => Answer::Passed,
        Err(kube::Error::Api(status)) => match status.code {
            // Admission comes before storage: the pod that would be bound need not exist.
            404 if status.message.contains("pods \"canary\" not found") => Answer::Passed,
            404 => Answer::Unclear(format!("{}: {INSTALL}", status.message)),
            // For 30 s after its start an API server may refuse whatever meets a policy with a parameter (enforcement.md, fact 17).
            _ if status.message.contains("failed to find resource referenced by paramKind") => {
                Answer::Unclear("the API server has just started and has not found the Clearance yet".to_owned())
            }
            403 if status.message.contains("ValidatingAdmissionPolicy") => Answer::Refused,
            403 => Answer::Unclear(format!("{}: {INSTALL}", status.message)),
            code => Answer::Unclear(format!("{} ({code})", status.message)),
        },
        Err(error) => Answer::Unclear(said(&error)),
    }
}
