//! Registries that refuse, that are not there, or that are none: one line says what failed, where, and what to do.

use insta::assert_snapshot;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};

use crate::support::Ferry;

/// What copying `app:v1` from one registry to another fails with.
async fn copy_fails(source: &str, target: &str, adjust: impl FnOnce(Ferry) -> Ferry) -> String {
    let (from, to) = (format!("{source}/app:v1"), format!("{target}/app:v1"));
    let ferry = adjust(Ferry::new(&["copy", &from, &to]));
    ferry.run().await.failure(1).replace(source, "SOURCE").replace(target, "TARGET")
}

fn as_it_comes(ferry: Ferry) -> Ferry {
    ferry
}

/// An image with one blob, so that there is one thing to fail.
async fn with_app() -> FakeRegistry {
    let registry = FakeRegistry::start().await;
    registry.seed("app", "v1", &Image::artifact("application/vnd.example.marker").build());
    registry
}

#[tokio::test]
async fn hosts_that_cannot_be_reached_are_given_up_on() {
    let target = FakeRegistry::start().await;
    // A machine without a name server answers as soon as one that has one.
    let impatient = |ferry: Ferry| ferry.env("RES_OPTIONS", "timeout:1 attempts:1");

    let (nobody_listens, no_such_host) = tokio::join!(
        copy_fails("127.0.0.1:1", target.host(), as_it_comes),
        copy_fails("no-such-host.invalid", target.host(), impatient),
    );

    assert_snapshot!(nobody_listens, @"error: looking up manifest v1 of SOURCE/app: connection refused; check that the registry is up, and the port");
    assert_snapshot!(no_such_host, @"error: looking up manifest v1 of SOURCE/app: no such host; check the host's spelling and the DNS of this machine");
}

