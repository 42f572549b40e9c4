//! What an answer says: to the limits, to the quota, and to who asked.

use std::sync::atomic::Ordering;

use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use super::{Answered, Transport};
use crate::content::{Cause, Error, LoginSent, Refusal};
use crate::http_client::Response;
use crate::registry::answer;
use crate::registry::call::{Call, Caller};
use crate::registry::limits::{Load, Pass};
use crate::registry::wire::Outgoing;

impl Transport {
    pub(super) async fn execute(
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
        if let Some((remaining, window)) = self.quota.hear(headers, Instant::now().into_std()) {
            self.observer.pulls_left(&self.host, remaining, window);
        }
        for text in self.warnings.news(headers) {
            self.observer.warning(&self.host, &text);
        }
    }

    /// A quota that is used up says nothing of how much the registry can do at once, nor does another host.
    fn load(&self, call: &Call, response: &Response) -> Load {
        match response.status().as_u16() {
            _ if !self.wire.is_own(response.url()) => Load::Unknown,
            429 if call.is_pull && self.quota.is_used_up(Instant::now().into_std()).is_some() => Load::Unknown,
            429 | 503 => Load::TooMuch,
            500.. => Load::Unknown,
            _ => Load::Bearable,
        }
    }

    pub(super) async fn accept_answer(
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

    pub(super) async fn accept(
        &self,
        caller: &Caller,
        call: &Call,
        response: Response,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, Error> {
        if response.status().is_success() {
            return Ok(response);
        }
        let is_own = self.wire.is_own(response.url());
        let mut refusal = answer::refusal(response, self.idle_timeout).await;
        let now = Instant::now().into_std();
        if call.is_pull
            && refusal.status == 429
            && let Some(none) = self.quota.is_used_up(now)
        {
            return Err(call.error(Cause::OutOfPulls(none)));
        }
        if is_own && matches!(refusal.status, 429 | 503) {
            self.pauses.ask(caller.scope.repository(), call.class, &refusal, now);
        }
        if authorization.is_some() && self.auth.user(&caller.scope).await.is_some() {
            refusal.login = LoginSent::User;
        }
        let is_missing = refusal.status == 404 && !call.is_optional;
        Err(call.error(if is_missing { missing(refusal) } else { Cause::Refused(refusal) }))
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
