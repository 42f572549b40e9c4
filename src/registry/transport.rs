//! The one way out to a registry: what every request carries, waits for, reports, and when it is made again.
//!
//! A request passes, in this line: a place among the requests in flight → authorisation → the wire → classification →
//! perhaps a pause and the same again. Further limits belong into this line and nowhere else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::{Body, Client, Response};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use url::Url;

use super::auth::{Authenticator, Challenge, challenges};
use super::blob::range_header;
use super::call::{Call, Caller};
use super::credentials::{CredentialStore, DockerConfigFiles};
use super::settings::{Settings, Tls};
use super::{answer, client};
use crate::backoff::{Patience, RetryReason};
use crate::content::{Cause, Error, Location, Refusal};
use crate::events::{self, Direction, Observer, Retry};
use crate::oci::{Host, ManifestError};

/// Requests to one registry that wait for an answer. Bodies do not count: those of blobs are bounded by the transfers.
const MAX_REQUESTS: usize = 32;

/// A host that has not answered once is more likely misspelt than restarting.
const PATIENCE_WITH_STRANGERS: Duration = Duration::from_secs(15);

/// Sizes of chunks that are tried: below what proxies are known to take (100 MB, 20 MB, 5 MB, 4 MiB, 1 MiB).
const CHUNK_SIZES: [u64; 5] = [64 << 20, 16 << 20, 4 << 20, 2 << 20, 512 << 10];

/// One registry, spoken to.
pub(super) struct Transport {
    host: Host,
    base: Url,
    client: Client,
    auth: Authenticator,
    observer: Arc<dyn Observer>,
    places: Semaphore,
    has_answered: AtomicBool,
    /// The size of chunks in uploads; 0 as long as whole bodies are taken.
    chunk_size: AtomicU64,
    idle_timeout: Duration,
}

