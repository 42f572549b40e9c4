//! The cluster's streams and buckets, made by whoever comes first and made again when they are lost.

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

impl Link {
    /// Makes what is not there, and brings what is there to these settings. Many may do so at once.
    pub(super) async fn ensure(&self, settings: &Settings) -> Result<(), Error> {
        for config in self.streams(settings.ack_wait) {
            let name = config.name.clone();
            let made = self.ensure_stream(config, settings.stream_replicas).await;
            made.map_err(|reason| self.error(format!("making the stream {name}"), reason))?;
        }
        for what in [RUNS, IMAGES] {
            let made = self.ensure_workers(&self.names.stream(what), settings.ack_wait).await;
            made.map_err(|reason| {
                self.error(format!("making the consumer {WORKERS} of {}", self.names.stream(what)), reason)
            })?;
        }
        Ok(())
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

    async fn ensure_stream(&self, config: Config, copies: Option<usize>) -> Result<(), Reason> {
        match self.look::<Info>(format!("STREAM.INFO.{}", config.name)).await {
            Ok(info) => return self.adapt(info.config, config).await,
            Err(Reason::Gone) => {}
            Err(reason) => return Err(reason),
        }
        let with = |num_replicas| Config { num_replicas, ..config.clone() };
        match self.create(&with(copies.unwrap_or(COPIES))).await {
            // One server alone keeps one copy, and two have no majority.
            Err(Reason::Refused(_)) if copies.is_none() => self.create(&with(1)).await,
            made => made,
        }
    }

    async fn create(&self, config: &Config) -> Result<(), Reason> {
        self.ask::<Info>(format!("STREAM.CREATE.{}", config.name), config).await.map(drop)
    }

    /// Changes of what is there what another version or other settings have made otherwise.
    async fn adapt(&self, there: Config, wanted: Config) -> Result<(), Reason> {
        if there.retention != wanted.retention || there.subjects != wanted.subjects {
            return Err(Reason::Foreign("it keeps messages in another way than regferry's".to_owned()));
        }
        let is_right = there.max_age == wanted.max_age
            && there.duplicate_window == wanted.duplicate_window
            && there.max_messages_per_subject == wanted.max_messages_per_subject
            && there.max_bytes == wanted.max_bytes;
        if is_right {
            return Ok(());
        }
        let changed = Config {
            max_age: wanted.max_age,
            duplicate_window: wanted.duplicate_window,
            max_messages_per_subject: wanted.max_messages_per_subject,
            max_bytes: wanted.max_bytes,
            ..there
        };
        self.ask::<Info>(format!("STREAM.UPDATE.{}", changed.name), &changed).await.map(drop)
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
