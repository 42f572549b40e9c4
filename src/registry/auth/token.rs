//! Tokens from a registry's realm.
//!
//! Source: distribution's "Token Authentication Specification" and "OAuth2 Token Authentication".

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::realm::{Kinship, Realm, Trust};
use super::{Scope, azure};
use crate::content::Cause;
use crate::events::{self, Observer};
use crate::http_client::{Body, Client, Request, Versions, bearer};
use crate::oci::Host;
use crate::registry::answer;
use crate::registry::client::{Clients, Purpose};
use crate::registry::credentials::Login;
use crate::registry::limits::{Class, Line};

/// A token that says nothing of its end is good for this long, and none is taken for shorter. Source: the spec above.
const LEAST_LIFETIME: Duration = Duration::from_secs(60);
/// Nor is one kept for longer than this, whatever its server says.
const GREATEST_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Tokens are a few KiB; a body larger than this is no token.
const MAX_BODY: usize = 1 << 20;
/// A token server that takes longer is down.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A token, ready to be sent.
pub(super) struct Token {
    pub(super) header: HeaderValue,
    pub(super) refresh_after: Duration,
}

/// Asks realms for tokens on behalf of one registry.
pub(super) struct TokenClient {
    host: Host,
    trust: Trust,
    clients: Arc<Clients>,
    line: Arc<Line>,
    observer: Arc<dyn Observer>,
}

impl TokenClient {
    pub(super) fn new(trust: Trust, clients: Arc<Clients>, line: Arc<Line>, observer: Arc<dyn Observer>) -> Self {
        Self { host: trust.registry().clone(), trust, clients, line, observer }
    }

    /// A token for the scope: with an identity token by OAuth2's POST, else by GET, with Basic credentials if there
    /// are any.
    pub(super) async fn token(&self, realm: &Realm, scope: &Scope, login: Option<&Login>) -> Result<Token, Cause> {
        let kinship = self.trust.in_realm(realm, self.clients.addresses()).await.map_err(Cause::Credentials)?;
        if login.is_some() && kinship == Kinship::Stranger {
            return Err(Cause::Credentials(self.trust.refusal(realm)));
        }
        // A token is one request: nothing is gained by a second way for it to fail.
        let client = self.clients.client_for(&realm.url, Versions::One, Purpose::Tokens).map_err(Cause::Credentials)?;
        let asking = Asking { tokens: self, client, kinship };
        match login {
            Some(login @ Login::IdentityToken { token, .. }) => asking.by_identity(realm, scope, login, token).await,
            Some(login @ Login::Basic { password, .. }) => match azure::token(login, realm) {
                Some(azure::Token::Refresh) => asking.by_identity(realm, scope, login, password).await,
                Some(azure::Token::Access) => {
                    let refresh = asking.exchange(realm, password).await?;
                    asking.by_identity(realm, scope, login, &refresh).await
                }
                None => asking.token(Asking::get(realm, scope, Some(login))).await,
            },
            // A registry's own token is none of its realm's business.
            Some(Login::RegistryToken(_)) | None => asking.token(Asking::get(realm, scope, None)).await,
        }
    }
}

/// Requests to one realm.
struct Asking<'a> {
    tokens: &'a TokenClient,
    client: Client,
    kinship: Kinship,
}

