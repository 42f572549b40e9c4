//! The configuration as operators meet it: the example that they copy, and what they are told when it is wrong.

use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use regferry::config::{Config, ConfigError};
use regferry::oci::{Host, TagOrDigest};
use regferry::registry::{Password, Tls};
use regferry::transfer::{Images, Rule};

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

fn example() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.toml");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_example_is_a_configuration() {
    let config = Config::parse(&example(), Path::new("config.example.toml"), &|_| None).unwrap();
    let names: Vec<&str> = config.rules.iter().map(|rule| &*rule.rule.name).collect();
    assert_eq!(names, ["alpine", "team-images", "debian-base", "hello-world-pinned"]);
    assert_eq!(config.service, Config::default().service);
    assert_eq!(config.rules[0].every, Duration::from_secs(3600));
}

#[test]
fn every_key_that_the_example_shows_works_once_its_mark_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("registry-ca.pem"), "PEM").unwrap();
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
    assert_eq!(registry.ca_file, Some(folder.path().join("registry-ca.pem")));
    assert_eq!(config.rules[0].every, Duration::from_secs(900));
    assert_eq!(rule(&config, 1).timeout, Some(Duration::from_secs(7200)));
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
source = "registry.example/team/*"
target = ["a/b", "c/d"]
timeout = "forever"
tags = { include = ["3.*", "/(/", 3], exclude = "rc" }

[[rules]]
name = "hello"
source = "docker.io/alpine:3.18"
target = "${REGISTRY}/alpine@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
tags.include = ["3.18"]
platforms = ["linux/amd64"]
"#;
    let expected = r#"
regferry.toml:3: service.listen: ":9464" is no address: write IP:PORT, as 127.0.0.1:9464, or 0.0.0.0:9464 for all interfaces
"#;
    assert_eq!(mistakes(text).join("\n"), expected.trim());
}
