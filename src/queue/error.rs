//! The one error of everything that is asked of NATS.

use std::fmt;
use std::sync::Arc;

use async_nats::jetstream;

/// NATS did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{operation} at NATS {place}: {reason}")]
pub struct Error {
    /// As `creating the stream regferry-prod-runs`.
    operation: String,
    place: Arc<str>,
    reason: Reason,
}

impl Error {
    pub(super) fn new(operation: impl fmt::Display, place: &Arc<str>, reason: Reason) -> Self {
        Self { operation: operation.to_string(), place: Arc::clone(place), reason }
    }

    /// Whether it may be gone by itself soon: nobody has to do anything about it.
    pub fn is_passing(&self) -> bool {
        self.reason.is_passing()
    }

    pub(super) fn reason(&self) -> &Reason {
        &self.reason
    }
}

/// Why not, and what to do about it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum Reason {
    #[error("{0}: check that it runs and that the address in `[cluster] nats` is right")]
    Unreachable(String),
    #[error("it does not answer in time: it is overloaded, cut off, or has lost the majority of its servers")]
    Silent,
    #[error("it cannot yet: {0}")]
    Busy(String),
    #[error("the login is refused ({0}): check the login in [cluster], and the users of the server")]
    Login(String),
    #[error("TLS fails: {0}: check `ca_file`, `client_cert_file` and the server's certificate")]
    Tls(String),
    #[error("{0}")]
    File(String),
    #[error("it has no JetStream: start it with JetStream (`jetstream {{}}` in its configuration, or `-js`)")]
    NoJetStream,
    #[error("the account may not use JetStream: enable it for the account of this login")]
    NoJetStreamForAccount,
    #[error(
        "{0}: allow the user to publish to `$JS.API.>`, `$JS.ACK.>`, `$KV.>` and `regferry.>`, and to subscribe to \
         `_INBOX.>` and `regferry.>`"
    )]
    NotAllowed(String),
    #[error("what must be there is gone: it is made again in a moment")]
    Gone,
    #[error("somebody else wrote there first")]
    Conflict,
    #[error("the message has {0} bytes, more than the server takes: raise its `max_payload`")]
    TooLarge(usize),
    #[error(
        "{0}: a stream or consumer of this name is there and is no longer ours: delete it, or choose another `name`"
    )]
    Foreign(String),
    #[error("{0}")]
    Refused(String),
}

impl Reason {
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Silent | Self::Busy(_) | Self::Gone | Self::Conflict)
    }
}

impl From<jetstream::context::PublishError> for Reason {
    fn from(error: jetstream::context::PublishError) -> Self {
        use jetstream::context::PublishErrorKind as Kind;
        match error.kind() {
            Kind::TimedOut | Kind::BrokenPipe | Kind::MaxAckPending => Self::Silent,
            Kind::StreamNotFound => Self::Gone,
            Kind::WrongLastSequence | Kind::WrongLastMessageId => Self::Conflict,
            Kind::MaxPayloadExceeded | Kind::Other => Self::Refused(error.to_string()),
        }
    }
}

impl From<jetstream::Error> for Reason {
    fn from(error: jetstream::Error) -> Self {
        use jetstream::ErrorCode as Code;
        match error.error_code() {
            Code::JETSTREAM_NOT_ENABLED => Self::NoJetStream,
            Code::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT | Code::NO_ACCOUNT => Self::NoJetStreamForAccount,
            Code::STREAM_NOT_FOUND
            | Code::CONSUMER_NOT_FOUND
            | Code::NO_MESSAGE_FOUND
            | Code::SEQUENCE_NOT_FOUND
            | Code::STREAM_MESSAGE_DELETE_FAILED => Self::Gone,
            Code::STREAM_WRONG_LAST_SEQUENCE => Self::Conflict,
            Code::CLUSTER_NOT_AVAILABLE
            | Code::CLUSTER_NOT_LEADER
            | Code::CLUSTER_NOT_ACTIVE
            | Code::CLUSTER_INCOMPLETE
            | Code::STREAM_OFFLINE
            | Code::CONSUMER_OFFLINE => Self::Busy(error.to_string()),
            _ => Self::Refused(error.to_string()),
        }
    }
}
