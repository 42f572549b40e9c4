//! The one way out to a registry: what every request carries, waits for, reports, and when it is made again.
//!
//! A request passes, in this line: a place among the requests in flight → authorisation → the wire → classification →
//! perhaps a pause and the same again. Further limits belong into this line and nowhere else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Method, StatusCode};
use reqwest::{Body, Client, Response};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use url::Url;

use super::auth::{AuthError, Authenticator, Authorization, Scope, challenges};
use super::credentials::{CredentialStore, DockerConfigFiles};
use super::settings::{Settings, Tls};
use super::{answer, client};
use crate::backoff::{Patience, RetryReason};
use crate::content::{Cause, Error, Location, Refusal};
use crate::events::{self, Direction, Observer, Retry};
use crate::oci::{Host, ManifestError};

/// Requests in flight to one registry, bodies of blobs not counted: those are bounded by the transfers.
const MAX_REQUESTS: usize = 32;

/// A host that has not answered once is more likely misspelt than restarting.
const PATIENCE_WITH_STRANGERS: Duration = Duration::from_secs(15);

/// One registry, spoken to.
pub(super) struct Transport {
    host: Host,
    base: Url,
    client: Client,
    auth: Authenticator,
    observer: Arc<dyn Observer>,
    places: Semaphore,
    has_answered: AtomicBool,
    idle_timeout: Duration,
}

/// Who asks: the repository, the rights it needs, and the count that its requests go to.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) location: Location,
    pub(super) scope: Scope,
    pub(super) requests: Arc<AtomicU64>,
}

/// A request that may be made more than once.
#[derive(Clone)]
pub(super) struct Call {
    method: Method,
    url: Url,
    accept: Option<&'static str>,
    body: Option<(String, Bytes)>,
    what: String,
}

/// An answer with its whole body.
pub(super) struct Document {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Call {
    /// `what` reads as `fetching manifest 3.18 of ghcr.io/acme/app`.
    pub(super) fn new(method: Method, url: Url, what: String) -> Self {
        Self { method, url, accept: None, body: None, what }
    }

    pub(super) fn accept(self, media_types: &'static str) -> Self {
        Self { accept: Some(media_types), ..self }
    }

    pub(super) fn body(self, media_type: &str, bytes: Bytes) -> Self {
        Self { body: Some((media_type.to_owned(), bytes)), ..self }
    }

    /// An error of this request.
    pub(super) fn error(&self, cause: Cause) -> Error {
        Error::new(self.what.clone(), cause)
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }
}

impl Transport {
    pub(super) fn new(
        host: &Host,
        settings: &Settings,
        docker_config: DockerConfigFiles,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, Error> {
        let client = client::build(host, settings)?;
        let plain = settings.tls == Tls::Http;
        let scheme = if plain { "http" } else { "https" };
        let base = format!("{scheme}://{}/v2/", host.api_authority())
            .parse()
            .map_err(|error| Error::new(format!("making the URL of {host}"), Cause::Protocol(format!("{error}"))))?;
        let credentials = CredentialStore::new(settings.credentials.clone(), docker_config);
        Ok(Self {
            host: host.clone(),
            base,
            auth: Authenticator::new(host.clone(), client.clone(), plain, credentials, Arc::clone(&observer)),
            client,
            observer,
            places: Semaphore::new(MAX_REQUESTS),
            has_answered: AtomicBool::new(false),
            idle_timeout: settings.idle_timeout,
        })
    }

    /// `/v2/<repository>/<path>`; both are checked names, so that nothing needs escaping.
    pub(super) fn url(&self, location: &Location, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("/v2/{}/{path}", location.repository));
        url
    }

    pub(super) fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    /// Bytes of blobs moved.
    pub(super) fn count_bytes(&self, direction: Direction, bytes: usize) {
        self.observer.bytes(&self.host, direction, bytes as u64);
    }

    /// Makes a request, again while that is worth it. Returns the answer if it is a success; its body is unread.
    ///
    /// # Errors
    /// Every other answer, and none.
    pub(super) async fn send(&self, caller: &Caller, call: &Call) -> Result<Response, Error> {
        self.persistently(|| self.authorised(caller, call)).await
    }

    /// As [`Transport::send`], with the body read to its end; `None` if it is not found.
    ///
    /// # Errors
    /// Also if the body is larger than `limit` bytes.
    pub(super) async fn fetch(&self, caller: &Caller, call: &Call, limit: usize) -> Result<Option<Document>, Error> {
        let attempt = || async {
            let response = self.authorised(caller, call).await?;
            let headers = response.headers().clone();
            let body = answer::body(response, limit, self.idle_timeout).await.map_err(|cause| call.error(cause))?;
            match body {
                Some(body) => Ok(Document { headers, body }),
                None => Err(call.error(ManifestError::TooLarge { limit }.into())),
            }
        };
        found(self.persistently(attempt).await)
    }

    /// Asks whether something is there.
    pub(super) async fn probe(&self, caller: &Caller, call: &Call) -> Result<Option<Response>, Error> {
        found(self.send(caller, call).await)
    }

