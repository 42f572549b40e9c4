//! A browser that does what a script says, and what the script says of it.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// Whatever takes longer hangs: on a busy machine a script may take half of it.
const LIMIT: Duration = Duration::from_secs(120);

/// Plays `tests/browser/SCRIPT` with these arguments to its end, which has to be a good one.
pub(crate) async fn play(script: &str, arguments: &[&str]) {
    node(&[&[&*format!("tests/browser/{script}")], arguments].concat()).await;
}

/// Runs Node.js to its end, which has to be a good one. What it says is shown where it is not, or with `--no-capture`.
pub(crate) async fn node(arguments: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut node = Command::new("node");
    node.args(arguments).current_dir(root).kill_on_drop(true);
    node.env("BROWSER_TOOLS", root.join("target/test-tools/browser"));
    let ended = timeout(LIMIT, node.status()).await.expect("it ends in time").expect("Node.js is installed");
    assert!(ended.success(), "{arguments:?} tells why");
}
