//! What can go wrong with content, wherever it lies.

use std::time::Duration;

use super::{Displaced, Refusal};
use crate::backoff::RetryReason;
use crate::oci::{Digest, Host, ManifestError, Size};

/// What was being done, to what and where; and why it failed.
///
/// Its text is one line: `pushing blob sha256:ab12cd34ef56… (48.0 MiB) to ghcr.io/acme/app: 429 TOOMANYREQUESTS`.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}: {cause}")]
pub struct Error {
    what: String,
    cause: Box<Cause>,
    host: Option<Host>,
    is_of_login: bool,
}

/// Why an operation failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Cause {
    /// It is not there.
    #[error("not found")]
    NotFound,
    /// The registry answered and refused.
    #[error("{0}")]
    Refused(Refusal),
    /// No answer came.
    #[error("{0}")]
    Unreachable(Unreachable),
    /// The connection broke in the middle.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The other side broke HTTP/2 off.
    #[error("HTTP/2 was broken off: {0}")]
    Http2(String),
    /// The registry, restarted or another replica of it, does not know the upload session.
    #[error("the registry lost the upload session")]
    SessionLost,
    /// A body was too large for the registry, or for a proxy before it; smaller ones will be sent from here on.
    #[error("bodies of {} are not taken: going on in chunks of {}", Size(*.refused), Size(*.next))]
    BodyTooLarge {
        /// The size that was refused, in bytes.
        refused: u64,
        /// The size that comes next, in bytes.
        next: u64,
    },
    /// No byte moved for so long.
    #[error("no byte moved for {}", humantime::format_duration(*.0))]
    Stalled(Duration),
    /// Bytes that are not what their digest says.
    #[error("{}", mismatch(.digest, *.size, .actual.as_ref(), *.received))]
    Mismatch {
        /// The digest that was asked for.
        digest: Digest,
        /// Its declared size in bytes.
        size: u64,
        /// What the bytes hash to, if they were all read.
        actual: Option<Digest>,
        /// How many bytes came.
        received: u64,
    },
    /// A registry has stored other bytes than were sent.
    #[error("the registry stored {stored} for what was sent as {sent}")]
    StoredOther {
        /// What was sent.
        sent: Digest,
        /// What the registry says it has.
        stored: Digest,
    },
    /// A document that is refused.
    #[error(transparent)]
    Document(#[from] ManifestError),
    /// An answer that breaks the protocol.
    #[error("{0}")]
    Protocol(String),
    /// The registry refused a token that was good before.
    #[error("the token was refused")]
    TokenRefused,
    /// The registry's quota of pulls is used up, or what is left is reserved for others.
    #[error("{0}")]
    OutOfPulls(NoPulls),
    /// Credentials that cannot be had.
    #[error("{0}")]
    Credentials(String),
    /// None of the platforms that are wanted is there.
    #[error("{0}")]
    NoSuchPlatform(String),
    /// A tag that is not to be moved points elsewhere.
    #[error("it is {0} there, and is not to be moved")]
    TagTaken(Digest),
    /// A list was refused because images that it lists, and that nobody wanted, are not there.
    #[error("the registry takes no list of which images are missing")]
    SparseRefused,
    /// What was damaged was sent again, and is damaged all the same.
    #[error("sent again, and the registry still has it so: {}", .0.join("; "))]
    NotMended(
        /// What is wrong with which part.
        Vec<String>,
    ),
    /// One of several targets was too slow for the stream of bytes that they share.
    #[error("the other targets did not wait")]
    LeftBehind,
    /// The registry does not tell its repositories, or not to us.
    #[error("{}", no_catalog(.answer.as_ref()))]
    NoCatalog {
        /// What it answered; `None` where it is known to have none, or sent something else.
        answer: Option<Refusal>,
    },
    /// The files of an image layout cannot be read or written, or are not what a layout has.
    #[error("{0}")]
    Layout(String),
    /// A document names what an image layout does not have: it is not written there.
    #[error("{}", lacks(.0))]
    Incomplete(Vec<Digest>),
    /// Stopped by the user, a timeout of the rule, or the end of the program.
    #[error("stopped before it was done")]
    Cancelled,
    /// Another process has taken the work over.
    #[error(transparent)]
    Displaced(#[from] Displaced),
}

/// No document may be read now: the registry counts them, and has announced that none are left for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPulls {
    /// Those that are left.
    pub remaining: u64,
    /// Those that there are in a window.
    pub limit: Option<u64>,
    /// Those that are left to others.
    pub reserve: u64,
    /// The window's length: after it all of them are there again, at the latest.
    pub window: Duration,
}

