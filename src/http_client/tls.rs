//! Whom TLS trusts, and who we are to others.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
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
        let keys: Result<Vec<PrivateKeyDer<'static>>, _> = PrivateKeyDer::pem_slice_iter(pem).collect();
        // Of several the last one: a key's file stands behind that of its certificate.
        let key = keys.map_err(|_| BROKEN)?.pop().ok_or("no private key")?;
        let chain = certificates(pem)?;
        if chain.is_empty() { Err("no certificate".to_owned()) } else { Ok(Self { chain, key }) }
    }
}

/// All certificates of a PEM text.
///
/// # Errors
/// If it is broken.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| BROKEN.to_owned())
}

/// What the parser says beyond that may be the key itself.
const BROKEN: &str = "broken PEM: is each BEGIN and END on a line of its own?";

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
            Trusted::Anybody => versions.dangerous().with_custom_certificate_verifier(Arc::new(Unchecked)),
        };
        match self.identity {
            Some(Identity { chain, key }) => trusting.with_client_auth_cert(chain, key),
            None => Ok(trusting.with_no_client_auth()),
        }
    }
}

/// Takes every certificate for the right one.
#[derive(Debug)]
struct Unchecked;

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
        // Those too that could not be checked.
        vec![
            SignatureScheme::RSA_PKCS1_SHA1,
            SignatureScheme::ECDSA_SHA1_Legacy,
            SignatureScheme::RSA_PKCS1_SHA256,
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::RSA_PKCS1_SHA384,
            SignatureScheme::ECDSA_NISTP384_SHA384,
            SignatureScheme::RSA_PKCS1_SHA512,
            SignatureScheme::ECDSA_NISTP521_SHA512,
            SignatureScheme::RSA_PSS_SHA256,
            SignatureScheme::RSA_PSS_SHA384,
            SignatureScheme::RSA_PSS_SHA512,
            SignatureScheme::ED25519,
            SignatureScheme::ED448,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_key_is_told_without_the_key() {
        for pem in [
            "-----BEGIN PRIVATE KEY----- MIIEs3cret -----END PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----\nMIIEs3cret",
            "-----BEGIN MIIEs3cret\n",
            "MIIEs3cret",
        ] {
            let error = Identity::from_pem(pem.as_bytes()).unwrap_err();
            assert!(error == BROKEN || error == "no private key", "{error}");
        }
    }
}