#[tokio::test]
async fn a_login_that_is_missing_is_asked_for() {
    let target = FakeRegistry::start().await;
    let basic = FakeRegistry::builder().basic_auth("reader", "s3cret").start().await;
    let token = FakeRegistry::builder().token_auth("reader", "s3cret").start().await;

    assert_snapshot!(copy_fails(token.host(), target.host(), as_it_comes).await, @r#"error: looking up manifest v1 of SOURCE/app (logging in): 401 UNAUTHORIZED: authentication required; log in with `docker login SOURCE`, or set username and password_file in [registries."SOURCE"]"#);
    assert_snapshot!(copy_fails(basic.host(), target.host(), as_it_comes).await, @r#"error: looking up manifest v1 of SOURCE/app: 401 Unauthorized; log in with `docker login SOURCE`, or set username and password_file in [registries."SOURCE"]"#);
}

#[tokio::test]
async fn a_password_that_is_wrong_is_told_and_not_shown() {
    let target = FakeRegistry::start().await;
    let basic = FakeRegistry::builder().basic_auth("reader", "s3cret").start().await;
    let token = FakeRegistry::builder().token_auth("reader", "s3cret").start().await;
    let wrong = |registry: &FakeRegistry| {
        let config = format!("[registries.'{}']\nusername = 'reader'\npassword = 'gue55ed'", registry.host());
        move |ferry: Ferry| ferry.config(&config)
    };

    assert_snapshot!(copy_fails(basic.host(), target.host(), wrong(&basic)).await, @r#"error: looking up manifest v1 of SOURCE/app: 401 Unauthorized; the login for SOURCE was refused: check its user name, and that its password still holds"#);
    assert_snapshot!(copy_fails(token.host(), target.host(), wrong(&token)).await, @r#"error: looking up manifest v1 of SOURCE/app (logging in): 401 UNAUTHORIZED: authentication required; the login for SOURCE was refused: check its user name, and that its password still holds"#);
}

#[tokio::test]
async fn what_is_forbidden_is_told_of_either_side() {
    let (source, target) = (with_app().await, FakeRegistry::start().await);
    let denied = Effect::Status {
        code: 403,
        headers: Vec::new(),
        body: r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#.to_owned(),
    };
    target.fault(Fault::on(Method::POST, Endpoint::Upload), denied);
    assert_snapshot!(copy_fails(source.host(), target.host(), as_it_comes).await, @"error: TARGET/app:v1: opening an upload of blob sha256:44136fa355b3… (2 B) to TARGET/app: 403 DENIED: requested access to the resource is denied; these credentials lack the right: pull at the source, pull and push at the target");

    source.fault(Fault::any(), Effect::status(403));
    assert_snapshot!(copy_fails(source.host(), target.host(), as_it_comes).await, @"error: looking up manifest v1 of SOURCE/app: 403 Forbidden; these credentials lack the right: pull at the source, pull and push at the target");
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let source = with_app().await;
    let host = source.host();
    let fails = async |arguments: &[&str]| Ferry::new(arguments).run().await.failure(1).replace(host, "SOURCE");
    let (tag, repository) = (format!("{host}/app:v2"), format!("{host}/apps:v1"));
    let target = format!("{host}/copy:v1");

    assert_snapshot!(fails(&["copy", &tag, &target]).await, @"error: looking up manifest v2 of SOURCE/app: not found; check the name, and that these credentials may see it");
    assert_snapshot!(fails(&["copy", &repository, &target]).await, @"error: looking up manifest v1 of SOURCE/apps: not found; check the name, and that these credentials may see it");
    assert_snapshot!(fails(&["inspect", &tag]).await, @"error: fetching manifest v2 of SOURCE/app: not found; check the name, and that these credentials may see it");
    assert_snapshot!(fails(&["tags", &format!("{host}/apps")]).await, @"error: listing the tags of SOURCE/apps: not found; check the name, and that these credentials may see it");
    assert_snapshot!(fails(&["-q", "tags", &format!("{host}/app"), "--include", "v2"]).await, @"error: SOURCE/app has no tag v2; list them with `regferry tags SOURCE/app`");
}

#[tokio::test]
async fn a_registry_that_speaks_no_tls_is_told() {
    let (source, target) = (with_app().await, FakeRegistry::start().await);
    let https = format!("--tls={}=https", source.host());
    let image = format!("{}/app:v1", source.host());

    let copied = Ferry::new(&["copy", &image, &format!("{}/app", target.host()), &https]).run().await;
    assert_snapshot!(copied.failure(1).replace(source.host(), "SOURCE"), @r#"error: looking up manifest v1 of SOURCE/app: the other side does not speak TLS; for a registry without TLS use --tls SOURCE=http, or tls = "http" in [registries."SOURCE"]"#);
}

#[tokio::test]
async fn a_web_page_is_no_manifest() {
    let (source, target) = (with_app().await, FakeRegistry::start().await);
    source.fault(Fault::any(), Effect::html());

    assert_snapshot!(copy_fails(source.host(), target.host(), as_it_comes).await, @r#"error: fetching manifest v1 of SOURCE/app: it is no image manifest or index but a document of type "text/html"; check that the host is a registry and not a web page or a proxy's login"#);
    let inspected = Ferry::new(&["inspect", &format!("{}/app:v1", source.host())]).run().await;
    assert_snapshot!(inspected.failure(1).replace(source.host(), "SOURCE"), @r#"error: fetching manifest v1 of SOURCE/app: it is no image manifest or index but a document of type "text/html"; check that the host is a registry and not a web page or a proxy's login"#);
}

#[tokio::test]
async fn a_rule_that_fails_leaves_the_others_alone() {
    let (source, target) = (with_app().await, FakeRegistry::start().await);
    let (from, to) = (source.host(), target.host());
    let config = format!(
        r#"
        [[rules]]
        name = "missing"
        source = "{from}/app:v2"
        target = "{to}/missing"

        [[rules]]
        name = "there"
        source = "{from}/app:v1"
        target = "{to}/there"
        "#
    );

    let finished = Ferry::new(&["sync", "--output", "json"]).config(&config).run().await;

    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    let report = finished.json();
    let [missing, there] = [&report["rules"][0], &report["rules"][1]];
    assert_eq!((&missing["outcome"], &there["outcome"]), (&"failure".into(), &"success".into()), "{report:#}");
    let error = missing["images"][0]["error"].as_str().expect("it says why");
    assert_snapshot!(error.replace(from, "SOURCE"), @"looking up manifest v2 of SOURCE/app: not found; check the name, and that these credentials may see it");
    assert_eq!(target.check_whole("there", "v1"), Ok(()));
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let registry = FakeRegistry::start().await;
    let config = format!("[[rules]]\nname = 'a'\nsource = '{0}/a'\ntarget = '{0}/b'", registry.host());

    let finished = Ferry::new(&["serve", "--listen", registry.host()]).config(&config).run().await;

    assert_snapshot!(finished.failure(1).replace(registry.host(), "ADDRESS"), @"error: listening on ADDRESS: Address already in use (os error 98); choose another address with --listen or [service] listen");
}
