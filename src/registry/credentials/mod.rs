//! Who we are to a registry: the configuration's word first, then what `docker login` and `podman login` left.

mod docker_config;
mod helper;

use std::fmt;
use std::path::PathBuf;

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

pub use docker_config::DockerConfigFiles;
use docker_config::Entry;
#[cfg(any(test, fuzzing))]
pub(super) use docker_config::properties;

use crate::http_client;
use crate::oci::{Host, Repository};

/// What was said of who we are to a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user.
    User {
        /// The user name.
        username: String,
        /// Its password.
        password: Password,
    },
    /// A token that the registry takes as it is (`Authorization: Bearer`), without asking a token server.
    Token(Password),
}

/// Where a password is. Files and variables are read each time a login needs them, so that a rotated one is used.
#[derive(Debug, Clone)]
pub enum Password {
    /// In the configuration itself.
    Literal(SecretString),
    /// In a file, less one newline at its end.
    File(PathBuf),
    /// In a variable of the environment.
    Variable(String),
}

impl Password {
    pub(super) fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::File(path) => Some(path),
            Self::Literal(_) | Self::Variable(_) => None,
        }
    }
}

impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(one), Self::Literal(other)) => one.expose_secret() == other.expose_secret(),
            (Self::File(one), Self::File(other)) => one == other,
            (Self::Variable(one), Self::Variable(other)) => one == other,
            (Self::Literal(_) | Self::File(_) | Self::Variable(_), _) => false,
        }
    }
}

impl Eq for Password {}

/// What to log in with.
#[derive(Clone)]
pub(super) enum Login {
    /// User and password.
    Basic { username: String, password: SecretString },
    /// An OAuth2 refresh token, which Docker calls identity token, and the user name beside it, if there is one.
    IdentityToken { username: String, token: SecretString },
    /// The registry's own token, which is sent as it is.
    RegistryToken(SecretString),
}

/// Never shows a secret.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Login::Basic",
            Self::IdentityToken { .. } => "Login::IdentityToken",
            Self::RegistryToken(_) => "Login::RegistryToken",
        })
    }
}

/// Where the logins of one registry come from.
pub(super) struct CredentialStore {
    host: Host,
    configured: Option<Credentials>,
    docker_config: DockerConfigFiles,
}

impl CredentialStore {
    pub(super) fn new(host: &Host, configured: Option<Credentials>, docker_config: DockerConfigFiles) -> Self {
        Self { host: host.clone(), configured, docker_config }
    }

    /// The login for a repository, or for the registry as a whole; `None` to go on anonymously.
    ///
    /// # Errors
    /// A text that says which source is broken, without any secret.
    pub(super) async fn login(&self, repository: Option<&Repository>) -> Result<Option<Login>, String> {
        if let Some(configured) = &self.configured {
            return configured.read().map(Some);
        }
        match self.docker_config.find(&self.host, repository)? {
            Some(Entry::Login(login)) => Ok(Some(login)),
            Some(Entry::Helper { name, server }) => helper::get(&name, &server).await,
            None => Ok(None),
        }
    }
}

impl Credentials {
    /// Where the secret is.
    pub fn password(&self) -> &Password {
        let (Self::User { password, .. } | Self::Token(password)) = self;
        password
    }

    fn read(&self) -> Result<Login, String> {
        let secret = self.password().read()?;
        Ok(match self {
            Self::User { username, .. } => Login::Basic { username: username.clone(), password: secret },
            Self::Token(_) => Login::RegistryToken(secret),
        })
    }
}

impl Password {
    /// The password as it is now.
    ///
    /// # Errors
    /// A text that says what is broken, without the secret.
    pub fn read(&self) -> Result<SecretString, String> {
        self.read_as("password")
    }

    /// The same of a secret whose keys in the configuration are called otherwise, as `url` is for `url_file`.
    ///
    /// # Errors
    /// As [`Password::read`].
    pub fn read_as(&self, key: &str) -> Result<SecretString, String> {
        match self {
            Self::Literal(secret) => Ok(secret.clone()),
            Self::File(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| format!("reading {key}_file {}: {error}", path.display()))?;
                Ok(SecretString::from(without_newline(&text)))
            }
            Self::Variable(name) => std::env::var(name)
                .map(SecretString::from)
                .map_err(|_| format!("{key}_env names {name}, which is not set")),
        }
    }
}

/// A secret as a file or a pipe has it, less the newline that ends its line.
pub fn without_newline(text: &str) -> &str {
    let line = text.strip_suffix('\n').unwrap_or(text);
    line.strip_suffix('\r').unwrap_or(line)
}

/// A user name that a login can carry.
///
/// # Errors
/// Why it cannot, to be read after what it is: `is empty`. Source: RFC 7617, section 2: the first colon ends the user name.
pub fn checked_username(text: &str) -> Result<String, String> {
    match text {
        "" => Err("is empty".to_owned()),
        _ if text.contains(':') => Err("must be without a ':'".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

impl Login {
    /// The user name; empty for a token without one.
    pub(super) fn user(&self) -> &str {
        match self {
            Self::Basic { username, .. } | Self::IdentityToken { username, .. } => username,
            Self::RegistryToken(_) => "",
        }
    }

    /// The value of an `Authorization: Basic` header, an identity token in the place of the password. Source: RFC 7617.
    pub(super) fn basic_header(&self) -> Option<HeaderValue> {
        let (username, password) = match self {
            Self::Basic { username, password } | Self::IdentityToken { username, token: password } => {
                (username, password)
            }
            Self::RegistryToken(_) => return None,
        };
        http_client::basic(username.as_bytes(), password.expose_secret().as_bytes())
    }

    /// The value of an `Authorization: Bearer` header, if that is what this is. Source: RFC 6750, section 2.1.
    pub(super) fn bearer_header(&self) -> Option<HeaderValue> {
        match self {
            Self::RegistryToken(token) => http_client::bearer(token.expose_secret()),
            Self::Basic { .. } | Self::IdentityToken { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_a_secret_does_not_show_it() {
        let basic = Login::Basic { username: "bot".to_owned(), password: "s3cret".into() };
        let token = Login::IdentityToken { username: "bot".to_owned(), token: "s3cret".into() };
        let password = Password::Literal("s3cret".into());
        let configured = Credentials::User { username: "bot".to_owned(), password: password.clone() };
        let (bearer, given) = (Login::RegistryToken("s3cret".into()), Credentials::Token(password));
        let headers = (basic.basic_header(), bearer.bearer_header());
        let shown = format!("{basic:?} {token:?} {configured:?} {bearer:?} {given:?} {headers:?}");
        assert!(!shown.contains("s3cret") && !shown.contains("Ym90OnMzY3JldA"), "{shown}");
    }
}
