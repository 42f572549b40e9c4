//! The one way out to a registry: what every request carries, waits for, reports, and when it is made again.
//!
//! A request passes, in this line: the registry's quota of pulls → authorisation → a pause that the registry asked for →
//! a connection, the adaptive window and the rate ([`Line`]) → the wire → classification → perhaps a pause and the same
//! again. Further limits belong into this line and nowhere else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::{Body, Response};
use tokio::time::Instant;
use url::Url;

use super::answer;
use super::auth::{Authenticator, Challenge, challenges};
use super::blob::range_header;
use super::call::{Call, Caller};
use super::chunking::Chunking;
use super::credentials::{CredentialStore, DockerConfigFiles};
use super::limits::quota::{Pull, Quota};
use super::limits::{Line, Load, Pass, Pauses};
use super::settings::{Settings, Tls};
use super::warnings::Warnings;
use super::wire::{Outgoing, Wire};
use crate::backoff::{Patience, RetryReason};
use crate::content::{Cause, Error, Location, LoginSent, Refusal};
use crate::events::{Direction, Observer, Retry, ThrottleReason};
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
    warnings: Warnings,
    patience: Patience,
    idle_timeout: Duration,
}

/// An answer with a body still to be read, and the connection that is held for it.
pub(super) struct Answered {
    pub(super) response: Response,
    pass: Pass,
}

