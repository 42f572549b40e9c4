//! What everything in this storey asks NATS by.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::{ContextBuilder, PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::{AckKind, Context, Message};
use async_nats::{Client, HeaderMap, Request, RequestErrorKind};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::connect::{self, Happened};
use super::error::{Error, Reason};
use super::names::Names;
use super::settings::Settings;
use super::troubles::Troubles;

/// How long an answer is waited for: longer than a cluster of three takes to elect a new leader.
pub(super) const ANSWER: Duration = Duration::from_secs(5);

/// The connection and the names.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) context: Context,
    pub(super) names: Names,
    pub(super) happened: Arc<Happened>,
    /// A stream was deleted, to be made anew.
    pub(super) deleted: Notify,
    place: Arc<str>,
    troubles: Troubles,
}

impl Link {
    pub(super) async fn connect(settings: &Settings) -> Result<Self, Error> {
        let place: Vec<String> = settings.servers.iter().map(ToString::to_string).collect();
        let place: Arc<str> = place.join(", ").into();
        let (client, happened) = connect::connect(settings, &place).await?;
        let context = ContextBuilder::new().timeout(ANSWER).build(client.clone());
        let (names, troubles) = (Names::of(&settings.name), Troubles::default());
        Ok(Self { client, context, names, happened, deleted: Notify::new(), place, troubles })
    }

    pub(super) fn error(&self, operation: impl fmt::Display, reason: Reason) -> Error {
        Error::new(operation, &self.place, reason)
    }

    /// Something was not done and is tried again. What does not pass by itself somebody has to hear of.
    pub(super) fn trouble(&self, doing: &'static str, reason: &Reason) {
        let error = self.error(doing, reason.clone());
        if reason.is_passing() || !self.troubles.are_due(doing) {
            tracing::debug!(%error, "it is tried again");
        } else {
            tracing::warn!(%error, "it is tried again");
        }
    }

    /// Publishes into a stream; done when the stream has it. What the server does not allow it tells beside an answer that
    /// never comes.
    pub(super) async fn publish(
        &self,
        subject: String,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<PublishAck, Reason> {
        let (size, begun) = (payload.len(), Instant::now());
        let message = PublishMessage::build().payload(payload).headers(headers);
        let reason = |error: PublishError| match error.kind() {
            PublishErrorKind::MaxPayloadExceeded => Reason::TooLarge(size),
            PublishErrorKind::TimedOut => self.happened.denied_since(begun).map_or(Reason::Silent, Reason::NotAllowed),
            _ => Reason::from(error),
        };
        let publishing =
            async { self.context.send_publish(subject, message).await.map_err(reason)?.await.map_err(reason) };
        self.unless_lost(publishing).await
    }

    /// The answer to what was sent: with the connection it is lost, and need not be waited for.
    async fn unless_lost<T>(&self, answer: impl Future<Output = Result<T, Reason>>) -> Result<T, Reason> {
        tokio::select! {
            biased;
            answer = answer => answer,
            () = self.happened.loss() => Err(Reason::Silent),
        }
    }

    /// Asks JetStream's API for something that is there.
    pub(super) async fn look<A: DeserializeOwned>(&self, subject: String) -> Result<A, Reason> {
        self.send(subject, Bytes::new()).await
    }

    /// Asks something of JetStream's API.
    pub(super) async fn ask<A: DeserializeOwned>(
        &self,
        subject: String,
        question: &impl Serialize,
    ) -> Result<A, Reason> {
        let question = serde_json::to_vec(question).map_err(|error| Reason::Refused(error.to_string()))?;
        self.send(subject, question.into()).await
    }

    /// What the server does not allow it tells beside an answer that never comes.
    async fn send<A: DeserializeOwned>(&self, subject: String, question: Bytes) -> Result<A, Reason> {
        let begun = Instant::now();
        let request = Request::new().payload(question).timeout(Some(ANSWER));
        let asking = async {
            let answer = self.client.send_request(format!("$JS.API.{subject}"), request).await;
            answer.map_err(|error| match (error.kind(), self.happened.denied_since(begun)) {
                (RequestErrorKind::NoResponders, _) => Reason::NoJetStream,
                (RequestErrorKind::TimedOut, Some(denied)) => Reason::NotAllowed(denied),
                (RequestErrorKind::TimedOut, None) => Reason::Silent,
                _ => Reason::Refused(error.to_string()),
            })
        };
        let answer = self.unless_lost(asking).await?;
        match serde_json::from_slice(&answer.payload) {
            Ok(Response::Ok(answer)) => Ok(answer),
            Ok(Response::Err { error }) => Err(error.into()),
            Err(error) => Err(Reason::Refused(format!("an answer that is none: {error}"))),
        }
    }

    /// Tells a message's stream what becomes of the message, and waits until it knows.
    pub(super) async fn settle(&self, message: &Message, how: AckKind) -> Result<(), Reason> {
        let Some(reply) = message.reply.clone() else { return Err(Reason::Gone) };
        let request = Request::new().payload(how.into()).timeout(Some(ANSWER));
        let asking = async {
            let answer = self.client.send_request(reply, request).await;
            answer.map(drop).map_err(|error| match error.kind() {
                RequestErrorKind::NoResponders => Reason::Gone,
                _ => Reason::Silent,
            })
        };
        self.unless_lost(asking).await
    }

    /// A moment before the next try of something that goes on for ever.
    pub(super) async fn pause(&self) {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
