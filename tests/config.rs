//! The configuration as operators meet it: the example that they copy, and what they are told when it is wrong.

use std::path::{Path, PathBuf};
use std::time::Duration;

use regferry::config::{ApiRead, Config, ConfigError};
use regferry::oci::{Host, Tag, TagOrDigest};
use regferry::queue::Login;
use regferry::registry::{Password, Tls};
use regferry::schedule::{Cron, Schedule, Timing, Zone};
use regferry::telemetry::notify::Format;
use regferry::transfer::{Kept, PlatformMode, Referrers, Rule, Source, Target};

fn env(name: &str) -> Option<String> {
    match name {
        "REGISTRY" => Some("registry.example".to_owned()),
        "REGISTRY_PASSWORD" | "SECRET" => Some("hunter2".to_owned()),
        "TRICKY" => Some("x\"\n[[rules]]".to_owned()),
        _ => None,
    }
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("regferry.toml"), &env)
}

/// The lines of an error, for texts that have mistakes.
fn mistakes(text: &str) -> Vec<String> {
    let error = parse(text).expect_err("this has a mistake");
    let lines: Vec<String> = error.to_string().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), error.problems().len(), "a problem is a line: {error}");
    lines
}

/// The one thing that is wrong with a text.
fn mistake(text: &str) -> String {
    let mut lines = mistakes(text);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    lines.remove(0)
}

/// A rule from a source to a target, with more lines after it.
fn one_rule(source: &str, target: &str, more: &str) -> String {
    format!("[[rules]]\nname = 'r'\nsource = '{source}'\ntarget = '{target}'\n{more}\n")
}

fn rule(config: &Config, index: usize) -> &Rule {
    &config.rules[index].rule
}

fn every(hours: u64) -> Schedule {
    Schedule::Every(Duration::from_secs(hours * 3600))
}

fn cron(text: &str, zone: &str) -> Schedule {
    Schedule::Cron(Cron::parse(text).expect("it is cron").in_zone(Zone::named(zone).expect("it is a zone")))
}

fn example() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.toml");
    std::fs::read_to_string(path).expect("the example is there")
}

#[test]
fn the_example_is_a_configuration() {
    let config = Config::parse(&example(), Path::new("config.example.toml"), &|_| None).unwrap();
    let names: Vec<&str> = config.rules.iter().map(|rule| &*rule.rule.name).collect();
    let expected =
        ["alpine", "team-images", "debian-base", "tool-pinned", "platform-team", "hub-favourites", "myimage"];
    assert_eq!(names, expected);
    assert_eq!(rule(&config, 6).kept, Some(Kept { same_revision: false }));
    assert_eq!(config.service, Config::default().service);
    assert_eq!(config.rules[0].timing, Timing::default());
    assert_eq!(config.rules[2].timing.schedule, every(6));
}

#[test]
fn every_key_that_the_example_shows_works_once_its_mark_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    for ca in ["registry-ca.pem", "nats-ca.pem"] {
        std::fs::write(folder.path().join(ca), testkit::server::unknown_authority()).unwrap();
    }
    testkit::server::ClientCertificate::write(folder.path());
    let mut uncommented = 0;
    let mut uncomment = |line: &str| match line.strip_prefix('#') {
        Some(code) if code.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => {
            uncommented += 1;
            code.to_owned()
        }
        _ => line.to_owned(),
    };
    let text: Vec<String> = example().lines().map(&mut uncomment).collect();
    assert!(uncommented > 15, "{uncommented} keys are shown");

    let config = Config::parse(&text.join("\n"), &folder.path().join("config.toml"), &env).unwrap();
    let registry = &config.registries[&"registry.example".parse::<Host>().unwrap()];
    assert_eq!(registry.ca_files, [folder.path().join("registry-ca.pem")]);
    let cluster = config.cluster.as_ref().unwrap();
    assert_eq!((cluster.servers.len(), &*cluster.name, cluster.stream_replicas), (3, "prod", Some(3)));
    assert_eq!(config.webhooks.len(), 6, "{:?}", config.webhooks);
    assert_eq!(config.notifications.len(), 1, "{:?}", config.notifications);
    let schedule = cron("30 2,14 * * MON-FRI", "Europe/Berlin");
    let (jitter, recheck) = (Duration::from_secs(600), Some(Duration::from_secs(12 * 3600)));
    assert_eq!(config.rules[0].timing, Timing { schedule, jitter, recheck });
    assert_eq!(rule(&config, 1).timeout, Some(Duration::from_secs(7200)));
    let myimage = rule(&config, 6);
    assert_eq!(myimage.kept, Some(Kept { same_revision: true }));
    assert_eq!(
        (myimage.timeout, config.rules[6].timing.jitter),
        (Some(Duration::from_secs(600)), Duration::from_secs(60))
    );
}

/// A list of two images, with more lines after it.
fn one_list(name: &str, target: &str, more: &str) -> String {
    format!(
        "[[compose]]\nname = '{name}'\nsources = ['r.example/a:1-amd64', 'r.example/a:1-arm64']\ntarget = '{target}'\n{more}\n"
    )
}

#[test]
fn a_composed_list_is_a_rule_whose_images_are_written_together() {
    let defaults = "[defaults]\nschedule = '2h'\noverwrite = false\nplatforms = ['linux/amd64']\nplatform_mode = 'rewrite'\nreferrers = true\nprune = {}\n";
    let text =
        [defaults, &one_rule("ghcr.io/a/b", "r.example/b", "prune = false"), &one_list("l", "r.example/a:1", "")]
            .concat();
    let config = parse(&text).unwrap();

    let list = rule(&config, 1);
    let sources: Vec<String> = list
        .scope
        .sources
        .iter()
        .map(|source| if let Source::Image(image) = source { image.to_string() } else { panic!() })
        .collect();
    assert_eq!(sources, ["r.example/a:1-amd64", "r.example/a:1-arm64"]);
    assert!(matches!(&list.scope.targets[..], [Target::Repository { tag: Some(tag), .. }] if tag.as_str() == "1"));
    assert_eq!((list.kept, list.overwrite), (Some(Kept { same_revision: false }), false));
    assert_eq!(config.rules[1].timing.schedule, every(2));
    assert!(
        list.prune.is_none() && list.platforms.is_none() && list.referrers == Referrers::None,
        "they are not its own"
    );
}

