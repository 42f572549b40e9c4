//! A registry's refusal: what its answer says, and what that means.

use std::time::Duration;

use crate::backoff::RetryReason;
use crate::oci::Digest;

/// A registry's refusal: the status, and what its error document says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The first error's code, `TOOMANYREQUESTS`, if the body held one.
    pub code: Option<String>,
    /// The first error's message, shortened to one line.
    pub message: Option<String>,
    /// How long the registry asks to wait (`Retry-After`).
    pub retry_after: Option<Duration>,
    /// The digests that the error document names: what a manifest lacks.
    pub digests: Vec<Digest>,
    /// What the request carried to say who we are.
    pub login: LoginSent,
}

/// Who a request said that we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginSent {
    /// Nobody: there is no login for the registry.
    Nothing,
    /// The user of a login.
    User,
}

impl Refusal {
    /// One that says nothing but its status.
    pub fn of_status(status: u16) -> Self {
        Self { status, code: None, message: None, retry_after: None, digests: Vec::new(), login: LoginSent::Nothing }
    }

    /// Whether a tag is not moved because it is not to be, in the words of the registries that know such tags.
    ///
    /// Amazon ECR: 400 `TAG_INVALID`, "… already exists … and cannot be overwritten because the tag is immutable";
    /// Harbor: 412 `PRECONDITION`, "… configured as immutable", and before 1.10 "… is a immutable tag"; Google: 400
    /// `MANIFEST_INVALID`, "… has enabled tag immutability"; Azure: 405 for what is locked.
    pub fn is_immutable(&self) -> bool {
        let says = |word: &str| self.message.as_ref().is_some_and(|text| text.to_ascii_lowercase().contains(word));
        let code = self.code.as_deref().unwrap_or_default();
        let is_named = code.contains("IMMUTABLE") || code == "ImageTagAlreadyExistsException";
        let is_locked = self.status == 405 && code == "REGISTRY_DISALLOWED_OPERATION";
        matches!(self.status, 400 | 403 | 405 | 409 | 412)
            && (is_named || is_locked || says("immutab") || says("cannot be overwritten"))
    }

    pub(super) fn retry_reason(&self) -> Option<RetryReason> {
        match self.status {
            429 => Some(RetryReason::Throttled),
            // Of distribution, with 500 as well.
            _ if self.code.as_deref() == Some("MANIFEST_BLOB_UNKNOWN") => None,
            // The bytes arrived other than they were sent: what is sent again may arrive whole.
            400 if self.code.as_deref() == Some("DIGEST_INVALID") => Some(RetryReason::Digest),
            408 | 425 | 499 | 500 | 502 | 503 | 504 | 520..=529 => Some(RetryReason::Server),
            _ => None,
        }
    }

    pub(super) fn advice(&self, host: &str) -> Option<String> {
        Some(match self.status {
            401 if self.login == LoginSent::User => {
                format!("the login for {host} was refused: check its user name, and that its password still holds")
            }
            401 => format!(
                "log in with `docker login {host}`, or set username and password_file in [registries.\"{host}\"]"
            ),
            403 => "these credentials lack the right: pull at the source, pull and push at the target".into(),
            413 => "the registry or a proxy before it does not take bodies of this size".into(),
            429 => "the registry throttles: log in for a larger quota, or run less often".into(),
            500..=599 => "the registry has trouble of its own: see its logs, or try later".into(),
            _ => return None,
        })
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.status)?;
        match (&self.code, &self.message) {
            (Some(code), Some(message)) => write!(f, " {code}: {message}"),
            (Some(text), None) | (None, Some(text)) => write!(f, " {text}"),
            (None, None) => {
                let reason = http::StatusCode::from_u16(self.status).ok().and_then(|s| s.canonical_reason());
                write!(f, " {}", reason.unwrap_or("without a reason"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str, message: &str) -> Refusal {
        Refusal { code: Some(code.into()), message: Some(message.into()), ..Refusal::of_status(status) }
    }

    #[test]
    fn immutable_tags_are_told_by_every_registrys_words() {
        for (status, code, message) in [
            (
                400,
                "TAG_INVALID",
                "The image tag '1' already exists in the 'a' repository and cannot be overwritten because the tag is immutable.",
            ),
            (400, "ImageTagAlreadyExistsException", "the tag exists"),
            (412, "PRECONDITION", "Failed to process request due to 'busybox:latest' configured as immutable."),
            (412, "DENIED", "Failed to process request, due to 'hello-world:latest' is a immutable tag."),
            (400, "MANIFEST_INVALID", "cannot update tag v3. The repository has enabled tag immutability"),
            (409, "TAG_IMMUTABLE", "the tag cannot be changed"),
            (
                405,
                "REGISTRY_DISALLOWED_OPERATION",
                "The operation is disallowed on this registry, repository or image.",
            ),
        ] {
            assert!(refused(status, code, message).is_immutable(), "{code}: {message}");
        }
    }

    #[test]
    fn other_refusals_are_not_taken_for_it() {
        for (status, code, message) in [
            (400, "TAG_INVALID", "manifest tag did not match URI"),
            (412, "PROJECTPOLICYVIOLATION", "current image with 3 vulnerabilities cannot be pulled"),
            (403, "DENIED", "requested access to the resource is denied"),
            (405, "UNSUPPORTED", "The operation is unsupported."),
            (500, "UNKNOWN", "the immutable store is out of order"),
        ] {
            assert!(!refused(status, code, message).is_immutable(), "{code}: {message}");
        }
    }
}
