//! Why a request had no answer, or a body no end.

use std::error::Error as StdError;
use std::io;

use hyper_util::client::legacy;

/// HTTP failed. What really happened stands at the bottom of its causes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL is none that HTTP can ask for.
    #[error(transparent)]
    Url(#[from] http::uri::InvalidUri),
    /// No answer came.
    #[error(transparent)]
    NoAnswer(#[from] legacy::Error),
    /// The answer's body broke off.
    #[error(transparent)]
    BrokenOff(#[from] hyper::Error),
}

impl Error {
    /// All causes. An `io::Error` names the source of what it wraps as its own: it is stepped into instead.
    pub fn causes(&self) -> impl Iterator<Item = &(dyn StdError + 'static)> {
        std::iter::successors(self.source(), |error| {
            let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            match wrapped {
                Some(wrapped) => Some(wrapped as &(dyn StdError + 'static)),
                None => (*error).source(),
            }
        })
    }

    /// Whether there was no connection.
    pub fn is_connect(&self) -> bool {
        matches!(self, Self::NoAnswer(error) if error.is_connect())
    }

    /// Whether something took longer than it may.
    pub fn is_timeout(&self) -> bool {
        let is_late = |error: &io::Error| error.kind() == io::ErrorKind::TimedOut;
        self.causes().any(|error| error.downcast_ref().is_some_and(is_late))
    }

    /// Whether the server says that it has not begun with the request: another try harms nothing.
    /// Source: RFC 9113, 8.7.
    pub(super) fn is_unprocessed(&self) -> bool {
        let is_unprocessed = |error: &h2::Error| {
            error.is_remote()
                && match error.reason() {
                    Some(h2::Reason::NO_ERROR) => error.is_go_away(),
                    Some(h2::Reason::REFUSED_STREAM) => error.is_reset(),
                    _ => false,
                }
        };
        self.causes().any(|error| error.downcast_ref().is_some_and(is_unprocessed))
    }
}

/// What the error at the bottom of another says: what really happened.
pub fn innermost(error: &dyn StdError) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
