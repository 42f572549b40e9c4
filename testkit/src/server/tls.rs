//! A certificate for loopback, and the authority that signed it: made anew for each server.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};

/// Where the files of one server's TLS lie.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) authority: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// A certificate authority (PEM) that nobody knows.
#[must_use]
pub fn unknown_authority() -> String {
    authority().pem()
}

/// Writes a certificate for `127.0.0.1` and `localhost` into the folder.
pub(super) fn write(folder: &Path) -> Files {
    let files = Files {
        authority: folder.join("ca.pem"),
        certificate: folder.join("server.pem"),
        key: folder.join("server.key"),
    };
    let authority = authority();
    let key = KeyPair::generate().expect("a key can be made");
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let parameters = CertificateParams::new(names).expect("both are names");
    let certificate = parameters.signed_by(&key, &authority).expect("the authority can sign");
    for (path, text) in [
        (&files.authority, authority.pem()),
        (&files.certificate, certificate.pem()),
        (&files.key, key.serialize_pem()),
    ] {
        fs::write(path, text).expect("the home is writable");
    }
    files
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::new(Vec::new()).expect("an authority needs no names");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().expect("a key can be made");
    CertifiedIssuer::self_signed(parameters, key).expect("the authority can sign itself")
}
