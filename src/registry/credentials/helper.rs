//! Credential helpers: programs named `docker-credential-<name>` that keep the secrets.
//!
//! Protocol: <https://github.com/docker/docker-credential-helpers>, "Development".

use std::process::Stdio;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::Login;
use crate::registry::answer::one_line;

/// A helper may talk to a cloud; one that takes longer hangs.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Asks a helper for a server's credentials; `None` if it has none.
pub(super) async fn get(name: &str, server: &str) -> Result<Option<Login>, String> {
    let program = format!("docker-credential-{name}");
    if name.contains(['/', '\\']) {
        return Err(format!("the credential helper's name {name:?} is a path"));
    }
    match tokio::time::timeout(TIMEOUT, run(&program, server)).await {
        Ok(result) => result.map_err(|reason| format!("credential helper {program}: {reason}")),
        Err(_) => Err(format!("credential helper {program} gave no answer in {} s", TIMEOUT.as_secs())),
    }
}

async fn run(program: &str, server: &str) -> Result<Option<Login>, String> {
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("it cannot be run: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that needs no input may have closed it already.
        let _ = stdin.write_all(server.as_bytes()).await;
    }
    let output = child.wait_with_output().await.map_err(|error| error.to_string())?;
    if output.status.success() {
        return parse(&output.stdout).map(Some);
    }
    // Helpers say why on stdout, in a message that may be long; what looks like their answer may hold a secret.
    let said =
        String::from_utf8_lossy(if output.stdout.is_empty() { &output.stderr } else { &output.stdout }).into_owned();
    if said.contains("credentials not found") {
        return Ok(None);
    }
    if said.trim_start().starts_with('{') {
        return Err(format!(
            "it failed ({}), and said something that is not shown: it may hold a secret",
            output.status
        ));
    }
    Err(format!("it failed ({}): {}", output.status, one_line(said.lines().next().unwrap_or_default())))
}

fn parse(stdout: &[u8]) -> Result<Login, String> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "Username")]
        username: String,
        #[serde(rename = "Secret")]
        secret: SecretString,
    }
    let answer: Answer =
        serde_json::from_slice(stdout).map_err(|_| "its answer is not the JSON of the protocol".to_owned())?;
    if answer.username == "<token>" {
        return Ok(Login::IdentityToken { username: String::new(), token: answer.secret });
    }
    if answer.secret.expose_secret().is_empty() {
        return Err("its answer has an empty secret".to_owned());
    }
    Ok(Login::Basic { username: answer.username, password: answer.secret })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_answer_are_read() {
        assert!(matches!(parse(br#"{"ServerURL":"r","Username":"u","Secret":"s"}"#), Ok(Login::Basic { .. })));
        assert!(matches!(parse(br#"{"Username":"<token>","Secret":"s"}"#), Ok(Login::IdentityToken { .. })));
        assert!(parse(b"oops").is_err());
    }

    #[tokio::test]
    async fn a_helper_that_is_not_installed_is_named() {
        let error = get("regferry-no-such-helper", "r.example").await.unwrap_err();
        assert!(error.contains("docker-credential-regferry-no-such-helper: it cannot be run"), "{error}");
        assert!(get("../evil", "r.example").await.is_err());
    }
}
