//! The one way out to a registry: what every request carries, waits for, reports, and when it is made again.
//!
//! A request passes, in this line: the registry's quota of pulls → authorisation → a pause that the registry asked for →
//! a connection, the adaptive window and the rate ([`Line`]) → the wire → classification → perhaps a pause and the same
//! again. Further limits belong into this line and nowhere else.

mod attempt;
mod outcome;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;
use url::Url;

use super::answer;
use super::auth::{Authenticator, Trust};
use super::call::{Call, Caller, text};
use super::chunking::Chunking;
use super::client::Clients;
use super::credentials::{CredentialStore, DockerConfigFiles};
use super::limits::quota::Quota;
use super::limits::{Allotments, Line, Pass, Pauses};
use super::referrers_api::ReferrersApi;
use super::settings::{Settings, Tls};
use super::warnings::Warnings;
use super::wire::Wire;
use crate::backoff::{Patience, RetryReason};
use crate::content::{Cause, Error, Location};
use crate::events::{Direction, Observer, Retry, ThrottleReason};
use crate::http_client::{Body, Response};
use crate::oci::{Host, ManifestError};

/// A host that has not answered once is more likely misspelt than restarting.
const PATIENCE_WITH_STRANGERS: Duration = Duration::from_secs(15);

/// One registry, spoken to.
pub(super) struct Transport {
    host: Host,
    base: Url,
    wire: Wire,
    auth: Authenticator,
    observer: Arc<dyn Observer>,
    line: Arc<Line>,
    pauses: Pauses,
    quota: Arc<Quota>,
    has_answered: AtomicBool,
    chunking: Chunking,
    referrers_api: ReferrersApi,
    warnings: Warnings,
    patience: Patience,
    idle_timeout: Duration,
}

/// An answer with a body still to be read, and the connection that is held for it.
pub(super) struct Answered {
    pub(super) response: Response,
    pass: Pass,
}

/// What a request with a body needs before its first byte.
pub(super) struct Ready {
    authorization: Option<HeaderValue>,
    pass: Pass,
}

impl Transport {
    pub(super) fn new(
        host: &Host,
        settings: &Settings,
        docker_config: DockerConfigFiles,
        observer: Arc<dyn Observer>,
        allotments: Option<&Allotments>,
    ) -> Result<Self, Error> {
        let unusable = |reason| Error::new(format!("setting up the client for {host}"), Cause::Protocol(reason));
        let plain = settings.tls == Tls::Http;
        let scheme = if plain { "http" } else { "https" };
        let base: Url = format!("{scheme}://{}/v2/", host.api_authority())
            .parse()
            .map_err(|error| Error::new(format!("making the URL of {host}"), Cause::Protocol(format!("{error}"))))?;
        let credentials = CredentialStore::new(host, settings.credentials.clone(), docker_config);
        let clients = Arc::new(Clients::new(&base, settings).map_err(unusable)?);
        let limits = &settings.limits;
        let (line, quota) = match allotments {
            Some(allotments) => allotments.open(host, limits, Arc::clone(&observer)),
            None => (Arc::new(Line::new(host, limits, Arc::clone(&observer))), Quota::new(limits.pull_reserve)),
        };
        let trust = Trust::new(host, &base, &settings.trusted_realms);
        Ok(Self {
            host: host.clone(),
            wire: Wire::new(host, &base, Arc::clone(&clients), Arc::clone(&observer)),
            auth: Authenticator::new(trust, clients, credentials, Arc::clone(&line), Arc::clone(&observer)),
            base,
            observer,
            line,
            pauses: Pauses::default(),
            quota,
            has_answered: AtomicBool::new(false),
            chunking: Chunking::new(settings.chunk_size),
            referrers_api: ReferrersApi::default(),
            warnings: Warnings::default(),
            patience: settings.retry,
            idle_timeout: settings.idle_timeout,
        })
    }

    /// `/v2/<repository>/<path>`; both are checked names, so that nothing needs escaping.
    pub(super) fn url(&self, location: &Location, path: impl fmt::Display) -> Url {
        let mut url = self.base.clone();
        url.set_path(&text(format_args!("/v2/{}/{path}", location.repository)));
        url
    }

    /// The registry.
    pub(super) fn host(&self) -> &Host {
        &self.host
    }

    /// `/v2/`.
    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    /// The user by whose login the caller's requests are made.
    pub(super) async fn user(&self, caller: &Caller) -> Option<String> {
        self.auth.user(&caller.scope).await
    }

    /// `/v2/_catalog`.
    pub(super) fn catalog_url(&self) -> Url {
        let mut url = self.base.clone();
        url.set_path("/v2/_catalog");
        url
    }

