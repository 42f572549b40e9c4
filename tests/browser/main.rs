//! The status page in a real browser, over the real server and the real daemon.

mod browser;
mod lively;
mod stage;

use lively::Lively;

/// `make screenshots`: into the folder that `REGFERRY_SCREENSHOTS` names.
#[tokio::test]
#[ignore = "writes the pictures of the documentation: make screenshots"]
async fn screenshots() {
    let lively = Lively::start().await;
    let folder = std::env::var("REGFERRY_SCREENSHOTS").expect("it names a folder");
    browser::play("screenshots.mjs", &[&lively.stage.url(), &folder]).await;
}