impl Transport {
    pub(super) fn new(
        host: &Host,
        settings: &Settings,
        docker_config: DockerConfigFiles,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, Error> {
        let unusable = |reason| Error::new(format!("setting up the client for {host}"), Cause::Protocol(reason));
        let client = client::for_registry(host, settings).map_err(unusable)?;
        let plain = settings.tls == Tls::Http;
        let scheme = if plain { "http" } else { "https" };
        let base = format!("{scheme}://{}/v2/", host.api_authority())
            .parse()
            .map_err(|error| Error::new(format!("making the URL of {host}"), Cause::Protocol(format!("{error}"))))?;
        let credentials = CredentialStore::new(settings.credentials.clone(), docker_config);
        Ok(Self {
            host: host.clone(),
            base,
            auth: Authenticator::new(host, settings, credentials, Arc::clone(&observer)),
            client,
            observer,
            places: Semaphore::new(MAX_REQUESTS),
            has_answered: AtomicBool::new(false),
            chunk_size: AtomicU64::new(0),
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

    /// The size of chunks in uploads; `None` as long as the registry takes whole bodies.
    pub(super) fn chunk_size(&self) -> Option<u64> {
        Some(self.chunk_size.load(Ordering::Relaxed)).filter(|size| *size > 0)
    }

    /// A body of `refused` bytes was too large: from here on, for this registry, smaller ones. `None` if they cannot
    /// get smaller.
    pub(super) fn take_smaller_chunks(&self, refused: u64) -> Option<u64> {
        let smaller = CHUNK_SIZES.into_iter().find(|size| *size < refused)?;
        // Another upload may have learnt more meanwhile.
        let before = self.chunk_size.load(Ordering::Relaxed);
        let smaller = if before == 0 { smaller } else { smaller.min(before) };
        self.chunk_size.store(smaller, Ordering::Relaxed);
        Some(smaller)
    }

    /// Something will be tried again.
    pub(super) fn report_retry(&self, reason: RetryReason, pause: Duration, error: &Error) {
        self.observer.retry(&Retry { registry: &self.host, reason, pause, error });
    }

    /// Makes a request, again while that is worth it. Returns the answer if it is a success; its body is unread.
    ///
    /// # Errors
    /// Every other answer, and none.
    pub(super) async fn send(&self, caller: &Caller, call: &Call) -> Result<Response, Error> {
        self.persistently(caller, call, || self.attempt(caller, call)).await
    }

    /// Asks whether something is there.
    pub(super) async fn probe(&self, caller: &Caller, call: &Call) -> Result<Option<Response>, Error> {
        found(self.send(caller, call).await)
    }

    /// As [`Transport::send`], with a body of up to `limit` bytes read to its end and understood; `None` if it is not
    /// found. What breaks off, or does not match its digest, is fetched again.
    pub(super) async fn fetch<T>(
        &self,
        caller: &Caller,
        call: &Call,
        limit: usize,
        read: impl Fn(&HeaderMap, Bytes) -> Result<T, Cause>,
    ) -> Result<Option<T>, Error> {
        let attempt = || async {
            let response = self.attempt(caller, call).await?;
            let headers = response.headers().clone();
            let body = answer::body(response, limit, self.idle_timeout).await.map_err(|cause| call.error(cause))?;
            let body = body.ok_or_else(|| call.error(ManifestError::TooLarge { limit }.into()))?;
            read(&headers, body).map_err(|cause| call.error(cause))
        };
        found(self.persistently(caller, call, attempt).await)
    }

    /// Makes a request once, for what is only a courtesy.
    pub(super) async fn send_once(&self, caller: &Caller, call: &Call) -> Result<Response, Error> {
        self.attempt(caller, call).await
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
        self.try_stream(caller, call, length, body).await.map_err(|error| error.at(&self.host))
    }

    async fn try_stream(&self, caller: &Caller, call: &Call, length: u64, body: Body) -> Result<Response, Error> {
        let authorization = self.authorization(caller, call).await?;
        let request = self
            .request(call, authorization.as_ref())
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, length)
            .body(body);
        let response = self.execute(caller, call, request).await?;
        if self.challenged(caller, &response, authorization.as_ref()).await && authorization.is_some() {
            // The next try, which the caller makes, carries a new one.
            return Err(call.error(Cause::TokenRefused));
        }
        self.accept(call, response).await
    }

    /// Tries, and tries again after a pause while the error says that it is worth it.
    async fn persistently<T, F>(&self, caller: &Caller, call: &Call, attempt: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let started = Instant::now();
        let mut effort = Patience::STANDARD.effort();
        loop {
            let error = match attempt().await {
                Ok(done) => return Ok(done),
                Err(error) => error.at(&self.host),
            };
            let Some(reason) = error.retry_reason() else { return Err(error) };
            let Some(pause) = effort.next(reason, self.patience(), started.elapsed(), error.retry_after()) else {
                return Err(error);
            };
            self.report_retry(reason, pause, &error);
            if caller.cancel.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Err(call.error(Cause::Cancelled));
            }
        }
    }

    /// One try; two if the registry challenges the first and there is something else to say to it.
    async fn attempt(&self, caller: &Caller, call: &Call) -> Result<Response, Error> {
        let first = self.authorization(caller, call).await?;
        let response = self.execute_in_time(caller, call, first.as_ref()).await?;
        if !self.challenged(caller, &response, first.as_ref()).await {
            return self.accept(call, response).await;
        }
        let second = self.authorization(caller, call).await?;
        if second.is_none() || second == first {
            return self.accept(call, response).await;
        }
        if first.is_some() {
            self.report_retry(RetryReason::Auth, Duration::ZERO, &call.error(Cause::TokenRefused));
        }
        let response = self.execute_in_time(caller, call, second.as_ref()).await?;
        self.accept(call, response).await
    }

    async fn execute_in_time(
        &self,
        caller: &Caller,
        call: &Call,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, Error> {
        let _place = self.places.acquire().await;
        let request = self.request(call, authorization);
        let request = match &call.body {
            Some((media_type, bytes)) => request.header(CONTENT_TYPE, media_type).body(bytes.clone()),
            None if call.method == Method::POST => request.header(CONTENT_LENGTH, 0),
            None => request,
        };
        match tokio::time::timeout(self.idle_timeout, self.execute(caller, call, request)).await {
            Ok(result) => result,
            Err(_) => Err(call.error(Cause::Stalled(self.idle_timeout))),
        }
    }

    /// Credentials go to the registry's own origin only: upload sessions may lie elsewhere.
    async fn authorization(&self, caller: &Caller, call: &Call) -> Result<Option<HeaderValue>, Error> {
        if call.url.origin() != self.base.origin() {
            return Ok(None);
        }
        self.auth.authorization(&caller.location, &caller.scope).await.map_err(|cause| call.login_error(cause))
    }

    /// Takes a challenge in, if the answer is one. Another origin's is not ours to answer: who believed it would send
    /// the registry's password to a stranger.
    async fn challenged(&self, caller: &Caller, response: &Response, carried: Option<&HeaderValue>) -> bool {
        let is_own = response.url().origin() == self.base.origin();
        if response.status() != StatusCode::UNAUTHORIZED || !is_own {
            return false;
        }
        let mut offered = challenges(response.headers());
        if offered.is_empty() {
            offered = self.base_challenges(caller).await;
        }
        self.auth.challenged(&caller.scope, &offered, carried).await
    }

    /// The challenges of `/v2/`, for registries whose other answers do not say how to log in (gcr.io).
    async fn base_challenges(&self, caller: &Caller) -> Vec<Challenge> {
        let call = Call::new(Method::GET, self.base.clone(), format!("asking {} how to log in", self.host));
        match self.execute_in_time(caller, &call, None).await {
            Ok(response) if response.url().origin() == self.base.origin() => challenges(response.headers()),
            _ => Vec::new(),
        }
    }

    fn request(&self, call: &Call, authorization: Option<&HeaderValue>) -> reqwest::RequestBuilder {
        let mut request = self.client.request(call.method.clone(), call.url.clone());
        if let Some(media_types) = call.accept {
            request = request.header(ACCEPT, media_types);
        }
        if let Some(range) = &call.range {
            request = request.header(RANGE, range_header(range));
        }
        if let Some(chunk) = &call.chunk {
            // Without the unit: so the distribution spec has it.
            request = request.header(CONTENT_RANGE, format!("{}-{}", chunk.start(), chunk.end()));
        }
        match authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization),
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
        // Harbor 2.10 says UNKNOWN.
        Some("NAME_UNKNOWN" | "MANIFEST_UNKNOWN" | "BLOB_UNKNOWN" | "NOT_FOUND" | "UNKNOWN") | None => Cause::NotFound,
        Some(_) => Cause::Refused(refusal),
    }
}
