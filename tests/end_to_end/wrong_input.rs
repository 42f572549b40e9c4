//! What people write wrong: one line says what, where, and what to write instead. Nothing is attempted.

use insta::assert_snapshot;

use crate::support::Ferry;

/// Two registries that nobody has to reach.
const RULE: &str = "
[[rules]]
name = 'app'
source = 'source.example/app'
target = 'target.example/app'
";

async fn fails(arguments: &[&str]) -> String {
    Ferry::new(arguments).run().await.failure(2)
}

async fn fails_with(arguments: &[&str], config: &str) -> String {
    Ferry::new(arguments).config(config).run().await.failure(2)
}

#[tokio::test]
async fn references_are_checked_before_anything_is_asked() {
    assert_snapshot!(fails(&["copy", "source.example/Team/App:v1", "target.example/app"]).await, @r#"error: invalid reference "source.example/Team/App:v1": repository names are lower case: did you mean "team/app"?"#);
    assert_snapshot!(fails(&["copy", "source.example/app:v1", "target.example/App"]).await, @r#"error: invalid reference "target.example/App": repository names are lower case: did you mean "app"?"#);
    assert_snapshot!(fails(&["inspect", "https://source.example/app"]).await, @r#"error: invalid reference "https://source.example/app": it is a URL: write HOST/REPO:TAG without a scheme"#);
    assert_snapshot!(fails(&["inspect", "source.example/app@sha256:abc"]).await, @r#"error: invalid reference "source.example/app@sha256:abc": invalid digest "sha256:abc": sha256 takes 64 lower-case hex digits"#);
    assert_snapshot!(fails(&["inspect", "source.example/app:-v1"]).await, @r#"error: invalid reference "source.example/app:-v1": "-v1" is no tag: up to 128 letters, digits, '_', '.' and '-', not starting with '.' or '-'"#);
    assert_snapshot!(fails(&["tags", "source.example/app:v1"]).await, @"error: source.example/app:v1: name a repository, without tag or digest");
    assert_snapshot!(fails(&["copy", "localhost:5000/app:v1", "localhost:5000/app"]).await, @"error: localhost:5000/app:v1: source and target are the same");
}

#[tokio::test]
async fn an_import_needs_a_host_for_each_target_and_no_more_than_one() {
    assert_snapshot!(fails(&["import", "--source", "source.example/app"]).await, @"error: no target: name its host with --registry, or a full reference with --image");
    assert_snapshot!(fails(&["import", "--source", "source.example/app", "--image", "app:v1"]).await, @"error: --image app:v1: it names no host: add one, or give --registry HOST");
    let twice = ["import", "--source", "source.example/app", "--registry", "a.example", "--image", "b.example/app:v1"];
    assert_snapshot!(fails(&twice).await, @"error: --image b.example/app:v1: the host is named twice, here and by --registry");
    let tagged = ["import", "--source", "source.example/app", "--registry", "a.example", "--repository", "app:v1"];
    assert_snapshot!(fails(&tagged).await, @"error: --repository app:v1: it takes no tag or digest: use --image for a tag");
    let upper = ["import", "--source", "source.example/app", "--registry", "a.example", "--image", "App:v1"];
    assert_snapshot!(fails(&upper).await, @r#"error: --image App:v1: repository names are lower case: did you mean "app"?"#);
}

#[tokio::test]
async fn options_are_checked() {
    assert_snapshot!(fails(&["tags", "source.example/app", "--tls", "source.example"]).await, @"error: --tls source.example: write HOST=MODE, as localhost:5000=https");
    assert_snapshot!(fails(&["tags", "source.example/app", "--tls", "source.example=tls"]).await, @r#"error: --tls source.example=tls: "tls" is no mode: https, insecure or http"#);
    assert_snapshot!(fails(&["tags", "source.example/app", "--tls", "a b=http"]).await, @r#"error: --tls a b=http: "a b" is no host: HOST, HOST:PORT or [IPV6]:PORT"#);
    assert_snapshot!(fails(&["tags", "source.example/app", "--include", "/(/"]).await, @r#"error: "/(/" is no pattern: unclosed group"#);
    assert_snapshot!(fails(&["tags", "source.example/app", "--semver", "3 - 4"]).await, @r#"error: "3 - 4" is no range of versions: expected comma after major version number, found '-'; write comparisons as in ">=3.18, <4", and || between alternatives"#);
    assert_snapshot!(fails(&["tags", "source.example/app", "--latest", "0"]).await, @"error: --latest 0: write how many tags, 1 or more");
    assert_snapshot!(fails_with(&["serve", "--listen", "9464"], RULE).await, @r#"error: --listen 9464: "9464" is no address: write IP:PORT, as 127.0.0.1:9464, or 0.0.0.0:9464 for all interfaces"#);
    assert_snapshot!(fails_with(&["sync", "--rule", "nope"], RULE).await, @"error: --rule nope: there is no such rule; there are: app");
}

#[tokio::test]
async fn a_flag_that_nobody_knows_is_named_beside_the_usage() {
    let finished = Ferry::new(&["copy", "--forse", "a.example/app", "b.example/app"]).run().await;
    assert_eq!(finished.code, Some(2));
    assert_snapshot!(finished.told().join("\n"), @r#"
    error: unexpected argument '--forse' found

      tip: to pass '--forse' as a value, use '-- --forse'

    Usage: regferry copy [OPTIONS] <SOURCE> <TARGET>

    For more information, try '--help'.
    "#);
}

#[tokio::test]
async fn a_configuration_is_asked_for_where_one_is_needed() {
    let asked = fails(&["sync"]).await;
    assert_snapshot!(asked, @"error: no configuration: name a file with --config or REGFERRY_CONFIG (see config.example.toml)");
    assert_eq!([fails(&["serve"]).await, fails(&["check"]).await], [asked.as_str(); 2]);
    assert_snapshot!(fails(&["sync", "--config", "missing.toml"]).await, @"error: missing.toml: cannot be read: No such file or directory (os error 2)");
    assert_snapshot!(fails_with(&["sync"], "").await, @"error: regferry.toml: it has no [[rules]]: nothing to mirror");
}

#[tokio::test]
async fn a_typo_is_shown_with_its_line_and_the_nearest_key() {
    assert_snapshot!(fails_with(&["check"], &format!("{RULE}shedule = '1h'\n")).await, @r#"error: regferry.toml:6: rules."app".shedule: unknown key; did you mean `schedule`?"#);
    assert_snapshot!(fails_with(&["sync"], "[[rules]\n").await, @"error: regferry.toml:1:9: no valid TOML: unclosed array table, expected `]`");
}

#[tokio::test]
async fn every_mistake_of_a_configuration_is_told_at_once() {
    let config = format!(
        "service.listn = '127.0.0.1:0'
service.shutdown_grace = 'soon'
{RULE}
{RULE}
tags = {{ includ = ['v1'] }}
[registries.'Target.example']
password_file = 'x'
"
    );
    let told = async |command: &str| {
        let finished = Ferry::new(&[command]).config(&config).run().await;
        assert_eq!(finished.code, Some(2));
        finished.told().join("\n")
    };

    let checked = told("check").await;
    assert_snapshot!(checked, @r#"
    error: regferry.toml:1: service.listn: unknown key; did you mean `listen`?
    error: regferry.toml:2: service.shutdown_grace: "soon" is no duration: write a number with a unit, as 90s, 15m or 6h
    error: regferry.toml:11: rules."app".name: is also the name of the rule at line 5: each needs its own
    error: regferry.toml:13: rules."app".target: mirrors all tags of a repository into target.example/app, and so does rules."app".target (line 7)
    error: regferry.toml:15: rules."app".tags.includ: unknown key; did you mean `include`?
    error: regferry.toml:17: registries."Target.example".password_file: needs a `username` beside it
    "#);
    assert_eq!([told("sync").await, told("serve").await], [checked.as_str(); 2]);
}

#[tokio::test]
async fn platforms_and_tags_of_an_import_are_checked() {
    let import = ["import", "--source", "source.example/app", "--registry", "a.example"];
    let more = async |more: &[&str]| fails(&[&import, more].concat()).await;
    assert_snapshot!(more(&["--platform", "linux"]).await, @r#"error: invalid platform "linux": write OS/ARCHITECTURE[/VARIANT], as linux/arm/v7 or windows(10.0.17763.1697)/amd64"#);
    assert_snapshot!(more(&["--platform", "unknown/unknown"]).await, @"error: --platform: unknown/unknown is no platform to choose: attestations follow the image that they attest");
    assert_snapshot!(fails(&["import", "--source", "a.example/app", "--registry", "a.example", "--all-tags-of"]).await, @"error: --all-tags-of: a.example/app is the source's own repository, whose tags they are: name another target");
    assert_snapshot!(fails(&["copy", "a.example/app:v1", "a.example/app:v2", "--all-tags-of"]).await, @"error: --all-tags-of: a.example/app is the source's own repository, whose tags they are: name another target");
}