    pub(super) fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    /// Where requests wait for their turn.
    pub(super) fn line(&self) -> &Arc<Line> {
        &self.line
    }

    /// The registry's quota of pulls.
    pub(super) fn quota(&self) -> &Arc<Quota> {
        &self.quota
    }

    /// What is known of the bodies that it takes.
    pub(super) fn chunking(&self) -> &Chunking {
        &self.chunking
    }

    /// Whether it lists what refers to a document, as far as is known.
    pub(super) fn referrers_api(&self) -> &ReferrersApi {
        &self.referrers_api
    }

    /// Bytes of blobs moved. Returns how long the next ones have to wait.
    pub(super) fn count_bytes(&self, direction: Direction, bytes: usize) -> Duration {
        self.observer.bytes(&self.host, direction, bytes as u64);
        self.line.charge(bytes)
    }

    /// Something will be tried again.
    pub(super) fn report_retry(&self, reason: RetryReason, pause: Duration, error: &Error) {
        self.observer.retry(&Retry { registry: &self.host, reason, pause, error });
    }

    /// How patient to be: less with a host that has not answered once.
    pub(super) fn patience(&self) -> Patience {
        let strangers = PATIENCE_WITH_STRANGERS.min(self.patience.max_elapsed);
        if self.has_answered.load(Ordering::Relaxed) {
            self.patience
        } else {
            Patience { max_elapsed: strangers, ..self.patience }
        }
    }

    /// Makes a request, again while that is worth it: once only on a connection that is held for it, since nobody is to
    /// wait for one that pauses. Returns the answer if it is a success; its body is unread.
    ///
    /// # Errors
    /// Every other answer, and none.
    pub(super) async fn send(&self, caller: &Caller, call: &Call) -> Result<Answered, Error> {
        self.persistently(caller, call, || self.attempt(caller, call)).await
    }

    /// Asks whether something is there.
    pub(super) async fn probe(&self, caller: &Caller, call: &Call) -> Result<Option<Response>, Error> {
        Ok(found(self.send(caller, call).await)?.map(|answered| answered.response))
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
            let Answered { response, pass } = self.attempt(caller, call).await?;
            let headers = response.headers().clone();
            let body = answer::body(response, limit, self.idle_timeout).await.map_err(|cause| {
                self.wire.learn(&cause);
                call.error(cause)
            })?;
            drop(pass);
            let body = body.ok_or_else(|| call.error(ManifestError::TooLarge { limit }.into()))?;
            read(&headers, body).map_err(|cause| call.error(cause))
        };
        found(self.persistently(caller, call, attempt).await)
    }

    /// Makes a request once, for what is only a courtesy.
    pub(super) async fn send_once(&self, caller: &Caller, call: &Call) -> Result<Answered, Error> {
        self.attempt(caller, call).await.map_err(|error| error.at(&self.host))
    }

    /// Waits until a body may be sent.
    pub(super) async fn ready_to_stream(&self, caller: &Caller, call: &Call) -> Result<Ready, Error> {
        self.get_ready(caller, call).await.map_err(|error| error.at(&self.host))
    }

    /// Makes a request once, with a body that cannot be read twice. There is no limit to how long the body may take:
    /// whoever feeds it watches over that.
    pub(super) async fn send_stream(
        &self,
        caller: &Caller,
        call: &Call,
        ready: Ready,
        length: u64,
        body: Body,
    ) -> Result<Response, Error> {
        self.try_stream(caller, call, ready, length, body).await.map_err(|error| error.at(&self.host))
    }

    /// Tries, and tries again after a pause while the error says that it is worth it.
    pub(super) async fn persistently<T, F>(
        &self,
        caller: &Caller,
        call: &Call,
        attempt: impl Fn() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let started = Instant::now();
        let mut effort = self.patience.effort();
        loop {
            let error = match attempt().await {
                Ok(done) => return Ok(done),
                Err(error) => error.at(&self.host),
            };
            let reason = error.retry_reason().filter(|_| caller.lane.is_none());
            let Some(reason) = reason else { return Err(error) };
            let limit = self.patience().max_elapsed;
            let Some(pause) =
                effort.next(reason, limit, started.elapsed().saturating_sub(call.waited()), error.retry_after())
            else {
                return Err(error);
            };
            self.report_retry(reason, pause, &error);
            if caller.cancel.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Err(call.error(Cause::Cancelled));
            }
            if let Some(asked) = error.retry_after() {
                self.observer.throttled(&self.host, ThrottleReason::RetryAfter, asked);
            }
        }
    }
}

fn found<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.cause(), Cause::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}
