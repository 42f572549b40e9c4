//! `--username` and `--password-stdin`: a login for the source alone, from a pipe, which nobody else sees.

use insta::assert_snapshot;
use testkit::content::hello_world;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Method};

use crate::login::{FILE, WRONG, docker_config};
use crate::support::{Ferry, Finished};

const SECRET: &str = "s3cret";

/// A source that wants a login, and a target that wants none.
struct Sides {
    source: FakeRegistry,
    target: FakeRegistry,
}

impl Sides {
    async fn before(source: FakeRegistry) -> Self {
        source.seed("app", "v1", &hello_world());
        Self { source, target: FakeRegistry::start().await }
    }

    async fn basic() -> Self {
        Self::before(FakeRegistry::builder().basic_auth("reader", SECRET).start().await).await
    }

    async fn bearer() -> Self {
        Self::before(FakeRegistry::builder().token_auth("reader", SECRET).start().await).await
    }

    fn import(&self, more: &[&str]) -> Ferry {
        let source = format!("{}/app:v1", self.source.host());
        let always = ["-vv", "import", "--source", &source, "--registry", self.target.host()];
        Ferry::new(&[&always, more].concat())
    }

    /// It is there, and the target was told of no login.
    fn assert_imported(&self, ended: &Finished) {
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(self.target.check_whole("app", "v1"), Ok(()));
        assert_unseen(&self.target);
        assert_silent(ended);
    }

    /// A token as the source's token server gives it.
    async fn token(&self) -> String {
        let url = format!("http://{}/token?scope=repository:app:pull", self.source.host());
        let request = reqwest::Client::new().get(url).basic_auth("reader", Some(SECRET));
        let body = request.send().await.expect("it answers").bytes().await.expect("with a body");
        let answer: serde_json::Value = serde_json::from_slice(&body).expect("of JSON");
        answer["token"].as_str().expect("with a token").to_owned()
    }
}

fn assert_unseen(registry: &FakeRegistry) {
    assert!(registry.requests().iter().all(|request| request.header("authorization").is_none()));
}

fn assert_silent(ended: &Finished) {
    for text in [&ended.stderr, &ended.text()] {
        for secret in [SECRET, "token-1", "Bearer ", "cmVhZGVy"] {
            assert!(!text.contains(secret), "{secret} in: {text}");
        }
    }
}

#[tokio::test]
async fn a_password_from_a_pipe_opens_the_source_and_is_shown_to_nobody_else() {
    for (user, password) in [("--username", "--password-stdin"), ("--source-username", "--source-password-stdin")] {
        for sides in [Sides::basic().await, Sides::bearer().await] {
            let ended = sides.import(&[user, "reader", password]).stdin("s3cret\n").run().await;
            sides.assert_imported(&ended);
        }
    }
    let sides = Sides::basic().await;
    let (source, target) = (format!("{}/app:v1", sides.source.host()), format!("{}/app", sides.target.host()));
    let copy = Ferry::new(&["copy", &source, &target, "--username", "reader", "--password-stdin"]);
    sides.assert_imported(&copy.stdin(SECRET).run().await);
}

#[tokio::test]
async fn it_is_taken_over_the_docker_config_and_the_configuration_which_stay_the_targets() {
    let source = FakeRegistry::builder().basic_auth("reader", SECRET).start().await;
    source.seed("app", "v1", &hello_world());
    let target = FakeRegistry::builder().basic_auth("reader", "wrong").start().await;
    let (from, host) = (format!("{}/app:v1", source.host()), source.host());
    let config = format!("[registries.'{host}']\nusername = 'reader'\npassword = 'wrong'\n");
    let login = ["--username", "reader", "--password-stdin"];
    let arguments = [&["import", "--source", &from, "--registry", target.host()][..], &login].concat();

    let import = Ferry::new(&arguments).file(FILE, &docker_config(&[(host, WRONG), (target.host(), WRONG)]));
    let ended = import.config(&config).stdin(SECRET).run().await;

    ended.success();
    assert_eq!(target.check_whole("app", "v1"), Ok(()));
}

