//! The connection to NATS: who we are, and what becomes of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::{Auth, AuthError, Client, ConnectError, ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use secrecy::ExposeSecret as _;
use tokio::sync::watch;
use tokio::time::Instant;

use super::error::{Error, Reason};
use super::settings::{Login, Settings};
use super::troubles::Troubles;

/// How long a server that is just starting is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What has happened to the connection.
#[derive(Debug)]
pub(super) struct Happened {
    connections: watch::Sender<u64>,
    is_up: watch::Sender<bool>,
    /// Whether JetStream answered when it was asked last: three servers that have lost their majority are reached, and
    /// do nothing.
    is_answering: AtomicBool,
    /// The last thing that the server did not allow, and when.
    denied: Mutex<Option<(Instant, String)>>,
    troubles: Troubles,
}

impl Happened {
    fn new() -> Self {
        let (connections, is_up) = (watch::Sender::new(0), watch::Sender::new(false));
        Self {
            connections,
            is_up,
            is_answering: AtomicBool::new(true),
            denied: Mutex::default(),
            troubles: Troubles::default(),
        }
    }

    /// How many times a connection was made: it changes whenever one was lost and is there again.
    pub(super) fn connections(&self) -> watch::Receiver<u64> {
        self.connections.subscribe()
    }

    pub(super) fn is_up(&self) -> bool {
        *self.is_up.borrow()
    }

    pub(super) fn is_answering(&self) -> bool {
        self.is_answering.load(Ordering::Relaxed)
    }

    /// Whether JetStream has answered now; returns whether that is another answer than before.
    pub(super) fn answers(&self, is_answering: bool) -> bool {
        self.is_answering.swap(is_answering, Ordering::Relaxed) != is_answering
    }

    /// Ends when the connection is lost, if it is there now.
    pub(super) async fn loss(&self) {
        let mut is_up = self.is_up.subscribe();
        let was_up = *is_up.borrow_and_update();
        if !was_up || is_up.wait_for(|is_up| !is_up).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// What the server has not allowed since `begun`: it says so beside the answer, which never comes.
    pub(super) fn denied_since(&self, begun: Instant) -> Option<String> {
        let denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        denied.as_ref().filter(|(when, _)| *when >= begun).map(|(_, what)| what.clone())
    }

    fn note(&self, event: &Event) {
        match event {
            Event::Connected => {
                self.is_up.send_replace(true);
                self.connections.send_modify(|count| *count += 1);
                if *self.connections.borrow() > 1 {
                    tracing::info!("the connection to NATS is there again");
                }
            }
            Event::Closed => drop(self.is_up.send_replace(false)),
            Event::Disconnected => {
                if self.is_up.send_replace(false) {
                    tracing::warn!("the connection to NATS is lost: it is tried again until it is back");
                }
            }
            Event::ServerError(error) => {
                let text = error.to_string();
                tracing::debug!(error = text, "NATS");
                if text.to_lowercase().contains("permissions violation") {
                    *self.denied.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), text));
                }
            }
            // The client's text is all that there is of why it does not come back.
            Event::ClientError(error) if is_about_us(&error.to_string()) => {
                if self.troubles.are_due("connecting") {
                    tracing::warn!(%error, "NATS lets this replica in no more: check the login in [cluster]");
                }
            }
            other => tracing::debug!(event = %other, "NATS"),
        }
    }
}

/// Whether it says that we are not let in, and not that nobody is there.
fn is_about_us(text: &str) -> bool {
    let kinds = [ConnectErrorKind::AuthorizationViolation, ConnectErrorKind::Authentication, ConnectErrorKind::Tls];
    kinds.iter().any(|kind| text.contains(&kind.to_string()))
}

/// Connects, with some patience for servers that are just starting. Later it is connected again whenever it is lost.
pub(super) async fn connect(settings: &Settings, place: &Arc<str>) -> Result<(Client, Arc<Happened>), Error> {
    let failed = |reason| Error::new("connecting", place, reason);
    let happened = Arc::new(Happened::new());
    let deadline = Instant::now() + PATIENCE;
    loop {
        let options = options(settings, &happened).await.map_err(|reason| failed(Reason::File(reason)))?;
        let addresses: Result<Vec<ServerAddr>, _> =
            settings.servers.iter().cloned().map(ServerAddr::from_url).collect();
        let addresses = addresses.map_err(|error| failed(Reason::Unreachable(error.to_string())))?;
        match options.connect(addresses).await {
            Ok(client) => return Ok((client, happened)),
            Err(error) => {
                let reason = reason(&error);
                if !matches!(reason, Reason::Unreachable(_)) || Instant::now() > deadline {
                    return Err(failed(reason));
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn options(settings: &Settings, happened: &Arc<Happened>) -> Result<ConnectOptions, String> {
    let login = settings.login.clone();
    let options = match &settings.login {
        Login::CredentialsFile(file) => ConnectOptions::with_credentials_file(file)
            .await
            .map_err(|error| format!("the credentials file {}: {error}", file.display()))?,
        Login::Anonymous => ConnectOptions::new(),
        Login::User { .. } | Login::Token(_) => {
            // A password that was changed in its file holds from the next connection on.
            auth(&login)?;
            ConnectOptions::with_auth_callback(move |_| {
                let auth = auth(&login).map_err(AuthError::new);
                async move { auth }
            })
        }
    };
    let telling = Arc::clone(happened);
    // A connection that nothing comes through any more is found out before the leases have run out.
    let ping = (settings.ack_wait / 4).clamp(Duration::from_secs(1), Duration::from_secs(10));
    let options = options
        .name(format!("regferry {}", settings.name))
        .require_tls(settings.needs_tls())
        .ping_interval(ping)
        .request_timeout(Some(Duration::from_secs(5)))
        .reconnect_delay_callback(delay)
        .event_callback(move |event| {
            telling.note(&event);
            std::future::ready(())
        });
    let options = settings.ca_file.iter().fold(options, |options, file| options.add_root_certificates(file.clone()));
    Ok(settings.identity.iter().fold(options, |options, identity| {
        options.add_client_certificate(identity.certificate.clone(), identity.key.clone())
    }))
}

fn auth(login: &Login) -> Result<Auth, String> {
    let mut auth = Auth::new();
    match login {
        Login::User { username, password } => {
            auth.username = Some(username.clone());
            auth.password = Some(password.read()?.expose_secret().to_owned());
        }
        Login::Token(token) => auth.token = Some(token.read()?.expose_secret().to_owned()),
        Login::Anonymous | Login::CredentialsFile(_) => {}
    }
    Ok(auth)
}

/// Before the first attempts there is no wait, and never a long one: leases run out meanwhile.
fn delay(attempt: usize) -> Duration {
    const LONGEST: Duration = Duration::from_secs(1);
    let attempt = u32::try_from(attempt).unwrap_or(u32::MAX);
    (Duration::from_millis(50) * attempt.saturating_sub(1).min(100)).min(LONGEST)
}

fn reason(error: &ConnectError) -> Reason {
    let text = error.to_string();
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => Reason::Login(text),
        ConnectErrorKind::Tls => Reason::Tls(text),
        ConnectErrorKind::ServerParse
        | ConnectErrorKind::Dns
        | ConnectErrorKind::TimedOut
        | ConnectErrorKind::Io
        | ConnectErrorKind::MaxReconnects => Reason::Unreachable(text),
    }
}
