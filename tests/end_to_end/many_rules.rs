//! Two hundred rules in one configuration: a pass reads what they share once.

use std::fmt::Write as _;

use testkit::{Endpoint, FakeRegistry, Image, Method};

use crate::support::Ferry;

const REPOSITORIES: usize = 40;

/// The tags of every repository, and the filter that takes each of them and no other.
const TAGS: [(&str, &str); 5] = [
    ("1.2", r#"include = ["1.*"], exclude = ["*-*"]"#),
    ("1.2-alpine", r"include = ['/\d+\.\d+-(alpine|slim)/']"),
    ("nightly-2026-01-31", r#"include = ["nightly-*"]"#),
    ("sha-0a1b2c3", r"include = ['/sha-[0-9a-f]{7}/']"),
    ("stable", r#"include = ["stable"]"#),
];

#[tokio::test]
async fn two_hundred_rules_over_forty_repositories_list_each_repository_once_a_side() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let mut config = String::new();
    for repository in 0..REPOSITORIES {
        for (seed, (tag, filter)) in TAGS.into_iter().enumerate() {
            let image = Image::oci("linux/amd64").layer(seed as u64, 100).build();
            source.seed(&format!("up/{repository}"), tag, &image);
            target.seed(&format!("down/{repository}"), tag, &image);
            let (from, to) = (source.host(), target.host());
            let _ = write!(
                config,
                "[[rules]]\nname = \"{tag} of {repository}\"\ntags = {{ {filter} }}\n\
                 source = \"{from}/up/{repository}\"\ntarget = \"{to}/down/{repository}\"\n"
            );
        }
    }

    let report = Ferry::new(&["sync", "--dry-run", "--output", "json"]).config(&config).run().await.json();

    let images = REPOSITORIES * TAGS.len();
    assert_eq!(report["totals"]["unchanged"], images, "{}", report["totals"]);
    for registry in [&source, &target] {
        let asked = |method, endpoint| registry.count(&method, endpoint);
        assert_eq!(asked(Method::GET, Endpoint::Tags), REPOSITORIES, "{}", registry.summary());
        assert_eq!(asked(Method::HEAD, Endpoint::Manifest), images, "{}", registry.summary());
        assert_eq!(registry.requests().len(), REPOSITORIES + images, "{}", registry.summary());
    }
}