impl Asking<'_> {
    /// By POST; where the server does not know that, as GCR (404) and Artifactory (401) do not, by GET.
    async fn by_identity(
        &self,
        realm: &Realm,
        scope: &Scope,
        login: &Login,
        refresh_token: &SecretString,
    ) -> Result<Token, Cause> {
        match self.token(Self::post(realm, scope, refresh_token)).await {
            Err(Cause::Refused(refusal)) if matches!(refusal.status, 401 | 404 | 405) => {
                self.token(Self::get(realm, scope, Some(login))).await
            }
            answered => answered,
        }
    }

    /// A registry's refresh token for an access token of Microsoft Entra.
    /// Source: Azure Container Registry, "Authentication", `POST /oauth2/exchange`.
    async fn exchange(&self, realm: &Realm, access_token: &SecretString) -> Result<SecretString, Cause> {
        #[derive(Deserialize)]
        struct Answer {
            refresh_token: SecretString,
        }
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "access_token")
            .append_pair("service", realm.service.as_deref().unwrap_or_default())
            .append_pair("access_token", access_token.expose_secret())
            .finish();
        let mut url = realm.url.clone();
        url.set_path(azure::EXCHANGE);
        let body = self.send(form_to(url, form)).await?;
        let answer: Option<Answer> = serde_json::from_slice(&body).ok();
        answer.map(|answer| answer.refresh_token).ok_or_else(no_token)
    }

    async fn token(&self, request: Request) -> Result<Token, Cause> {
        read(&self.send(request).await?).ok_or_else(no_token)
    }

    async fn send(&self, request: Request) -> Result<Bytes, Cause> {
        let method = request.method.clone();
        // The registry's own requests stand in its line; whoever holds a connection is not to wait for another.
        let _pass = match self.kinship {
            Kinship::Origin => Some(self.tokens.line.enter(Class::Read, true).await),
            Kinship::Host | Kinship::Domain | Kinship::Stranger => None,
        };
        let (started, until) = (Instant::now(), tokio::time::Instant::now() + TIMEOUT);
        let result = answer::in_time(until, answer::of(&self.client, request)).await;
        self.tokens.observer.request(&events::Request {
            registry: &self.tokens.host,
            method: method.as_str(),
            status: result.as_ref().ok().map(|response| response.status().as_u16()),
            elapsed: started.elapsed(),
        });
        let response = result?;
        if !response.status().is_success() {
            return Err(Cause::Refused(answer::refusal(response, TIMEOUT).await));
        }
        answer::in_time(until, answer::body(response, MAX_BODY, TIMEOUT)).await?.ok_or_else(no_token)
    }

    fn get(realm: &Realm, scope: &Scope, login: Option<&Login>) -> Request {
        let mut url = realm.url.clone();
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = &realm.service {
                query.append_pair("service", service);
            }
            for parameter in scope.parameters() {
                query.append_pair("scope", &parameter);
            }
        }
        let login = login.and_then(Login::basic_header);
        let headers = login.into_iter().map(|login| (AUTHORIZATION, login)).collect();
        Request { method: Method::GET, url, headers, body: Body::default() }
    }

    fn post(realm: &Realm, scope: &Scope, refresh_token: &SecretString) -> Request {
        let scopes: Vec<String> = scope.parameters().collect();
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token")
            .append_pair("client_id", "regferry")
            .append_pair("service", realm.service.as_deref().unwrap_or_default());
        // Who wants no rights says nothing of them: a scope that is empty is none by RFC 6749, 3.3.
        if !scopes.is_empty() {
            form.append_pair("scope", &scopes.join(" "));
        }
        let form = form.append_pair("refresh_token", refresh_token.expose_secret()).finish();
        form_to(realm.url.clone(), form)
    }
}

fn form_to(url: Url, form: String) -> Request {
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, FORM)]);
    Request { method: Method::POST, url, headers, body: Body::Whole(form.into()) }
}

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

fn no_token() -> Cause {
    Cause::Protocol("the token server's answer holds no token".to_owned())
}

fn read(body: &[u8]) -> Option<Token> {
    #[derive(Deserialize)]
    struct Answer {
        token: Option<SecretString>,
        access_token: Option<SecretString>,
        expires_in: Option<u64>,
    }
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let mut tokens = [&answer.token, &answer.access_token].into_iter().flatten().map(SecretString::expose_secret);
    let token = tokens.find(|token| !token.is_empty())?;
    let header = bearer(token)?;
    let lifetime = Duration::from_secs(answer.expires_in.unwrap_or(0)).clamp(LEAST_LIFETIME, GREATEST_LIFETIME);
    Some(Token { header, refresh_after: lifetime - lifetime / 6 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_name_of_the_token_is_read() {
        assert_eq!(read(br#"{"token":"a","access_token":"b"}"#).unwrap().header, "Bearer a");
        assert_eq!(read(br#"{"token":"","access_token":"b"}"#).unwrap().header, "Bearer b");
        assert!(read(b"{}").is_none());
        assert!(read(br#"{"token":"a\nb"}"#).is_none());
    }

    #[test]
    fn a_token_is_refreshed_before_it_runs_out_and_lives_a_minute_at_least() {
        let after = |body: &[u8]| read(body).unwrap().refresh_after.as_secs();
        assert_eq!(after(br#"{"token":"a","expires_in":300}"#), 250);
        assert_eq!(after(br#"{"token":"a","expires_in":1}"#), 50);
        assert_eq!(after(br#"{"token":"a"}"#), 50);
    }
}
