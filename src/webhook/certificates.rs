//! A certificate and the authority that has signed nothing else.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::WebhookError;
use crate::telemetry::WebhookMetrics;

/// How much earlier a certificate begins than it is made: clocks differ.
const EARLIER: Duration = Duration::from_hours(1);

/// A certificate, its key, and who signed it.
#[derive(Clone, Debug)]
pub(super) struct Generation {
    /// The certificate of the authority, in PEM.
    pub(super) authority: String,
    /// Until when both are valid.
    pub(super) until: SystemTime,
    key: Arc<CertifiedKey>,
}

impl Generation {
    /// One for the host `name`, valid from before `now`. The key of the authority is gone when this returns.
    pub(super) fn new(name: &str, now: SystemTime, valid_for: Duration) -> Result<Self, WebhookError> {
        let failed = |error: &dyn std::fmt::Display| WebhookError::Certificate(error.to_string());
        let until = now + valid_for;
        let named = |common_name: &str, names: Vec<String>| -> Result<CertificateParams, rcgen::Error> {
            let mut params = CertificateParams::new(names)?;
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, common_name);
            (params.not_before, params.not_after) = ((now - EARLIER).into(), until.into());
            Ok(params)
        };
        let signed = || -> Result<(String, rcgen::Certificate, KeyPair), rcgen::Error> {
            let mut authority = named("rempart webhook authority", Vec::new())?;
            authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
            let mut served = named("rempart webhook", vec![name.to_owned()])?;
            served.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            served.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            served.use_authority_key_identifier_extension = true;
            let key = KeyPair::generate()?;
            let certificate = served.signed_by(&key, &authority)?;
            Ok((authority.pem(), certificate, key))
        };
        let (authority, certificate, key) = signed().map_err(|error| failed(&error))?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|error| failed(&error))?;
        let key =
            CertifiedKey::from_der(vec![certificate.der().clone()], key, &ring::default_provider()).map_err(|error| failed(&error))?;
        Ok(Self { authority, until, key: Arc::new(key) })
    }
}

/// The certificate that new connections are given; none before there is one.
#[derive(Clone, Debug)]
pub(super) struct Current {
    key: Arc<Mutex<Option<Arc<CertifiedKey>>>>,
    metrics: WebhookMetrics,
}

impl Current {
    pub(super) fn new(metrics: WebhookMetrics) -> Self {
        Self { key: Arc::default(), metrics }
    }

    pub(super) fn set(&self, generation: &Generation) {
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = Some(generation.key.clone());
        self.metrics.serves_until(generation.until);
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.key.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
