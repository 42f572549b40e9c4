//! The daemon's API: what it tells, what it can be asked to do, and by whom.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::content::hello_world;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Method};
use tokio::process::Command;
use tokio::time::timeout;

use crate::daemon::Daemon;
use crate::support::{Ferry, until};

const TOKEN: &str = "s3cret-one-of-the-api";

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("plain HTTP needs nothing more")
}

/// A daemon with one rule, which runs once an hour, and an API that takes [`TOKEN`].
struct Served {
    source: FakeRegistry,
    target: FakeRegistry,
    daemon: Daemon,
    http: reqwest::Client,
}

impl Served {
    async fn new() -> Self {
        let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
        source.seed("hello", "v1", &hello_world());
        let (from, to) = (source.host(), target.host());
        let config = format!(
            "service.api_token_file = 'token'\n\
             webhooks = {{ harbor.secret_file = 'token', quay.secret_file = 'token', ghcr.secret_file = 'token' }}\n\
             [[rules]]\nname = 'hello'\nsource = '{from}/hello'\ntarget = '{to}/mirror/hello'\n"
        );
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--log-format", "json"];
        let ferry = Ferry::new(&arguments).config(&config).file("token", &format!("{TOKEN}\n"));
        // Nothing leaves this machine, whatever an import names.
        let ferry = ferry.env("HTTPS_PROXY", "http://127.0.0.1:9").env("NO_PROXY", "127.0.0.1");
        let http = client();
        let served = Self { source, target, daemon: Daemon::of(ferry).await, http };
        until("the first run's end", async || served.rule().await["last_run"].is_object().then_some(())).await;
        served
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.daemon.url())
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(self.url(path)).send().await.expect("the daemon answers");
        assert_eq!(answer.status(), 200, "{path}");
        serde_json::from_str(&answer.text().await.expect("it is text")).expect("it is JSON")
    }

    async fn rule(&self) -> Value {
        self.get("rules/hello").await
    }

    /// What it says of something that it is asked to do by who has this token.
    async fn post(&self, path: &str, token: &str, key: Option<&str>, body: Value) -> (u16, Value) {
        let mut request = self.http.post(self.url(path)).bearer_auth(token);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if !body.is_null() {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.expect("the daemon answers");
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.expect("it is text")).expect("it is JSON"))
    }

    fn order(&self, tag: &str) -> Value {
        json!({
            "source": format!("{}/hello:v1", self.source.host()),
            "images": [format!("{}/imported/hello:{tag}", self.target.host())],
        })
    }

    async fn ended(&self, id: &Value) -> Value {
        let id = id.as_str().expect("an id is text");
        until("the import's end", async || {
            let job = self.get(&format!("imports/{id}")).await;
            matches!(job["state"].as_str(), Some("done" | "failed")).then_some(job)
        })
        .await
    }
}

#[tokio::test]
async fn a_rule_tells_its_state_its_runs_and_its_images() {
    let served = Served::new().await;

    let rule = served.rule().await;

    assert_eq!((&rule["condition"], &rule["images"]), (&json!("fresh"), &json!({"total": 1, "failed": 0})));
    assert_eq!(rule["sources"], json!([format!("{}/hello", served.source.host())]));
    assert_eq!((&rule["runs"][0]["copied"], &rule["runs"][0]), (&json!(1), &rule["last_run"]));
    let page = served.get("rules/hello/images?outcome=copied&order=latest").await;
    let image = &page["images"][0];
    assert_eq!((&page["total"], &image["outcome"]), (&json!(1), &json!("copied")));
    assert_eq!(image["target"], format!("{}/mirror/hello:v1", served.target.host()));
    assert!(image["digest"].is_string() && image["copied"].is_string(), "{image:#}");
    let registries = served.get("registries").await;
    let hosts: Vec<&Value> =
        registries["registries"].as_array().expect("a list").iter().map(|of| &of["host"]).collect();
    assert!(hosts.contains(&&json!(served.source.host())) && hosts.contains(&&json!(served.target.host())));
    assert!(
        registries["registries"].as_array().expect("a list").iter().all(|of| of["health"] == "ok"),
        "{registries:#}"
    );
}

