//! Who is told when a rule begins to fail, and when it has recovered.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::content::hello_world;
use testkit::receiver::{Post, Reply};
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Method, Receiver};

use crate::daemon::Daemon;
use crate::support::{Ferry, until};

/// Whoever has it may post to the chat.
const PATH: &str = "/services/T000/s3cret-of-the-chat";

struct Served {
    source: FakeRegistry,
    target: FakeRegistry,
    chat: Receiver,
}

impl Served {
    async fn new() -> Self {
        let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
        source.seed("hello", "v1", &hello_world());
        Self { source, target, chat: Receiver::start().await }
    }

    /// A rule that runs every second.
    fn rule(&self) -> String {
        let (from, to) = (self.source.host(), self.target.host());
        format!("[[rules]]\nname = 'hello'\nsource = '{from}/hello'\ntarget = '{to}/hello'\nschedule = '1s'\n")
    }

    /// Its registry refuses, and is not asked again.
    fn fail(&self) {
        self.source.fault(Fault::on(Method::GET, Endpoint::Tags), Effect::status(403));
    }

    async fn serve(&self, notifications: &str) -> Daemon {
        let arguments = ["-v", "serve", "--listen", "127.0.0.1:0", "--log-format", "json"];
        let ferry = Ferry::new(&arguments).config(&format!("{notifications}{}", self.rule()));
        Daemon::of(ferry.file("url", &format!("{}\n", self.chat.url(PATH))).file("token", "s3cret-token\n")).await
    }

    async fn posts(&self, count: usize) -> Vec<Post> {
        let posts = async || Some(self.chat.posts()).filter(|posts| posts.len() >= count);
        until(&format!("{count} messages"), posts).await
    }
}

fn document(post: &Post) -> Value {
    serde_json::from_slice(&post.body).expect("it is JSON")
}

async fn runs(daemon: &Daemon, outcome: &str, more: f64) {
    let name = format!("regferry_rule_runs_total{{outcome=\"{outcome}\",rule=\"hello\"}}");
    let before = daemon.metric(&name).await;
    until(outcome, async || (daemon.metric(&name).await >= before + more).then_some(())).await;
}

async fn sent(daemon: &Daemon, outcome: &str) -> f64 {
    daemon.metric(&format!("regferry_notifications_total{{notification=\"chat\",outcome=\"{outcome}\"}}")).await
}

#[tokio::test]
async fn a_rule_that_begins_to_fail_and_recovers_is_told_twice_however_often_it_runs() {
    let served = Served::new().await;
    let daemon = served.serve("[[notifications]]\nname = 'chat'\nurl_file = 'url'\ntoken_file = 'token'\n").await;
    runs(&daemon, "success", 2.0).await;
    served.fail();
    let failing = document(&served.posts(1).await[0]);
    runs(&daemon, "failure", 2.0).await;
    served.source.clear_faults();
    let posts = served.posts(2).await;
    runs(&daemon, "success", 2.0).await;

    assert_eq!(served.chat.posts().len(), 2, "{:?}", served.chat.posts());
    let change = &failing["changes"][0];
    assert_eq!(
        (&failing["version"], &change["rule"], &change["state"]),
        (&json!(1), &json!("hello"), &json!("failing"))
    );
    assert!(change["error"].as_str().is_some_and(|error| error.contains(served.source.host())), "{failing:#}");
    assert!(change["last_success"].is_string() && change["failing_since"] == change["at"], "{failing:#}");
    let fresh = document(&posts[1]);
    assert_eq!((&fresh["changes"][0]["state"], &fresh["changes"][0]["error"]), (&json!("fresh"), &Value::Null));
    assert_ne!(fresh["id"], failing["id"]);
    for post in &posts {
        assert_eq!((&*post.target, post.header("authorization")), (PATH, Some("Bearer s3cret-token")));
        assert_eq!(post.header("content-type"), Some("application/json"));
    }
    assert_eq!((sent(&daemon, "sent").await, sent(&daemon, "lost").await), (2.0, 0.0));
    assert!(!daemon.log().contains("s3cret"), "{}", daemon.log());
}

