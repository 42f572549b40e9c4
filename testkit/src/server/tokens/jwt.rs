//! Tokens that distribution believes: JSON Web Tokens by ES256, with the certificate that proves them (RFC 7519, 7515).

use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, KeyPair};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};

/// Who says so.
pub(super) const ISSUER: &str = "testkit";

/// Distribution 2.8 takes tokens for so long after their end, and before their beginning.
const LEEWAY: u64 = 60;

/// A key, and the certificate for it.
pub(super) struct Issuer {
    key: EcdsaKeyPair,
    certificate: rcgen::Certificate,
    pem: String,
}

impl Issuer {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().expect("a key can be made");
        let parameters = CertificateParams::new(Vec::new()).expect("an issuer needs no names");
        let certificate = parameters.self_signed(&key).expect("the issuer can sign itself");
        let pem = certificate.pem();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key.serialize_der(), &SystemRandom::new());
        Self { key: key.expect("rcgen's keys are of this kind"), certificate, pem }
    }

    /// The certificate (PEM).
    pub(super) fn certificate(&self) -> &str {
        &self.pem
    }

    /// A token for a registry, which takes it for `lifetime`.
    pub(super) fn sign(&self, service: &str, scopes: &[String], lifetime: Duration) -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("1970 is over").as_secs();
        let header = json!({"typ": "JWT", "alg": "ES256", "x5c": [STANDARD.encode(self.certificate.der())]});
        let claims = json!({
            "iss": ISSUER,
            "sub": "",
            "aud": service,
            "exp": now + lifetime.as_secs() - LEEWAY,
            "nbf": now,
            "iat": now,
            "jti": "",
            "access": scopes.iter().filter_map(|scope| access(scope)).collect::<Vec<_>>(),
        });
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).expect("there is randomness");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

// Its key is nobody's business.
impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").finish_non_exhaustive()
    }
}

/// `repository:library/hello-world:pull,push` as a claim.
fn access(scope: &str) -> Option<Value> {
    let (kind, rest) = scope.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    Some(json!({"type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>()}))
}

fn encode(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}