#[tokio::test]
async fn a_rule_runs_when_it_is_asked_for_and_those_who_ask_during_a_run_get_one_more() {
    let served = Served::new().await;
    let moved = served.source.seed("hello", "v2", &hello_world());
    served.source.fault(Fault::on(Method::GET, Endpoint::Tags).times(1), Effect::Delay(Duration::from_secs(2)));

    let (status, first) = served.post("rules/hello/sync", TOKEN, Some("deploy"), Value::Null).await;
    assert_eq!((status, &first["folded"]), (202, &json!(false)), "{first:#}");
    let (_, again) = served.post("rules/hello/sync", TOKEN, Some("deploy"), Value::Null).await;
    let (_, second) = served.post("rules/hello/sync", TOKEN, None, Value::Null).await;
    let (_, third) = served.post("rules/hello/sync", TOKEN, None, Value::Null).await;
    assert_eq!(again, first, "the same key is the same request");
    assert_eq!((&second["folded"], &third["id"]), (&json!(true), &second["id"]));

    let runs = until("both runs", async || {
        let runs = served.rule().await["runs"].clone();
        (runs.as_array().map(Vec::len) == Some(3)).then_some(runs)
    })
    .await;
    assert_eq!((&runs[1]["id"], &runs[0]["id"]), (&first["id"], &second["id"]));
    let at_target = served.target.manifest("mirror/hello", "v2").map(|document| document.digest());
    assert_eq!(at_target.as_ref(), Some(&moved));
}

#[tokio::test]
async fn who_has_no_token_changes_nothing_and_a_rotated_one_holds_without_a_restart() {
    let served = Served::new().await;
    let ask = async |token| served.post("imports", token, None, served.order("v1")).await.0;
    assert_eq!((ask("wrong").await, ask("").await), (401, 401));
    assert_eq!(served.post("rules/hello/sync", "wrong", None, Value::Null).await.0, 401);

    served.daemon.rewrite("token", &format!("s3cret-two\n{TOKEN}\n"));
    assert_eq!((ask("s3cret-two").await, ask(TOKEN).await), (202, 202));
    served.daemon.rewrite("token", "s3cret-two\n");
    assert_eq!((ask("s3cret-two").await, ask(TOKEN).await), (202, 401));
    served.daemon.rewrite("token", "\n");
    assert_eq!(ask("s3cret-two").await, 503, "a file without a token lets nobody in");
    assert!(!served.daemon.log().contains("s3cret"), "no token is logged");
}

#[tokio::test]
async fn without_a_token_file_the_api_is_read_only() {
    let daemon = Daemon::start("[[rules]]\nname = 'a'\nsource = '127.0.0.1:9/a'\ntarget = '127.0.0.1:9/b'\n").await;
    let http = client();

    let answer = http.post(format!("{}/api/v1/rules/a/sync", daemon.url())).bearer_auth("any").send().await;

    let answer = answer.expect("the daemon answers");
    assert_eq!(answer.status(), 403);
    assert!(answer.text().await.expect("it is text").contains("api_token_file"));
}

#[tokio::test]
async fn reading_by_token_is_told_to_who_has_one() {
    let rule = "[[rules]]\nname = 'a'\nsource = '127.0.0.1:9/a'\ntarget = '127.0.0.1:9/b'\n";
    let config = format!("service.api_token_file = 'token'\nservice.api_read = 'token'\n{rule}");
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--log-format", "json"];
    let daemon = Daemon::of(Ferry::new(&arguments).config(&config).file("token", TOKEN)).await;
    for (arguments, code) in [(&["status", "--server"][..], 1), (&["status", "--token-file", "token", "--server"], 0)] {
        let url = daemon.url();
        let ended = Ferry::new(&[arguments, &[&*url]].concat()).file("token", TOKEN).run().await;
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert_eq!(ended.stderr.contains("needs a token"), code == 1, "{}", ended.stderr);
    }
    let by_variable = Ferry::new(&["status", "--quiet", "--server", &daemon.url()]).env("REGFERRY_API_TOKEN", TOKEN);
    by_variable.run().await.success();
}

