//! `regferry serve`: the daemon.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::session::Session;
use super::{Exit, Failure, signals};
use crate::app::Duty;
use crate::config::{Config, Service};
use crate::server::{check_secret_file, check_token_file};
use crate::telemetry::Log;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where metrics, health and the API are, over what the configuration says; "" for nowhere
    #[arg(long, value_name = "ADDRESS", env = "REGFERRY_LISTEN", hide_env_values = true)]
    listen: Option<String>,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  Mirror on schedule, metrics on the configured address:
    regferry serve --config regferry.toml

  In a container, reachable from outside, logs as JSON:
    regferry serve --config /etc/regferry.toml --listen 0.0.0.0:9464 --log-format json

A changed configuration is taken over by itself, and on SIGHUP; one that is broken is refused and told.
SIGTERM and SIGINT end it cleanly within [service] shutdown_grace; a second signal ends it at once.";

pub(super) async fn run(session: &Session, args: Args) -> Result<Exit, Failure> {
    run_as(session, args, Duty::Serve).await
}

/// The daemon, with a cluster's replica that does more or less of its work. What is not [`Duty::Serve`] needs one.
pub(super) async fn run_as(session: &Session, args: Args, duty: Duty) -> Result<Exit, Failure> {
    let listen = match &args.listen {
        None => None,
        Some(text) => {
            let address = Service::parse_listen(text);
            Some(address.map_err(|reason| Failure::usage(format!("--listen {text}: {reason}")))?)
        }
    };
    let source = session.source(move |config| {
        config.service.listen = listen.unwrap_or(config.service.listen);
        check_secrets(config)
    })?;
    signals::on_hangup(Arc::clone(&source.again));
    let (config, made_of) = source.load();
    let config = config.map_err(Failure::usage)?;
    if duty != Duty::Serve {
        session.check_cluster(&config)?;
    }
    let (rules, address) = (config.rules.len(), config.service.listen);
    let mut app = session.member(config, Log::Everything)?;
    app.remember().await;
    let cluster = app.cluster().await.map_err(Failure::failed)?;
    let member = cluster.map(|cluster| (cluster, duty));
    let listener = match address {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    let listening =
        listener.as_ref().and_then(|listener| listener.local_addr().ok()).map(|address| address.to_string());
    tracing::info!(
        rules,
        listen = listening.as_deref().unwrap_or("off"),
        version = env!("CARGO_PKG_VERSION"),
        "serving"
    );
    app.serve(listener, (source, made_of), member, &session.cancel).await;
    tracing::info!("stopped");
    Ok(Exit::Stopped)
}

/// Whether the files with tokens and secrets of those who ask, and of those who are told, can be used.
///
/// # Errors
/// What is wrong with the first that cannot.
pub(super) fn check_secrets(config: &Config) -> Result<(), String> {
    config.service.api_token_file.as_deref().map_or(Ok(()), check_token_file)?;
    config.webhooks.values().try_for_each(|file| check_secret_file(file))?;
    config.notifications.iter().try_for_each(|channel| channel.check())
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::failed(format!(
            "listening on {address}: {error}; choose another address with --listen or [service] listen"
        ))
    })
}
