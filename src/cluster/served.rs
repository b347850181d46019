//! What API servers serve, which is another after the cluster was upgraded.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResourceList;
use kube::Client;

use super::apiservers::ApiServers;
use super::connect::{ConnectError, answer};

/// Whether this API server serves mutating policies. None: what it answers is not the whole.
pub(super) async fn asked(client: &Client) -> Result<Option<bool>, ConnectError> {
    let served = answer(client.list_api_group_resources("admissionregistration.k8s.io/v1")).await?;
    Ok(mutates(&served))
}

/// Whether every API server serves mutating policies, or none does. None: one of them does not answer, not with the whole, or otherwise than another.
pub async fn served(servers: &ApiServers) -> Option<bool> {
    let each = servers.each().await.ok()?;
    let answers = futures::future::join_all(each.clients.iter().map(async |(_, client)| asked(client).await.ok().flatten())).await;
    alike(&answers)
}

fn mutates(served: &APIResourceList) -> Option<bool> {
    let has = |kind: &str| served.resources.iter().any(|resource| resource.kind == kind);
    // The validating ones are there everywhere, since without them nothing would be refused.
    has("ValidatingAdmissionPolicy").then(|| has("MutatingAdmissionPolicy"))
}

fn alike(answers: &[Option<bool>]) -> Option<bool> {
    let first = answers.first().copied().flatten()?;
    answers.iter().all(|answer| *answer == Some(first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResource;

    use super::*;

    #[test]
    fn what_is_not_the_whole_says_nothing() {
        let list = |kinds: &[&str]| APIResourceList {
            resources: kinds.iter().map(|kind| APIResource { kind: (*kind).to_owned(), ..APIResource::default() }).collect(),
            ..APIResourceList::default()
        };
        assert_eq!(mutates(&list(&["ValidatingAdmissionPolicy", "MutatingAdmissionPolicy"])), Some(true));
        assert_eq!(mutates(&list(&["ValidatingAdmissionPolicy", "MutatingWebhookConfiguration"])), Some(false));
        assert_eq!(mutates(&list(&["MutatingWebhookConfiguration"])), None);
        assert_eq!(mutates(&list(&[])), None);
    }

    #[test]
    fn api_servers_that_answer_differently_or_not_at_all_say_nothing() {
        assert_eq!(alike(&[Some(true), Some(true)]), Some(true));
        assert_eq!(alike(&[Some(false)]), Some(false));
        for answers in [&[][..], &[None], &[Some(true), Some(false)], &[Some(true), None], &[None, Some(true)]] {
            assert_eq!(alike(answers), None, "{answers:?}");
        }
    }
}
