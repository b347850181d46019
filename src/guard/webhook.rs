//! The configuration that has an API server without mutating policies call the operator.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::literals::Literals;
use super::mutate::Mutation;
use super::policies::{Settings, labels, literals};

/// Name of the `MutatingWebhookConfiguration`.
pub const WEBHOOK: &str = "rempart";
/// Name of the Service that leads to every replica of the operator.
pub const SERVICE: &str = "rempart-webhook";

/// Where API servers reach the webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// By the Service in the operator's namespace.
    Service,
    /// By a URL: for an operator that runs outside of the cluster.
    Url(String),
}

#[derive(Deserialize)]
struct Source {
    each: Map<String, Value>,
    webhooks: Vec<Value>,
}

static SOURCE: LazyLock<Source> = LazyLock::new(|| {
    serde_saphyr::from_str(include_str!("policies/95-webhook.yaml")).expect("the file is in the binary, and a test reads it")
});

/// The configuration for these settings, to be called at `reach` under one of the `authorities`, which are PEM.
pub fn webhook(settings: &Settings, reach: &Reach, authorities: &[String]) -> Value {
    let bundle = BASE64_STANDARD.encode(authorities.concat());
    let (of_settings, of_fleet) = (literals(settings), Literals::of(settings));
    let webhooks = SOURCE.webhooks.iter().map(|webhook| {
        let mut webhook = webhook.clone();
        of_settings.fill_in(&mut webhook);
        of_fleet.fill_in(&mut webhook);
        let name = webhook["name"].as_str().unwrap_or_default().to_owned();
        let path = format!("/{}", mutation(&name).as_str());
        webhook["name"] = format!("{}.rempart.dev", name.trim_start_matches("rempart-")).into();
        webhook["clientConfig"] = match reach {
            Reach::Service => {
                json!({"service": {"namespace": settings.namespace, "name": SERVICE, "port": 443, "path": path}, "caBundle": bundle})
            }
            Reach::Url(url) => json!({"url": format!("{}{path}", url.trim_end_matches('/')), "caBundle": bundle}),
        };
        // As the API server stores them.
        for selector in ["namespaceSelector", "objectSelector"] {
            if webhook[selector].is_null() {
                webhook[selector] = json!({});
            }
        }
        for (field, value) in &SOURCE.each {
            webhook[field.as_str()] = value.clone();
        }
        webhook
    });
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {
            "name": WEBHOOK,
            "labels": labels(),
            "annotations": {"kubernetes.io/description": "Adds the node selectors and classes that Rempart demands, where no MutatingAdmissionPolicy can."},
        },
        "webhooks": webhooks.collect::<Vec<_>>(),
    })
}

/// The mutation that a webhook of the file asks for: that of its name, or of its name without what comes after it.
fn mutation(name: &str) -> Mutation {
    let named = Mutation::ALL.into_iter().filter(|mutation| name.starts_with(mutation.as_str()));
    named
        .max_by_key(|mutation| mutation.as_str().len())
        .expect("every webhook of the file is named after a mutation, and a test reads them")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::guard::{Kind, policies};

    #[test]
    fn every_mutating_policy_has_its_webhook_and_each_fails_open_and_leaves_the_system_alone() {
        let settings = Settings { namespace: "guard".to_owned(), ..Settings::default() };
        let configuration = webhook(&settings, &Reach::Service, &["A".to_owned(), "B".to_owned()]);
        let webhooks = configuration["webhooks"].as_array().unwrap();
        let paths: BTreeSet<&str> =
            webhooks.iter().map(|webhook| webhook["clientConfig"]["service"]["path"].as_str().unwrap().trim_start_matches('/')).collect();
        let wanted = policies(&Settings::default());
        let wanted = wanted.iter().filter(|policy| policy.kind == Kind::MutatingPolicy).map(|policy| policy.name.as_str());
        assert_eq!(paths, wanted.collect());
        for webhook in webhooks {
            assert_eq!((&webhook["failurePolicy"], &webhook["sideEffects"]), (&json!("Ignore"), &json!("None")), "{webhook}");
            assert_eq!(webhook["clientConfig"]["service"]["namespace"], "guard");
            assert_eq!(webhook["clientConfig"]["caBundle"], "QUI=", "{webhook}");
            let namespaced = webhook["rules"][0]["scope"] == "Namespaced";
            let left_out = json!(["kube-system", "kube-public", "kube-node-lease", "guard"]);
            let selector = webhook["namespaceSelector"]["matchExpressions"].as_array().cloned().unwrap_or_default();
            assert_eq!(namespaced, selector.iter().any(|expression| expression["values"] == left_out), "{webhook}");
        }
    }

    #[test]
    fn the_fleet_is_filled_in_as_it_is_in_the_policies() {
        let settings = Settings {
            classes: [("fast".to_owned(), "alpha".to_owned())].into(),
            audit: ["observe".to_owned()].into(),
            ..Settings::default()
        };
        let text = webhook(&settings, &Reach::Service, &[]).to_string();
        assert!(text.contains("in ['fast', 'rempart_class']") && text.contains(r#""values":["observe","rempart-none"]"#), "{text}");
    }

    /// What a policy matches, its webhook matches: the same resources at the same moments.
    #[test]
    fn a_webhook_looks_at_what_its_policy_looks_at() {
        let configuration = webhook(&Settings::default(), &Reach::Url("https://a/".to_owned()), &[]);
        let rules = |rules: &Value| {
            let mut rules = rules.clone();
            rules[0].as_object_mut().unwrap().remove("scope");
            rules
        };
        for policy in policies(&Settings::default()).iter().filter(|policy| policy.kind == Kind::MutatingPolicy) {
            let url = format!("https://a/{}", policy.name);
            let mut called =
                configuration["webhooks"].as_array().unwrap().iter().filter(|webhook| webhook["clientConfig"]["url"] == url.as_str());
            assert!(
                called.all(|webhook| rules(&webhook["rules"]) == rules(&policy.object["spec"]["matchConstraints"]["resourceRules"])),
                "{url}"
            );
        }
    }
}
