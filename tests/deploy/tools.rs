//! The programs that read what is deployed.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::de::DeserializeOwned;
use serde_json::json;

pub(crate) const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// The environment that `scripts/install-test-tools` makes.
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-tools/python/bin");

/// What one of the scripts beside this file makes of each of some texts.
pub(crate) fn script<T: DeserializeOwned>(name: &str, arguments: &[&str], texts: &[String]) -> Vec<Result<T, String>> {
    let script = format!("{REPOSITORY}/tests/deploy/{name}");
    let mut command = Command::new(format!("{PYTHON}/python"));
    // Isolated: it sees the packages that were installed for it, and nothing else.
    let printed = output(command.args(["-I", &script]).args(arguments), &json!(texts).to_string());
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{name}: {error}: {printed}"))
}

/// A version of kubectl.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kubectl {
    /// Always the same, of today.
    Pinned,
    /// The machine's, if need be Debian's.
    Installed,
}

/// What `kubectl kustomize` makes of a folder.
pub(crate) fn kustomize(kubectl: Kubectl, folder: &Path) -> String {
    let program = match kubectl {
        Kubectl::Pinned => format!("{PYTHON}/kubectl"),
        Kubectl::Installed => "kubectl".to_owned(),
    };
    output(Command::new(program).arg("kustomize").arg(folder), "")
}

/// What a program prints when it is given this text.
fn output(command: &mut Command, input: &str) -> String {
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned
        .unwrap_or_else(|error| panic!("{command:?}: {error}; scripts/install-test-tools installs what is needed"));
    // What does not read all of it says why.
    let _ = child.stdin.take().expect("it is a pipe").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("a child can be waited for");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it is UTF-8")
}