/// While nothing is left, it is looked again as often as a pull comes back in the mean, within these bounds.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

impl NoPulls {
    /// How long it is not worth another look.
    pub fn look_again(&self) -> Duration {
        let (soonest, latest) = LOOK_AGAIN;
        let limit = self.limit.and_then(|limit| u32::try_from(limit).ok()).filter(|limit| *limit > 0);
        (self.window / limit.unwrap_or(1)).clamp(soonest, latest)
    }

    /// Whether waiting helps: not where all that there ever are is reserved for others.
    pub fn may_end(&self) -> bool {
        self.limit.is_none_or(|limit| limit > self.reserve)
    }
}

/// Why no answer came from a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// Nothing listens there.
    #[error("connection refused")]
    Refused,
    /// The name is not known.
    #[error("no such host")]
    UnknownHost,
    /// The other side's certificate is not trusted, or the handshake failed otherwise.
    #[error("TLS: {0}")]
    Tls(String),
    /// The other side does not speak TLS at all.
    #[error("the other side does not speak TLS")]
    NoTls,
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// Nor through the proxy on the way.
    #[error("through the proxy {proxy}: {why}")]
    Proxy {
        /// The proxy's URL.
        proxy: String,
        /// What kept the connection from being made.
        why: String,
    },
    /// The proxy on the way lets nobody through without a login.
    #[error("the proxy {proxy} wants a login")]
    ProxyLogin {
        /// The proxy's URL.
        proxy: String,
    },
    /// Anything else that kept a connection from being made.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// `what` reads as `pushing manifest 3.18 to ghcr.io/acme/app`.
    pub fn new(what: impl Into<String>, cause: Cause) -> Self {
        Self { what: what.into(), cause: Box::new(cause), host: None, is_of_login: false }
    }

    /// The error of a login that kept it from being asked for.
    pub fn of_login(what: impl Into<String>, cause: Cause) -> Self {
        Self { is_of_login: true, ..Self::new(what, cause) }
    }

    /// The same error of this registry, for its advice to name it.
    #[must_use]
    pub fn at(self, host: &Host) -> Self {
        Self { host: Some(host.clone()), ..self }
    }

    /// Why it failed.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// Whether a login failed before anything was asked for: what a token server refuses says nothing of the rest.
    pub fn is_of_login(&self) -> bool {
        self.is_of_login
    }

    /// The registry's refusal, in its own words.
    pub fn refusal(&self) -> Option<&Refusal> {
        match &*self.cause {
            Cause::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Whether the registry has the tag and will not move it (Amazon ECR, Harbor, Google and others know such tags).
    pub fn is_immutable(&self) -> bool {
        self.refusal().is_some_and(Refusal::is_immutable)
    }

    /// Whether the answer was 404, however the registry words it.
    pub fn is_not_found(&self) -> bool {
        match &*self.cause {
            Cause::NotFound => true,
            Cause::Refused(refusal) => refusal.status == 404,
            _ => false,
        }
    }

    /// Whether the answer was 413.
    pub fn is_too_large(&self) -> bool {
        matches!(&*self.cause, Cause::Refused(refusal) if refusal.status == 413)
    }

    /// Whether the answer was 416.
    pub fn is_out_of_range(&self) -> bool {
        matches!(&*self.cause, Cause::Refused(refusal) if refusal.status == 416)
    }

    /// Whether the connection broke off or stood still.
    pub fn is_break(&self) -> bool {
        matches!(&*self.cause, Cause::Broken(_) | Cause::Http2(_) | Cause::Stalled(_))
    }

    /// Whether the answer was 403.
    pub fn is_forbidden(&self) -> bool {
        matches!(&*self.cause, Cause::Refused(refusal) if refusal.status == 403)
    }

    /// Whether the answer was 500, and named no time when it would be another.
    pub fn is_internal(&self) -> bool {
        matches!(&*self.cause, Cause::Refused(refusal) if refusal.status == 500 && refusal.retry_after.is_none())
    }

    /// Why a document that is there, and is what it is said to be, is refused all the same.
    pub fn refused_document(&self) -> Option<&ManifestError> {
        match &*self.cause {
            Cause::Document(ManifestError::Digest { .. } | ManifestError::WebPage) => None,
            Cause::Document(refused) => Some(refused),
            _ => None,
        }
    }

    /// The quota that kept it from being tried.
    pub fn no_pulls(&self) -> Option<NoPulls> {
        match *self.cause {
            Cause::OutOfPulls(none) => Some(none),
            _ => None,
        }
    }

    /// Whether it is of this registry.
    pub fn is_at(&self, host: &Host) -> bool {
        self.host.as_ref() == Some(host)
    }

    /// Whether this is a stop that somebody asked for, or another's taking over: not a failure.
    pub fn is_cancelled(&self) -> bool {
        matches!(*self.cause, Cause::Cancelled | Cause::Displaced(_))
    }

    /// Whether a slow target was let go by the others, to take the bytes from them later.
    pub fn is_left_behind(&self) -> bool {
        matches!(*self.cause, Cause::LeftBehind)
    }

    /// The parts of a document that the registry says it does not have; empty if it does not name them, `None` if the
    /// error is another one. Source: distribution spec, "Pushing Manifests", `MANIFEST_BLOB_UNKNOWN`.
    pub fn missing_parts(&self) -> Option<&[Digest]> {
        match &*self.cause {
            Cause::Refused(refusal) => {
                let code = refusal.code.as_deref();
                let is_part = matches!(code, Some("MANIFEST_BLOB_UNKNOWN" | "BLOB_UNKNOWN" | "MANIFEST_UNKNOWN"));
                is_part.then_some(refusal.digests.as_slice())
            }
            Cause::Incomplete(missing) => Some(missing),
            _ => None,
        }
    }

    /// Whether the registry answered and will not do it for us: asking again changes nothing.
    pub fn is_refusal(&self) -> bool {
        self.retry_reason().is_none() && matches!(*self.cause, Cause::Refused(_))
    }

    /// How long the registry asks to wait before another try.
    pub fn retry_after(&self) -> Option<Duration> {
        match &*self.cause {
            Cause::Refused(refusal) => refusal.retry_after,
            _ => None,
        }
    }

    /// Why another try is worth it; `None` if it is not. The one place where that is decided.
    pub fn retry_reason(&self) -> Option<RetryReason> {
        match &*self.cause {
            Cause::Refused(refusal) => refusal.retry_reason(),
            Cause::Unreachable(Unreachable::Tls(_) | Unreachable::NoTls | Unreachable::ProxyLogin { .. }) => None,
            Cause::Unreachable(_) | Cause::Broken(_) | Cause::Http2(_) => Some(RetryReason::Connection),
            Cause::SessionLost | Cause::BodyTooLarge { .. } => Some(RetryReason::Server),
            Cause::Stalled(_) => Some(RetryReason::Stall),
            Cause::TokenRefused => Some(RetryReason::Auth),
            Cause::Mismatch { .. } | Cause::StoredOther { .. } | Cause::Document(ManifestError::Digest { .. }) => {
                Some(RetryReason::Digest)
            }
            Cause::NotFound
            | Cause::Document(_)
            | Cause::Protocol(_)
            | Cause::OutOfPulls(_)
            | Cause::Credentials(_)
            | Cause::LeftBehind
            | Cause::NoCatalog { .. }
            | Cause::NoSuchPlatform(_)
            | Cause::TagTaken(_)
            | Cause::SparseRefused
            | Cause::NotMended(_)
            | Cause::Layout(_)
            | Cause::Incomplete(_)
            | Cause::Cancelled
            | Cause::Displaced(_) => None,
        }
    }

    /// The error's line as people read it: what failed, why, and what to do.
    pub fn with_advice(&self) -> String {
        match self.advice() {
            Some(advice) => format!("{self}; {advice}"),
            None => self.to_string(),
        }
    }

    /// What the user can do about it, as a sentence without a full stop; `None` where nothing general helps.
    pub fn advice(&self) -> Option<String> {
        let host = self.host.as_ref().map_or("HOST", Host::as_str);
        let is_of_layout = self.host.as_ref().is_some_and(Host::is_layout);
        Some(match &*self.cause {
            Cause::NotFound if is_of_layout => {
                "check the directory, which has a file oci-layout, and the name: `regferry tags` lists them".into()
            }
            Cause::Mismatch { .. } | Cause::Document(ManifestError::Digest { .. }) if is_of_layout => {
                "the file is damaged: bring it there again; nothing was committed".into()
            }
            Cause::Refused(refusal) => return refusal.advice(host),
            Cause::NotFound => "check the name, and that these credentials may see it".into(),
            Cause::Unreachable(Unreachable::Refused) => "check that the registry is up, and the port".into(),
            Cause::Unreachable(Unreachable::UnknownHost) => {
                "check the host's spelling and the DNS of this machine".into()
            }
            Cause::Unreachable(Unreachable::Tls(_)) => {
                format!("for a private CA set ca_file in [registries.\"{host}\"]")
            }
            Cause::Unreachable(Unreachable::NoTls) => {
                format!(
                    "for a registry without TLS use --tls {host}=http, or tls = \"http\" in [registries.\"{host}\"]"
                )
            }
            Cause::Unreachable(Unreachable::Proxy { .. }) => {
                "check that the proxy is up, and HTTPS_PROXY and NO_PROXY".into()
            }
            Cause::Unreachable(Unreachable::ProxyLogin { .. }) => {
                "write its login into HTTPS_PROXY: http://USER:PASSWORD@HOST:PORT".into()
            }
            Cause::Unreachable(Unreachable::Timeout | Unreachable::Other(_))
            | Cause::Broken(_)
            | Cause::Http2(_)
            | Cause::Stalled(_) => "check the network between this machine and the registry, and its proxies".into(),
            Cause::OutOfPulls(none) if none.reserve > 0 => {
                format!("log in for a larger quota, or lower pull_reserve in [registries.\"{host}\"]")
            }
            Cause::OutOfPulls(_) => "log in for a larger quota, or try later".into(),
            Cause::Mismatch { .. } | Cause::Document(ManifestError::Digest { .. }) => {
                "the registry or something between serves wrong bytes: nothing was committed".into()
            }
            Cause::Document(ManifestError::WebPage | ManifestError::Unknown { .. }) => {
                "check that the host is a registry and not a web page or a proxy's login".into()
            }
            Cause::NoCatalog { answer } => {
                let log_in = answer.as_ref().map_or("", |_| ", or log in as a user who may list them");
                format!("name its repositories instead, source = [\"{host}/a\", \"{host}/b\"]{log_in}")
            }
            Cause::NoSuchPlatform(_) => "check how the platforms are named".into(),
            Cause::SparseRefused => "set platform_mode = \"rewrite\", which writes a smaller list".into(),
            Cause::NotMended(_) => {
                "remove the files of these digests from the registry's storage, or delete the image there \
                                    and let the registry collect its garbage; then run sync --repair again"
                    .into()
            }
            Cause::StoredOther { .. } => "something before the registry changes what is sent to it".into(),
            Cause::Document(_)
            | Cause::SessionLost
            | Cause::BodyTooLarge { .. }
            | Cause::Protocol(_)
            | Cause::TokenRefused
            | Cause::Credentials(_)
            | Cause::LeftBehind
            | Cause::TagTaken(_)
            | Cause::Layout(_)
            | Cause::Incomplete(_)
            | Cause::Cancelled
            | Cause::Displaced(_) => return None,
        })
    }
}

impl std::fmt::Display for NoPulls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ", self.remaining)?;
        if let Some(limit) = self.limit {
            write!(f, "of {limit} ")?;
        }
        write!(f, "pulls are left")?;
        if self.reserve > 0 {
            write!(f, ", {} of them reserved for others", self.reserve.min(self.remaining))?;
        }
        Ok(())
    }
}

fn no_catalog(answer: Option<&Refusal>) -> String {
    let said = answer.map(|refusal| format!(" ({refusal})")).unwrap_or_default();
    format!("the registry gives no catalog of its repositories{said}")
}

fn lacks(parts: &[Digest]) -> String {
    let named: Vec<String> = parts.iter().take(3).map(Digest::short).collect();
    format!("the layout lacks {}{}", named.join(", "), if parts.len() > 3 { ", …" } else { "" })
}

fn mismatch(digest: &Digest, size: u64, actual: Option<&Digest>, received: u64) -> String {
    match actual {
        Some(actual) if received == size => format!("{received} bytes hash to {actual}, not to {digest}"),
        Some(_) => format!("{digest} has {size} bytes, only {received} came"),
        None => format!("{digest} has {size} bytes, more came"),
    }
}
