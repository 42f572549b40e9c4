//! `skopeo` and `umoci`, as witnesses from outside.

use std::process::Stdio;

use tokio::process::Command;

use super::not_run;

/// Runs `skopeo` with these arguments and returns what it printed.
///
/// It does not block the runtime, so that it may talk to a [`FakeRegistry`](crate::FakeRegistry) of
/// the same test. Plain HTTP has to be asked for: `--tls-verify=false` with `inspect`,
/// `--src-tls-verify=false` and `--dest-tls-verify=false` with `copy`.
///
/// # Panics
/// With skopeo's own words if it fails, and with the name of the package if it is not installed.
pub async fn skopeo(arguments: &[&str]) -> Vec<u8> {
    run("skopeo", arguments).await
}

/// Runs `umoci`, which knows image layouts and nothing else, and returns what it printed.
///
/// # Panics
/// As [`skopeo`].
pub async fn umoci(arguments: &[&str]) -> Vec<u8> {
    run("umoci", arguments).await
}

/// Both are in packages of their own names.
async fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap_or_else(|error| panic!("{}", not_run(program, program, &error)));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {}\n{errors}", arguments.join(" "), output.status);
    output.stdout
}
