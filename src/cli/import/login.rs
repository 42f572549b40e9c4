//! `--username` and `--password-stdin`: a login for the source's registry, for this call alone.

use std::io::Read;

use secrecy::SecretString;

use crate::cli::Failure;
use crate::config::Config;
use crate::oci::Host;
use crate::registry::{Credentials, Password, Settings, checked_username, without_newline};

#[derive(Debug, clap::Args)]
pub(super) struct SourceLogin {
    /// The user at the source's registry, over the configuration and the Docker config; needs --password-stdin
    #[arg(long, visible_alias = "source-username", value_name = "USER")]
    username: Option<String>,

    /// Read the user's password from stdin; without --username, a token that is sent as it is (Bearer)
    #[arg(long, visible_alias = "source-password-stdin")]
    password_stdin: bool,
}

/// Tokens are a few KiB.
const LONGEST: u64 = 64 << 10;

impl SourceLogin {
    pub(super) fn is_there(&self) -> bool {
        self.username.is_some() || self.password_stdin
    }

    pub(super) fn reads_stdin(&self) -> bool {
        self.password_stdin
    }

    /// Sets the login for the source's host. No other host is shown it; a target at the same host is the same registry, and
    /// is spoken to by the same login.
    pub(super) async fn set(&self, config: &mut Config, host: &Host) -> Result<(), Failure> {
        let username = match (&self.username, self.password_stdin) {
            (None, false) => return Ok(()),
            (Some(_), false) => {
                return Err(Failure::usage(
                    "--username needs its password on stdin: add --password-stdin, and pipe it in",
                ));
            }
            (username, true) => username.as_deref(),
        };
        let username = username.map(checked_username).transpose();
        let username = username.map_err(|reason| Failure::usage(format!("--username {reason}")))?;
        let read = tokio::task::spawn_blocking(|| secret(std::io::stdin().lock()));
        let secret = read.await.unwrap_or_else(|_| Err("it could not be read".to_owned()));
        let secret = secret.map_err(|reason| Failure::usage(format!("--password-stdin: {reason}")))?;
        let password = Password::Literal(secret);
        let settings = config.registries.entry(host.clone()).or_insert_with(|| Settings::for_host(host));
        settings.credentials = Some(match username {
            Some(username) => Credentials::User { username, password },
            None => Credentials::Token(password),
        });
        Ok(())
    }
}

/// A secret to its end, less one newline. What is wrong with it is told without it.
fn secret(from: impl Read) -> Result<SecretString, String> {
    let mut bytes = Vec::new();
    from.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|error| format!("reading stdin: {error}"))?;
    if bytes.len() as u64 > LONGEST {
        return Err(format!("more than {} KiB came: that is no password", LONGEST >> 10));
    }
    let text = String::from_utf8(bytes).map_err(|_| "what came is no UTF-8 text")?;
    match without_newline(&text) {
        "" => Err("nothing came on stdin: pipe the password in".to_owned()),
        line if line.contains(char::is_control) => {
            Err("what came has more than one line, or control characters".to_owned())
        }
        line => Ok(SecretString::from(line)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    fn read(bytes: &[u8]) -> Result<String, String> {
        secret(bytes).map(|secret| secret.expose_secret().to_owned())
    }

    #[test]
    fn one_newline_at_the_end_is_not_the_secrets() {
        for text in ["s3cret", "s3cret\n", "s3cret\r\n"] {
            assert_eq!(read(text.as_bytes()), Ok("s3cret".to_owned()));
        }
        assert_eq!(read(b" two words \n"), Ok(" two words ".to_owned()));
    }

    #[test]
    fn what_is_no_secret_is_refused_and_not_shown() {
        for text in ["".as_bytes(), b"\n", b"s3cret\n\n", b"s3\ncret", b"s3cret\xff", &[b'x'; (64 << 10) + 1]] {
            let error = read(text).unwrap_err();
            assert!(!error.contains("s3") && !error.contains("cret") && !error.contains("xx"), "{error}");
        }
        assert_eq!(read(&[b'x'; 64 << 10]).map(|text| text.len()), Ok(64 << 10));
    }
}
