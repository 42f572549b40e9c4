//! Who is let in with a message: who shows the secret of its kind, each kind in the way that its registry has for that.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode, Uri};
use governor::clock::MonotonicClock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task;
use tokio::time::timeout;
use url::form_urlencoded;

use super::Refused;
use crate::events::{WebhookKind, WebhookOutcome};
use crate::server::problem::Problem;
use crate::server::tokens::{SHORTEST_SECRET, Tokens};

/// So many bodies of one kind are read at once; the others wait for their turn,
const MOST_BODIES: usize = 4;

/// for so long at most.
const LONGEST_TURN: Duration = Duration::from_secs(10);

/// So many who do not show the secret are told so a minute; others are told to come later.
const REFUSALS_A_MINUTE: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// After one was logged, no other is for so long: a registry with another secret tries again and again, and the metric counts.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(600);

/// The kinds of messages that are taken, as the configuration says at the moment, each with its secret.
#[derive(Default)]
pub struct Webhooks(RwLock<BTreeMap<WebhookKind, Arc<Door>>>);

impl Webhooks {
    /// From now on these kinds are taken, with the secrets in these files. Looks at the files, which blocks.
    pub fn set(&self, files: &BTreeMap<WebhookKind, PathBuf>) {
        let mut doors = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *doors);
        for (&kind, file) in files {
            let same = before.remove(&kind).filter(|door| door.secrets.file() == file);
            doors.insert(kind, same.unwrap_or_else(|| Arc::new(Door::new(file.clone()))));
        }
    }

    pub(super) fn door(&self, kind: WebhookKind) -> Option<Arc<Door>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&kind).cloned()
    }
}

/// How a registry shows the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// In the header `Authorization`.
    Header,
    /// There, or as the parameter `token` of the URL, where nothing else can be set.
    HeaderOrQuery,
    /// Not at all: the body is signed with it.
    Signature,
}

impl Proof {
    pub(super) fn of(kind: WebhookKind) -> Self {
        match kind {
            WebhookKind::Distribution | WebhookKind::Harbor => Self::Header,
            WebhookKind::Acr | WebhookKind::DockerHub | WebhookKind::Quay => Self::HeaderOrQuery,
            WebhookKind::Ghcr => Self::Signature,
        }
    }

    /// What the request shows. The scheme `Bearer` may stand before it: some registries send a header as it is written.
    pub(super) fn token(self, uri: &Uri, headers: &HeaderMap) -> Option<String> {
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        if let Some(text) = header {
            let token = text.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"));
            return Some(token.map_or(text, |(_, token)| token.trim_start_matches(' ')).to_owned());
        }
        let query = uri.query().filter(|_| self == Self::HeaderOrQuery)?;
        form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "token").map(|(_, token)| token.into_owned())
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Header => "have the registry send `Authorization: Bearer SECRET`, with a line of the secret_file",
            Self::HeaderOrQuery => {
                "have the registry send `Authorization: Bearer SECRET`, or end the URL with ?token=SECRET, with a line \
                 of the secret_file"
            }
            Self::Signature => "give the webhook at GitHub a line of the secret_file as its secret",
        }
    }
}

/// One kind's.
pub(super) struct Door {
    secrets: Arc<Tokens>,
    refusals: Limiter,
    warnings: Limiter,
    bodies: Semaphore,
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, MonotonicClock, NoOpMiddleware<Instant>>;

impl Door {
    fn new(file: PathBuf) -> Self {
        Self {
            secrets: Arc::new(Tokens::of_length(file, SHORTEST_SECRET)),
            refusals: RateLimiter::direct_with_clock(Quota::per_minute(REFUSALS_A_MINUTE), MonotonicClock),
            warnings: RateLimiter::direct_with_clock(once_in(BETWEEN_WARNINGS), MonotonicClock),
            bodies: Semaphore::new(MOST_BODIES),
        }
    }

