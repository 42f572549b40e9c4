//! A certificate for loopback, and the authority that signed it: made anew for each server.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

// Linux takes a connection to 0.0.0.0 to loopback: a name of it that programs do not treat as such.
const NAMES: [&str; 3] = ["127.0.0.1", "localhost", "0.0.0.0"];

/// Where the files of one server's TLS lie.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) authority: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) client: ClientCertificate,
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
pub(crate) fn write(folder: &Path) -> Files {
    let authority = authority();
    let (certificate, key) = sign(folder, "server", server(), &authority);
    let client = ClientCertificate::signed_by(&authority, folder);
    Files { authority: file(folder, "ca.pem", &authority.pem()), certificate, key, client }
}

impl ClientCertificate {
    /// Writes one into the folder, as `client.pem` and `client.key`, whose authority nobody knows.
    ///
    /// # Panics
    /// If the folder is not writable.
    pub fn write(folder: &Path) -> Self {
        Self::signed_by(&authority(), folder)
    }

    fn signed_by(authority: &Authority, folder: &Path) -> Self {
        let (certificate, key) = sign(folder, "client", client(), authority);
        Self { certificate, key }
    }
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn sign(folder: &Path, name: &str, parameters: CertificateParams, authority: &Authority) -> (PathBuf, PathBuf) {
    let key = KeyPair::generate().expect("a key can be made");
    let certificate = parameters.signed_by(&key, authority).expect("the authority can sign");
    let certificate = file(folder, &format!("{name}.pem"), &certificate.pem());
    (certificate, file(folder, &format!("{name}.key"), &key.serialize_pem()))
}

fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).expect("the home is writable");
    path
}

fn server() -> CertificateParams {
    CertificateParams::new(NAMES.map(str::to_owned)).expect("they are names")
}

fn client() -> CertificateParams {
    let mut parameters = CertificateParams::new(Vec::new()).expect("a client needs no names");
    // One that is called as its issuer is taken for self-signed.
    parameters.distinguished_name.push(DnType::CommonName, "a client");
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    parameters
}

fn authority() -> Authority {
    let mut parameters = CertificateParams::new(Vec::new()).expect("an authority needs no names");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().expect("a key can be made");
    CertifiedIssuer::self_signed(parameters, key).expect("the authority can sign itself")
}
