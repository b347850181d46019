//! Watches of the webhook configuration, and of the certificate authorities that it is to trust.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::DynamicObject;
use kube::{Api, Client, ResourceExt};
use tokio::task::JoinSet;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use super::World;
use crate::cluster::apply::webhook::webhook_configurations;
use crate::cluster::follow::Selection;
use crate::plan::{Host, StoredWebhook};

impl World {
    /// Where mutating policies are served, the configuration is watched as well: one from before an upgrade is to go.
    pub(super) fn webhook(&self, client: &Client, host: &Host, tasks: &mut JoinSet<()>) {
        if host.webhook.is_none() {
            return;
        }
        let ours = Selection { fields: Some("metadata.name=rempart"), ..Selection::default() };
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &webhook_configurations());
        self.follow(api, ours, "mutatingwebhookconfigurations", tasks, |s| &mut s.webhooks, |object| stored(&object));
        if !host.mutates {
            let published = Selection { fields: Some("metadata.name=rempart-webhook"), ..Selection::default() };
            let api: Api<ConfigMap> = Api::namespaced(client.clone(), &host.namespace);
            self.follow(api, published, "configmaps", tasks, |s| &mut s.authorities, |object| certificates(&object));
        }
    }
}

fn stored(object: &DynamicObject) -> StoredWebhook {
    StoredWebhook {
        uid: object.uid().unwrap_or_default(),
        webhooks: object.data.get("webhooks").cloned().unwrap_or_default(),
        deleting: object.metadata.deletion_timestamp.is_some(),
    }
}

/// Every certificate in it, written anew: what is no certificate would make API servers trust nobody.
fn certificates(published: &ConfigMap) -> Vec<String> {
    let entries = published.data.iter().flat_map(|data| data.values());
    entries.flat_map(|entry| CertificateDer::pem_slice_iter(entry.as_bytes()).map_while(Result::ok)).map(|der| pem(&der)).collect()
}

fn pem(der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_left_out_and_the_others_are_kept() {
        let published = |entries: &[(&str, &str)]| ConfigMap {
            data: Some(entries.iter().map(|(name, entry)| ((*name).to_owned(), (*entry).to_owned())).collect()),
            ..ConfigMap::default()
        };
        let good = pem(&[0x30, 0x03, 1, 2, 3]);
        let key = good.replace("CERTIFICATE", "PRIVATE KEY");
        let broken = good.replace("MAMB", "M*MB");
        let entries = [("a", "until never\n"), ("b", "garbage"), ("c", broken.as_str()), ("d", key.as_str()), ("e", good.as_str())];
        assert_eq!(certificates(&published(&entries)), std::slice::from_ref(&good));
        let two = format!("until 2026-01-01T00:00:00Z\n{good}{good}");
        assert_eq!(certificates(&published(&[("a", &two)])), [good.clone(), good]);
    }
}
