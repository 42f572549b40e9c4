//! `check --online`: all that rules need, looked at before anything is written.

use http::Method;
use insta::assert_snapshot;
use serde_json::json;
use testkit::content::hello_world;
use testkit::registry::Endpoint;
use testkit::{DistributionServer, FakeRegistry};

use crate::htpasswd::LINE;
use crate::login::{self, RIGHT, WRONG};
use crate::support::{Ferry, Finished};

/// A rule of this name between repositories.
fn rule(name: &str, source: &str, target: &str) -> String {
    format!("[[rules]]\nname = '{name}'\nsource = '{source}'\ntarget = '{target}'\n")
}

async fn check(config: &str, logins: &[(&str, &str)]) -> Finished {
    let check = Ferry::new(&["check", "--online"]).config(config);
    check.file(login::FILE, &login::docker_config(logins)).run().await
}

/// What was told, with names for hosts; the columns are as wide as the longest host, which is not always the same.
fn told(finished: &Finished, names: &[(&str, &str)]) -> String {
    let mut text = finished.text();
    for (host, name) in names {
        text = text.replace(host, name);
    }
    let columns =
        |line: &str| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join(" | ");
    text.lines().map(columns).collect::<Vec<_>>().join("\n")
}

fn assert_nothing_was_written(registry: &FakeRegistry) {
    for request in registry.requests() {
        assert!(request.method == Method::GET || request.method == Method::HEAD, "{}", registry.summary());
    }
    assert!(registry.count(&Method::GET, Endpoint::Manifest) == 0, "{}", registry.summary());
}

#[tokio::test]
async fn each_registry_is_logged_in_to_and_each_sides_tags_are_listed_without_a_write() {
    let source = FakeRegistry::builder().basic_auth("reader", "s3cret").start().await;
    let target = FakeRegistry::builder().token_auth("reader", "s3cret").start().await;
    let public = FakeRegistry::builder().token_auth("somebody", "else").anonymous_tokens().start().await;
    let open = FakeRegistry::start().await;
    for tag in ["1", "2"] {
        source.seed("app", tag, &hello_world());
        public.seed("tool", tag, &hello_world());
    }
    target.seed("mirror/app", "1", &hello_world());
    let config = [
        rule("app", &format!("{}/app", source.host()), &format!("{}/mirror/app", target.host())),
        rule("tool", &format!("{}/tool:2", public.host()), &format!("{}/mirror/tool", target.host())),
        format!("[registries.'{}']\n", open.host()),
    ];

    let checked = check(&config.concat(), &[(source.host(), RIGHT), (target.host(), RIGHT)]).await;

    let names = [(source.host(), "A"), (target.host(), "B"), (public.host(), "C"), (open.host(), "D")];
    let mut lines: Vec<String> = told(&checked, &names).lines().map(str::to_owned).collect();
    // Registries stand in the order of their hosts, whose ports are nobody's choice.
    lines[..4].sort();
    assert_snapshot!(lines.join("\n"), @r#"
    registry | A | ok | logged in as reader
    registry | B | ok | logged in as reader
    registry | C | ok | no login used
    registry | D | ok | no login used
    source of app | A/app | ok | 2 tags
    target of app | B/mirror/app | ok | 1 tag
    source of tool | C/tool | ok | 2 tags
    target of tool | B/mirror/tool | ok | not there yet
    2 rules, 1 registry configured; 8 ok, 0 failed
    "#);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    for registry in [&source, &target, &public, &open] {
        assert_nothing_was_written(registry);
    }
    assert_eq!(open.requests().len(), 1, "{}", open.summary());
}

