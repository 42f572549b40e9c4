//! `ca_file`, `client_cert_file` and `client_key_file`: whom TLS trusts, and what it shows.

use std::path::{Path, PathBuf};

use toml::Spanned;

use super::problems::Problems;
use super::secrets::secret_file;
use super::values;
use super::written::{Entry, span};
use crate::registry::{Identity, check_ca_file, check_identity};

/// A file that can be used now: a daemon is to fail at its start, not at its first connection.
pub(super) fn ca_file(entry: Entry<String>, folder: &Path, problems: &mut Problems<'_>) -> Option<PathBuf> {
    let usable = |text: &str| {
        if text.contains(char::is_control) {
            return Err("has control characters in it".to_owned());
        }
        let path = folder.join(text);
        check_ca_file(&path).map(|()| path)
    };
    values::parsed(entry, values::TEXT, problems, usable).map(Spanned::into_inner)
}

/// A client certificate is shown with its key, or not at all.
pub(super) fn identity(
    certificate: Entry<String>,
    key: Entry<String>,
    folder: &Path,
    problems: &mut Problems<'_>,
) -> Option<Identity> {
    let spans = (span(certificate.as_ref()), span(key.as_ref()));
    match &spans {
        (Some(certificate), None) => problems.add(certificate, "needs a `client_key_file` beside it"),
        (None, Some(key)) => problems.add(key, "needs a `client_cert_file` beside it"),
        (None, None) | (Some(_), Some(_)) => {}
    }
    let in_place = |_: &str| "a key itself belongs into a file".to_owned();
    let (certificate, key) = (values::text(certificate, problems), secret_file(key, folder, in_place, problems));
    let identity = Identity { certificate: folder.join(certificate?), key: key? };
    match check_identity(&identity) {
        Ok(()) => Some(identity),
        Err(reason) => {
            problems.add(&spans.0?, reason);
            None
        }
    }
}