    /// Room to read a body, had in turn: a registry that tells of much at once may tell of none of it again.
    pub(super) async fn place(&self) -> Result<SemaphorePermit<'_>, Refused> {
        if let Ok(Ok(place)) = timeout(LONGEST_TURN, self.bodies.acquire()).await {
            return Ok(place);
        }
        let detail = "too many messages of this kind come at once";
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, detail, "send it again later").again_in(1);
        Err((WebhookOutcome::Refused, problem))
    }

    /// Whether what a request shows is the secret.
    pub(super) async fn check_token(&self, kind: WebhookKind, token: Option<String>) -> Result<(), Refused> {
        let token = token.ok_or_else(|| self.refusal(kind, "it shows no secret"))?;
        self.check(kind, move |secrets| secrets.hold(&token)).await
    }

    /// The signature that a request shows. Source: GitHub's documentation, "Validating webhook deliveries".
    pub(super) fn signature(&self, kind: WebhookKind, headers: &HeaderMap) -> Result<Vec<u8>, Refused> {
        let header = headers.get("x-hub-signature-256").and_then(|value| value.to_str().ok());
        let signature = header.and_then(|text| bytes_of_hex(text.strip_prefix("sha256=")?));
        signature.ok_or_else(|| self.refusal(kind, "it has no signature (X-Hub-Signature-256)"))
    }

    /// Whether a body is signed with the secret.
    pub(super) async fn check_signature(
        &self,
        kind: WebhookKind,
        signature: Vec<u8>,
        body: &Bytes,
    ) -> Result<(), Refused> {
        let body = body.clone();
        self.check(kind, move |secrets| secrets.signed(&body, &signature)).await
    }

    async fn check(
        &self,
        kind: WebhookKind,
        ask: impl FnOnce(&Tokens) -> Result<bool, String> + Send + 'static,
    ) -> Result<(), Refused> {
        let secrets = Arc::clone(&self.secrets);
        match task::spawn_blocking(move || ask(&secrets)).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(self.refusal(kind, "its secret is not the daemon's")),
            Ok(Err(_)) => {
                let detail = "the daemon cannot read the file with this webhook's secret; its log says why";
                let advice = "mend the file: it is read again when it changes";
                Err((WebhookOutcome::Refused, Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail, advice)))
            }
            Err(fault) => Err((WebhookOutcome::Refused, Problem::internal(&fault))),
        }
    }

    /// Who knows the secret is never made to wait by those who do not.
    fn refusal(&self, kind: WebhookKind, reason: &str) -> Refused {
        let detail = format!("the message is not let in: {reason}");
        if self.warnings.check().is_ok() {
            tracing::warn!(kind = kind.as_str(), reason, "a webhook's message is not let in");
        }
        let problem = match self.refusals.check() {
            Ok(()) => Problem::new(StatusCode::UNAUTHORIZED, detail, Proof::of(kind).advice()),
            Err(_) => Problem::new(StatusCode::TOO_MANY_REQUESTS, detail, Proof::of(kind).advice()).again_in(60),
        };
        (WebhookOutcome::Unauthorized, problem)
    }
}

/// One, and the next after so long.
fn once_in(period: Duration) -> Quota {
    Quota::with_period(period).unwrap_or(Quota::per_hour(NonZeroU32::MIN))
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|c| u8::try_from(c.to_digit(16)?).ok()).collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    pairs.remainder().is_empty().then(|| pairs.map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(proof: Proof, uri: &str, header: Option<&str>) -> Option<String> {
        let headers = header.map(|text| (AUTHORIZATION, text.parse().unwrap()));
        proof.token(&uri.parse().unwrap(), &headers.into_iter().collect())
    }

    #[test]
    fn the_secret_stands_in_the_header_or_where_there_is_none_in_the_url() {
        for (proof, uri, header, shown) in [
            (Proof::Header, "/x", Some("Bearer s"), Some("s")),
            (Proof::Header, "/x", Some("bearer  s"), Some("s")),
            (Proof::Header, "/x", Some("s"), Some("s")),
            (Proof::Header, "/x?token=s", None, None),
            (Proof::HeaderOrQuery, "/x?token=s%2B&a", None, Some("s+")),
            (Proof::HeaderOrQuery, "/x?token=s", Some("t"), Some("t")),
            (Proof::HeaderOrQuery, "/x?tokens=s", None, None),
        ] {
            assert_eq!(token(proof, uri, header).as_deref(), shown, "{proof:?} {uri} {header:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_that_come_at_once_are_read_in_turn() {
        let door = Door::new("secret".into());
        let mut places = Vec::new();
        for _ in 0..MOST_BODIES {
            places.push(door.place().await.ok().unwrap());
        }
        assert!(door.place().await.is_err(), "none has become free");
        let (next, ()) = tokio::join!(door.place(), async { drop(places.pop()) });
        assert!(next.is_ok());
    }

    #[test]
    fn a_signature_is_pairs_of_digits() {
        assert_eq!(bytes_of_hex("00fF1a"), Some(vec![0, 255, 26]));
        assert_eq!(bytes_of_hex(""), Some(vec![]));
        for text in ["0", "0g", "é0", "0x00"] {
            assert_eq!(bytes_of_hex(text), None, "{text}");
        }
    }
}