impl Transport {
    pub(super) fn new(
        host: &Host,
        settings: &Settings,
        docker_config: DockerConfigFiles,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, Error> {
        let unusable = |reason| Error::new(format!("setting up the client for {host}"), Cause::Protocol(reason));
        let plain = settings.tls == Tls::Http;
        let scheme = if plain { "http" } else { "https" };
        let base: Url = format!("{scheme}://{}/v2/", host.api_authority())
            .parse()
            .map_err(|error| Error::new(format!("making the URL of {host}"), Cause::Protocol(format!("{error}"))))?;
        let credentials = CredentialStore::new(settings.credentials.clone(), docker_config);
        let line = Line::new(host, &settings.limits, Arc::clone(&observer));
        Ok(Self {
            host: host.clone(),
            wire: Wire::new(host, &base, settings, Arc::clone(&observer)).map_err(unusable)?,
            auth: Authenticator::new(host, &base, settings, credentials, Arc::clone(&line), Arc::clone(&observer)),
            base,
            observer,
            line,
            pauses: Pauses::default(),
            quota: Quota::new(settings.limits.pull_reserve),
            has_answered: AtomicBool::new(false),
            chunking: Chunking::new(settings.chunk_size),
            warnings: Warnings::default(),
            patience: settings.retry,
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
            let body = answer::body(response, limit, self.idle_timeout).await.map_err(|cause| call.error(cause))?;
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
        let mut outgoing = self.outgoing(call, authorization.as_ref());
        outgoing.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        outgoing.headers.insert(CONTENT_LENGTH, length.into());
        outgoing.body = Some(body);
        let mut pass = self.admit(caller, call).await?;
        let response = self.execute(caller, call, outgoing, &mut pass).await?;
        if self.challenged(caller, &response, authorization.as_ref()).await && authorization.is_some() {
            // The next try, which the caller makes, carries a new one.
            return Err(call.error(Cause::TokenRefused));
        }
        self.accept(caller, call, response, authorization.as_ref()).await
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
            let Some(pause) = effort.next(reason, limit, started.elapsed(), error.retry_after()) else {
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

    /// One try; two if the registry challenges the first and there is something else to say to it.
    async fn attempt(&self, caller: &Caller, call: &Call) -> Result<Answered, Error> {
        let pull = self.take_pull(caller, call)?;
        let first = self.authorization(caller, call).await?;
        let answered = self.execute_in_time(caller, call, first.as_ref()).await?;
        if !self.challenged(caller, &answered.response, first.as_ref()).await {
            return self.accept_answer(caller, call, answered, first.as_ref()).await;
        }
        let second = self.authorization(caller, call).await?;
        if second.is_none() || second == first {
            return self.accept_answer(caller, call, answered, first.as_ref()).await;
        }
        drop(answered);
        if first.is_some() {
            self.report_retry(RetryReason::Auth, Duration::ZERO, &call.error(Cause::TokenRefused));
        }
        let answered = self.execute_in_time(caller, call, second.as_ref()).await?;
        drop(pull);
        self.accept_answer(caller, call, answered, second.as_ref()).await
    }

    /// Waits for a request's turn. What was asked for while it waited holds for it too.
    async fn admit(&self, caller: &Caller, call: &Call) -> Result<Pass, Error> {
        loop {
            self.wait_as_asked(caller, call).await?;
            let pass = self.line.enter(call.class, caller.lane.is_some()).await;
            if self.asked_to_wait(caller, call).is_none() {
                return Ok(pass);
            }
        }
    }

    fn asked_to_wait(&self, caller: &Caller, call: &Call) -> Option<(Duration, Refusal)> {
        self.pauses.left(&caller.location.repository, call.class, Instant::now().into_std())
    }

    /// Waits out a pause that the registry asked for; where a connection is held meanwhile, or the pause is longer than
    /// our patience, its refusal holds for this request too.
    async fn wait_as_asked(&self, caller: &Caller, call: &Call) -> Result<(), Error> {
        while let Some((left, refusal)) = self.asked_to_wait(caller, call) {
            if caller.lane.is_some() || left > self.patience().max_elapsed {
                return Err(call.error(Cause::Refused(refusal)));
            }
            if caller.cancel.run_until_cancelled(tokio::time::sleep(left)).await.is_none() {
                return Err(call.error(Cause::Cancelled));
            }
            self.observer.throttled(&self.host, ThrottleReason::RetryAfter, left);
        }
        Ok(())
    }

    /// Whoever runs rules waits for a quota; here it is an error.
    fn take_pull(&self, caller: &Caller, call: &Call) -> Result<Option<Pull>, Error> {
        if !call.is_pull {
            return Ok(None);
        }
        let pull = self.quota.take(caller.seat.as_deref(), Instant::now().into_std());
        pull.map(Some).map_err(|none| call.error(Cause::OutOfPulls(none)))
    }

    async fn execute_in_time(
        &self,
        caller: &Caller,
        call: &Call,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answered, Error> {
        let mut outgoing = self.outgoing(call, authorization);
        if let Some((media_type, bytes)) = &call.body {
            let media_type = HeaderValue::from_str(media_type)
                .map_err(|_| call.error(Cause::Protocol(format!("{media_type:?} cannot be sent as a media type"))))?;
            outgoing.headers.insert(CONTENT_TYPE, media_type);
            outgoing.body = Some(bytes.clone().into());
        } else if call.method == Method::POST {
            outgoing.headers.insert(CONTENT_LENGTH, 0.into());
        }
        let mut pass = self.admit(caller, call).await?;
        let executing = self.execute(caller, call, outgoing, &mut pass);
        match tokio::time::timeout(self.idle_timeout, executing).await {
            Ok(result) => result.map(|response| Answered { response, pass }),
            Err(_) => Err(call.error(Cause::Stalled(self.idle_timeout))),
        }
    }

    /// Credentials go to the registry's own origin only: upload sessions may lie elsewhere.
    async fn authorization(&self, caller: &Caller, call: &Call) -> Result<Option<HeaderValue>, Error> {
        if !self.wire.is_own(&call.url) {
            return Ok(None);
        }
        self.auth.authorization(&caller.location, &caller.scope).await.map_err(|cause| call.login_error(cause))
    }

    /// Takes a challenge in, if the answer is one. Another origin's is not ours to answer: who believed it would send
    /// the registry's password to a stranger.
    async fn challenged(&self, caller: &Caller, response: &Response, carried: Option<&HeaderValue>) -> bool {
        if response.status() != StatusCode::UNAUTHORIZED || !self.wire.is_own(response.url()) {
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
            Ok(answered) if self.wire.is_own(answered.response.url()) => challenges(answered.response.headers()),
            _ => Vec::new(),
        }
    }

    fn outgoing(&self, call: &Call, authorization: Option<&HeaderValue>) -> Outgoing {
        let mut headers = HeaderMap::new();
        if let Some(media_types) = call.accept {
            headers.insert(ACCEPT, HeaderValue::from_static(media_types));
        }
        if let Some(range) = &call.range {
            headers.insert(RANGE, range_header(range));
        }
        if let Some(chunk) = &call.chunk {
            // Without the unit: so the distribution spec has it.
            let value = HeaderValue::from_str(&format!("{}-{}", chunk.start(), chunk.end()));
            headers.extend(value.ok().map(|value| (CONTENT_RANGE, value)));
        }
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        Outgoing { method: call.method.clone(), url: call.url.clone(), headers, body: None, is_bulk: call.is_bulk }
    }

    async fn execute(
        &self,
        caller: &Caller,
        call: &Call,
        outgoing: Outgoing,
        pass: &mut Pass,
    ) -> Result<Response, Error> {
        caller.requests.fetch_add(1, Ordering::Relaxed);
        let response = self.wire.send(outgoing).await.map_err(|cause| call.error(cause))?;
        self.has_answered.store(true, Ordering::Relaxed);
        if self.wire.is_own(response.url()) {
            self.hear(response.headers());
        }
        pass.answered(self.load(call, &response));
        Ok(response)
    }

    /// What a registry tells beside its answer.
    fn hear(&self, headers: &HeaderMap) {
        if let Some(remaining) = self.quota.hear(headers, Instant::now().into_std()) {
            self.observer.pulls_left(&self.host, remaining);
        }
        for text in self.warnings.news(headers) {
            self.observer.warning(&self.host, &text);
        }
    }

    /// A quota that is used up says nothing of how much the registry can do at once.
    fn load(&self, call: &Call, response: &Response) -> Load {
        match response.status().as_u16() {
            429 if call.is_pull && self.quota.is_used_up(Instant::now().into_std()).is_some() => Load::Unknown,
            429 | 503 => Load::TooMuch,
            500.. => Load::Unknown,
            _ => Load::Bearable,
        }
    }

    async fn accept_answer(
        &self,
        caller: &Caller,
        call: &Call,
        answered: Answered,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answered, Error> {
        let Answered { response, pass } = answered;
        let response = self.accept(caller, call, response, authorization).await?;
        Ok(Answered { response, pass })
    }

    async fn accept(
        &self,
        caller: &Caller,
        call: &Call,
        response: Response,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, Error> {
        if response.status().is_success() {
            return Ok(response);
        }
        let mut refusal = tokio::time::timeout(self.idle_timeout, answer::refusal(response))
            .await
            .map_err(|_| call.error(Cause::Stalled(self.idle_timeout)))?;
        let now = Instant::now().into_std();
        if call.is_pull
            && refusal.status == 429
            && let Some(none) = self.quota.is_used_up(now)
        {
            return Err(call.error(Cause::OutOfPulls(none)));
        }
        if matches!(refusal.status, 429 | 503) {
            self.pauses.ask(&caller.location.repository, call.class, &refusal, now);
        }
        if authorization.is_some() && self.auth.has_login(&caller.scope).await {
            refusal.login = LoginSent::User;
        }
        Err(call.error(if refusal.status == 404 { missing(refusal) } else { Cause::Refused(refusal) }))
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