#[tokio::test]
async fn a_login_that_is_refused_is_told_once_and_not_tried_for_every_repository() {
    let guarded = FakeRegistry::builder().basic_auth("reader", "s3cret").start().await;
    let open = FakeRegistry::start().await;
    open.seed("app", "v1", &hello_world());
    let config = [
        rule("one", &format!("{}/app", open.host()), &format!("{}/one", guarded.host())),
        rule("two", &format!("{}/app", open.host()), &format!("{}/two", guarded.host())),
    ];

    let checked = check(&config.concat(), &[(guarded.host(), WRONG)]).await;

    let names = [(guarded.host(), "GUARDED"), (open.host(), "OPEN")];
    let mut lines: Vec<String> = told(&checked, &names).lines().map(str::to_owned).collect();
    lines[..2].sort();
    assert_snapshot!(lines.join("\n"), @r#"
    registry | GUARDED | failed | reaching GUARDED: 401 UNAUTHORIZED: authentication required; the login for GUARDED was refused: check its user name, and that its password still holds
    registry | OPEN | ok | no login used
    source of one | OPEN/app | ok | 1 tag
    target of one | GUARDED/one | skipped | not asked: its registry failed
    source of two | OPEN/app | ok | 1 tag
    target of two | GUARDED/two | skipped | not asked: its registry failed
    2 rules, 0 registries configured; 3 ok, 1 failed, 2 skipped
    "#);
    assert_eq!(checked.code, Some(1));
    assert_eq!(guarded.requests().len(), 2, "asked, and answered once: {}", guarded.summary());
}

#[tokio::test]
async fn a_real_registry_takes_the_right_login_and_refuses_others() {
    let guarded = DistributionServer::builder().with_htpasswd(LINE).start();
    let open = FakeRegistry::start().await;
    open.seed("app", "v1", &hello_world());
    let (from, to) = (format!("{}/app:v1", open.host()), format!("{}/app:v1", guarded.host()));
    let login = login::docker_config(&[(guarded.host(), RIGHT)]);
    Ferry::new(&["copy", &from, &to]).file(login::FILE, &login).run().await.success();
    let config = rule("app", &format!("{}/app", guarded.host()), &format!("{}/mirror", guarded.host()));
    let name = [(guarded.host(), "GUARDED")];

    let right = check(&config, &[(guarded.host(), RIGHT)]).await;
    assert_snapshot!(told(&right, &name), @r#"
    registry | GUARDED | ok | logged in as reader
    source of app | GUARDED/app | ok | 1 tag
    target of app | GUARDED/mirror | ok | not there yet
    1 rule, 0 registries configured; 3 ok, 0 failed
    "#);
    let wrong = check(&config, &[(guarded.host(), WRONG)]).await;
    assert_snapshot!(told(&wrong, &name), @r#"
    registry | GUARDED | failed | reaching GUARDED: 401 UNAUTHORIZED: authentication required; the login for GUARDED was refused: check its user name, and that its password still holds
    source of app | GUARDED/app | skipped | not asked: its registry failed
    target of app | GUARDED/mirror | skipped | not asked: its registry failed
    1 rule, 0 registries configured; 0 ok, 1 failed, 2 skipped
    "#);
    let nobody = check(&config, &[]).await;
    assert_snapshot!(told(&nobody, &name), @r#"
    registry | GUARDED | ok | no login used
    source of app | GUARDED/app | failed | listing the tags of GUARDED/app: 401 UNAUTHORIZED: authentication required; log in with `docker login GUARDED`, or set username and password_file in [registries."GUARDED"]
    target of app | GUARDED/mirror | failed | listing the tags of GUARDED/mirror: 401 UNAUTHORIZED: authentication required; log in with `docker login GUARDED`, or set username and password_file in [registries."GUARDED"]
    1 rule, 0 registries configured; 1 ok, 2 failed
    "#);

    assert_eq!([right.code, wrong.code, nobody.code], [Some(0), Some(1), Some(1)]);
}

#[tokio::test]
async fn registries_that_cannot_be_reached_are_all_told_at_once() {
    let down = FakeRegistry::start().await.host().to_owned();
    let open = FakeRegistry::start().await;
    open.seed("app", "v1", &hello_world());
    let config = [
        rule("down", &format!("{}/app", open.host()), &format!("{down}/app")),
        rule("unknown", &format!("{}/app", open.host()), "nowhere.invalid/app"),
        format!("[registries.'{down}']\nretry.max_attempts = 1\n"),
        "[registries.'nowhere.invalid']\nretry.max_attempts = 1\n".to_owned(),
    ];

    let checked = check(&config.concat(), &[]).await;

    let names = [(open.host(), "OPEN"), (&down, "DOWN")];
    let mut lines: Vec<String> = told(&checked, &names).lines().map(str::to_owned).collect();
    lines[..3].sort();
    assert_snapshot!(lines.join("\n"), @r#"
    registry | DOWN | failed | reaching DOWN: connection refused; check that the registry is up, and the port
    registry | OPEN | ok | no login used
    registry | nowhere.invalid | failed | reaching nowhere.invalid: no such host; check the host's spelling and the DNS of this machine
    source of down | OPEN/app | ok | 1 tag
    target of down | DOWN/app | skipped | not asked: its registry failed
    source of unknown | OPEN/app | ok | 1 tag
    target of unknown | nowhere.invalid/app | skipped | not asked: its registry failed
    2 rules, 2 registries configured; 3 ok, 2 failed, 2 skipped
    "#);
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(1), ""));
    assert_nothing_was_written(&open);
}

#[tokio::test]
async fn what_was_found_can_be_had_as_json() {
    let registry = FakeRegistry::builder().basic_auth("reader", "s3cret").start().await;
    registry.seed("app", "v1", &hello_world());
    let host = registry.host();
    let config = [
        rule("app", &format!("{host}/app"), &format!("{host}/mirror")),
        rule("gone", &format!("{host}/gone"), &format!("{host}/mirror/gone")),
    ];
    let check = |arguments: &[&str]| {
        let check = Ferry::new(&[&["check", "--output", "json"], arguments].concat()).config(&config.concat());
        check.file(login::FILE, &login::docker_config(&[(host, RIGHT)]))
    };

    let online = check(&["--online"]).run().await;
    let offline = check(&[]).run().await;

    let repository = |rule: &str, side: &str, name: &str, tags: Option<usize>| json!({"rule": rule, "side": side, "repository": format!("{host}/{name}"), "outcome": "ok", "error": null, "tags": tags});
    let gone =
        format!("listing the tags of {host}/gone: not found; check the name, and that these credentials may see it");
    let expected = json!({
        "rules": 2,
        "registries": 0,
        "online": {
            "registries": [{"host": host, "outcome": "ok", "error": null, "user": "reader"}],
            "catalogs": [],
            "repositories": [
                repository("app", "source", "app", Some(1)),
                repository("app", "target", "mirror", None),
                json!({"rule": "gone", "side": "source", "repository": format!("{host}/gone"), "outcome": "failed", "error": gone, "tags": null}),
                repository("gone", "target", "mirror/gone", None),
            ],
        },
    });
    assert_eq!((online.code, online.json()), (Some(1), expected));
    assert_eq!((offline.code, offline.json()), (Some(0), json!({"rules": 2, "registries": 0})));
}
