//! Seeing for ourselves: whether the API server refuses what it must refuse and has read the Clearance. Everything here is a
//! dry run in the namespace `rempart-canary`, so nothing is ever written (enforcement.md, fact 21).

use std::time::Duration;

use kube::Client;
use serde_json::{Value, json};
use tracing::instrument;

use super::apiservers::ApiServers;
use super::apply::said;
use crate::api::names::{CANARY, GROUP, VERSION};
use crate::guard;
use crate::plan::Outcome;

/// How long one API server may take for all that it is asked.
const PATIENCE: Duration = Duration::from_secs(10);
/// What an administrator does when the probe itself is refused.
const INSTALL: &str = "install the namespace rempart-canary and its role (kubectl apply --server-side -f deploy/)";

/// How the API server names the policy that refused.
const POLICY: &str = "ValidatingAdmissionPolicy '";

/// What one request was answered.
enum Answer {
    /// Admission let it pass.
    Passed,
    /// A policy of ours refused it, in these words.
    Refused(String),
    /// Neither can be said.
    Unclear(String),
    /// Neither can be said, because the API server has other cares.
    Busy(String),
    /// There was none.
    None(String),
}

/// How long to wait before an API server that is busy, or did not answer, is asked the same again.
const AGAIN: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

/// What is to be seen in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aim {
    /// The node that only the present Clearance clears for the probe.
    pub clearance: String,
    /// The epoch of the policies and bindings.
    pub policies: String,
    /// Whether the API server serves mutating policies.
    pub mutates: bool,
    /// Whether it was told of a webhook in their place.
    pub webhook: bool,
}

/// What one API server was seen to do.
enum Seen {
    /// What it should.
    Holds(Adding),
    /// Something else: whether that may be another in a moment, because it takes new policies and data into use with a delay.
    Not(Outcome, bool),
    /// It cannot be reached from here.
    Unreached(String),
}

/// What a probe found.
#[derive(Debug)]
pub struct Found {
    /// The outcome; as an error, one that may be another in a moment.
    pub outcome: Result<Outcome, Outcome>,
    /// Who was seen to add what is missing: the least of what all API servers do.
    pub adding: Adding,
    /// Whether an API server that is known could not be asked.
    pub unasked: bool,
}

/// Who adds what manifests lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Adding {
    /// Nobody.
    None,
    /// The webhook.
    Webhook,
    /// Mutating policies.
    Policies,
}

/// Asks every API server to let pods and claims of a sensitive namespace onto nodes and storage that are not cleared, which policies it uses, and to
/// bind a pod to the node that only the present Clearance clears.
#[instrument(level = "debug", skip_all, ret(level = "debug"))]
pub async fn probe(servers: &ApiServers, aim: &Aim) -> Found {
    let each = match servers.each().await {
        Ok(each) => each,
        Err(error) => return Found { outcome: Err(Outcome::Unclear(said(&error))), adding: Adding::None, unasked: true },
    };
    let seen = each.clients.iter().map(async |(address, client)| {
        let seen = tokio::time::timeout(PATIENCE, one(client, aim)).await;
        (address.as_str(), seen.unwrap_or_else(|_| Seen::Unreached(format!("no answer within {} s", PATIENCE.as_secs()))))
    });
    let seen = futures::future::join_all(seen).await;
    let adding = seen.iter().filter_map(|(_, seen)| if let Seen::Holds(adding) = seen { Some(*adding) } else { None }).min();
    let adding = adding.unwrap_or(Adding::None);
    let unasked = seen.iter().any(|(_, seen)| matches!(seen, Seen::Unreached(_)));
    Found { outcome: together(&seen, each.may_be_more, adding), adding, unasked }
}

