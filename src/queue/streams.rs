//! The cluster's streams and buckets, made by whoever comes first and made again when they are lost.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::jetstream::consumer::{self, AckPolicy, IntoConsumerConfig as _, pull};
use async_nats::jetstream::stream::{Config, DiscardPolicy, Info, RetentionPolicy, StorageType};
use serde_json::json;

use super::error::{Error, Reason};
use super::link::Link;
use super::settings::Settings;

/// The rules that are due.
pub(super) const RUNS: &str = "runs";
/// The images of runs.
pub(super) const IMAGES: &str = "images";
/// What became of them.
pub(super) const RESULTS: &str = "results";
/// What became of runs.
pub(super) const REPORTS: &str = "reports";
/// What nobody could do.
pub(super) const DEAD: &str = "dead";

/// The consumer that all replicas pull from.
pub(super) const WORKERS: &str = "workers";

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
/// In how many places a stream is kept where the servers are enough.
const COPIES: usize = 3;

/// The streams as they were found, or made.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// When each was made.
    made: BTreeMap<String, i128>,
    /// Whether one was brought to other settings.
    pub(super) changed: bool,
    /// Whether one is on fewer servers than it would be if they were all there.
    pub(super) are_scarce: bool,
}

impl Streams {
    /// Those that are others now: what was in them is gone.
    pub(super) fn lost_in(&self, now: &Self) -> Vec<&str> {
        let lost = self.made.iter().filter(|(name, made)| now.made.get(*name).is_some_and(|now| now != *made));
        lost.map(|(name, _)| name.as_str()).collect()
    }
}

/// One of them.
struct Made {
    /// In nanoseconds since 1970, by the server's clock.
    created: i128,
    changed: bool,
    is_scarce: bool,
}

impl Made {
    fn of(info: &Info, is_scarce: bool) -> Self {
        Self { created: info.created.unix_timestamp_nanos(), changed: false, is_scarce }
    }
}

impl Link {
    /// Makes what is not there, and brings what is there to these settings. Many may do so at once.
    pub(super) async fn ensure(&self, settings: &Settings) -> Result<Streams, Error> {
        let mut streams = Streams::default();
        for config in self.streams(settings.ack_wait) {
            let name = config.name.clone();
            let made = self.ensure_stream(config, settings.stream_replicas).await;
            let made = made.map_err(|reason| self.error(format!("making the stream {name}"), reason))?;
            streams.made.insert(name, made.created);
            streams.changed |= made.changed;
            streams.are_scarce |= made.is_scarce;
        }
        for what in [RUNS, IMAGES] {
            let made = self.ensure_workers(&self.names.stream(what), settings.ack_wait).await;
            made.map_err(|reason| {
                self.error(format!("making the consumer {WORKERS} of {}", self.names.stream(what)), reason)
            })?;
        }
        Ok(streams)
    }

    fn streams(&self, ack_wait: Duration) -> Vec<Config> {
        let work = |what: &str, subject: &str| Config {
            retention: RetentionPolicy::WorkQueue,
            ..self.stream(what, &format!("{}.>", self.names.subject(subject)))
        };
        let kept = |what: &str, subject: &str| self.stream(what, &format!("{}.>", self.names.subject(subject)));
        vec![
            Config {
                // Of ticks that come while one waits, the last is enough.
                max_messages_per_subject: 1,
                duplicate_window: 10 * MINUTE,
                ..work(RUNS, "run")
            },
            work(IMAGES, "image"),
            Config { max_age: 24 * HOUR, ..kept(RESULTS, "result") },
            Config { max_messages_per_subject: 20, ..kept(REPORTS, "report") },
            Config { max_age: 7 * 24 * HOUR, ..kept(DEAD, "dead") },
            self.bucket("leases", ack_wait),
            self.bucket("ticks", Duration::ZERO),
            self.bucket("shares", Duration::ZERO),
            Config { max_bytes: 64 << 20, ..self.bucket("known", HOUR) },
            Config { max_bytes: 64 << 20, ..self.bucket("moves", 24 * HOUR) },
            Config { max_bytes: 64 << 20, ..self.bucket("seen", 24 * HOUR) },
        ]
    }

    fn stream(&self, what: &str, subjects: &str) -> Config {
        Config {
            name: self.names.stream(what),
            subjects: vec![subjects.to_owned()],
            max_messages: -1,
            max_bytes: -1,
            max_messages_per_subject: -1,
            max_consumers: -1,
            storage: StorageType::File,
            discard: DiscardPolicy::Old,
            duplicate_window: 2 * MINUTE,
            num_replicas: 1,
            ..Config::default()
        }
    }

