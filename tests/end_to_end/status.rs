//! `regferry status`: asking a daemon, as people and health checks do.

use std::process::Stdio;

use serde_json::{Value, json};
use testkit::content::hello_world;
use testkit::{FakeRegistry, Front};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::daemon::Daemon;
use crate::support::{Ferry, until};

const TOKEN: &str = "s3cret-one";

/// A daemon whose one rule has run.
async fn daemon() -> Daemon {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    source.seed("hello", "v1", &hello_world());
    let (from, to) = (source.host(), target.host());
    let rule = format!("[[rules]]\nname = 'hello'\nsource = '{from}/hello'\ntarget = '{to}/hello'\n");
    let daemon = Daemon::start(&rule).await;
    let successes = r#"regferry_rule_runs_total{outcome="success",rule="hello"}"#;
    until("the first run's end", async || (daemon.metric(successes).await >= 1.0).then_some(())).await;
    daemon
}

/// A place that gives one answer to the first who asks.
async fn answering(status: &str, body: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    let answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("somebody asks");
        let _ = socket.read(&mut [0; 4096]).await;
        let _ = socket.write_all(answer.as_bytes()).await;
    });
    format!("http://{address}")
}

#[tokio::test]
async fn a_daemon_that_is_well_is_shown_in_a_table() {
    let daemon = daemon().await;

    let text = Ferry::new(&["status", "--server", &daemon.url()]).run().await.success();

    let version = env!("CARGO_PKG_VERSION");
    assert!(text.starts_with(&format!("regferry {version} at {}: ready, up ", daemon.url())), "{text}");
    assert!(text.contains("\nRULE   STATE  LAST SUCCESS  NEXT"), "{text}");
    assert!(text.contains("\nhello  fresh  "), "{text}");
}

/// A daemon that shows nothing without a token, behind TLS of an authority that nobody knows.
async fn behind_tls() -> (Daemon, Front) {
    let rule = "[[rules]]\nname = 'a'\nsource = '127.0.0.1:9/a'\ntarget = '127.0.0.1:9/b'\n";
    let config = format!("service.api_token_file = 'token'\nservice.api_read = 'token'\n{rule}");
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--log-format", "json"];
    let daemon = Daemon::of(Ferry::new(&arguments).config(&config).file("token", TOKEN)).await;
    let front = Front::before(daemon.address()).start().await;
    (daemon, front)
}

#[tokio::test]
async fn over_tls_its_authority_is_named_by_the_environment() {
    let (_daemon, front) = behind_tls().await;
    let server = format!("https://{}", front.host());
    let status = || Ferry::new(&["status", "--server", &server, "--token-file", "token"]).file("token", TOKEN);

    let told = status().run().await.failure(1);
    assert!(told.contains("certificate") && told.contains("SSL_CERT_FILE"), "{told}");

    let authority = front.ca_file().display().to_string();
    let shown = status().env("SSL_CERT_FILE", &authority).run().await.success();
    assert!(shown.contains(": ready, up "), "{shown}");
}

#[tokio::test]
async fn at_a_terminal_it_looks_again_and_again_until_it_is_stopped() {
    let (daemon, front) = behind_tls().await;
    let token = daemon.home().join("token");
    let (program, token) = (env!("CARGO_BIN_EXE_regferry"), token.display());
    let line = format!("{program} status --watch --server https://{} --token-file {token}", front.host());
    let mut script = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("SSL_CERT_FILE", front.ca_file())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("script is part of Debian");
    let (mut typed, mut shown) = (script.stdin.take().expect("it is piped"), script.stdout.take().expect("so is this"));

    let mut text = Vec::new();
    while String::from_utf8_lossy(&text).matches(": ready, up ").count() < 2 {
        assert_ne!(shown.read_buf(&mut text).await.expect("it can be read"), 0, "{}", text.escape_ascii());
    }
    typed.write_all(b"\x03").await.expect("it reads");

    assert_eq!(script.wait().await.expect("it ends").code(), Some(130));
    assert!(text.starts_with(b"\x1b[H\x1b[J"), "each look is shown in the place of the one before");
}

#[tokio::test]
async fn for_programs_the_answer_is_printed_as_it_came() {
    let daemon = daemon().await;

    let ended = Ferry::new(&["status", "--output", "json"]).env("REGFERRY_SERVER", &daemon.url()).run().await;

    assert_eq!(ended.text().trim_end(), daemon.get("/api/v1/status").await.1);
    assert_eq!((&ended.json()["ready"], &ended.json()["rules"][0]["name"]), (&json!(true), &json!("hello")));
}