fn together(seen: &[(&str, Seen)], may_be_more: bool, adding: Adding) -> Result<Outcome, Outcome> {
    let named = |address: &str, text: &str| if may_be_more { text.to_owned() } else { format!("API server {address}: {text}") };
    let worst = seen.iter().filter_map(|(address, seen)| match seen {
        Seen::Not(Outcome::Open(what), passing) => Some((Outcome::Open(named(address, what)), *passing)),
        Seen::Not(Outcome::Unclear(why) | Outcome::Holds(why), passing) => Some((Outcome::Unclear(named(address, why)), *passing)),
        Seen::Holds(_) | Seen::Unreached(_) => None,
    });
    if let Some((outcome, passing)) = worst.min_by_key(|(outcome, passing)| (!matches!(outcome, Outcome::Open(_)), *passing)) {
        return if passing { Err(outcome) } else { Ok(outcome) };
    }
    let unreached: Vec<String> = seen
        .iter()
        .filter_map(|(address, seen)| if let Seen::Unreached(why) = seen { Some(format!("{address} ({why})")) } else { None })
        .collect();
    let holding = seen.len() - unreached.len();
    if holding == 0 {
        return Ok(Outcome::Unclear(format!("no API server can be reached: {}", unreached.join(", "))));
    }
    let mut text = match holding {
        _ if may_be_more => "the API server was seen to refuse a violation; any others behind its address are Unproven".to_owned(),
        1 => "the API server was seen to refuse a violation".to_owned(),
        several => format!("each of {several} API servers was seen to refuse a violation"),
    };
    if !unreached.is_empty() && !may_be_more {
        text = format!("{text}; Unproven, because out of reach from here: {}", unreached.join(", "));
    }
    match adding {
        Adding::Policies => {}
        Adding::Webhook => {
            text.push_str("; MutatingAdmissionPolicy v1 is not served here, and the operator's webhook adds the nodeSelector");
        }
        Adding::None => {
            text.push_str("; MutatingAdmissionPolicy v1 is not served here, so manifests must carry the nodeSelector themselves");
        }
    }
    Ok(Outcome::Holds(text))
}

async fn one(client: &Client, aim: &Aim) -> Seen {
    let passing = |outcome| Seen::Not(outcome, true);
    let unclear = |what: &str, why: &str| Seen::Not(Outcome::Unclear(format!("{what}: {why}")), false);
    let busy = |what: &str, why: &str| passing(Outcome::Unclear(format!("{what}: {why}")));
    let refusals = [
        ("a Binding to a node that is not cleared", bind(client, "pods/canary/binding", "rempart-not-cleared").await),
        ("a legacy Binding to a node that is not cleared", bind(client, "bindings", "rempart-not-cleared").await),
        ("a pod that names its node", create_pod(client, Some("rempart-not-cleared")).await),
        ("a claim of a class that is not cleared", create_claim(client).await),
    ];
    for (what, answer) in refusals {
        match answer {
            Answer::Refused(_) => {}
            Answer::Passed => return passing(Outcome::Open(format!("{what} was let pass in namespace {CANARY}"))),
            Answer::Unclear(why) => return unclear(what, &why),
            Answer::Busy(why) => return busy(what, &why),
            Answer::None(why) => return Seen::Unreached(why),
        }
    }
    match declare(client, &aim.policies).await {
        Answer::Refused(message) if message.contains(&guard::answer(&aim.policies, aim.mutates)) => {}
        Answer::Refused(_) | Answer::Passed => return passing(Outcome::Unclear("the latest policies are not in use yet".to_owned())),
        Answer::Unclear(why) => return unclear("which policies are in use", &why),
        Answer::Busy(why) => return busy("which policies are in use", &why),
        Answer::None(why) => return Seen::Unreached(why),
    }
    match bind(client, "pods/canary/binding", &aim.clearance).await {
        Answer::Passed => Seen::Holds(adding(client, aim).await),
        Answer::Refused(_) => passing(Outcome::Unclear("the latest Clearance has not been read yet".to_owned())),
        Answer::Unclear(why) => unclear("a Binding to a node that is cleared", &why),
        Answer::Busy(why) => busy("a Binding to a node that is cleared", &why),
        Answer::None(why) => Seen::Unreached(why),
    }
}

/// A pod that asks for no cleared node is let pass if somebody adds that.
async fn adding(client: &Client, aim: &Aim) -> Adding {
    if aim.mutates {
        return Adding::Policies;
    }
    let adds = aim.webhook && matches!(create_pod(client, None).await, Answer::Passed);
    if adds { Adding::Webhook } else { Adding::None }
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

async fn create_pod(client: &Client, node: Option<&str>) -> Answer {
    // Within Pod Security `restricted` and usual quotas, so that nobody but a policy of ours has anything against it.
    let little = json!({"cpu": "1m", "memory": "1Mi"});
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "canary"},
        "spec": {
            "nodeName": node,
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "canary", "image": "canary", "resources": {"requests": little, "limits": little},
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            }],
        },
    });
    ask(client, &format!("/api/v1/namespaces/{CANARY}/pods"), &pod).await
}

