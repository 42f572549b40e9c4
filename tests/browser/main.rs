//! The status page in a real browser, over the real server and the real daemon.

mod browser;
#[expect(dead_code, reason = "the tests from end to end use all of it")]
#[path = "../end_to_end/daemon.rs"]
mod daemon;
mod lively;
mod stage;
#[expect(dead_code, reason = "the tests from end to end use all of it")]
#[path = "../end_to_end/support.rs"]
mod support;

use std::time::Duration;

use regferry::events::{ImageOutcome, ImageReport, RunOutcome};
use testkit::content::{Image, hello_world};
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Method};

use browser::{node, play};
use daemon::Daemon;
use lively::Lively;
use stage::{Stage, image, run, status_of};
use support::{Ferry, until};

const TOKEN: &str = "s3cret-one";

/// A daemon that mirrors `hello:v1`, once its first run has ended.
async fn mirroring(more: &str) -> (FakeRegistry, FakeRegistry, Daemon) {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("hello", "v1", &hello_world());
    let (from, to) = (source.host(), target.host());
    let rule = format!("[[rules]]\nname = 'hello'\nsource = '{from}/hello'\ntarget = '{to}/mirror/hello'\n");
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--log-format", "json"];
    let ferry = Ferry::new(&arguments).config(&format!("{more}\n{rule}")).file("token", TOKEN);
    let daemon = Daemon::of(ferry).await;
    until("the first run's end", async || daemon.status().await["rules"][0]["last_run"].is_object().then_some(()))
        .await;
    (source, target, daemon)
}

#[tokio::test]
async fn modules_that_know_no_document_do_what_they_should() {
    node(&["--test", "tests/browser/modules.test.mjs"]).await;
}

#[tokio::test]
async fn the_first_look_shows_every_rule_and_registry_and_asks_nobody_else() {
    let lively = Lively::start().await;
    play("first_paint.mjs", &[&lively.stage.url()]).await;
}

#[tokio::test]
async fn everything_can_be_done_with_the_keyboard_alone() {
    let lively = Lively::start().await;
    play("keyboard.mjs", &[&lively.stage.url()]).await;
}

#[tokio::test]
async fn axe_finds_no_barriers_in_light_in_dark_and_on_a_phone() {
    let lively = Lively::start().await;
    play("barriers.mjs", &[&lively.stage.url()]).await;
}

#[tokio::test]
async fn five_hundred_rules_and_twenty_thousand_images_are_few_to_look_at() {
    let names: Vec<String> = (0..500).map(|number| format!("team-{number:03}")).collect();
    let status = status_of(&names);
    for (number, name) in names.iter().enumerate() {
        let (from, to) = (format!("source.example/{name}"), format!("registry.example/mirror/{name}"));
        let images = if number == 250 { 5_030 } else { 30 };
        let tags = (0..images).map(|tag| image(&from, &to, &format!("tag-{tag}"), ImageOutcome::Copied, tag << 12));
        for hours in (1..20).rev() {
            run(&status, name, 600 + hours * 3600, RunOutcome::Success, Vec::new());
        }
        run(&status, name, 600, RunOutcome::Success, tags.collect());
    }
    let stage = Stage::of(status, Vec::new()).await;
    play("many.mjs", &[&stage.url(), "team-250"]).await;
}

#[tokio::test]
async fn names_and_errors_are_texts_whatever_they_look_like() {
    let (name, error) = ("<b onclick=harmed=1>a</b>/../%2F?#\"'&amp;", "<img src=x onerror=harmed=1>");
    let status = status_of(&[name.to_owned()]);
    let failed = image("source.example/a", "registry.example/a", "v1", ImageOutcome::Failed, 0);
    let failed = ImageReport { error: Some(error.to_owned()), ..failed };
    run(&status, name, 60, RunOutcome::Failure, vec![failed]);
    let stage = Stage::of(status, Vec::new()).await;
    play("strange.mjs", &[&stage.url(), name, error]).await;
}

#[tokio::test]
async fn a_run_that_is_asked_for_with_a_token_is_followed_to_its_end() {
    let (source, _target, daemon) = mirroring("service.api_token_file = 'token'").await;
    source.seed(
        "hello",
        "v2",
        &Image::oci_index([
            Image::oci("linux/amd64").layer(1, 40_000).build(),
            Image::oci("linux/arm64").layer(2, 30_000).build(),
        ]),
    );
    source.fault(Fault::on(Method::GET, Endpoint::Blob), Effect::Delay(Duration::from_secs(2)));
    play("sync.mjs", &[&daemon.url(), TOKEN]).await;
    assert!(!daemon.log().contains(TOKEN));
}

#[tokio::test]
async fn where_reading_needs_a_token_the_page_asks_for_it() {
    let rule = "[[rules]]\nname = 'a'\nsource = '127.0.0.1:9/a'\ntarget = '127.0.0.1:9/b'\n";
    let config = format!("service.api_token_file = 'token'\nservice.api_read = 'token'\n{rule}");
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--log-format", "json"];
    let daemon = Daemon::of(Ferry::new(&arguments).config(&config).file("token", TOKEN)).await;
    play("gate.mjs", &[&daemon.url(), TOKEN, &daemon.home().join("token").display().to_string()]).await;
}

#[tokio::test]
async fn a_connection_that_is_lost_is_told_and_begun_anew() {
    let (_source, _target, daemon) = mirroring("").await;
    let live = daemon.home().join("live");
    let stop = async {
        until("the page's word that it follows", async || live.exists().then_some(())).await;
        daemon.signal("TERM");
    };
    let look = async { play("connection.mjs", &[&daemon.url(), &live.display().to_string()]).await };
    tokio::join!(look, stop);
}

/// `make screenshots`: into the folder that `REGFERRY_SCREENSHOTS` names.
#[tokio::test]
#[ignore = "writes the pictures of the documentation: make screenshots"]
async fn screenshots() {
    let lively = Lively::start().await;
    let folder = std::env::var("REGFERRY_SCREENSHOTS").expect("it names a folder");
    play("screenshots.mjs", &[&lively.stage.url(), &folder]).await;
}
