//! `[cluster]`: many processes as one mirror, over NATS JetStream.

use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::time::Duration;

use toml::Spanned;
use url::Url;

use super::certificates::{ca_file, identity};
use super::keys::Table;
use super::kinds::{self, OneOrMany};
use super::problems::Problems;
use super::raw;
use super::secrets::{Logins, only_one, secret_file};
use super::values;
use super::written::{Entry, span};
use crate::oci::without_login;
use crate::queue::{Login, Settings};
use crate::registry::{Credentials, Password};

/// A process that is silent for longer has lost its jobs to others.
const ACK_WAIT: Duration = Duration::from_secs(30);

/// Without the section there is no cluster. Relative paths start from `folder`.
pub(super) fn cluster(
    entry: Entry<Table<raw::Cluster>>,
    folder: &Path,
    problems: &mut Problems<'_>,
) -> Option<Settings> {
    let table = entry?.of_kind("a table", problems)?;
    let at = table.span();
    let raw = table.into_inner().known(problems);
    for (key, is_there) in [("nats", raw.nats.is_some()), ("name", raw.name.is_some())] {
        if !is_there {
            problems.add(&at, format!("has no `{key}`"));
        }
    }
    let servers = servers(raw.nats, problems);
    let logins = Ways {
        url: servers.as_ref().and_then(|servers| servers.login.clone()),
        credentials_file: raw.credentials_file,
        token_file: raw.token_file,
        user: Logins {
            username: raw.username,
            literal: raw.password,
            file: raw.password_file,
            variable: raw.password_env,
        },
    };
    let login = logins.login(folder, problems);
    let name = values::parsed(raw.name, values::TEXT, problems, name).map(Spanned::into_inner);
    let ack_wait = values::parsed(raw.ack_wait, values::DURATION, problems, ack_wait).map(Spanned::into_inner);
    let ca_file = ca_file(raw.ca_file, folder, problems);
    let identity = identity(raw.client_cert_file, raw.client_key_file, folder, problems);
    let replicas = values::whole(raw.stream_replicas, 1..=5, problems);
    Some(Settings {
        servers: servers?.urls,
        name: name?,
        ack_wait: ack_wait.unwrap_or(ACK_WAIT),
        login,
        ca_file,
        identity,
        stream_replicas: replicas.and_then(|count| usize::try_from(count).ok()),
    })
}

/// Where the servers are, and the login that one of their URLs had in it.
struct Servers {
    urls: Vec<Url>,
    login: Option<Spanned<Login>>,
}

fn servers(entry: Entry<OneOrMany>, problems: &mut Problems<'_>) -> Option<Servers> {
    let written = kinds::each(entry, "a URL or a list of them, as \"nats://nats:4222\"", problems, server)?;
    let mut login: Option<Spanned<Login>> = None;
    let mut urls = Vec::with_capacity(written.len());
    for server in written {
        let at = server.span();
        let (url, own) = server.into_inner();
        urls.push(url);
        match (&login, own) {
            (None, Some(own)) => login = Some(Spanned::new(at, own)),
            (Some(login), Some(own)) if *login.get_ref() != own => {
                problems.add(&at, "has another login in it than the URL before: all servers are told the same one");
            }
            (_, None) | (Some(_), Some(_)) => {}
        }
    }
    Some(Servers { urls, login })
}

/// A server, and the login that stands in its URL. What is wrong is told without what may be a secret.
fn server(text: &str) -> Result<(Url, Option<Login>), String> {
    let shown = without_login(text);
    let invalid = |reason: &str| Err(format!("{shown:?} {reason}: write nats://HOST:PORT, or tls://HOST:PORT"));
    match text.split_once("://").map(|(scheme, _)| scheme) {
        Some("nats" | "tls") if text.contains(',') => {
            return Err(
                "has a comma in it: write several servers as a list, [\"nats://a:4222\", \"nats://b:4222\"]".to_owned()
            );
        }
        Some("nats" | "tls") => {}
        Some("ws" | "wss") => {
            return invalid("asks for a websocket, which is for browsers: regferry speaks NATS' own protocol");
        }
        Some(_) => return invalid("is no address of a NATS server"),
        None => return invalid("is no URL"),
    }
    let Ok(mut url) = Url::parse(text) else { return invalid("is no URL") };
    if url.host_str().is_none_or(str::is_empty) {
        return invalid("names no host");
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return invalid("has more in it than a host and a port");
    }
    let login = match (decoded(url.username())?, url.password().map(decoded).transpose()?) {
        (user, _) if user.is_empty() => None,
        (token, None) => Some(Login::Token(Password::Literal(token.into()))),
        (username, Some(password)) => Some(Login::User { username, password: Password::Literal(password.into()) }),
    };
    url.set_path("");
    // They fail for URLs without a host alone.
    let _ = (url.set_username(""), url.set_password(None));
    Ok((url, login))
}

/// A login's part as it is meant: in a URL a `/` of it is written as `%2F`.
fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    decoded.map(String::from).map_err(|_| "has a login in it that is no text".to_owned())
}

fn name(text: &str) -> Result<String, String> {
    const LONGEST: usize = 32;
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    match text {
        "" => Err("is empty".to_owned()),
        _ if !text.bytes().all(is_plain) => Err(format!(
            "{text:?} is no name for streams and subjects: write lower-case letters, digits and '-', as \"prod\""
        )),
        _ if text.len() > LONGEST => Err(format!("has {} letters: {LONGEST} are the most", text.len())),
        _ => Ok(text.to_owned()),
    }
}

/// Shorter ones would take a busy process for a dead one, longer ones leave work lying.
fn ack_wait(text: &str) -> Result<Duration, String> {
    const BOUNDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(600);
    let length = values::length(text)?;
    if BOUNDS.contains(&length) { Ok(length) } else { Err("must be from 1s to 10m".to_owned()) }
}

/// The ways to say who we are, of which one counts.
struct Ways {
    url: Option<Spanned<Login>>,
    credentials_file: Entry<String>,
    token_file: Entry<String>,
    user: Logins,
}

impl Ways {
    fn login(self, folder: &Path, problems: &mut Problems<'_>) -> Login {
        self.check_together(problems);
        let mut file =
            |entry| secret_file(entry, folder, |_| "what is secret itself belongs into a file".to_owned(), problems);
        let credentials_file = file(self.credentials_file).map(Login::CredentialsFile);
        let token = file(self.token_file).map(|path| Login::Token(Password::File(path)));
        let user = self.user.credentials(folder, problems).map(|credentials| match credentials {
            Credentials::User { username, password } => Login::User { username, password },
            Credentials::Token(token) => Login::Token(token),
        });
        let url = self.url.map(Spanned::into_inner);
        credentials_file.or(token).or(user).or(url).unwrap_or(Login::Anonymous)
    }

    fn check_together(&self, problems: &mut Problems<'_>) {
        let said = [
            self.url.as_ref().map(Spanned::span),
            span(self.credentials_file.as_ref()),
            span(self.token_file.as_ref()),
            span(self.user.username.as_ref()),
        ];
        let mut said: Vec<Range<usize>> = said.into_iter().flatten().collect();
        said.sort_by_key(|span| span.start);
        only_one("login", said, problems);
    }
}
