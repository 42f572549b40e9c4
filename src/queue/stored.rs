//! Single messages of a stream, read at its leader: what was written is seen.

use async_nats::jetstream::consumer::push::{Ordered, OrderedConfig};
use async_nats::jetstream::consumer::{DeliverPolicy, ReplayPolicy};
use async_nats::jetstream::stream;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::future::try_join_all;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::error::Reason;
use super::link::Link;
use super::ticks::TICK;

/// Which one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which<'a> {
    /// The one with this sequence.
    At(u64),
    /// The last with this subject.
    Last(&'a str),
    /// The first with this subject from a sequence on.
    Next(&'a str, u64),
}

/// A message as a stream keeps it.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) sequence: u64,
    pub(super) payload: Bytes,
    /// By the clock of the server that was the leader then.
    pub(super) published: Timestamp,
    headers: String,
}

impl Stored {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.lines().filter_map(|line| line.split_once(':'));
        headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

impl Link {
    /// A message of a stream, if it is there.
    pub(super) async fn stored(&self, stream: &str, which: Which<'_>) -> Result<Option<Stored>, Reason> {
        let question = match which {
            Which::At(sequence) => Question { seq: Some(sequence), ..Question::default() },
            Which::Last(subject) => Question { last_by_subj: Some(subject), ..Question::default() },
            Which::Next(subject, sequence) => {
                Question { seq: Some(sequence), next_by_subj: Some(subject), ..Question::default() }
            }
        };
        let answer: Answer = match self.ask(format!("STREAM.MSG.GET.{stream}"), &question).await {
            Ok(answer) => answer,
            // A stream that is gone is told as a message that is: it is made again, empty.
            Err(Reason::Gone) => return Ok(None),
            Err(reason) => return Err(reason),
        };
        let Message { seq, time, data, hdrs } = answer.message;
        let decoded = |text: String| {
            BASE64_STANDARD
                .decode(text)
                .map_err(|error| Reason::Refused(format!("a message that is no base64: {error}")))
        };
        let headers = String::from_utf8_lossy(&decoded(hdrs)?).into_owned();
        Ok(Some(Stored { sequence: seq, payload: decoded(data)?.into(), published: time, headers }))
    }
}

impl Link {
    /// Messages of the stream of this name with these subjects, as they were published and as they come; whoever keeps the
    /// stream tells, be it the leader or not.
    pub(super) async fn messages(&self, stream: &str, subjects: &str, from: DeliverPolicy) -> Result<Ordered, String> {
        let told = |error: &dyn std::error::Error| error.to_string();
        let stream = self.context.get_stream_no_info(stream).await.map_err(|error| told(&error))?;
        let consumer = stream.create_consumer(OrderedConfig {
            deliver_subject: self.client.new_inbox(),
            filter_subject: subjects.to_owned(),
            replay_policy: ReplayPolicy::Instant,
            deliver_policy: from,
            ..OrderedConfig::default()
        });
        consumer.await.map_err(|error| told(&error))?.messages().await.map_err(|error| told(&error))
    }
}

impl Link {
    /// Takes all messages with these subjects out of a stream, whoever works on them. One by one: a purge of some subjects
    /// makes a consumer of 2.9 forget what others work on.
    pub(super) async fn take_away(&self, stream: &str, subjects: &str) -> Result<(), Reason> {
        const AT_ONCE: usize = 64;
        let stream = self.names.stream(stream);
        let mut from = 0;
        loop {
            let mut sequences = Vec::new();
            while sequences.len() < AT_ONCE
                && let Some(stored) = self.stored(&stream, Which::Next(subjects, from)).await?
            {
                from = stored.sequence + 1;
                sequences.push(stored.sequence);
            }
            try_join_all(sequences.iter().map(|sequence| self.delete(&stream, *sequence))).await?;
            if sequences.len() < AT_ONCE {
                return Ok(());
            }
        }
    }

    /// The sequence of the last message that a stream was given.
    pub(super) async fn last_of(&self, stream: &str) -> Result<u64, Reason> {
        Ok(self.state_of(stream).await?.last_sequence)
    }

    /// When a stream was given its last message, in nanoseconds since 1970.
    pub(super) async fn last_told(&self, stream: &str) -> Result<i128, Reason> {
        Ok(self.state_of(stream).await?.last_timestamp.unix_timestamp_nanos())
    }

    async fn state_of(&self, stream: &str) -> Result<stream::State, Reason> {
        let info: stream::Info = self.look(format!("STREAM.INFO.{}", self.names.stream(stream))).await?;
        Ok(info.state)
    }

    /// Takes all messages with these subjects up to a sequence out of a stream that no consumer works on.
    pub(super) async fn purge(&self, stream: &str, subjects: &str, last: u64) -> Result<(), Reason> {
        let question = json!({ "filter": subjects, "seq": last + 1 });
        let subject = format!("STREAM.PURGE.{}", self.names.stream(stream));
        self.ask::<serde_json::Value>(subject, &question).await.map(drop)
    }

    /// Forgets which ticks were made runs: what was ordered is lost, and is to be ordered again.
    pub(super) async fn forget_ticks(&self) -> Result<(), Reason> {
        let bucket = self.names.stream("ticks");
        let question = json!({ "filter": format!("$KV.{bucket}.{TICK}.>") });
        self.ask::<serde_json::Value>(format!("STREAM.PURGE.KV_{bucket}"), &question).await.map(drop)
    }

    async fn delete(&self, stream: &str, sequence: u64) -> Result<(), Reason> {
        let question = json!({ "seq": sequence, "no_erase": true });
        match self.ask::<serde_json::Value>(format!("STREAM.MSG.DELETE.{stream}"), &question).await {
            // Somebody has done it meanwhile.
            Ok(_) | Err(Reason::Gone) => Ok(()),
            Err(reason) => Err(reason),
        }
    }
}

#[derive(Default, Serialize)]
struct Question<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_by_subj: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_by_subj: Option<&'a str>,
}

#[derive(Deserialize)]
struct Answer {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    seq: u64,
    time: Timestamp,
    #[serde(default)]
    data: String,
    #[serde(default)]
    hdrs: String,
}
