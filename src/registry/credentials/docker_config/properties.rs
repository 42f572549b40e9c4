//! What holds for every file that may be a Docker config.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;

use super::{Config, Entry, Login};
use crate::oci::Reference;

/// Whose credentials are looked for, and a part of every key that names them.
const REPOSITORIES: [(&str, &str); 3] =
    [("r.example:5000/team/app", "r.example:5000"), ("r.example/a", "r.example"), ("alpine", "docker.io")];

/// A login is one that a key names and a helper one that is configured, whatever the order in memory; errors quote
/// nothing. A login that `docker login` writes is read as it was.
pub fn docker_config(data: &[u8]) {
    for (repository, host) in REPOSITORIES {
        let Ok(at) = repository.parse::<Reference>() else { return };
        if let Ok(config) = serde_json::from_slice::<Config>(data) {
            found(&config, &at, host);
            let again = serde_json::from_slice::<Config>(data).unwrap_or_default();
            assert_eq!(words(&find(&config, &at)), words(&find(&again, &at)));
        }
        if let Ok(login) = str::from_utf8(data) {
            written(login, &at, host);
        }
    }
}

fn find(config: &Config, at: &Reference) -> Result<Option<Entry>, String> {
    config.find(&at.host, Some(&at.repository))
}

fn found(config: &Config, at: &Reference, host: &str) {
    match find(config, at) {
        Ok(Some(Entry::Login(_))) => {
            assert!(
                config.auths.keys().any(|key| key.to_ascii_lowercase().contains(host)),
                "{:?}",
                config.auths.keys()
            );
        }
        Ok(Some(Entry::Helper { name, .. })) => {
            assert!(config.cred_helpers.values().chain(&config.creds_store).any(|known| *known == name), "{name}");
        }
        Ok(None) => {}
        Err(reason) => assert_eq!(reason, "an `auth` in it is not base64 of USER:PASSWORD"),
    }
}

fn written(login: &str, at: &Reference, host: &str) {
    let auth = STANDARD.encode(login);
    let config = format!(r#"{{"auths":{{"https://{host}/v2/":{{"auth":"{auth}"}}}}}}"#);
    let config: Config = serde_json::from_str(&config).unwrap_or_default();
    let expected = match login.split_once(':') {
        Some((user, password)) => format!("{user}:{}", password.trim_end_matches('\0')),
        None if login.is_empty() => "nothing".to_owned(),
        None => "an `auth` in it is not base64 of USER:PASSWORD".to_owned(),
    };
    assert_eq!(words(&find(&config, at)), expected);
}

fn words(found: &Result<Option<Entry>, String>) -> String {
    match found {
        Ok(Some(Entry::Login(Login::Basic { username, password }))) => {
            format!("{username}:{}", password.expose_secret())
        }
        Ok(Some(Entry::Login(Login::IdentityToken { token, .. } | Login::RegistryToken(token)))) => {
            format!("token {}", token.expose_secret())
        }
        Ok(Some(Entry::Helper { name, server })) => format!("helper {name} {server}"),
        Ok(None) => "nothing".to_owned(),
        Err(reason) => reason.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "(https?://)?(r\\.example|R\\.Example|docker\\.io|index\\.docker\\.io|o\\.example)(:5000)?(/v[123]|/team|/team/app|/tea|/){0,2}/?";

    proptest! {
        #[test]
        fn any_text_keeps_it(text in "\\PC*") {
            docker_config(text.as_bytes());
        }

        #[test]
        fn any_login_keeps_it(user in "\\PC{0,5}", password in "[\\PC\0]{0,5}") {
            docker_config(format!("{user}:{password}").as_bytes());
        }

        #[test]
        fn what_is_almost_a_config_keeps_it(
            auths in prop::collection::vec((KEY, "\"(auth|username|password|identitytoken)\":(\"(dTpw|eDp5|YQ|)\"|null)"), 0..5),
            helper in prop::option::of((KEY, "[a-c]?")),
            store in "null|\"[a-c]?\"",
        ) {
            let auths: Vec<_> = auths.iter().map(|(key, auth)| format!("\"{key}\":{{{auth}}}")).collect();
            let helpers: Vec<_> = helper.iter().map(|(key, name)| format!("\"{key}\":\"{name}\"")).collect();
            docker_config(
                format!(r#"{{"auths":{{{}}},"credHelpers":{{{}}},"credsStore":{store}}}"#, auths.join(","), helpers.join(","))
                    .as_bytes(),
            );
        }
    }
}
