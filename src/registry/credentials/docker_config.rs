//! Docker's `config.json` and podman's `auth.json`: the same document in different places.

#[cfg(any(test, fuzzing))]
pub(in crate::registry) mod properties;

use std::collections::HashMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::Login;
use crate::oci::{Host, Repository};

/// The files that are asked for credentials, in order; one that does not exist is passed over.
#[derive(Debug, Clone, Default)]
pub struct DockerConfigFiles(Vec<PathBuf>);

/// What a file knows of a registry.
pub(super) enum Entry {
    /// The credentials themselves.
    Login(Login),
    /// The program that knows: `docker-credential-<name>`, asked for `server`.
    Helper { name: String, server: String },
}

impl DockerConfigFiles {
    /// These files, in this order.
    pub fn new(files: Vec<PathBuf>) -> Self {
        Self(files)
    }

    /// Where the environment says: `REGISTRY_AUTH_FILE` alone if it is set; else podman's places, then Docker's.
    pub fn from_environment() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(only) = set("REGISTRY_AUTH_FILE") {
            return Self(vec![only]);
        }
        let home = set("HOME");
        let below_home = |path: &str| home.as_ref().map(|home| home.join(path));
        let podman = [
            set("XDG_RUNTIME_DIR").map(|dir| dir.join("containers/auth.json")),
            set("XDG_CONFIG_HOME").or(below_home(".config")).map(|dir| dir.join("containers/auth.json")),
        ];
        let docker = set("DOCKER_CONFIG").or(below_home(".docker")).map(|dir| dir.join("config.json"));
        Self(podman.into_iter().chain([docker]).flatten().collect())
    }

    /// The files, those too that do not exist.
    pub(in crate::registry) fn files(&self) -> &[PathBuf] {
        &self.0
    }

    /// The first file's entry that covers the repository, or the whole registry.
    pub(super) fn find(&self, host: &Host, repository: Option<&Repository>) -> Result<Option<Entry>, String> {
        for file in &self.0 {
            let text = match std::fs::read(file) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(format!("reading credentials from {}: {error}", file.display())),
            };
            // The parser's own message could quote a secret.
            let config: Config = serde_json::from_slice(&text).map_err(|error| {
                format!("{} is no Docker config: line {}, column {}", file.display(), error.line(), error.column())
            })?;
            let found = config.find(host, repository).map_err(|reason| format!("{}: {reason}", file.display()))?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: HashMap<String, Auth>,
    cred_helpers: HashMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Auth {
    auth: Option<SecretString>,
    username: Option<String>,
    password: Option<SecretString>,
    identitytoken: Option<SecretString>,
}

/// Docker Hub's key, from its first API.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

impl Config {
    /// `credHelpers`, then `credsStore`, then the `auths` entry with the longest path that holds a secret: with a store,
    /// `docker login` leaves empty entries behind.
    fn find(&self, host: &Host, repository: Option<&Repository>) -> Result<Option<Entry>, String> {
        let server = if host.is_docker_hub() { DOCKER_HUB_KEY } else { host.as_str() };
        let helper = |name: &String| Entry::Helper { name: name.clone(), server: server.to_owned() };
        if let Some(name) = self.cred_helpers.get(server).or_else(|| self.cred_helpers.get(host.as_str())) {
            return Ok(Some(helper(name)));
        }
        if let Some(name) = self.creds_store.as_ref().filter(|name| !name.is_empty()) {
            return Ok(Some(helper(name)));
        }
        let mut logins = Vec::new();
        for (key, auth) in &self.auths {
            if let Some(length) = covers(key, host, repository)
                && let Some(login) = auth.login()?
            {
                logins.push((length, key, login));
            }
        }
        let best = logins.into_iter().max_by_key(|(length, key, _)| (*length, *key));
        Ok(best.map(|(_, _, login)| Entry::Login(login)))
    }
}

/// How much of `host/repository` a key names, as a length; `None` if it names something else.
fn covers(key: &str, registry: &Host, repository: Option<&Repository>) -> Option<usize> {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let bare = bare.trim_end_matches('/');
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    let path = if matches!(path, "v1" | "v2") { "" } else { path };
    if host.parse().ok().as_ref() != Some(registry) {
        return None;
    }
    let repository = repository.map_or("", Repository::as_str);
    let inside = path.is_empty()
        || repository == path
        || repository.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
    inside.then_some(path.len())
}

impl Auth {
    fn login(&self) -> Result<Option<Login>, String> {
        let filled = |secret: &&SecretString| !secret.expose_secret().is_empty();
        if let Some(token) = self.identitytoken.as_ref().filter(filled) {
            let username = self.auth.as_ref().and_then(decode).map(|(username, _)| username).unwrap_or_default();
            return Ok(Some(Login::IdentityToken { username, token: token.clone() }));
        }
        if let Some(pair) = self.auth.as_ref().filter(filled) {
            let (username, password) = decode(pair).ok_or("an `auth` in it is not base64 of USER:PASSWORD")?;
            return Ok(Some(Login::Basic { username, password }));
        }
        match (&self.username, &self.password) {
            (Some(username), Some(password)) => {
                Ok(Some(Login::Basic { username: username.clone(), password: password.clone() }))
            }
            _ => Ok(None),
        }
    }
}

fn decode(pair: &SecretString) -> Option<(String, SecretString)> {
    let engine = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let text = String::from_utf8(engine.decode(pair.expose_secret()).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    Some((username.to_owned(), password.trim_end_matches('\0').into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Reference;

    fn find(config: &str, at: &str) -> Option<Entry> {
        let at: Reference = at.parse().unwrap();
        serde_json::from_str::<Config>(config).unwrap().find(&at.host, Some(&at.repository)).unwrap()
    }

    fn user(config: &str, at: &str) -> Option<String> {
        match find(config, at)? {
            Entry::Login(Login::Basic { username, password }) => {
                Some(format!("{username}:{}", password.expose_secret()))
            }
            Entry::Login(Login::IdentityToken { token, .. } | Login::RegistryToken(token)) => {
                Some(format!("token {}", token.expose_secret()))
            }
            Entry::Helper { name, server } => Some(format!("helper {name} {server}")),
        }
    }

    #[test]
    fn docker_hub_is_found_under_its_old_key() {
        let config = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"}}}"#;
        assert_eq!(user(config, "alpine").unwrap(), "u:p");
        assert_eq!(user(config, "ghcr.io/a/b"), None);
        assert_eq!(user(r#"{"auths":{"docker.io":{"auth":"dTpw"}}}"#, "alpine").unwrap(), "u:p");
    }

    #[test]
    fn the_longest_path_wins() {
        let config = r#"{"auths":{"r.example":{"auth":"YTox"},"r.example/team":{"auth":"Yjoy"},"r.example/team/app":{"auth":"Yzoz"}}}"#;
        assert_eq!(user(config, "r.example/other").unwrap(), "a:1");
        assert_eq!(user(config, "r.example/team/x").unwrap(), "b:2");
        assert_eq!(user(config, "r.example/team/app").unwrap(), "c:3");
        assert_eq!(user(config, "r.example/teamwork").unwrap(), "a:1");
    }

    #[test]
    fn what_is_asked_of_the_whole_registry_takes_no_login_of_a_part_of_it() {
        let config: Config =
            serde_json::from_str(r#"{"auths":{"r.example/team":{"auth":"Yjoy"},"o.example":{"auth":"YTox"}}}"#)
                .unwrap();
        let is_found = |host: &str| config.find(&host.parse().unwrap(), None).unwrap().is_some();
        assert_eq!((is_found("r.example"), is_found("o.example")), (false, true));
    }

    #[test]
    fn a_hosts_helper_comes_before_the_store_and_the_store_before_auths() {
        let config = r#"{"credsStore":"desktop","credHelpers":{"r.example":"ecr-login"},"auths":{"ghcr.io":{}}}"#;
        assert_eq!(user(config, "r.example/a").unwrap(), "helper ecr-login r.example");
        assert_eq!(user(config, "ghcr.io/a/b").unwrap(), "helper desktop ghcr.io");
        assert_eq!(user(config, "alpine").unwrap(), "helper desktop https://index.docker.io/v1/");
    }

    #[test]
    fn identity_tokens_and_plain_fields_are_read() {
        assert_eq!(
            user(r#"{"auths":{"r.example":{"identitytoken":"t","auth":"MDow"}}}"#, "r.example/a").unwrap(),
            "token t"
        );
        assert_eq!(user(r#"{"auths":{"r.example":{"username":"u","password":"p"}}}"#, "r.example/a").unwrap(), "u:p");
        assert_eq!(user(r#"{"auths":{"r.example":{}}}"#, "r.example/a"), None);
    }

    #[test]
    fn a_broken_file_is_named_and_not_quoted() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), r#"{"auths":{"r.example":{"auth":"secret"#).unwrap();
        let Err(error) = DockerConfigFiles::new(vec![file.path().into()]).find(&"r.example".parse().unwrap(), None)
        else {
            panic!("it was taken")
        };
        assert!(error.contains("is no Docker config") && !error.contains("secret"), "{error}");
    }
}
