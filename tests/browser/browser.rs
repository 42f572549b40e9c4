//! A browser that does what a script says, and what the script says of it.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// A script takes a few seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs `tests/browser/SCRIPT` with these arguments to its end, and returns what it printed.
pub(crate) async fn play(script: &str, arguments: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut node = Command::new("node");
    node.arg(root.join("tests/browser").join(script)).args(arguments);
    node.env("BROWSER_TOOLS", root.join("target/test-tools/browser")).kill_on_drop(true);
    let ended =
        timeout(LIMIT, node.output()).await.expect("it ends in time").expect("scripts/install-test-tools was run");
    let (told, error) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{script}: {told}{error}");
    told.into_owned()
}