#[tokio::test]
async fn an_import_is_taken_and_done_and_its_result_is_that_of_the_command_line() {
    let served = Served::new().await;

    let (status, job) = served.post("imports", TOKEN, Some("key"), served.order("v1")).await;
    assert_eq!(status, 202, "{job:#}");
    let ended = served.ended(&job["id"]).await;

    assert_eq!((&ended["state"], &ended["error"]), (&json!("done"), &Value::Null), "{ended:#}");
    assert_eq!(served.target.check_whole("imported/hello", "v1"), Ok(()));
    let result = &ended["result"];
    assert_eq!((&result["digest_kept"], &result["images"][0]["outcome"]), (&json!(true), &json!("copied")));
    assert_eq!(result["images"][0]["target"], ended["targets"][0]);
    assert_eq!(served.post("imports", TOKEN, Some("key"), served.order("v1")).await.1["id"], job["id"]);
    assert_eq!(served.post("imports", TOKEN, Some("key"), served.order("v2")).await.0, 409);
    assert_eq!(served.get("imports").await["total"], 1);
    let copied = served.daemon.metric(r#"regferry_images_total{outcome="copied",rule="import"}"#).await;
    assert_eq!(copied, 1.0);
}

#[tokio::test]
async fn an_import_that_fails_says_why() {
    let served = Served::new().await;
    let order = json!({
        "source": format!("{}/hello:missing", served.source.host()),
        "repositories": [format!("{}/imported/hello", served.target.host())],
    });

    let (_, job) = served.post("imports", TOKEN, None, order).await;
    let ended = served.ended(&job["id"]).await;

    assert_eq!((&ended["state"], &ended["result"]), (&json!("failed"), &Value::Null));
    let error = ended["error"].as_str().unwrap_or_default();
    assert!(error.contains("looking up manifest missing"), "{error}");
}

#[tokio::test]
async fn a_queue_that_is_full_says_when_to_come_again_and_a_stop_ends_what_is_at_work() {
    let served = Served::new().await;
    served.source.fault(Fault::on(Method::HEAD, Endpoint::Manifest), Effect::Hang);
    let codes = async |count: usize| {
        let mut codes = Vec::new();
        for number in 0..count {
            codes.push(served.post("imports", TOKEN, None, served.order(&format!("v{number}"))).await.0);
        }
        codes
    };
    // Eight are at work, a hundred wait.
    let codes = codes(109).await;
    assert_eq!((codes[..100].iter().all(|code| *code == 202), codes[108]), (true, 429));

    served.daemon.signal("TERM");
    let ended = timeout(Duration::from_secs(25), served.daemon.ended()).await.expect("it does not wait for them");
    assert_eq!(ended.code, Some(143), "{}", ended.stderr);
}

#[tokio::test]
async fn an_import_is_handed_to_the_daemon_by_the_command_line() {
    let served = Served::new().await;
    let source = format!("{}/hello:v1", served.source.host());
    let url = served.daemon.url();
    let import = |more: &[&str]| {
        let always = ["import", "--source", &source, "--registry", served.target.host(), "--image", "by/hand"];
        Ferry::new(&[&always, more].concat()).file("token", &format!("{TOKEN}\n"))
    };

    let printed = import(&["--no-wait", "--server", &url, "--token-file", "token"]).run().await.success();

    let ended = served.ended(&json!(printed.trim_end())).await;
    assert_eq!(ended["state"], "done", "{ended:#}");
    assert_eq!(served.target.check_whole("by/hand", "latest"), Ok(()));
    let as_json =
        import(&["--no-wait", "--output", "json"]).env("REGFERRY_SERVER", &url).env("REGFERRY_API_TOKEN", TOKEN);
    assert_eq!(as_json.run().await.json()["state"], "queued");
    let told = import(&["--no-wait", "--server", &url]).run().await.failure(1);
    assert!(told.contains("needs a token") && told.contains(&url), "{told}");
    for wrong in [
        &["--no-wait"][..],
        &["--server", &url],
        &["--no-wait", "--server", &url, "--dry-run"],
        &["--no-wait", "--server", &url, "--all-tags-of"],
        &["--no-wait", "--server", &url, "--password-stdin"],
        &["--no-wait", "--server", &url, "--token-file", "missing"],
    ] {
        let ended = import(wrong).run().await;
        assert_eq!((ended.code, &*ended.text()), (Some(2), ""), "{wrong:?}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn what_happens_is_told_as_it_happens_and_who_comes_back_goes_on_where_it_was() {
    let served = Served::new().await;
    let mut events = served.http.get(served.url("events")).send().await.expect("the daemon answers");
    let mut told = String::new();
    let mut read_until = async |what: &str| {
        while !told.contains(what) {
            let chunk = timeout(Duration::from_secs(60), events.chunk()).await.expect("something is told");
            told.push_str(&String::from_utf8_lossy(&chunk.expect("it goes on").expect("it has no end")));
        }
    };
    read_until("event: progress").await;
    served.source.seed("hello", "v2", &hello_world());

    let (_, job) = served.post("rules/hello/sync", TOKEN, None, Value::Null).await;
    read_until("event: run_ended").await;

    let id = job["id"].as_str().expect("an id is text");
    let (started, image) = (told.find("event: run_started"), told.find("event: image"));
    assert!(started < image && told.contains(id) && told.contains("hello:v2"), "{told}");
    let last = told.lines().find_map(|line| line.strip_prefix("id: ")).expect("events have ids").to_owned();
    let request = served.http.get(served.url("events")).header("Last-Event-ID", &last);
    let mut again = request.send().await.expect("the daemon answers");
    let mut said = String::new();
    while !said.contains("event: run_ended") {
        said.push_str(&String::from_utf8_lossy(&again.chunk().await.expect("it goes on").expect("it has no end")));
    }
    assert!(!said.contains(&format!("id: {last}\n")) && !said.contains("missed"), "{said}");
}

#[tokio::test]
async fn a_file_without_a_token_is_a_wrong_configuration() {
    let rule = "[[rules]]\nname = 'a'\nsource = '127.0.0.1:9/a'\ntarget = '127.0.0.1:9/b'\n";
    for command in ["check", "serve"] {
        for (file, tells) in [("\n", "it is empty"), ("two words", "line 1")] {
            let config = format!("service.api_token_file = 'token'\n{rule}");
            let told = Ferry::new(&[command]).config(&config).file("token", file).run().await.failure(2);
            assert!(told.contains("token") && told.contains(tells), "{told}");
        }
    }
}

/// Positive and negative requests for every operation but the one that has no end, against what the description says.
#[tokio::test]
async fn schemathesis_finds_nothing_that_the_description_does_not_say() {
    let served = Served::new().await;
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut call = Command::new(here.join("target/test-tools/python/bin/schemathesis"));
    call.arg("--config-file").arg(here.join("tests/end_to_end/api/schemathesis.toml"));
    call.args(["run", &served.url("openapi.json"), "--header", &format!("Authorization:Bearer {TOKEN}")]);
    call.args([
        "--exclude-operation-id",
        "events",
        "--seed",
        "7",
        "--max-examples",
        "12",
        "--generation-database",
        "none",
    ]);
    call.args(["--phases", "examples,coverage,fuzzing", "--mode", "all", "--no-color", "--warnings", "off"]);
    call.current_dir(served.daemon.home()).env("NO_PROXY", "127.0.0.1").env("HOME", served.daemon.home());

    let ended = timeout(Duration::from_secs(100), call.output()).await.expect("it ends").expect("it is installed");

    let told = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{told}\n{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(served.daemon.get("/readyz").await.0, 200);
}