#[tokio::test]
async fn a_target_at_the_sources_host_is_the_same_registry_and_has_the_same_login() {
    for sides in [Sides::basic().await, Sides::bearer().await] {
        let source = format!("{}/app:v1", sides.source.host());
        let target = format!("{}/team/app:v1", sides.source.host());
        let login = ["--username", "reader", "--password-stdin"];
        let import = Ferry::new(&[&["import", "--source", &source, "--image", &target][..], &login].concat());

        import.stdin(SECRET).run().await.success();

        assert_eq!(sides.source.check_whole("team/app", "v1"), Ok(()));
    }
}

#[tokio::test]
async fn without_a_user_name_it_is_a_token_that_is_sent_as_it_is() {
    let sides = Sides::bearer().await;
    let token = sides.token().await;
    sides.source.clear_requests();
    // Blobs lie at a storage elsewhere, which is not to see it.
    let storage = FakeRegistry::start().await;
    storage.seed_untagged("app", &hello_world());
    for blob in hello_world().blobs() {
        let url = format!("http://{}/v2/app/blobs/{}", storage.host(), blob.digest());
        let moved = Effect::status_with(307, &[("Location", &url)]);
        sides.source.fault(Fault::on(Method::GET, Endpoint::Blob).reference(&blob.digest()), moved);
    }

    let ended = sides.import(&["--password-stdin"]).stdin(&format!("{token}\n")).run().await;

    sides.assert_imported(&ended);
    assert_eq!(sides.source.count(&Method::GET, Endpoint::Token), 0, "{}", sides.source.summary());
    let expected = format!("Bearer {token}");
    let requests = sides.source.requests();
    // All but the first one, which was challenged.
    assert!(requests.iter().skip(1).all(|request| request.header("authorization") == Some(&expected)));
    assert_eq!(storage.count(&Method::GET, Endpoint::Blob), 7);
    assert_unseen(&storage);
}

#[tokio::test]
async fn what_is_refused_is_told_without_the_secret() {
    for login in [&["--username", "reader", "--password-stdin"][..], &["--password-stdin"]] {
        for sides in [Sides::basic().await, Sides::bearer().await] {
            let ended = sides.import(login).stdin("wr0ng-s3cret").run().await;

            assert_eq!(ended.code, Some(1), "{login:?}: {}", ended.stderr);
            assert!(ended.stderr.contains("401"), "{login:?}: {}", ended.stderr);
            assert!(ended.stderr.contains("the login for "), "{login:?}: {}", ended.stderr);
            assert_silent(&ended);
            assert!(sides.target.repositories().is_empty());
        }
    }
}

#[tokio::test]
async fn half_a_login_is_refused_before_anyone_is_asked() {
    let sides = Sides::basic().await;
    let refused = async |login: &[&str], typed: &str| {
        let source = format!("{}/app:v1", sides.source.host());
        let always = ["import", "--source", &source, "--registry", sides.target.host()];
        let ended = Ferry::new(&[&always, login].concat()).stdin(typed).run().await;
        ended.failure(2)
    };

    assert_snapshot!(refused(&["--username", "reader"], SECRET).await, @"error: --username needs its password on stdin: add --password-stdin, and pipe it in");
    assert_snapshot!(refused(&["--username", "reader", "--password-stdin"], "").await, @"error: --password-stdin: nothing came on stdin: pipe the password in");
    assert_snapshot!(refused(&["--username", "a:b", "--password-stdin"], SECRET).await, @"error: --username must be without a ':'");
    assert_snapshot!(refused(&["--password-stdin"], "two\nlines\n").await, @"error: --password-stdin: what came has more than one line, or control characters");
    assert_snapshot!(refused(&["--password-stdin"], &"x".repeat(65 << 10)).await, @"error: --password-stdin: more than 64 KiB came: that is no password");
    assert_eq!(sides.source.summary(), "no requests");
}