#[test]
fn what_is_wrong_with_a_composed_list_is_told() {
    let text = r#"
[[rules]]
name = "taken"
source = "ghcr.io/a/b:1"
target = "r.example/a:latest"

[[compose]]
name = "taken"
sources = ["r.example/a:1-amd64", "r.example/a:1-amd64", "r.example/a:1-arm64"]
target = "r.example/a:2"

[[compose]]
name = "b"
source = ["r.example/a", "r.example/a:*", "r.example/a:latest"]
sources = ["r.example/a", "r.example/a:*", "r.example/a:1"]
target = "r.example/a"
same_revison = true
platforms = ["linux/amd64"]

[[compose]]
name = "c"
sources = ["r.example/a:1", "r.example/a:latest"]
target = "r.example/a:latest"

[[compose]]
name = "d"
sources = "r.example/a:1"
target = "r.example/a:latest"
schedule = "now"

[[compose]]
sources = []
same_revision = "yes"
"#;
    insta::assert_snapshot!(mistakes(text).join("\n"), @r#"
        regferry.toml:8: compose."taken".name: is also the name of the rule at line 3: each needs its own
        regferry.toml:9: compose."taken".sources: is named twice
        regferry.toml:14: compose."b".source: unknown key; did you mean `sources`?
        regferry.toml:15: compose."b".sources: "r.example/a" names a repository: name one image of it, as r.example/a:1.4-amd64
        regferry.toml:15: compose."b".sources: "r.example/a:*" has a glob: a list is composed of images that are named one by one
        regferry.toml:16: compose."b".target: "r.example/a" names a repository: name the tag of the list, as r.example/a:latest
        regferry.toml:17: compose."b".same_revison: unknown key; did you mean `same_revision`?
        regferry.toml:18: compose."b".platforms: unknown key
        regferry.toml:22: compose."c".sources: is the target: a list is not composed of itself
        regferry.toml:28: compose."d".target: writes r.example/a:latest, and so does rules."taken".target (line 5)
        regferry.toml:29: compose."d".schedule: "now" is no schedule: write an interval with its unit, as 15m or 6h, or cron's five fields, as 0 */6 * * *
        regferry.toml:31: [[compose]] #5: has no `name`
        regferry.toml:31: [[compose]] #5: has no `target`
        regferry.toml:32: [[compose]] #5.sources: is an empty list: name one at least
        regferry.toml:33: [[compose]] #5.same_revision: must be true or false
        "#);
}

#[test]
fn a_rule_that_prunes_knows_the_composed_lists_of_its_repository() {
    let text =
        [one_rule("ghcr.io/a/b", "r.example/a", "prune = {}"), one_list("list", "r.example/a:latest", "")].concat();
    let config = parse(&text).unwrap();
    let others: Vec<&str> = rule(&config, 0).prune.as_ref().unwrap().others.iter().map(|other| &*other.rule).collect();
    assert_eq!(others, ["list"]);
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_lines() {
    let text = r#"
[service]
listen = ":9464"
shutdown_grace = 30
colour = true

[defualts]
schedule = "1h"

[transfer]
max_images = 0
max_blobs = "many"

[registries."docker.io"]
user = "bot"
password = 12345
tls = "htps"
connect_timeout = "0s"

[registries."index.docker.io"]
username = "bot"

[registries."https://ghcr.io"]
ca_file = "no/such/ca.pem"
idle_timeout = "${UNSET}"

[[rules]]
name = "hello"
source = "mcr.microsoft.com/mcr/Hello-World"
target = "registry.example/hello"
schedule = "15"
tags.inclde = ["latest"]

[[rules]]
source = "docker.io/team/*"
target = ["a/b", "c/*/d", 5]
timeout = "forever"
tags = { include = ["3.*", "/(/", 3], exclude = "rc" }

[[rules]]
name = "hello"
source = "docker.io/alpine:3.18"
target = "${REGISTRY}/alpine@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
tags.include = ["3.18"]
platforms = ["linux/amd64", "linux"]
platform_mode = "thin"
referrers = { includes = ["["] }
overwrite = "no"
"#;
    let expected = r#"
regferry.toml:3: service.listen: ":9464" is no address: write IP:PORT, as 127.0.0.1:9464, or 0.0.0.0:9464 for all interfaces
regferry.toml:4: service.shutdown_grace: must be a number with a unit in quotes, as "90s", "15m" or "6h"
regferry.toml:5: service.colour: unknown key
regferry.toml:7: defualts: unknown key; did you mean `defaults`?
regferry.toml:11: transfer.max_images: must be from 1 to 10000
regferry.toml:12: transfer.max_blobs: must be a whole number, as 32
regferry.toml:15: registries."docker.io".user: unknown key; did you mean `username`?
regferry.toml:16: registries."docker.io".password: needs a `username` beside it
regferry.toml:16: registries."docker.io".password: must be text in quotes
regferry.toml:17: registries."docker.io".tls: "htps" is none of "https", "insecure" (no certificate is checked) and "http"
regferry.toml:18: registries."docker.io".connect_timeout: "0s" is no time at all: it must be more than zero
regferry.toml:20: registries."index.docker.io": is the same registry as registries."docker.io" (line 14): write its settings in one place
regferry.toml:21: registries."index.docker.io".username: needs one of `password_file`, `password_env` and `password` beside it
regferry.toml:23: registries."https://ghcr.io": "https://ghcr.io" is a URL: a host is written without its scheme
regferry.toml:24: registries."https://ghcr.io".ca_file: ca_file no/such/ca.pem cannot be read: No such file or directory (os error 2)
regferry.toml:25: registries."https://ghcr.io".idle_timeout: the variable UNSET is not set: set it, or write a default as in `${UNSET:-default}`
regferry.toml:29: rules."hello".source: invalid reference "mcr.microsoft.com/mcr/Hello-World": repository names are lower case: did you mean "mcr/hello-world"?
regferry.toml:31: rules."hello".schedule: "15" is no schedule: write an interval with its unit, as 15m or 6h, or cron's five fields, as 0 */6 * * *
regferry.toml:32: rules."hello".tags.inclde: unknown key; did you mean `include`?
regferry.toml:34: [[rules]] #2: has no `name`
regferry.toml:35: [[rules]] #2.source: is a glob over Docker Hub, which has no catalog to look in: name the repositories, as source = ["alpine", "nginx"]
regferry.toml:36: [[rules]] #2.target: "c/*/d" has a glob: a target may only end with /* or /**
regferry.toml:36: [[rules]] #2.target: must be text in quotes
regferry.toml:37: [[rules]] #2.timeout: "forever" is no duration: write a number with a unit, as 90s, 15m or 6h
regferry.toml:38: [[rules]] #2.tags.include: "/(/" is no pattern: unclosed group
regferry.toml:38: [[rules]] #2.tags.include: must be text in quotes
regferry.toml:38: [[rules]] #2.tags.exclude: must be a list of texts in quotes, as ["latest", "3.*"]
regferry.toml:41: rules."hello".name: is also the name of the rule at line 28: each needs its own
regferry.toml:43: rules."hello".target: has a digest, which is the source's to decide: leave out the '@' and what follows
regferry.toml:44: rules."hello".tags: choose among tags, but the source names one image: leave these out, or the source's tag or digest
regferry.toml:45: rules."hello".platforms: invalid platform "linux": write OS/ARCHITECTURE[/VARIANT], as linux/arm/v7 or windows(10.0.17763.1697)/amd64
regferry.toml:46: rules."hello".platform_mode: "thin" is none of "rewrite" (a smaller list, with a digest of its own) and "sparse" (the list as it is)
regferry.toml:47: rules."hello".referrers: has no `include`: name artifact types, or write true for all of them
regferry.toml:47: rules."hello".referrers.includes: unknown key; did you mean `include`?
regferry.toml:48: rules."hello".overwrite: must be true or false
"#;
    assert_eq!(mistakes(text).join("\n"), expected.trim());
}

#[test]
fn what_is_wrong_with_the_limits_of_a_registry_is_told() {
    let text = r#"
[registries."r.example"]
max_connections = 0
requests_per_second = 0
burst = 0
bandwidth = "50MiB"
pull_reserve = -1
chunk_size = "1KiB"
retry = { max_elapsd = "15m", max_attempts = 0, max_pause = 20 }
trusted_realms = ["https://auth.example", 5]
client_cert_file = "client.pem"

[registries."s.example"]
burst = 2
bandwidth = 50
chunk_size = "64"
client_key_file = "client.key"

[registries."t.example"]
client_cert_file = "no/such.pem"
client_key_file = "no/such.key"

[registries."u.example"]
client_cert_file = 1
client_key_file = ""
"#;
    let expected = r#"
regferry.toml:3: registries."r.example".max_connections: must be from 1 to 10000
regferry.toml:4: registries."r.example".requests_per_second: must be from 0.001 to 10000
regferry.toml:5: registries."r.example".burst: must be from 1 to 10000
regferry.toml:6: registries."r.example".bandwidth: "50MiB" is no bandwidth: write bytes a second with their unit, as 50MiB/s
regferry.toml:7: registries."r.example".pull_reserve: must be from 0 to 1000000
regferry.toml:8: registries."r.example".chunk_size: must be 64.0 KiB at least
regferry.toml:9: registries."r.example".retry.max_elapsd: unknown key; did you mean `max_elapsed`?
regferry.toml:9: registries."r.example".retry.max_attempts: must be from 1 to 10000
regferry.toml:9: registries."r.example".retry.max_pause: must be a number with a unit in quotes, as "90s", "15m" or "6h"
regferry.toml:10: registries."r.example".trusted_realms: "https://auth.example" is a URL: a host is written without its scheme
regferry.toml:10: registries."r.example".trusted_realms: must be text in quotes
regferry.toml:11: registries."r.example".client_cert_file: needs a `client_key_file` beside it
regferry.toml:14: registries."s.example".burst: needs `requests_per_second` beside it
regferry.toml:15: registries."s.example".bandwidth: must be bytes a second in quotes, as "50MiB/s"
regferry.toml:16: registries."s.example".chunk_size: "64" is no size: write a number with a unit, as 512KiB, 64MiB or 1GiB
regferry.toml:17: registries."s.example".client_key_file: needs a `client_cert_file` beside it
regferry.toml:20: registries."t.example".client_cert_file: client_cert_file no/such.pem cannot be read: No such file or directory (os error 2); client_key_file no/such.key cannot be read: No such file or directory (os error 2)
regferry.toml:24: registries."u.example".client_cert_file: must be text in quotes
regferry.toml:25: registries."u.example".client_key_file: is empty
"#;
    assert_eq!(mistakes(text).join("\n"), expected.trim());
}

#[test]
fn the_limits_of_a_registry_are_what_the_file_says() {
    let config = parse(
        r#"
[registries."r.example"]
max_connections = 5
requests_per_second = 0.5
burst = 3
bandwidth = "1.5MiB/s"
pull_reserve = 20
chunk_size = "10MB"
retry = { max_elapsed = "15m", max_attempts = 7 }
trusted_realms = ["auth.example:8443"]
"#,
    )
    .unwrap();

    let settings = &config.registries[&"r.example".parse::<Host>().unwrap()];
    let rate = settings.limits.rate.unwrap();
    assert_eq!((settings.limits.max_connections, rate.per_second, rate.burst.get()), (Some(5), 0.5, 3));
    assert_eq!((settings.limits.bandwidth, settings.limits.pull_reserve), (Some(3 << 19), 20));
    assert_eq!(settings.chunk_size, Some(10_000_000));
    assert_eq!((settings.retry.max_elapsed, settings.retry.max_attempts), (Duration::from_secs(900), 7));
    assert_eq!(settings.retry.initial, Duration::from_millis(500), "what is not said is as ever");
    assert_eq!(settings.trusted_realms, ["auth.example:8443".parse::<Host>().unwrap()]);
}

#[test]
fn what_is_no_toml_gives_line_and_column_and_not_the_line_itself() {
    let told = mistake("[registries.'docker.io']\npassword = \"hunter2\\q\"\n");
    assert!(told.starts_with("regferry.toml:2:21: no valid TOML: "), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
    assert_eq!(mistake("[service]\n[service]\n"), "regferry.toml:2:2: no valid TOML: duplicate key");
}

#[test]
fn a_section_of_the_wrong_kind_is_told_and_what_is_beside_it_looked_into() {
    let told = mistakes(
        "service = 3\nregistries = 'x'\n[rules]\nname = 'a'\n[transfer]\nmax_blob = 1\n[defaults]\ntags = ['latest']\n",
    );
    assert_eq!(
        told,
        [
            "regferry.toml:1: service: must be a table",
            "regferry.toml:2: registries: must be a table of tables, as [registries.\"docker.io\"]",
            "regferry.toml:3: rules: must be a list of tables: write [[rules]] above each rule",
            "regferry.toml:6: transfer.max_blob: unknown key; did you mean `max_blobs`?",
            "regferry.toml:8: defaults.tags: must be a table, as { include = [\"latest\", \"3.*\"], exclude = [\"*-rc*\"] }",
        ]
    );
}

#[test]
fn values_too_large_for_any_number_are_a_mistake_of_their_own() {
    let huge = "9".repeat(60);
    assert_eq!(mistake(&format!("[service]\nx = {huge}\n")), "regferry.toml:2: service.x: unknown key");
    assert!(mistake(&format!("[transfer]\nmax_blobs = {huge}\n")).contains("must be a whole number"));
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_reason() {
    let error = Config::load(Path::new("no/such/regferry.toml")).unwrap_err();
    assert_eq!(error.to_string(), "no/such/regferry.toml: cannot be read: No such file or directory (os error 2)");
}

#[test]
fn an_empty_file_is_the_default() {
    for text in ["", "\u{feff}# nothing\n", "rules = []\n"] {
        let config = parse(text).unwrap();
        assert_eq!(config.service.listen, Some("127.0.0.1:9464".parse().unwrap()));
        assert_eq!(config.service.shutdown_grace, Duration::from_secs(30));
        assert_eq!((config.limits.max_images, config.limits.max_blobs), (32, 32));
        assert!(config.rules.is_empty() && config.registries.is_empty() && config.cluster.is_none());
    }
    assert_eq!(parse("[service]\nlisten = ''\nshutdown_grace = '0s'\n").unwrap().service.listen, None);
}

#[test]
fn a_rule_takes_what_it_does_not_say_from_the_defaults() {
    let defaults = "[defaults]\nschedule = '6h'\ntimeout = '1h'\ntags = { include = ['a', 'b'], exclude = ['b'] }\n";
    let own = "schedule = '2h'\ntimeout = '5m'\n[rules.tags]\ninclude = ['c']";
    let texts = [
        one_rule("ghcr.io/a/b", "registry.example/1", ""),
        one_rule("ghcr.io/a/b", "registry.example/2", own).replace("'r'", "'s'"),
    ];
    let config = parse(&format!("{defaults}{}", texts.concat())).unwrap();

    let tags = |index: usize| -> Vec<String> {
        rule(&config, index).scope.tags.exact_tags().unwrap_or_default().iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        (&config.rules[0].timing.schedule, rule(&config, 0).timeout),
        (&every(6), Some(Duration::from_secs(3_600)))
    );
    assert_eq!(
        (&config.rules[1].timing.schedule, rule(&config, 1).timeout),
        (&every(2), Some(Duration::from_secs(300)))
    );
    assert_eq!((tags(0), tags(1)), (vec!["a".to_owned()], vec!["c".to_owned()]), "the default's exclude is gone too");
}

#[test]
fn schedule_and_time_zone_come_from_the_rule_and_its_defaults_each_by_itself() {
    for (defaults, own, schedule) in [
        ("", "schedule = '0 */6 * * *'", cron("0 */6 * * *", "UTC")),
        ("", "schedule = '30 2 * * *'\ntimezone = 'Europe/Berlin'", cron("30 2 * * *", "Europe/Berlin")),
        ("timezone = 'Asia/Tokyo'", "schedule = '30 2 * * *'", cron("30 2 * * *", "Asia/Tokyo")),
        ("schedule = '30 2 * * *'", "timezone = 'asia/tokyo'", cron("30 2 * * *", "Asia/Tokyo")),
        ("schedule = '30 2 * * *'\ntimezone = 'UTC'", "timezone = 'Asia/Tokyo'", cron("30 2 * * *", "Asia/Tokyo")),
        ("schedule = '30 2 * * *'\ntimezone = 'Asia/Tokyo'", "", cron("30 2 * * *", "Asia/Tokyo")),
        ("schedule = '30 2 * * *'\ntimezone = 'Asia/Tokyo'", "schedule = '2h'", every(2)),
    ] {
        let rule = one_rule("ghcr.io/a/b", "registry.example/b", own);
        let config = parse(&format!("[defaults]\n{defaults}\n{rule}")).unwrap();
        assert_eq!(config.rules[0].timing.schedule, schedule, "{defaults:?}, {own:?}");
    }
}

#[test]
fn jitter_and_recheck_come_from_the_rule_or_its_defaults() {
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    for (defaults, own, jitter, recheck) in [
        ("", "", minutes(0), Some(minutes(24 * 60))),
        ("jitter = '5m'\nrecheck = '0s'", "", minutes(5), None),
        ("jitter = '5m'\nrecheck = '0s'", "jitter = '0s'\nrecheck = '1h'", minutes(0), Some(minutes(60))),
        ("", "jitter = '1m'\nrecheck = '0s'", minutes(1), None),
        ("jitter = '5m'", "schedule = '2m'\nrecheck = '0s'", minutes(2), None),
        ("jitter = '5m'", "schedule = '* * * * *'\nrecheck = '0s'", minutes(1), None),
        ("jitter = '1h'", "schedule = '0,10 * * * *'\nrecheck = '0s'", minutes(10), None),
        ("jitter = '1h'", "schedule = '0,50 0,23 * * *'\nrecheck = '0s'", minutes(10), None),
        ("jitter = '1h'", "schedule = '30 2 * * *'\nrecheck = '0s'", minutes(60), None),
        ("schedule = '*/5 * * * *'\njitter = '5m'", "recheck = '0s'", minutes(5), None),
    ] {
        let rule = one_rule("ghcr.io/a/b", "registry.example/b", own);
        let timing = parse(&format!("[defaults]\n{defaults}\n{rule}")).unwrap().rules[0].timing.clone();
        assert_eq!((timing.jitter, timing.recheck), (jitter, recheck), "{defaults:?}, {own:?}");
    }
}

#[test]
fn what_is_wrong_with_a_schedule_is_told() {
    for (own, told) in [
        ("schedule = '* * * *'", "\"* * * *\" has 4 fields: cron has five here, minute, hour, day of the month, month"),
        ("schedule = '0 0 */6 * * *'", "has 6 fields: cron has five here"),
        ("schedule = '0 24 * * *'", "has \"24\" for the hour (0-23)"),
        ("schedule = '0 0 30 2 *'", "is never: no year has such a day"),
        ("schedule = 15", "must be an interval or cron's five fields in quotes, as \"15m\" or \"0 */6 * * *\""),
        ("schedule = '0s'", "is no time at all"),
        ("schedule = '0 0 * * *'\ntimezone = 'Berlin'", "is no time zone; did you mean \"Europe/Berlin\"?"),
        ("schedule = '15m'\ntimezone = 'Europe/Berlin'", "is for cron alone"),
        ("timezone = 'Europe/Berlin'", "rules.\"r\".timezone: is for cron alone"),
        // Of a schedule that is not understood nobody knows what it would have been.
        ("schedule = 'often'\ntimezone = 'Europe/Berlin'", "\"often\" is no schedule"),
        ("jitter = 'some'", "rules.\"r\".jitter: \"some\" is no duration"),
        (
            "schedule = '1m'\njitter = '90s'",
            "rules.\"r\".jitter: is longer than the interval, and would skip runs: write 1m at most",
        ),
        (
            "schedule = '*/5 * * * *'\njitter = '1h'",
            "rules.\"r\".jitter: is longer than the shortest time between two ticks, and would skip runs: write 5m at most",
        ),
        ("recheck = '1'", "rules.\"r\".recheck: \"1\" is no duration"),
    ] {
        let mistake = mistake(&one_rule("ghcr.io/a/b", "registry.example/b", own));
        assert!(mistake.contains(told), "{own:?}: {mistake}");
    }
    assert!(mistake("[defaults]\nschedule = '0 */6 * * *'\njitter = '7h'\n").contains("write 6h at most"));
    assert!(mistake("[defaults]\nschedule = '99 * * * *'\n").contains("defaults.schedule: "));
    assert!(mistake("[defaults]\ntimezone = 'Mars/Olympus'\n").contains("defaults.timezone: "));
}

#[test]
fn tags_are_chosen_by_version_and_by_recency() {
    let own = "tags = { include = ['edge', '3.*'], semver = '>=3.18, <3.20 || ~3.21', latest = 2 }";
    let config = parse(&one_rule("alpine", "registry.example/alpine", own)).unwrap();
    let filter = &rule(&config, 0).scope.tags;
    let listed = ["3.17", "3.18", "3.19.1", "3.20", "3.21", "3.21.1-rc1", "edge"];
    let chosen = filter.select(listed.iter().map(|tag| tag.parse().unwrap()).collect());
    assert_eq!(chosen.tags.iter().map(Tag::as_str).collect::<Vec<_>>(), ["3.19.1", "3.21", "edge"]);
}

#[test]
fn two_rules_may_share_a_target_if_one_takes_a_range_of_it() {
    let range = one_rule("ghcr.io/a/x", "registry.example/b", "tags.semver = '<2'");
    let all = one_rule("ghcr.io/a/y", "registry.example/b", "").replace("'r'", "'s'");
    assert!(parse(&format!("{range}{all}")).is_ok());
}

#[test]
fn ranges_and_counts_that_cannot_be_are_told() {
    for (tags, told) in [
        ("semver = '3.18 - 4'", "tags.semver: \"3.18 - 4\" is no range of versions: expected comma"),
        ("semver = ''", "tags.semver: \"\" is no range of versions"),
        ("semver = '>=1.27-alpine'", "\"alpine\" is a variant, not a part of the version"),
        ("semver = 3.18", "tags.semver: must be a range of versions in quotes, as \">=3.18, <4\""),
        ("latest = 0", "tags.latest: must be from 1 to 100000"),
        ("latest = 100001", "tags.latest: must be from 1 to 100000"),
        ("latest = '3'", "tags.latest: must be a whole number"),
    ] {
        let line = mistake(&one_rule("ghcr.io/a/b", "registry.example/b", &format!("[rules.tags]\n{tags}")));
        assert!(line.contains(told) && line.starts_with("regferry.toml:6: rules.\"r\".tags."), "{line}");
    }
}

#[test]
fn a_rules_own_prune_takes_the_place_of_the_defaults_and_false_turns_it_off() {
    let defaults = "[defaults]\nprune = { keep = ['a', 'b'], max_delete = 5 }\n";
    let more = ["", "prune = false", "prune = {}", "[rules.prune]\nkeep = ['c*']"];
    let texts =
        more.map(|more| one_rule("ghcr.io/a/b", "registry.example/b", &format!("tags.include = ['v*']\n{more}")));
    let numbered = |(number, text): (usize, String)| text.replace("'r'", &format!("'r{number}'"));
    let text: String = texts.into_iter().enumerate().map(numbered).collect();

    let told = |config: &Config, index: usize| {
        rule(config, index).prune.as_ref().map(|prune| (prune.keep.len(), prune.max_delete))
    };
    let config = parse(&format!("{defaults}{text}")).unwrap();
    assert_eq!([0, 1, 2, 3].map(|index| told(&config, index)), [Some((2, 5)), None, Some((0, 20)), Some((1, 20))]);
    assert_eq!(told(&parse(&text).unwrap(), 0), None, "it is off unless it is there");
}

#[test]
fn a_rule_that_prunes_knows_the_others_that_may_write_to_the_same_repositories() {
    let rules = [
        ("pruning", "ghcr.io/a/b", "['r.example/team/b', 's.example/b']", "prune = {}"),
        ("same", "ghcr.io/a/c", "['r.example/team/b']", "tags.include = ['v*']"),
        ("folder", "ghcr.io/x/*", "['r.example/team/*']", ""),
        ("root", "ghcr.io/y/*", "['s.example/*']", ""),
        ("elsewhere", "ghcr.io/a/b", "['r.example/other', 't.example/team/b']", ""),
    ];
    let rules = rules.map(|(name, source, targets, more)| {
        format!("[[rules]]\nname = '{name}'\nsource = '{source}'\ntarget = {targets}\n{more}\n")
    });

    let config = parse(&rules.concat()).unwrap();

    let others = &rule(&config, 0).prune.as_ref().unwrap().others;
    assert_eq!(others.iter().map(|other| &*other.rule).collect::<Vec<_>>(), ["same", "folder", "root"]);
}

#[test]
fn what_is_wrong_with_prune_is_told() {
    for (more, message) in [
        (
            "prune = true",
            "rules.\"r\".prune: must be a table, as { keep = [\"release-*\"], max_delete = 20 }, or false",
        ),
        ("prune = 20", "rules.\"r\".prune: must be a table, as { keep = [\"release-*\"], max_delete = 20 }, or false"),
        ("prune.keeps = ['a']", "rules.\"r\".prune.keeps: unknown key; did you mean `keep`?"),
        ("prune.keep = ['/(/']", "rules.\"r\".prune.keep: \"/(/\" is no pattern: unclosed group"),
        ("prune.keep = []", "rules.\"r\".prune.keep: is an empty list: leave it out, or name something"),
        ("prune.max_delete = 0", "rules.\"r\".prune.max_delete: must be from 1 to 10000"),
    ] {
        let told = mistake(&one_rule("ghcr.io/a/b", "registry.example/b", more));
        assert_eq!(told, format!("regferry.toml:5: {message}"));
    }
    let told = mistake(&one_rule("r.example/b:1", "r.example/b:stable", "prune = {}"));
    assert!(
        told.ends_with("prune: would delete tags of r.example/b, which the rule reads: set prune = false"),
        "{told}"
    );
}

#[test]
fn a_source_that_names_one_image_has_its_tag_kept_or_renamed() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let at_digest = |tag: &str| format!("ghcr.io/a/b{tag}@{digest}");
    for (source, target, from, to) in [
        ("ghcr.io/a/b:v1".to_owned(), "registry.example/b", "v1", Some("v1")),
        ("ghcr.io/a/b:v1".to_owned(), "registry.example/b:stable", "v1", Some("stable")),
        (at_digest(""), "registry.example/b", &*digest, None),
        (at_digest(""), "registry.example/b:v1", &*digest, Some("v1")),
        (at_digest(":v1"), "registry.example/b", &*digest, Some("v1")),
        (at_digest(":v1"), "registry.example/b:v2", &*digest, Some("v2")),
        ("ghcr.io/a/b:v1".to_owned(), "ghcr.io/a/b:v2", "v1", Some("v2")),
    ] {
        // The defaults' tags are for repositories.
        let config = parse(&format!("[defaults]\ntags.include = ['x']\n{}", one_rule(&source, target, ""))).unwrap();
        let scope = &rule(&config, 0).scope;
        let Source::Image(image) = &scope.sources[0] else { panic!("{source} is one image") };
        let (read, written) = (image.selector(), scope.targets[0].tag().or(image.tag.as_ref()));
        assert_eq!((read.to_string().as_str(), written.map(Tag::as_str)), (from, to), "{source} → {target}");
        assert_eq!(matches!(read, TagOrDigest::Digest(_)), source.contains('@'));
    }
}

#[test]
fn an_image_layout_stands_where_a_repository_does() {
    let config = parse(
        &(one_rule("ghcr.io/a/b", "oci:/srv/images", "")
            + &one_rule("oci:in:v1", "registry.example/b", "").replace("'r'", "'s'")),
    );
    let config = config.expect("both are rules");
    let (out, back) = (&rule(&config, 0).scope, &rule(&config, 1).scope);
    assert_eq!(out.targets[0].host().layout_dir(), Some(Path::new("/srv/images")));
    assert!(matches!(&back.sources[0], Source::Image(image) if image.to_string() == "oci:in:v1"));
}

#[test]
fn source_and_target_that_do_not_fit_are_told() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    for (source, target, more, hint) in [
        ("ghcr.io/a/b", "registry.example/b:v1", "", "the source names a whole repository"),
        ("ghcr.io/a/b:v1", "registry.example/b", "tags = {}", "the source names one image"),
        ("ghcr.io/a/b", "ghcr.io/a/b", "tags.include = ['v1']", "nothing to mirror"),
        ("alpine:3", "docker.io/library/alpine", "", "nothing to mirror"),
        (&format!("alpine@{digest}"), "index.docker.io/alpine", "", "nothing to mirror"),
        ("ghcr.io/a/b:3.*", "registry.example/b", "", "tags in tags.include"),
        ("[::1]:5000/a/{b,c}", "registry.example/b", "", "end it with /*"),
        ("ghcr.io/*/b[", "registry.example/*", "", "is no pattern"),
        ("ghcr-*.io/a", "registry.example/b", "", "glob for a host"),
        ("ghcr.io/a/b", "registry.example/a*", "", "may only end with /* or /**"),
        ("ghcr.io/a/b", "registry.example/c:1/*", "", "leave it out"),
        ("ghcr.io/a/b", "registry.example/b", "tags.include = []", "leave it out to take all tags"),
        ("oci:images/*", "registry.example/b", "", "named as it is"),
        ("ghcr.io/a/b", "oci:images/*", "", "named as it is"),
        ("oci:images", "registry.example/*", "", "has none: name the repository"),
        ("ghcr.io/a/*", "oci:images", "", "its own rule and directory"),
        ("oci:images", "oci:./images/", "", "nothing to mirror"),
        ("oci:images:v1:x", "registry.example/b", "", "is no tag"),
        ("https://bot:hunter2@ghcr.io/a", "registry.example/b", "", "is a URL"),
        ("bot:hunter2@ghcr.io/a", "registry.example/b", "", "belongs into [registries]"),
    ] {
        let told = mistake(&one_rule(source, target, more));
        assert!(told.contains(hint) && !told.contains("hunter2"), "{told}");
    }
}

#[test]
fn two_rules_that_would_write_one_tag_are_told_with_both_places() {
    let two = |first: &str, second: &str| {
        let rule =
            |name: &str, source: &str, rest: &str| format!("[[rules]]\nname = '{name}'\nsource = '{source}'\n{rest}\n");
        let of = |text: &str| if text.contains("b:") { ":v1" } else { "" };
        [
            rule("one", &format!("ghcr.io/a/x{}", of(first)), first),
            rule("two", &format!("ghcr.io/a/y{}", of(second)), second),
        ]
        .concat()
    };
    for (first, second, what) in [
        (
            "target = 'registry.example/b'",
            "target = 'registry.example/b'",
            "mirrors all tags of a repository into registry.example/b",
        ),
        ("target = 'registry.example/b:v1'", "target = 'registry.example/b:v1'", "writes registry.example/b:v1"),
        (
            "target = 'registry.example/b'\ntags.include = ['v0', 'v1']",
            "target = 'registry.example/b:v1'",
            "writes registry.example/b:v1",
        ),
        (
            "target = 'registry.example/b'\ntags.include = ['v1', 'v2']",
            "target = 'registry.example/b'\ntags.include = ['v2', 'v1']",
            "writes registry.example/b:v2",
        ),
    ] {
        let text = two(first, second);
        let line = text.lines().enumerate().filter(|(_, line)| line.starts_with("target")).nth(1).unwrap().0 + 1;
        assert_eq!(
            mistake(&text),
            format!("regferry.toml:{line}: rules.\"two\".target: {what}, and so does rules.\"one\".target (line 4)")
        );
    }
    for (first, second) in [
        ("target = 'registry.example/b'", "target = 'registry.example/c'"),
        ("target = 'registry.example/b'", "target = 'registry.example/b:v1'"),
        ("target = 'registry.example/b'", "target = 'registry.example/b'\ntags.exclude = ['x']"),
        (
            "target = 'registry.example/b'\ntags.include = ['v1*']",
            "target = 'registry.example/b'\ntags.include = ['v1*']",
        ),
        (
            "target = 'registry.example/b'\ntags.include = ['v1', 'v1']",
            "target = 'registry.example/b'\ntags.include = ['v2']",
        ),
        (
            "target = 'registry.example/b'\ntags = { include = ['v1'], exclude = ['v1'] }",
            "target = 'registry.example/b:v1'",
        ),
    ] {
        assert!(parse(&two(first, second)).is_ok(), "{first} and {second} may stand together");
    }
}

#[test]
fn variables_stay_inside_of_their_value() {
    let config = parse(&one_rule("${UNSET:-ghcr.io}/a/b", "${REGISTRY}/b", "")).unwrap();
    let scope = &rule(&config, 0).scope;
    assert_eq!(scope.sources[0].host().as_str(), "ghcr.io");
    assert_eq!(scope.targets[0].host().as_str(), "registry.example");
    assert!(mistake("[service]\nlisten = '${TRICKY}'\n").contains("is no address"));
}

#[test]
fn a_variable_that_is_not_set_is_the_only_thing_told_of_its_value() {
    let told = mistakes(&one_rule("${A}/${B}", "registry.example/b", "schedule = '${C}'"));
    let variables: Vec<bool> = told
        .iter()
        .zip(["A", "B", "C"])
        .map(|(line, name)| line.contains(&format!("the variable {name} is not set")))
        .collect();
    assert_eq!(variables, [true; 3], "{told:#?}");
}

#[test]
fn passwords_come_from_three_places_and_are_never_shown() {
    let login = |password: &str| parse(&format!("[registries.'GHCR.io']\nusername = 'bot'\n{password}\n"));
    let password = |text: &str| {
        let config = login(text).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        config.registries[&"ghcr.io".parse::<Host>().unwrap()].credentials.clone().unwrap().password().clone()
    };
    assert!(matches!(password("password = '${SECRET}'"), Password::Literal(_)));
    assert!(matches!(password("password_file = '/run/x'"), Password::File(path) if path == Path::new("/run/x")));
    assert!(matches!(password("password_env = 'SECRET'"), Password::Variable(name) if name == "SECRET"));

    for (text, hint) in [
        ("password_env = '${SECRET}'", "bare name"),
        ("password_env = '$SECRET'", "bare name"),
        ("password_file = '${SECRET}'", "write password_env = \"SECRET\" in place of this"),
        ("password_file = \"${SECRET:-x}\"", "write password_env = \"SECRET\" in place of this"),
        ("password_file = '${UNSET:-hunter2}'", "the variable UNSET does not hold the path of a file that is there"),
        ("password = '${UNSET:-}'", "is empty"),
        ("password = 'hunter2${'", "has no `}`"),
        ("password = ['hunter2']", "must be text"),
        (
            "password = 'hunter2'\npassword_env = 'X'",
            "a second password, beside registries.\"GHCR.io\".password (line 3)",
        ),
        ("", "needs one of"),
    ] {
        let error = login(text).unwrap_err();
        let told = error.to_string();
        assert!(error.problems().len() == 1 && told.contains(hint) && !told.contains("hunter2"), "{told}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}

#[test]
fn a_key_where_its_files_path_belongs_is_not_shown() {
    let told = mistake("[registries.'a.b']\nclient_cert_file = 'client.pem'\nclient_key_file = '${SECRET}'\n");
    let expected =
        "the variable SECRET does not hold the path of a file that is there: a key itself belongs into a file";
    assert_eq!(told, format!("regferry.toml:3: registries.\"a.b\".client_key_file: {expected}"));
}

#[test]
fn a_password_file_may_be_named_by_variables() {
    let folder = tempfile::tempdir().unwrap();
    let (file, there) = (folder.path().join("regferry.toml"), folder.path().join("hub"));
    std::fs::write(&there, "hunter2\n").unwrap();
    let env = |name: &str| match name {
        "FILE" => Some(there.display().to_string()),
        "NAME" => Some("hub".to_owned()),
        "CREDENTIALS_DIRECTORY" => Some("/run/credentials/x".to_owned()),
        _ => None,
    };
    for (written, path) in [
        ("${FILE}", there.as_path()),
        ("${NAME}", &there),
        ("${UNSET:-hub}", &there),
        ("${CREDENTIALS_DIRECTORY}/hub", Path::new("/run/credentials/x/hub")),
        ("secrets/${NAME}", &folder.path().join("secrets/hub")),
    ] {
        let text = format!("[registries.'a.b']\nusername = 'bot'\npassword_file = '{written}'\n");
        let config = Config::parse(&text, &file, &env).unwrap();
        let password =
            config.registries[&"a.b".parse::<Host>().unwrap()].credentials.clone().unwrap().password().clone();
        assert!(matches!(&password, Password::File(named) if named == path), "{written}: {password:?}");
    }
    let directory = "[registries.'a.b']\nusername = 'bot'\npassword_file = '${UNSET:-.}'\n";
    assert!(Config::parse(directory, &file, &env).is_err(), "a folder is no file");
}

#[test]
fn a_ca_file_with_line_breaks_in_its_name_is_told_on_one_line() {
    let told = mistake("[registries.'a.b']\nca_file = \"${TRICKY}\"\n");
    assert_eq!(told, "regferry.toml:2: registries.\"a.b\".ca_file: has control characters in it");
}

#[test]
fn files_are_found_from_the_configurations_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), testkit::server::unknown_authority()).unwrap();
    let file = folder.path().join("regferry.toml");
    std::fs::write(
        &file,
        "[registries.'localhost:5000']\nca_file = 'ca.pem'\nusername = 'u'\npassword_file = 'secrets/p'\n",
    )
    .unwrap();
    let config = Config::load(&file).unwrap();

    let settings = &config.registries[&"localhost:5000".parse::<Host>().unwrap()];
    assert_eq!(settings.ca_files, [folder.path().join("ca.pem")]);
    assert_eq!(settings.tls, Tls::Http, "what is not set is as for a registry without settings");
    let Password::File(path) = settings.credentials.as_ref().unwrap().password() else { panic!("it is a file") };
    assert_eq!(path, &PathBuf::from(folder.path()).join("secrets/p"));
}

#[test]
fn platforms_need_a_mode_and_both_may_come_from_the_defaults() {
    let told = mistake(&one_rule("ghcr.io/a", "registry.example/a", "platforms = ['linux/amd64']"));
    assert!(told.contains("rules.\"r\".platforms: needs `platform_mode` beside it"), "{told}");

    let rest = one_rule("ghcr.io/a", "registry.example/a", "platforms = ['linux/amd64']");
    let config =
        parse(&format!("[defaults]\nplatform_mode = 'sparse'\nreferrers = true\noverwrite = false\n{rest}")).unwrap();
    let rule = rule(&config, 0);
    assert_eq!(rule.platforms.as_ref().unwrap().mode(), PlatformMode::Sparse);
    assert!(matches!(rule.referrers, Referrers::All) && !rule.overwrite);
}

#[test]
fn many_sources_and_targets_are_read_one_by_one() {
    let text = "[[rules]]\nname = 'r'\nsource = ['ghcr.io/a/b', 'localhost:5000/c/*', 'quay.io/d:v1']\ntarget = ['registry.example/m/*', 'team/**', 'backup.example/*']\n";
    let config = parse(text).unwrap();
    let scope = &rule(&config, 0).scope;
    assert!(matches!(&scope.sources[..], [Source::Repository(_), Source::Repositories(..), Source::Image(_)]));
    let source = "a/b".parse().unwrap();
    let targets: Vec<String> =
        scope.targets.iter().map(|target| target.of(&source, None).unwrap().to_string()).collect();
    assert_eq!(targets, ["registry.example/m/b", "docker.io/team/a/b", "backup.example/b"]);
}

#[test]
fn what_one_rule_would_write_twice_is_told() {
    let told =
        mistake("[[rules]]\nname = 'r'\nsource = ['ghcr.io/a/x', 'ghcr.io/b/x']\ntarget = 'registry.example/m/*'\n");
    assert!(told.contains("would mirror two repositories into registry.example/m/x"), "{told}");
}

#[test]
fn who_may_use_the_api_is_said_by_a_file_and_a_word() {
    let service = parse("[service]\napi_token_file = 'token'\napi_read = 'token'\n").unwrap().service;
    assert_eq!((service.api_token_file, service.api_read), (Some(PathBuf::from("token")), ApiRead::Token));
    let service = parse("").unwrap().service;
    assert_eq!((service.api_token_file, service.api_read), (None, ApiRead::Open));
    assert!(mistake("[service]\napi_read = 'token'\n").contains("needs `api_token_file` beside it"));
    assert!(mistake("[service]\napi_read = 'closed'\n").contains("neither \"open\" nor \"token\""));
    let secret = mistake("[service]\napi_token_file = '${SECRET}'\n");
    assert!(secret.contains("the variable SECRET") && !secret.contains("hunter2"), "{secret}");
}

#[test]
fn what_is_to_outlive_the_process_has_a_directory_that_need_not_be_there() {
    let service = |text: &str| parse(text).unwrap().service;
    assert_eq!(service("[service]\nstate_dir = 'state/new'\n").state_dir, Some(PathBuf::from("state/new")));
    assert_eq!(service("").state_dir, None);
    assert!(mistake("[service]\nstate_dir = ''\n").contains("names no directory"));
    assert!(mistake("[service]\nstatedir = 'state'\n").contains("state_dir"));
}

#[test]
fn a_kind_of_webhook_is_taken_with_the_file_of_its_secret() {
    let config =
        parse("[webhooks]\nharbor = { secret_file = 'secrets/harbor' }\nghcr.secret_file = '/run/g'\n").unwrap();
    let files: Vec<(&str, &Path)> = config.webhooks.iter().map(|(kind, file)| (kind.as_str(), &**file)).collect();
    assert_eq!(files, [("harbor", Path::new("secrets/harbor")), ("ghcr", Path::new("/run/g"))]);
    let text = "[webhooks]\nquay = {}\nacr = 7\ngitlab = {}\n\
                [webhooks.harbor]\nsecret = 'hunter2'\n[webhooks.dockerhub]\nsecret_file = '${SECRET}'\n";
    insta::assert_snapshot!(mistakes(text).join("\n"), @r#"
        regferry.toml:2: webhooks.quay: has no `secret_file`: without a secret anybody could have rules run
        regferry.toml:3: webhooks.acr: must be a table
        regferry.toml:4: webhooks.gitlab: unknown key
        regferry.toml:5: webhooks.harbor: has no `secret_file`: without a secret anybody could have rules run
        regferry.toml:6: webhooks.harbor.secret: unknown key; did you mean `secret_file`?
        regferry.toml:8: webhooks.dockerhub.secret_file: the variable SECRET does not hold the path of a file that is there: if it holds the secret itself, write that into a file, and name the file
        "#);
}

#[test]
fn who_is_told_is_said_by_a_url_that_is_never_shown() {
    let rule = one_rule("ghcr.io/a/b", "registry.example/b", "");
    let all = |more: &str| format!("[[notifications]]\nname = 'chat'\n{more}\n{rule}");
    let config =
        parse(&all("url = 'https://chat.example/hunter2'\nformat = 'slack'\nrules = ['r', 'team-*']")).unwrap();
    let channel = &config.notifications[0];
    assert_eq!((&*channel.name, channel.format, channel.token.is_some()), ("chat", Format::Slack, false));
    assert_eq!(channel.check(), Ok(()));
    assert!(!format!("{config:?}").contains("hunter2"));
    let config = parse(&all("url_env = 'CHAT'\ntoken_file = 'token'")).unwrap();
    let channel = &config.notifications[0];
    assert_eq!((&channel.url, channel.format), (&Password::Variable("CHAT".to_owned()), Format::Json));

    let text = r#"
[[notifications]]
name = "chat"
url = "hunter2"
url_env = "${SECRET}"
format = "teams"
rules = ["hallo", "hello*", "broken"]

[[notifications]]
name = "chat"
url_file = "${SECRET}"

[[notifications]]
name = "chat"
url = "https://chat.example/hunter2"

[[notifications]]
name = "chat"
url = "ftp://chat.example/hunter2"
rules = []

[[notifications]]
urls = []

[[rules]]
name = "hello"
source = "ghcr.io/a/b"
target = "registry.example/b"

[[rules]]
name = "broken"
source = "ghcr.io/a/c"
"#;
    insta::assert_snapshot!(mistakes(text).join("\n"), @r##"
        regferry.toml:4: notifications."chat".url: the url is none that can be posted to: write https://HOST/…
        regferry.toml:5: notifications."chat".url_env: is a second url, beside notifications."chat".url (line 4): leave one of them out
        regferry.toml:5: notifications."chat".url_env: must be a variable's bare name, as "HUB_PASSWORD", without `$` and braces
        regferry.toml:6: notifications."chat".format: "teams" is neither "json" nor "slack"
        regferry.toml:7: notifications."chat".rules: there is no rule "hallo"; did you mean "hello"?
        regferry.toml:11: notifications."chat".url_file: the variable SECRET does not hold the path of a file that is there: if it holds the url itself, write url_env = "SECRET" in place of this
        regferry.toml:14: notifications."chat".name: is also the name of the notification at line 3: each needs its own
        regferry.toml:18: notifications."chat".name: is also the name of the notification at line 3: each needs its own
        regferry.toml:19: notifications."chat".url: the url is none that can be posted to: write https://HOST/…
        regferry.toml:20: notifications."chat".rules: is an empty list: name one at least
        regferry.toml:22: [[notifications]] #5: has no `name`
        regferry.toml:22: [[notifications]] #5: has none of `url_file`, `url_env` and `url`
        regferry.toml:23: [[notifications]] #5.urls: unknown key; did you mean `url`?
        regferry.toml:30: rules."broken": has no `target`
        "##);
    insta::assert_snapshot!(mistake("[notifications]\nname = 'chat'\n"), @r##"
        regferry.toml:1: notifications: must be a list of tables: write [[notifications]] above each
        "##);
}

fn cluster(text: &str) -> regferry::queue::Settings {
    let config = parse(&format!("[cluster]\nname = 'prod'\n{text}\n")).expect("nothing is wrong with it");
    config.cluster.expect("it has the section")
}

#[test]
fn a_cluster_is_its_servers_and_a_name() {
    let plain = cluster("nats = 'nats://nats'");
    assert_eq!((plain.servers.len(), plain.servers[0].as_str(), &*plain.name), (1, "nats://nats", "prod"));
    assert_eq!(
        (plain.ack_wait, &plain.login, plain.stream_replicas),
        (Duration::from_secs(30), &Login::Anonymous, None)
    );
    assert!(!plain.needs_tls());

    let more = cluster("nats = ['nats://a:4223', 'tls://[::1]:4222/']\nack_wait = '2s'\nstream_replicas = 1");
    let servers: Vec<&str> = more.servers.iter().map(url::Url::as_str).collect();
    assert_eq!(servers, ["nats://a:4223", "tls://[::1]:4222"]);
    assert_eq!((more.ack_wait, more.stream_replicas), (Duration::from_secs(2), Some(1)));
    assert!(more.needs_tls());
}

#[test]
fn a_cluster_is_told_one_login_and_never_shows_it() {
    let user = |password| Login::User { username: "bot".to_owned(), password };
    let literal = || Password::Literal("hun/ter2".to_owned().into());
    let inside = "nats = ['nats://bot:hun%2Fter2@a', 'nats://bot:hun%2Fter2@b:4222', 'nats://c']";
    for (text, login) in [
        (inside, user(literal())),
        ("nats = 'nats://hun%2Fter2@a'", Login::Token(literal())),
        ("nats = 'nats://a'\nusername = 'bot'\npassword = 'hun/ter2'", user(literal())),
        ("nats = 'nats://a'\nusername = 'bot'\npassword_env = 'SECRET'", user(Password::Variable("SECRET".to_owned()))),
        ("nats = 'nats://a'\ntoken_file = '/run/t'", Login::Token(Password::File("/run/t".into()))),
        ("nats = 'nats://a'\ncredentials_file = '/run/c'", Login::CredentialsFile("/run/c".into())),
    ] {
        let settings = cluster(text);
        assert_eq!(settings.login, login, "{text}");
        let shown = format!("{settings:?}");
        assert!(
            !shown.contains("hun") && settings.servers.iter().all(|server| !server.as_str().contains('@')),
            "{shown}"
        );
    }
}

#[test]
fn what_is_wrong_with_a_cluster_is_told_and_no_secret_with_it() {
    let text = r#"
[cluster]
nats = ["nats:4222", "wss://a", "https://b", "nats://c,nats://d", "nats://e/x", "nats://", "nats://u:hunter2@f/x", 4222]
name = "Prod.eu"
ack_wait = "500ms"
stream_replicas = 0
token = "hunter2"
token_file = "${SECRET}"
username = "bot"
client_cert_file = "client.pem"
"#;
    let told = mistakes(text).join("\n");
    assert!(!told.contains("hunter2"), "{told}");
    insta::assert_snapshot!(told, @r#"
        regferry.toml:3: cluster.nats: "nats:4222" is no URL: write nats://HOST:PORT, or tls://HOST:PORT
        regferry.toml:3: cluster.nats: "wss://a" asks for a websocket, which is for browsers: regferry speaks NATS' own protocol: write nats://HOST:PORT, or tls://HOST:PORT
        regferry.toml:3: cluster.nats: "https://b" is no address of a NATS server: write nats://HOST:PORT, or tls://HOST:PORT
        regferry.toml:3: cluster.nats: has a comma in it: write several servers as a list, ["nats://a:4222", "nats://b:4222"]
        regferry.toml:3: cluster.nats: "nats://e/x" has more in it than a host and a port: write nats://HOST:PORT, or tls://HOST:PORT
        regferry.toml:3: cluster.nats: "nats://" names no host: write nats://HOST:PORT, or tls://HOST:PORT
        regferry.toml:3: cluster.nats: "…@f/x" has more in it than a host and a port: write nats://HOST:PORT, or tls://HOST:PORT
        regferry.toml:3: cluster.nats: must be text in quotes
        regferry.toml:4: cluster.name: "Prod.eu" is no name for streams and subjects: write lower-case letters, digits and '-', as "prod"
        regferry.toml:5: cluster.ack_wait: must be from 1s to 10m
        regferry.toml:6: cluster.stream_replicas: must be from 1 to 5
        regferry.toml:7: cluster.token: unknown key; did you mean `token_file`?
        regferry.toml:8: cluster.token_file: the variable SECRET does not hold the path of a file that is there: what is secret itself belongs into a file
        regferry.toml:9: cluster.username: is a second login, beside cluster.token_file (line 8): leave one of them out
        regferry.toml:9: cluster.username: needs one of `password_file`, `password_env` and `password` beside it
        regferry.toml:10: cluster.client_cert_file: needs a `client_key_file` beside it
        "#);

    let text = "[cluster]\nnats = ['nats://u:hunter2@a', 'nats://u:hunter3@b']\ncredentials_file = 'c'\nname = ''\n";
    insta::assert_snapshot!(mistakes(text).join("\n"), @r#"
        regferry.toml:2: cluster.nats: has another login in it than the URL before: all servers are told the same one
        regferry.toml:3: cluster.credentials_file: is a second login, beside cluster.nats (line 2): leave one of them out
        regferry.toml:4: cluster.name: is empty
        "#);
    insta::assert_snapshot!(mistakes("[cluster]\nack_wait = 30\n").join("\n"), @r#"
        regferry.toml:1: cluster: has no `nats`
        regferry.toml:1: cluster: has no `name`
        regferry.toml:2: cluster.ack_wait: must be a number with a unit in quotes, as "90s", "15m" or "6h"
        "#);
    insta::assert_snapshot!(mistake("cluster = 'prod'"), @r#"
        regferry.toml:1: cluster: must be a table
        "#);
    insta::assert_snapshot!(mistake("[cluster]\nnats = []\nname = 'a'"), @r#"
        regferry.toml:2: cluster.nats: is an empty list: name one at least
        "#);
}