    /// Tries, and tries again after a pause while the error says that it is worth it.
    async fn persistently<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let started = Instant::now();
        let mut pauses = Patience::STANDARD.pauses();
        loop {
            let error = match attempt().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let Some(reason) = error.retry_reason() else { return Err(error) };
            let Some(pause) = pauses.next(self.patience(), started.elapsed(), error.retry_after()) else {
                return Err(error);
            };
            self.observer.retry(&Retry { registry: &self.host, reason, pause, error: &error });
            tokio::time::sleep(pause).await;
        }
    }

    /// Makes a request once, with a body that cannot be read twice. There is no limit to how long the body may take:
    /// whoever feeds it watches over that.
    pub(super) async fn send_stream(
        &self,
        caller: &Caller,
        call: &Call,
        length: u64,
        body: Body,
    ) -> Result<Response, Error> {
        let authorization = self.authorization(caller, call).await?;
        let request = self
            .request(call, authorization.as_ref())
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, length)
            .body(body);
        let response = self.execute(caller, call, request).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let offered = challenges(response.headers());
            // The next try, which the caller makes, carries a new token.
            if self.auth.challenged(&caller.scope, &offered, authorization.as_ref()).await {
                self.report_auth(call);
                return Err(call.error(Cause::Broken("the token ran out during the upload".to_owned())));
            }
        }
        self.accept(call, response).await
    }

    /// One try, or two if the registry challenges the first.
    async fn authorised(&self, caller: &Caller, call: &Call) -> Result<Response, Error> {
        let _place = self.places.acquire().await;
        loop {
            let authorization = self.authorization(caller, call).await?;
            let mut request = self.request(call, authorization.as_ref());
            request = match &call.body {
                Some((media_type, bytes)) => request.header(CONTENT_TYPE, media_type).body(bytes.clone()),
                None if call.method == Method::POST => request.header(CONTENT_LENGTH, 0),
                None => request,
            };
            let response = tokio::time::timeout(self.idle_timeout, self.execute(caller, call, request))
                .await
                .map_err(|_| call.error(Cause::Stalled(self.idle_timeout)))??;
            if response.status() == StatusCode::UNAUTHORIZED {
                let offered = challenges(response.headers());
                if self.auth.challenged(&caller.scope, &offered, authorization.as_ref()).await {
                    if authorization.is_some() {
                        self.report_auth(call);
                    }
                    continue;
                }
            }
            return self.accept(call, response).await;
        }
    }

    /// Credentials go to the registry's own origin only: upload sessions may lie elsewhere.
    async fn authorization(&self, caller: &Caller, call: &Call) -> Result<Option<Authorization>, Error> {
        if call.url.origin() != self.base.origin() {
            return Ok(None);
        }
        self.auth.authorization(&caller.location, &caller.scope).await.map_err(|error| match error {
            AuthError::Credentials(reason) => call.error(Cause::Credentials(reason)),
            AuthError::Token(cause) => Error::new(format!("{} (logging in)", call.what), cause),
        })
    }

    fn request(&self, call: &Call, authorization: Option<&Authorization>) -> reqwest::RequestBuilder {
        let mut request = self.client.request(call.method.clone(), call.url.clone());
        if let Some(media_types) = call.accept {
            request = request.header(ACCEPT, media_types);
        }
        match authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization.header.clone()),
            None => request,
        }
    }

    async fn execute(&self, caller: &Caller, call: &Call, request: reqwest::RequestBuilder) -> Result<Response, Error> {
        let started = Instant::now();
        caller.requests.fetch_add(1, Ordering::Relaxed);
        let result = request.send().await;
        self.observer.request(&events::Request {
            registry: &self.host,
            method: call.method.as_str(),
            status: result.as_ref().ok().map(|response| response.status().as_u16()),
            elapsed: started.elapsed(),
        });
        if result.is_ok() {
            self.has_answered.store(true, Ordering::Relaxed);
        }
        result.map_err(|error| call.error(answer::failure(&error)))
    }

    async fn accept(&self, call: &Call, response: Response) -> Result<Response, Error> {
        if response.status().is_success() {
            return Ok(response);
        }
        let refusal = tokio::time::timeout(self.idle_timeout, answer::refusal(response))
            .await
            .map_err(|_| call.error(Cause::Stalled(self.idle_timeout)))?;
        Err(call.error(if refusal.status == 404 { missing(refusal) } else { Cause::Refused(refusal) }))
    }

    fn report_auth(&self, call: &Call) {
        let error = call.error(Cause::Broken("the token was refused".to_owned()));
        self.observer.retry(&Retry {
            registry: &self.host,
            reason: RetryReason::Auth,
            pause: Duration::ZERO,
            error: &error,
        });
    }

    fn patience(&self) -> Duration {
        if self.has_answered.load(Ordering::Relaxed) { Patience::STANDARD.max_elapsed } else { PATIENCE_WITH_STRANGERS }
    }
}

fn found<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.cause(), Cause::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A 404 is told as the registry tells it where it says more than "not found".
fn missing(refusal: Refusal) -> Cause {
    match refusal.code.as_deref() {
        Some("NAME_UNKNOWN" | "MANIFEST_UNKNOWN" | "BLOB_UNKNOWN" | "NOT_FOUND") | None => Cause::NotFound,
        Some(_) => Cause::Refused(refusal),
    }
}
