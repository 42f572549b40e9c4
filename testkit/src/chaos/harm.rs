//! What can happen to a request on its way.

use http::Method;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Harm {
    /// Answered 429, every other time with a `Retry-After` of 0 or 1 s; nothing is done.
    Throttle,
    /// Answered 500, 502, 503 or 504; nothing is done.
    ServerError,
    /// The connection is closed without an answer; nothing is done.
    NoAnswer,
    /// All is done as asked, then the connection is closed without an answer.
    LoseAnswer,
    /// The connection is closed in the middle of the request's body.
    CutRequest,
    /// No byte of the request's body moves any more; after a while the connection is closed.
    StallRequest,
    /// A bit of the request's body is wrong.
    CorruptRequest,
    /// The connection is closed in the middle of the answer's body.
    CutAnswer,
    /// No byte of the answer moves any more; after a while the connection is closed. It comes to
    /// a halt in the body, or before the answer if that has none.
    StallAnswer,
    /// A bit of the answer's body is wrong, if that is a manifest or a blob: of nothing else a
    /// digest is known.
    CorruptAnswer,
}

impl Harm {
    /// Whether it can happen to such a request, as far as can be told before there is an answer.
    pub(super) fn can_strike(self, method: &Method, has_body: bool) -> bool {
        match self {
            Harm::CutRequest | Harm::StallRequest | Harm::CorruptRequest => has_body,
            Harm::CutAnswer | Harm::CorruptAnswer => method == Method::GET,
            Harm::Throttle | Harm::ServerError | Harm::NoAnswer | Harm::LoseAnswer | Harm::StallAnswer => true,
        }
    }
}
