//! Tokens from a registry's realm.
//!
//! Source: distribution's "Token Authentication Specification" and "OAuth2 Token Authentication".

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::OnceCell;
use url::Url;

use super::{Challenge, Scope};
use crate::content::Cause;
use crate::events::{Observer, Request};
use crate::oci::Host;
use crate::registry::credentials::Login;
use crate::registry::settings::{Settings, Tls};
use crate::registry::{answer, client};

/// A token that says nothing of its end is good for this long, and none is taken for shorter. Source: the spec above.
const LEAST_LIFETIME: Duration = Duration::from_secs(60);
/// Nor is one kept for longer than this, whatever its server says.
const GREATEST_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Tokens are a few KiB; a body larger than this is no token.
const MAX_BODY: usize = 1 << 20;
/// A token server that takes longer is down.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where tokens are to be had, by the registry's challenge.
#[derive(Clone)]
pub(super) struct Realm {
    url: Url,
    service: Option<String>,
}

impl Realm {
    pub(super) fn from_challenge(challenge: &Challenge) -> Option<Self> {
        let url = challenge.parameters.get("realm")?.parse().ok()?;
        Some(Self { url, service: challenge.parameters.get("service").cloned() })
    }
}

/// A token, ready to be sent.
pub(super) struct Token {
    pub(super) header: HeaderValue,
    pub(super) refresh_after: Duration,
}

/// Asks realms for tokens on behalf of one registry.
pub(super) struct TokenClient {
    host: Host,
    settings: Settings,
    observer: Arc<dyn Observer>,
    client: OnceCell<Client>,
}

impl TokenClient {
    pub(super) fn new(host: &Host, settings: &Settings, observer: Arc<dyn Observer>) -> Self {
        Self { host: host.clone(), settings: settings.clone(), observer, client: OnceCell::new() }
    }

    /// A token for the scope: with an identity token by OAuth2's POST, else by GET, with Basic credentials if there
    /// are any.
    pub(super) async fn token(&self, realm: &Realm, scope: &Scope, login: Option<&Login>) -> Result<Token, Cause> {
        if realm.url.scheme() != "https" && self.settings.tls != Tls::Http {
            let origin = realm.url.origin().ascii_serialization();
            let reason = format!("the registry sends logins to {origin}, which is not HTTPS: nothing was sent there");
            return Err(Cause::Credentials(reason));
        }
        let client = self.client(realm).await?;
        let request = match login {
            Some(Login::IdentityToken(token)) => post(client, realm, scope, token),
            _ => get(client, realm, scope, login),
        };
        self.send(client, request).await
    }

    /// A client of its own: it follows no redirect, which would carry a login along, and what the registry's own
    /// certificate is forgiven is not forgiven another host's.
    async fn client(&self, realm: &Realm) -> Result<&Client, Cause> {
        let build = || async {
            let is_own_host = realm.url.host_str() == Some(self.host.name());
            let tls = if is_own_host || self.settings.tls != Tls::Insecure { self.settings.tls } else { Tls::Https };
            client::for_realms(&self.host, &Settings { tls, ..self.settings.clone() }).map_err(Cause::Credentials)
        };
        self.client.get_or_try_init(build).await
    }

    async fn send(&self, client: &Client, request: RequestBuilder) -> Result<Token, Cause> {
        let request = request.timeout(TIMEOUT).build().map_err(|error| answer::failure(&error))?;
        let method = request.method().clone();
        let started = Instant::now();
        let result = client.execute(request).await;
        self.observer.request(&Request {
            registry: &self.host,
            method: method.as_str(),
            status: result.as_ref().ok().map(|response| response.status().as_u16()),
            elapsed: started.elapsed(),
        });
        let response = result.map_err(|error| answer::failure(&error))?;
        if !response.status().is_success() {
            return Err(Cause::Refused(answer::refusal(response).await));
        }
        let body = answer::body(response, MAX_BODY, TIMEOUT).await?.ok_or_else(no_token)?;
        read(&body).ok_or_else(no_token)
    }
}

fn get(client: &Client, realm: &Realm, scope: &Scope, login: Option<&Login>) -> RequestBuilder {
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
    let request = client.request(Method::GET, url);
    match login.and_then(Login::basic_header) {
        Some(header) => request.header(AUTHORIZATION, header),
        None => request,
    }
}

fn post(client: &Client, realm: &Realm, scope: &Scope, refresh_token: &SecretString) -> RequestBuilder {
    let scopes: Vec<String> = scope.parameters().collect();
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "refresh_token")
        .append_pair("client_id", "regferry")
        .append_pair("service", realm.service.as_deref().unwrap_or_default())
        .append_pair("scope", &scopes.join(" "))
        .append_pair("refresh_token", refresh_token.expose_secret())
        .finish();
    client.request(Method::POST, realm.url.clone()).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form)
}

fn no_token() -> Cause {
    Cause::Protocol("the token server's answer holds no token".to_owned())
}

fn read(body: &[u8]) -> Option<Token> {
    #[derive(Deserialize)]
    struct Answer {
        token: Option<String>,
        access_token: Option<String>,
        expires_in: Option<u64>,
    }
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let token = [answer.token, answer.access_token].into_iter().flatten().find(|token| !token.is_empty())?;
    let mut header = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    header.set_sensitive(true);
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