async fn create_claim(client: &Client) -> Answer {
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "canary"},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "rempart-not-cleared", "resources": {"requests": {"storage": "1Mi"}}},
    });
    ask(client, &format!("/api/v1/namespaces/{CANARY}/persistentvolumeclaims"), &claim).await
}

async fn ask(client: &Client, path: &str, body: &Value) -> Answer {
    for pause in AGAIN {
        match ask_once(client, path, body).await {
            Answer::Busy(_) | Answer::None(_) => tokio::time::sleep(pause).await,
            answer => return answer,
        }
    }
    ask_once(client, path, body).await
}

async fn ask_once(client: &Client, path: &str, body: &Value) -> Answer {
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
            // A policy that gives no reason refuses by 422.
            code if code == 403 || status.message.contains(POLICY) => refused(&status.message),
            code @ (429 | 500..) => Answer::Busy(format!("{} ({code})", status.message)),
            code => Answer::Unclear(format!("{} ({code})", status.message)),
        },
        Err(error) => Answer::None(said(&error)),
    }
}

/// What a refusal says. Of several policies that refuse, the API server names the first: another that refuses everything proves nothing of ours.
fn refused(message: &str) -> Answer {
    match message.split_once(POLICY) {
        Some((_, named)) if named.starts_with("rempart-") => Answer::Refused(message.to_owned()),
        Some(_) => Answer::Unclear(format!("another policy refuses the probe: exempt namespace {CANARY} from it: {message}")),
        None => Answer::Unclear(format!("{message}: {INSTALL}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLDS: Seen = Seen::Holds(Adding::Policies);

    #[test]
    fn one_api_server_that_does_not_hold_is_enough_and_one_out_of_reach_is_named() {
        let open = || Seen::Not(Outcome::Open("a Binding was let pass".into()), true);
        let late = || Seen::Not(Outcome::Unclear("not yet".into()), true);
        let away = || Seen::Unreached("refused".into());
        let holds = |text: &str| Ok(Outcome::Holds(text.into()));
        let cases: Vec<(Vec<Seen>, bool, Result<Outcome, Outcome>)> = vec![
            (vec![HOLDS], false, holds("the API server was seen to refuse a violation")),
            (vec![HOLDS, HOLDS], true, holds("the API server was seen to refuse a violation; any others behind its address are Unproven")),
            (vec![HOLDS, HOLDS], false, holds("each of 2 API servers was seen to refuse a violation")),
            (
                vec![HOLDS, away()],
                false,
                holds("the API server was seen to refuse a violation; Unproven, because out of reach from here: b (refused)"),
            ),
            (vec![away()], true, Ok(Outcome::Unclear("no API server can be reached: a (refused)".into()))),
            (vec![late(), open()], false, Err(Outcome::Open("API server b: a Binding was let pass".into()))),
            (vec![HOLDS, late()], false, Err(Outcome::Unclear("API server b: not yet".into()))),
        ];
        for (seen, may_be_more, expected) in cases {
            let seen: Vec<_> = ["a", "b"].into_iter().zip(seen).collect();
            assert_eq!(together(&seen, may_be_more, Adding::Policies), expected);
        }
        for (adding, said) in [(Adding::Webhook, "webhook adds the nodeSelector"), (Adding::None, "must carry the nodeSelector themselves")]
        {
            let Ok(Outcome::Holds(text)) = together(&[("a", Seen::Holds(adding))], false, adding) else { panic!("it holds") };
            assert!(text.contains("MutatingAdmissionPolicy v1 is not served") && text.contains(said), "{text}");
        }
    }

    #[test]
    fn only_a_policy_of_ours_proves_that_ours_refuse() {
        let denied = |policy: &str| {
            refused(&format!(
                "pods \"canary\" is forbidden: ValidatingAdmissionPolicy '{policy}' with binding 'b' denied request: no, 'rempart-pod'"
            ))
        };
        assert!(matches!(denied("rempart-pod"), Answer::Refused(_)));
        let Answer::Unclear(why) = denied("company-rule") else { panic!("it is somebody else's") };
        assert!(why.starts_with("another policy refuses the probe: exempt namespace rempart-canary from it: pods"), "{why}");
        let Answer::Unclear(why) = refused("pods is forbidden: User \"rempart\" cannot create resource") else {
            panic!("no policy said it")
        };
        assert!(why.ends_with(INSTALL), "{why}");
    }
}
