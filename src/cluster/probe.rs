//! Seeing for ourselves: whether the API server refuses what it must refuse and has read the Clearance. Everything here is a
//! dry run in the namespace `rempart-canary`, so nothing is ever written (enforcement.md, fact 21).

use kube::Client;
use serde_json::{Value, json};

use super::apply::said;
use crate::api::names::{CANARY, GROUP, VERSION};
use crate::guard;
use crate::plan::Outcome;

/// What an administrator does when the probe itself is refused.
const INSTALL: &str = "install the namespace rempart-canary and its role (kubectl apply --server-side -f deploy/)";

/// What one request was answered.
enum Answer {
    /// Admission let it pass.
    Passed,
    /// A policy refused it, in these words.
    Refused(String),
    /// Neither can be said.
    Unclear(String),
}

/// What is to be seen in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aim {
    /// The node that only the present Clearance clears for the probe.
    pub clearance: String,
    /// The epoch of the policies and bindings.
    pub policies: String,
    /// Whether the API server serves mutating policies.
    pub mutates: bool,
}

/// Asks the API server which policies it uses, to let a pod of a sensitive namespace onto a node that is not cleared, and to
/// bind one to the node that only the present Clearance clears. As an error, what may be another in a moment, because the API
/// server takes new policies and data into use with a delay.
pub async fn probe(client: &Client, aim: &Aim) -> Result<Outcome, Outcome> {
    match declare(client, &aim.policies).await {
        Answer::Refused(message) if message.contains(&guard::answer(&aim.policies, aim.mutates)) => {}
        Answer::Unclear(why) => return Ok(Outcome::Unclear(format!("which policies are in use: {why}"))),
        Answer::Refused(_) | Answer::Passed => {
            return Err(Outcome::Unclear("the API server does not use the latest policies yet".to_owned()));
        }
    }
    let refusals = [
        ("a Binding to a node that is not cleared", bind(client, "pods/canary/binding", "rempart-not-cleared").await),
        ("a legacy Binding to a node that is not cleared", bind(client, "bindings", "rempart-not-cleared").await),
        ("a pod that names its node", create_pod(client).await),
    ];
    for (what, answer) in refusals {
        match answer {
            Answer::Refused(_) => {}
            Answer::Passed => return Err(Outcome::Open(format!("the API server let {what} pass in namespace {CANARY}"))),
            Answer::Unclear(why) => return Ok(Outcome::Unclear(format!("{what}: {why}"))),
        }
    }
    match bind(client, "pods/canary/binding", &aim.clearance).await {
        Answer::Passed => Ok(Outcome::Holds),
        Answer::Refused(_) => Err(Outcome::Unclear("the API server has not read the latest Clearance".to_owned())),
        Answer::Unclear(why) => Ok(Outcome::Unclear(format!("a Binding to a node that is cleared: {why}"))),
    }
}

/// A declaration that is refused by name of the epoch that is in use (`guard/policies/05-epoch.yaml`).
async fn declare(client: &Client, epoch: &str) -> Answer {
    let declaration = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"), "kind": "DataDeclaration",
        "metadata": {"name": "canary", "labels": {"rempart.dev/epoch": epoch}},
        "spec": {"level": "canary"},
    });
    ask(client, &format!("/apis/{GROUP}/{VERSION}/namespaces/{CANARY}/datadeclarations"), &declaration).await
}

async fn bind(client: &Client, resource: &str, node: &str) -> Answer {
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": "canary"},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    });
    ask(client, &format!("/api/v1/namespaces/{CANARY}/{resource}"), &binding).await
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
            403 if status.message.contains("ValidatingAdmissionPolicy") => Answer::Refused(status.message.clone()),
            403 => Answer::Unclear(format!("{}: {INSTALL}", status.message)),
            code => Answer::Unclear(format!("{} ({code})", status.message)),
        },
        Err(error) => Answer::Unclear(said(&error)),
    }
}
