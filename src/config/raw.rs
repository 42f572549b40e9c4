//! The file as people write it: every key there is, and the kind of its value. What a key means stands in
//! `config.example.toml`; a key added here is known at once, and offered for what comes near it.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::Deserialize;
use toml::Spanned;

use super::keys::Table;
use super::kinds::{OneOrMany, Switch};
use super::written::{Entry, Written};

/// The whole file.
#[derive(Deserialize)]
pub(super) struct File {
    pub(super) service: Entry<Table<Service>>,
    pub(super) defaults: Entry<Table<Defaults>>,
    pub(super) transfer: Entry<Table<Transfer>>,
    pub(super) registries: Entry<BTreeMap<Spanned<String>, Written<Table<Registry>>>>,
    pub(super) webhooks: Entry<Table<Webhooks>>,
    pub(super) notifications: Entry<Vec<Written<Table<Notification>>>>,
    pub(super) cluster: Entry<Table<Cluster>>,
    pub(super) rules: Entry<Vec<Written<Table<Rule>>>>,
    pub(super) compose: Entry<Vec<Written<Table<Compose>>>>,
}

/// `[service]`
#[derive(Deserialize, Default)]
pub(super) struct Service {
    pub(super) listen: Entry<String>,
    pub(super) api_token_file: Entry<String>,
    pub(super) api_read: Entry<String>,
    pub(super) state_dir: Entry<String>,
    pub(super) shutdown_grace: Entry<String>,
}

/// `[webhooks]`
#[derive(Deserialize, Default)]
pub(super) struct Webhooks {
    pub(super) distribution: Entry<Table<Webhook>>,
    pub(super) acr: Entry<Table<Webhook>>,
    pub(super) harbor: Entry<Table<Webhook>>,
    pub(super) dockerhub: Entry<Table<Webhook>>,
    pub(super) quay: Entry<Table<Webhook>>,
    pub(super) ghcr: Entry<Table<Webhook>>,
}

/// `[webhooks.KIND]`
#[derive(Deserialize)]
pub(super) struct Webhook {
    pub(super) secret_file: Entry<String>,
}

/// `[[notifications]]`
#[derive(Deserialize)]
pub(super) struct Notification {
    pub(super) name: Entry<String>,
    pub(super) url: Entry<SecretString>,
    pub(super) url_file: Entry<String>,
    pub(super) url_env: Entry<String>,
    pub(super) format: Entry<String>,
    pub(super) rules: Entry<OneOrMany>,
    pub(super) token_file: Entry<String>,
    pub(super) ca_file: Entry<String>,
}

/// `[cluster]`
#[derive(Deserialize)]
pub(super) struct Cluster {
    pub(super) nats: Entry<OneOrMany>,
    pub(super) name: Entry<String>,
    pub(super) ack_wait: Entry<String>,
    pub(super) credentials_file: Entry<String>,
    pub(super) token_file: Entry<String>,
    pub(super) username: Entry<String>,
    pub(super) password: Entry<SecretString>,
    pub(super) password_file: Entry<String>,
    pub(super) password_env: Entry<String>,
    pub(super) ca_file: Entry<String>,
    pub(super) client_cert_file: Entry<String>,
    pub(super) client_key_file: Entry<String>,
    pub(super) stream_replicas: Entry<i64>,
}

/// `[defaults]`: what a [`Rule`] may leave out.
#[derive(Deserialize, Default)]
pub(super) struct Defaults {
    pub(super) schedule: Entry<String>,
    pub(super) timezone: Entry<String>,
    pub(super) jitter: Entry<String>,
    pub(super) recheck: Entry<String>,
    pub(super) timeout: Entry<String>,
    pub(super) platforms: Entry<Vec<Written<String>>>,
    pub(super) platform_mode: Entry<String>,
    pub(super) referrers: Entry<Switch<Referrers>>,
    pub(super) overwrite: Entry<bool>,
    pub(super) tags: Entry<Table<Tags>>,
    pub(super) prune: Entry<Switch<Prune>>,
}

/// `[transfer]`
#[derive(Deserialize, Default)]
pub(super) struct Transfer {
    pub(super) max_images: Entry<i64>,
    pub(super) max_blobs: Entry<i64>,
}

/// `[registries."HOST"]`
#[derive(Deserialize)]
pub(super) struct Registry {
    pub(super) username: Entry<String>,
    pub(super) password: Entry<SecretString>,
    pub(super) password_file: Entry<String>,
    pub(super) password_env: Entry<String>,
    pub(super) tls: Entry<String>,
    pub(super) ca_file: Entry<String>,
    pub(super) client_cert_file: Entry<String>,
    pub(super) client_key_file: Entry<String>,
    pub(super) trusted_realms: Entry<Vec<Written<String>>>,
    pub(super) max_connections: Entry<i64>,
    pub(super) requests_per_second: Entry<f64>,
    pub(super) burst: Entry<i64>,
    pub(super) bandwidth: Entry<String>,
    pub(super) pull_reserve: Entry<i64>,
    pub(super) chunk_size: Entry<String>,
    pub(super) connect_timeout: Entry<String>,
    pub(super) idle_timeout: Entry<String>,
    pub(super) retry: Entry<Table<Retry>>,
}

/// `retry = { … }` of a registry
#[derive(Deserialize, Default)]
pub(super) struct Retry {
    pub(super) max_elapsed: Entry<String>,
    pub(super) max_attempts: Entry<i64>,
    pub(super) initial_pause: Entry<String>,
    pub(super) max_pause: Entry<String>,
}

/// `[[rules]]`
#[derive(Deserialize)]
pub(super) struct Rule {
    pub(super) name: Entry<String>,
    pub(super) source: Entry<OneOrMany>,
    pub(super) target: Entry<OneOrMany>,
    pub(super) schedule: Entry<String>,
    pub(super) timezone: Entry<String>,
    pub(super) jitter: Entry<String>,
    pub(super) recheck: Entry<String>,
    pub(super) timeout: Entry<String>,
    pub(super) platforms: Entry<Vec<Written<String>>>,
    pub(super) platform_mode: Entry<String>,
    pub(super) referrers: Entry<Switch<Referrers>>,
    pub(super) overwrite: Entry<bool>,
    pub(super) tags: Entry<Table<Tags>>,
    pub(super) prune: Entry<Switch<Prune>>,
}

/// `[[compose]]`
#[derive(Deserialize)]
pub(super) struct Compose {
    pub(super) name: Entry<String>,
    pub(super) sources: Entry<OneOrMany>,
    pub(super) target: Entry<String>,
    pub(super) schedule: Entry<String>,
    pub(super) timezone: Entry<String>,
    pub(super) jitter: Entry<String>,
    pub(super) recheck: Entry<String>,
    pub(super) timeout: Entry<String>,
    pub(super) overwrite: Entry<bool>,
    pub(super) same_revision: Entry<bool>,
}

/// `referrers = { … }` of a rule
#[derive(Deserialize, Default)]
pub(super) struct Referrers {
    pub(super) include: Entry<Vec<Written<String>>>,
}

/// `[rules.prune]`
#[derive(Deserialize, Default)]
pub(super) struct Prune {
    pub(super) keep: Entry<Vec<Written<String>>>,
    pub(super) max_delete: Entry<i64>,
}

/// `[rules.tags]`
#[derive(Deserialize, Default)]
pub(super) struct Tags {
    pub(super) include: Entry<Vec<Written<String>>>,
    pub(super) exclude: Entry<Vec<Written<String>>>,
    pub(super) semver: Entry<String>,
    pub(super) latest: Entry<i64>,
}
