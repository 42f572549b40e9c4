//! Whom TLS trusts, and who we are to others.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;

/// How TLS is spoken.
#[derive(Debug, Default)]
pub struct Tls {
    /// Whose certificates are trusted.
    pub trusted: Trusted,
    /// Our own certificate.
    pub identity: Option<Identity>,
}

/// Whose certificates are trusted.
#[derive(Debug)]
pub enum Trusted {
    /// The system's roots, and these.
    System(Vec<CertificateDer<'static>>),
    /// These roots alone. None are for what is spoken without TLS: the system's are many files, and are not read for it.
    Only(Vec<CertificateDer<'static>>),
    /// No certificate is looked at.
    Anybody,
}

impl Default for Trusted {
    fn default() -> Self {
        Self::System(Vec::new())
    }
}

/// A certificate with those that vouch for it, and its key.
#[derive(Debug)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// From PEM text with both.
    ///
    /// # Errors
    /// If one of them is not in it.
    pub fn from_pem(pem: &[u8]) -> Result<Self, String> {
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| format!("no private key: {error}"))?;
        let chain = certificates(pem).map_err(|error| error.to_string())?;
        if chain.is_empty() { Err("no certificate".to_owned()) } else { Ok(Self { chain, key }) }
    }
}

/// All certificates of a PEM text.
///
/// # Errors
/// If it is broken.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    CertificateDer::pem_slice_iter(pem).collect()
}

impl Tls {
    pub(super) fn config(self) -> Result<ClientConfig, rustls::Error> {
        let provider = Arc::new(ring::default_provider());
        let versions =
            ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let trusting = match self.trusted {
            Trusted::System(beside) => {
                let verifier = Verifier::new_with_extra_roots(beside, provider)?;
                versions.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
            }
            Trusted::Only(roots) => {
                let mut store = RootCertStore::empty();
                roots.into_iter().try_for_each(|root| store.add(root))?;
                versions.with_root_certificates(store)
            }
            Trusted::Anybody => versions.dangerous().with_custom_certificate_verifier(Arc::new(Unchecked(provider))),
        };
        match self.identity {
            Some(Identity { chain, key }) => trusting.with_client_auth_cert(chain, key),
            None => Ok(trusting.with_no_client_auth()),
        }
    }
}

/// Takes every certificate for the right one.
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
