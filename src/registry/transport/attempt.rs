//! One try of a request: its turn, its login, its way out; two if the registry challenges the first.

use std::time::Duration;

use futures_util::future::BoxFuture;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::time::Instant;

use super::{Answered, Ready, Transport};
use crate::backoff::RetryReason;
use crate::content::{Cause, Error, Refusal};
use crate::events::ThrottleReason;
use crate::http_client::{Body, Response};
use crate::registry::auth::{Challenge, challenges};
use crate::registry::blob::range_header;
use crate::registry::call::{Call, Caller};
use crate::registry::limits::quota::Pull;
use crate::registry::limits::{Lane, Pass};
use crate::registry::wire::Outgoing;

impl Transport {
    pub(super) async fn get_ready(&self, caller: &Caller, call: &Call) -> Result<Ready, Error> {
        let pass = self.admit(caller, call).await?;
        // After the line, in which a token may have run out.
        Ok(Ready { authorization: self.authorization(caller, call).await?, pass })
    }

    pub(super) async fn try_stream(
        &self,
        caller: &Caller,
        call: &Call,
        ready: Ready,
        length: u64,
        body: Body,
    ) -> Result<Response, Error> {
        let Ready { authorization, mut pass } = ready;
        let mut outgoing = self.outgoing(call, authorization.as_ref());
        outgoing.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        outgoing.headers.insert(CONTENT_LENGTH, length.into());
        outgoing.body = body;
        let response = self.execute(caller, call, outgoing, &mut pass).await?;
        if self.challenged(caller, &response, authorization.as_ref()).await && authorization.is_some() {
            // The next try, which the caller makes, carries a new one.
            return Err(call.error(Cause::TokenRefused));
        }
        self.accept(caller, call, response, authorization.as_ref()).await
    }

    /// One try; two if the registry challenges the first and there is something else to say to it.
    ///
    /// Boxed: all that asks a registry would carry it inside, in many places at once, and a debug build's stack has no
    /// room for that.
    pub(super) fn attempt<'a>(&'a self, caller: &'a Caller, call: &'a Call) -> BoxFuture<'a, Result<Answered, Error>> {
        Box::pin(self.try_once(caller, call))
    }

    async fn try_once(&self, caller: &Caller, call: &Call) -> Result<Answered, Error> {
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
        let came = Instant::now();
        loop {
            self.wait_as_asked(caller, call).await?;
            let entering = self.line.enter(call.class, caller.lane.is_some());
            let Some(pass) = caller.cancel.run_until_cancelled(entering).await else {
                return Err(call.error(Cause::Cancelled));
            };
            if self.asked_to_wait(caller, call).is_none() {
                call.has_waited(came.elapsed());
                return Ok(pass);
            }
        }
    }

    fn asked_to_wait(&self, caller: &Caller, call: &Call) -> Option<(Duration, Refusal)> {
        self.pauses.left(caller.scope.repository(), call.class, Instant::now().into_std())
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
            outgoing.body = Body::Whole(bytes.clone());
        } else if call.method == Method::POST {
            outgoing.headers.insert(CONTENT_LENGTH, 0.into());
        }
        let mut pass = self.admit(caller, call).await?;
        // Here, since it may have waited long, and nothing comes between this and the wire.
        caller.check(call).await?;
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
        self.auth.authorization(&caller.scope).await.map_err(|cause| call.login_error(cause))
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
        // The answer that is asked about still holds its connection: this one needs none of its own.
        let on_it = Caller { lane: caller.lane.clone().or_else(|| Some(Lane::none())), ..caller.clone() };
        match self.execute_in_time(&on_it, &call, None).await {
            Ok(answered) if self.wire.is_own(answered.response.url()) => challenges(answered.response.headers()),
            _ => Vec::new(),
        }
    }

    fn outgoing(&self, call: &Call, authorization: Option<&HeaderValue>) -> Outgoing {
        let mut headers = HeaderMap::new();
        if let Some(media_types) = &call.accept {
            headers.insert(ACCEPT, media_types.clone());
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
        Outgoing {
            method: call.method.clone(),
            url: call.url.clone(),
            headers,
            body: Body::default(),
            is_bulk: call.is_bulk,
        }
    }
}
