//! A certificate for loopback, and the authority that signed it: made anew for each server.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};

// Linux takes a connection to 0.0.0.0 to loopback: a name of it that programs do not treat as such.
const NAMES: [&str; 3] = ["127.0.0.1", "localhost", "0.0.0.0"];

/// Where the files of one server's TLS lie.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) authority: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) client: ClientCertificate,
}

/// What a client shows of itself: files (PEM) that the server's own authority signed.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// A certificate authority (PEM) that nobody knows.
#[must_use]
pub fn unknown_authority() -> String {
    authority().pem()
}

/// Writes a certificate for `127.0.0.1`, `localhost` and `0.0.0.0` into the folder, and one for a
/// client.
pub(super) fn write(folder: &Path) -> Files {
    let authority = authority();
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).expect("the home is writable");
        path
    };
    let sign = |name: &str, parameters: CertificateParams| {
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = parameters.signed_by(&key, &authority).expect("the authority can sign");
        (file(&format!("{name}.pem"), &certificate.pem()), file(&format!("{name}.key"), &key.serialize_pem()))
    };
    let (certificate, key) = sign("server", server());
    let (client_certificate, client_key) = sign("client", client());
    Files {
        authority: file("ca.pem", &authority.pem()),
        certificate,
        key,
        client: ClientCertificate { certificate: client_certificate, key: client_key },
    }
}

fn server() -> CertificateParams {
    CertificateParams::new(NAMES.map(str::to_owned)).expect("they are names")
}

fn client() -> CertificateParams {
    let mut parameters = CertificateParams::new(Vec::new()).expect("a client needs no names");
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    parameters
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::new(Vec::new()).expect("an authority needs no names");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().expect("a key can be made");
    CertifiedIssuer::self_signed(parameters, key).expect("the authority can sign itself")
}