#[tokio::test]
async fn a_chat_gets_a_text_and_only_of_the_rules_that_it_is_told_of() {
    let served = Served::new().await;
    served.fail();
    let url = served.chat.url("/all");
    let daemon = served
        .serve(&format!(
            "[[notifications]]\nname = 'chat'\nurl = '{url}'\nformat = 'slack'\nrules = ['h*']\n\
             [[notifications]]\nname = 'others'\nurl_file = 'url'\nrules = ['x*']\n"
        ))
        .await;

    let post = &served.posts(1).await[0];
    runs(&daemon, "failure", 2.0).await;

    let text = document(post)["text"].as_str().expect("it is a text").to_owned();
    assert!(text.starts_with(":x: *hello* is failing") && text.contains(served.source.host()), "{text}");
    assert_eq!((&*post.target, served.chat.posts().len()), ("/all", 1));
}

#[tokio::test]
async fn what_is_not_taken_comes_again_and_is_the_same() {
    let served = Served::new().await;
    served.fail();
    served.chat.reply(Reply::Status(503, vec![("retry-after", "1".to_owned())]));
    served.chat.reply(Reply::Status(500, vec![]));
    let daemon = served.serve("[[notifications]]\nname = 'chat'\nurl_file = 'url'\n").await;

    let posts = served.posts(3).await;
    until("it is counted", async || (sent(&daemon, "sent").await >= 1.0).then_some(())).await;

    assert!(posts.iter().all(|post| post.body == posts[0].body), "{posts:?}");
    let log = daemon.log();
    assert_eq!(log.matches("a notification is not taken").count(), 1, "{log}");
    assert!(!log.contains("s3cret"), "{log}");
}

#[tokio::test]
async fn what_is_refused_or_sent_elsewhere_is_given_up() {
    for status in [404, 302] {
        let (served, elsewhere) = (Served::new().await, Receiver::start().await);
        served.fail();
        served.chat.reply(Reply::Status(status, vec![("location", elsewhere.url("/"))]));
        let daemon = served.serve("[[notifications]]\nname = 'chat'\nurl_file = 'url'\n").await;

        until("it is given up", async || (sent(&daemon, "lost").await >= 1.0).then_some(())).await;

        assert_eq!((served.chat.posts().len(), elsewhere.posts().len()), (1, 0));
        let log = daemon.log();
        assert!(log.contains("a notification is given up") && !log.contains("s3cret"), "{log}");
    }
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_holds_up_neither_runs_nor_the_stop() {
    let served = Served::new().await;
    served.fail();
    served.chat.reply(Reply::Silence);
    let daemon = served.serve("[[notifications]]\nname = 'chat'\nurl_file = 'url'\n").await;
    served.posts(1).await;
    runs(&daemon, "failure", 2.0).await;

    let asked = Instant::now();
    daemon.signal("TERM");
    let ended = daemon.ended().await;

    assert_eq!(ended.code, Some(143), "{}", ended.stderr);
    // Two seconds of the grace, which is thirty.
    assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());
    assert!(ended.stderr.contains("the end came before notifications were taken"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_message_that_waits_is_sent_before_the_end_and_a_changed_url_is_used_at_once() {
    let served = Served::new().await;
    let notifications = "[[notifications]]\nname = 'chat'\nurl_file = 'url'\n";
    let daemon = served.serve(notifications).await;
    runs(&daemon, "success", 1.0).await;
    daemon.rewrite("url", &served.chat.url("/rotated"));
    served.fail();
    runs(&daemon, "failure", 1.0).await;

    daemon.signal("TERM");
    let ended = daemon.ended().await;

    let posts = served.chat.posts();
    assert_eq!(posts.len(), 1, "{}", ended.stderr);
    assert_eq!((&*posts[0].target, &document(&posts[0])["changes"][0]["state"]), ("/rotated", &json!("failing")));
}

#[tokio::test]
async fn a_url_that_is_none_is_a_wrong_configuration_and_not_shown() {
    let served = Served::new().await;
    for command in ["check", "serve"] {
        for (keys, tells) in [
            ("url_file = 'missing'", "notifications.\"chat\": reading url_file"),
            ("url_file = 'url'", "the url is none that can be posted to"),
            ("url = 's3cret'", "notifications.\"chat\".url: the url is none that can be posted to"),
            ("url_env = 'MISSING'", "url_env names MISSING, which is not set"),
            ("url = 'http://127.0.0.1/s3cret'\ntoken_file = 'missing'", "reading token_file"),
        ] {
            let config = format!("[[notifications]]\nname = 'chat'\n{keys}\n{}", served.rule());
            let told = Ferry::new(&[command]).config(&config).file("url", "s3cret").run().await.failure(2);
            assert!(told.contains(tells) && !told.contains("s3cret"), "{told}");
        }
    }
}