    fn bucket(&self, what: &str, max_age: Duration) -> Config {
        let name = self.names.stream(what);
        let window = if max_age.is_zero() { 2 * MINUTE } else { max_age.min(2 * MINUTE) };
        Config {
            name: format!("KV_{name}"),
            max_messages_per_subject: 1,
            max_age,
            duplicate_window: window,
            allow_rollup: true,
            ..self.stream(what, &format!("$KV.{name}.>"))
        }
    }

    async fn ensure_stream(&self, config: Config, copies: Option<usize>) -> Result<Made, Reason> {
        match self.look::<Info>(format!("STREAM.INFO.{}", config.name)).await {
            Ok(info) => {
                let changed = self.adapt(&info.config, &config).await?;
                let is_scarce = self.keep_on_enough(&info, copies).await?;
                return Ok(Made { changed, ..Made::of(&info, is_scarce) });
            }
            Err(Reason::Gone) => {}
            Err(reason) => return Err(reason),
        }
        let with = |num_replicas| Config { num_replicas, ..config.clone() };
        match self.create(&with(copies.unwrap_or(COPIES))).await {
            // One server alone keeps one copy, and so do some of three that have not all found each other.
            Err(Reason::Refused(_)) if copies.is_none() => {
                self.create(&with(1)).await.map(|info| Made::of(&info, info.cluster.is_some()))
            }
            made => Ok(Made::of(&made.map_err(|reason| too_many(reason, copies))?, false)),
        }
    }

    async fn create(&self, config: &Config) -> Result<Info, Reason> {
        self.ask::<Info>(format!("STREAM.CREATE.{}", config.name), config).await
    }

    /// Keeps a stream that is there on as many servers as it is to be on. Returns whether they are too few for that: where
    /// nobody has said how many, more may come.
    async fn keep_on_enough(&self, info: &Info, copies: Option<usize>) -> Result<bool, Reason> {
        let there = info.config.num_replicas;
        let wanted = match copies {
            Some(copies) => copies,
            None if info.cluster.is_some() => there.max(COPIES),
            None => there,
        };
        if wanted == there {
            return Ok(false);
        }
        match self.update(&Config { num_replicas: wanted, ..info.config.clone() }).await {
            Err(Reason::Refused(_)) if copies.is_none() => Ok(true),
            changed => changed.map(|()| false).map_err(|reason| too_many(reason, copies)),
        }
    }

    async fn update(&self, config: &Config) -> Result<(), Reason> {
        self.ask::<Info>(format!("STREAM.UPDATE.{}", config.name), config).await.map(drop)
    }

    /// Changes of what is there what another version or other settings have made otherwise. Returns whether anything was.
    async fn adapt(&self, there: &Config, wanted: &Config) -> Result<bool, Reason> {
        if there.retention != wanted.retention || there.subjects != wanted.subjects {
            return Err(Reason::Foreign("it keeps messages in another way than regferry's".to_owned()));
        }
        let is_right = there.max_age == wanted.max_age
            && there.duplicate_window == wanted.duplicate_window
            && there.max_messages_per_subject == wanted.max_messages_per_subject
            && there.max_bytes == wanted.max_bytes;
        if is_right {
            return Ok(false);
        }
        let changed = Config {
            max_age: wanted.max_age,
            duplicate_window: wanted.duplicate_window,
            max_messages_per_subject: wanted.max_messages_per_subject,
            max_bytes: wanted.max_bytes,
            ..there.clone()
        };
        self.update(&changed).await.map(|()| true)
    }

    async fn ensure_workers(&self, stream: &str, ack_wait: Duration) -> Result<(), Reason> {
        let config = pull::Config {
            durable_name: Some(WORKERS.to_owned()),
            name: Some(WORKERS.to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait,
            // Who has begun a job too often is found out before it begins: here the job would only lie.
            max_deliver: -1,
            // What waits for its time counts as in flight.
            max_ack_pending: -1,
            ..pull::Config::default()
        };
        match self.look::<consumer::Info>(format!("CONSUMER.INFO.{stream}.{WORKERS}")).await {
            Ok(info) if info.config.ack_wait == ack_wait => return Ok(()),
            Ok(_) | Err(Reason::Gone) => {}
            Err(reason) => return Err(reason),
        }
        let question = json!({ "stream_name": stream, "config": config.into_consumer_config() });
        self.ask::<consumer::Info>(format!("CONSUMER.DURABLE.CREATE.{stream}.{WORKERS}"), &question).await.map(drop)
    }
}

/// More copies were said than there are servers.
fn too_many(reason: Reason, copies: Option<usize>) -> Reason {
    match (reason, copies) {
        (Reason::Refused(text), Some(copies)) => Reason::Refused(format!(
            "{text}: `stream_replicas` in [cluster] says {copies}, which takes as many servers"
        )),
        (reason, _) => reason,
    }
}
