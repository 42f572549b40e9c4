//! Authorisation by the registry's own challenge: nothing is asked before the first 401.
//!
//! Source: distribution spec, "Token Authentication"; RFC 9110, 11.

mod azure;
mod challenge;
mod realm;
mod scope;
mod token;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use tokio::time::Instant;

#[cfg(any(test, fuzzing))]
pub(super) use challenge::properties;
pub(super) use challenge::{Challenge, challenges};
pub(super) use scope::{Right, Scope};

use super::client::Clients;
use super::credentials::{CredentialStore, Login};
use super::limits::Line;
use crate::content::{Cause, LoginSent, Refusal};
use crate::events::Observer;
use realm::Realm;
pub(super) use realm::Trust;
use token::TokenClient;

/// Knows how one registry wants to be spoken to, and holds its tokens: one a scope, fetched once however many wait.
pub(super) struct Authenticator {
    tokens: TokenClient,
    credentials: CredentialStore,
    scheme: Mutex<Option<Scheme>>,
    slots: Mutex<HashMap<Scope, Slot>>,
}

#[derive(Clone)]
enum Scheme {
    Basic,
    Bearer(Realm),
}

/// What is held for a scope. Whoever fetches it holds the lock; the others wait for what comes of it.
type Slot = Arc<tokio::sync::Mutex<Option<Held>>>;

/// The outcome of a login, and how long it holds: a failure too, for a moment, so that those who waited for it do not
/// each make it again.
struct Held {
    outcome: Result<Option<HeaderValue>, Cause>,
    user: Option<String>,
    until: Instant,
}

/// What a login gave, and how long it is good for.
struct Issued {
    header: Option<HeaderValue>,
    user: Option<String>,
    lifetime: Duration,
}

/// Credentials are read again so often, so that changed ones are used before the old ones are refused.
const CREDENTIALS_HOLD: Duration = Duration::from_secs(300);

/// With so many scopes, those that are no good any more are dropped.
const MANY_SCOPES: usize = 1024;

const FAILURE_HOLDS: Duration = Duration::from_secs(1);
/// A login that was refused is refused again, and too many may lock the account.
const REFUSAL_HOLDS: Duration = Duration::from_secs(30);

impl Authenticator {
    pub(super) fn new(
        trust: Trust,
        clients: Arc<Clients>,
        credentials: CredentialStore,
        line: Arc<Line>,
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self {
            tokens: TokenClient::new(trust, clients, line, observer),
            credentials,
            scheme: Mutex::default(),
            slots: Mutex::default(),
        }
    }

    /// What to send as `Authorization`: nothing until the registry has challenged a request, and nothing if it wants
    /// Basic and there is no login.
    ///
    /// # Errors
    /// Why no credentials or no token could be had, without any secret.
    pub(super) async fn authorization(&self, scope: &Scope) -> Result<Option<HeaderValue>, Cause> {
        let Some(scheme) = self.scheme() else { return Ok(None) };
        let slot = self.slot(scope);
        let mut held = slot.lock().await;
        if let Some(good) = held.as_ref().filter(|held| Instant::now() < held.until) {
            return good.outcome.clone();
        }
        let fresh = self.issue(&scheme, scope).await;
        let outcome = fresh.outcome.clone();
        *held = Some(fresh);
        outcome
    }

    /// The user by whose login is had what is sent for a scope.
    pub(super) async fn user(&self, scope: &Scope) -> Option<String> {
        self.slot(scope).lock().await.as_ref().and_then(|held| held.user.clone())
    }

    /// Takes a challenge in, and drops what the challenged request carried. Returns whether it is one that can be
    /// answered.
    pub(super) async fn challenged(
        &self,
        scope: &Scope,
        challenges: &[Challenge],
        carried: Option<&HeaderValue>,
    ) -> bool {
        // A token may be had without a login, Basic may not.
        let mut offered: Vec<Scheme> = challenges.iter().filter_map(Scheme::from_challenge).collect();
        offered.sort_by_key(|scheme| matches!(scheme, Scheme::Basic));
        let Some(scheme) = offered.into_iter().next() else {
            return false;
        };
        *self.scheme.lock().unwrap_or_else(PoisonError::into_inner) = Some(scheme);
        if let Some(carried) = carried {
            let slot = self.slot(scope);
            let mut held = slot.lock().await;
            if held.as_ref().is_some_and(|held| matches!(&held.outcome, Ok(Some(header)) if header == carried)) {
                *held = None;
            }
        }
        true
    }

    async fn issue(&self, scheme: &Scheme, scope: &Scope) -> Held {
        match self.log_in(scheme, scope).await {
            Ok(Issued { header, user, lifetime }) => {
                Held { outcome: Ok(header), user, until: Instant::now() + lifetime }
            }
            Err(cause) => {
                let is_refusal = matches!(&cause, Cause::Refused(refusal) if refusal.status < 429);
                let holds = if is_refusal { REFUSAL_HOLDS } else { FAILURE_HOLDS };
                Held { outcome: Err(cause), user: None, until: Instant::now() + holds }
            }
        }
    }

    async fn log_in(&self, scheme: &Scheme, scope: &Scope) -> Result<Issued, Cause> {
        let login = self.credentials.login(scope.repository()).await.map_err(Cause::Credentials)?;
        let user = login.as_ref().map(|login| login.user().to_owned());
        if let Some(header) = login.as_ref().and_then(Login::bearer_header) {
            return Ok(Issued { header: Some(header), user, lifetime: CREDENTIALS_HOLD });
        }
        match scheme {
            Scheme::Basic => {
                let header = login.as_ref().and_then(Login::basic_header);
                Ok(Issued { header, user, lifetime: CREDENTIALS_HOLD })
            }
            Scheme::Bearer(realm) => {
                let mut asked = scope.clone();
                let token = loop {
                    match self.tokens.token(realm, &asked, login.as_ref()).await {
                        Err(Cause::Refused(refusal))
                            if refusal.status == 400
                                && let Some(lesser) = asked.without_delete() =>
                        {
                            asked = lesser;
                        }
                        answered => break answered,
                    }
                };
                let token = token.map_err(|cause| told(cause, user.is_some()))?;
                Ok(Issued { header: Some(token.header), user, lifetime: token.refresh_after })
            }
        }
    }

    fn scheme(&self) -> Option<Scheme> {
        self.scheme.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn slot(&self, scope: &Scope) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MANY_SCOPES && !slots.contains_key(scope) {
            // Who is busy with one holds its lock.
            let is_good = |held: &Held| Instant::now() < held.until;
            slots.retain(|_, slot| slot.try_lock().map_or(true, |held| held.as_ref().is_some_and(is_good)));
        }
        Arc::clone(slots.entry(scope.clone()).or_default())
    }
}

/// A token server's refusal, with what it was told of us.
fn told(cause: Cause, by_login: bool) -> Cause {
    match cause {
        Cause::Refused(refusal) if by_login => Cause::Refused(Refusal { login: LoginSent::User, ..refusal }),
        cause => cause,
    }
}

impl Scheme {
    fn from_challenge(challenge: &Challenge) -> Option<Self> {
        match challenge.scheme.as_str() {
            "bearer" => Realm::from_challenge(challenge).map(Self::Bearer),
            "basic" => Some(Self::Basic),
            _ => None,
        }
    }
}
