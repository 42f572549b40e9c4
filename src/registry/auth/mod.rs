//! Authorisation by the registry's own challenge: nothing is asked before the first 401.
//!
//! Source: distribution spec, "Token Authentication"; RFC 9110, 11.

mod challenge;
mod scope;
mod token;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderValue;
use reqwest::Client;
use tokio::time::Instant;

pub(super) use challenge::{Challenge, challenges};
pub(super) use scope::Scope;

use super::credentials::{CredentialStore, Login};
use crate::content::Location;
use crate::events::Observer;
use crate::oci::Host;
use token::Realm;

/// Knows how one registry wants to be spoken to, and holds its tokens: one a scope, fetched once however many wait.
pub(super) struct Authenticator {
    realm_client: token::TokenClient,
    credentials: CredentialStore,
    scheme: Mutex<Option<Scheme>>,
    tokens: Mutex<HashMap<Scope, Arc<tokio::sync::Mutex<Option<Issued>>>>>,
}

#[derive(Clone)]
enum Scheme {
    Basic,
    Bearer(Realm),
}

/// A header that was issued for a scope, and until when it is good.
#[derive(Clone)]
struct Issued {
    header: HeaderValue,
    refresh_at: Option<Instant>,
}

/// What a request carries, and whether it was made for this very request.
pub(super) struct Authorization {
    pub(super) header: HeaderValue,
    pub(super) fresh: bool,
}

impl Authenticator {
    pub(super) fn new(
        host: Host,
        client: Client,
        plain: bool,
        credentials: CredentialStore,
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self {
            realm_client: token::TokenClient::new(host, client, plain, observer),
            credentials,
            scheme: Mutex::default(),
            tokens: Mutex::default(),
        }
    }

    /// What to send with a request: nothing until the registry has challenged one.
    ///
    /// # Errors
    /// A text that says why no credentials or no token could be had.
    pub(super) async fn authorization(
        &self,
        location: &Location,
        scope: &Scope,
    ) -> Result<Option<Authorization>, AuthError> {
        let Some(scheme) = self.scheme() else { return Ok(None) };
        let slot = self.slot(scope);
        let mut issued = slot.lock().await;
        if let Some(good) = issued.as_ref().filter(|i| i.refresh_at.is_none_or(|at| Instant::now() < at)) {
            return Ok(Some(Authorization { header: good.header.clone(), fresh: false }));
        }
        *issued = self.issue(&scheme, location, scope).await?;
        Ok(issued.as_ref().map(|i| Authorization { header: i.header.clone(), fresh: true }))
    }

    /// Takes a 401's challenge in. Returns whether the request may go better now: it carried nothing or an old token.
    pub(super) async fn challenged(
        &self,
        scope: &Scope,
        challenges: &[Challenge],
        carried: Option<&Authorization>,
    ) -> bool {
        let Some(scheme) = challenges.iter().find_map(Scheme::from_challenge) else {
            return false;
        };
        *self.scheme.lock().unwrap_or_else(PoisonError::into_inner) = Some(scheme);
        let Some(carried) = carried else { return true };
        let slot = self.slot(scope);
        let mut issued = slot.lock().await;
        if issued.as_ref().is_some_and(|i| i.header == carried.header) {
            *issued = None;
        }
        !carried.fresh
    }

    async fn issue(&self, scheme: &Scheme, location: &Location, scope: &Scope) -> Result<Option<Issued>, AuthError> {
        let login = self.credentials.login(location).await.map_err(AuthError::Credentials)?;
        match scheme {
            Scheme::Basic => {
                Ok(login.as_ref().and_then(Login::basic_header).map(|header| Issued { header, refresh_at: None }))
            }
            Scheme::Bearer(realm) => {
                let token = self.realm_client.token(realm, scope, login.as_ref()).await?;
                Ok(Some(Issued { header: token.header, refresh_at: Some(Instant::now() + token.refresh_after) }))
            }
        }
    }

    fn scheme(&self) -> Option<Scheme> {
        self.scheme.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn slot(&self, scope: &Scope) -> Arc<tokio::sync::Mutex<Option<Issued>>> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tokens.entry(scope.clone()).or_default())
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

/// Why there is no authorisation.
pub(super) enum AuthError {
    /// The credentials' source is broken.
    Credentials(String),
    /// The token server did not give a token: the cause is as for any other request.
    Token(crate::content::Cause),
}