#[tokio::test]
async fn a_health_check_needs_no_roots_of_trust_no_proxy_and_no_configuration_and_says_nothing() {
    let daemon = daemon().await;
    let listens = daemon.url().replace("http://127.0.0.1", "0.0.0.0");
    let check = Ferry::new(&["status", "--quiet"]).env("REGFERRY_LISTEN", &listens);
    let check = check.env("SSL_CERT_FILE", "/nowhere").env("SSL_CERT_DIR", "/nowhere");
    let check = check.env("HTTP_PROXY", "http://127.0.0.1:9").env("REGFERRY_CONFIG", "/nowhere");

    assert_eq!(check.run().await.success(), "");
}

/// A place that says of itself that it is a daemon which is well.
async fn well() -> String {
    let config: Value = json!({"file": null, "loaded": null, "last_reload": null});
    let status =
        json!({"version": "1", "started": "2026-01-01T00:00:00Z", "ready": true, "config": config, "rules": []});
    answering("200 OK", &status.to_string()).await
}

#[tokio::test]
async fn the_daemon_is_where_its_configuration_has_it_listen_whatever_the_rest_of_it_is() {
    for unusable in ["", "[registries.'r.example']\npassword_file = '${UNSET}'\n[[rules]]\nname = 5"] {
        let server = well().await;
        let listens = server.replace("http://127.0.0.1", "0.0.0.0");
        let config = format!("service.listen = '{listens}'\n{unusable}\n");

        let text = Ferry::new(&["status"]).config(&config).run().await.success();

        assert!(text.contains(&server), "{text}");
    }
}

#[tokio::test]
async fn what_the_command_line_and_the_environment_say_goes_before_the_configuration() {
    let config = "service.listen = '127.0.0.1:9'";
    let (named, by_variable, listens) = (well().await, well().await, well().await.replace("http://", ""));
    for call in [
        Ferry::new(&["status", "--server", &named]).env("REGFERRY_LISTEN", "127.0.0.1:9"),
        Ferry::new(&["status"]).env("REGFERRY_SERVER", &by_variable).env("REGFERRY_LISTEN", "127.0.0.1:9"),
        Ferry::new(&["status"]).env("REGFERRY_LISTEN", &listens),
    ] {
        call.config(config).run().await.success();
    }
}

#[tokio::test]
async fn a_configuration_that_cannot_be_read_is_told_and_the_usual_place_is_asked() {
    let ended = Ferry::new(&["status", "--config", "missing.toml"]).run().await;

    // Whether a daemon is at the usual place is not the test's to say.
    assert_ne!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("WARN") && ended.stderr.contains("missing.toml"), "{}", ended.stderr);
}

#[tokio::test]
async fn an_address_that_is_none_is_told_without_the_login_in_it() {
    let told = Ferry::new(&["status", "--server", "bot:s3cret@mirror.example:9464"]).run().await.failure(2);

    assert!(told.contains("mirror.example:9464") && !told.contains("s3cret"), "{told}");
}

#[tokio::test]
async fn where_no_daemon_is_it_says_so_and_what_to_do() {
    let (port, page) = (answering("200 OK", "").await, answering("404 Not Found", "no").await);
    let html = answering("200 OK", "<html>").await;
    for (server, reason) in [
        ("http://127.0.0.1:9", "efused"),
        (&page, "the answer is 404 Not Found"),
        (&html, "no status"),
        (&port, "no status"),
    ] {
        let told = Ferry::new(&["status", "--server", server]).run().await.failure(1);

        assert!(told.contains(server) && told.contains(reason) && told.contains("--server"), "{told}");
    }
}

#[tokio::test]
async fn a_daemon_that_stops_is_shown_and_not_well() {
    let config: Value = json!({"file": null, "loaded": null, "last_reload": null});
    let status =
        json!({"version": "1", "started": "2026-01-01T00:00:00Z", "ready": false, "config": config, "rules": []});
    let server = answering("200 OK", &status.to_string()).await;

    let ended = Ferry::new(&["status", "--server", &server]).run().await;

    assert_eq!(ended.code, Some(1));
    assert!(ended.text().contains(": stopping, up "), "{}", ended.text());
    assert!(ended.stderr.contains("is stopping"), "{}", ended.stderr);
}

#[tokio::test]
async fn what_cannot_be_asked_is_wrong_usage() {
    for arguments in [&["status", "--server", "localhost:9464"][..], &["status", "--watch"]] {
        assert!(!Ferry::new(arguments).run().await.failure(2).is_empty());
    }
    let nowhere = Ferry::new(&["status"]).env("REGFERRY_LISTEN", "").run().await.failure(2);
    assert!(nowhere.contains("REGFERRY_LISTEN"), "{nowhere}");
}
