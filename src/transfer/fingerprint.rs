//! What a rule does, in one digest.

use serde_json::{Value, json};

use super::places::{Appends, Source, Target};
use super::platforms::{PlatformMode, Platforms};
use super::referrers::Referrers;
use super::rule::{Kept, Neighbour, Prune, Rule, Scope};
use super::select::{Pattern, TagFilter};
use crate::oci::Digest;

impl Rule {
    /// A digest of all that the rule does: the same for the same rule in every process, another for every other. Only
    /// its name is left out.
    ///
    /// Every part is taken apart by name, so that none is forgotten that is added.
    pub fn fingerprint(&self) -> Digest {
        let Self { name: _, scope, kept, platforms, referrers, overwrite, prune, timeout } = self;
        let rule = json!({
            "scope": of_scope(scope),
            "kept": kept.map(|Kept { same_revision }| json!({ "same_revision": same_revision })),
            "platforms": platforms.as_ref().map(of_platforms),
            "referrers": of_referrers(referrers),
            "overwrite": overwrite,
            "prune": prune.as_ref().map(of_prune),
            "timeout": timeout.map(|timeout| timeout.as_nanos().to_string()),
        });
        Digest::of(rule.to_string().as_bytes())
    }
}

fn of_scope(Scope { sources, targets, tags }: &Scope) -> Value {
    let sources: Vec<Value> = sources.iter().map(of_source).collect();
    let targets: Vec<Value> = targets.iter().map(of_target).collect();
    json!({ "sources": sources, "targets": targets, "tags": of_tags(tags) })
}

fn of_source(source: &Source) -> Value {
    match source {
        Source::Repository(location) => json!({ "repository": location }),
        Source::Image(image) => json!({ "image": image }),
        Source::Repositories(host, pattern) => json!({ "host": host, "pattern": pattern.as_str() }),
    }
}

fn of_target(target: &Target) -> Value {
    match target {
        Target::Repository { location, tag } => json!({ "repository": location, "tag": tag }),
        Target::Below { host, folder, appends } => {
            let appends = match appends {
                Appends::Name => "name",
                Appends::Path => "path",
            };
            json!({ "host": host, "folder": folder.as_ref().map(ToString::to_string), "appends": appends })
        }
    }
}

fn of_tags(TagFilter { include, exclude, semver, latest }: &TagFilter) -> Value {
    json!({
        "include": of_patterns(include),
        "exclude": of_patterns(exclude),
        "semver": semver.as_ref().map(ToString::to_string),
        "latest": latest,
    })
}

fn of_patterns(patterns: &[Pattern]) -> Vec<String> {
    patterns.iter().map(ToString::to_string).collect()
}

fn of_platforms(platforms: &Platforms) -> Value {
    let mode = match platforms.mode() {
        PlatformMode::Rewrite => "rewrite",
        PlatformMode::Sparse => "sparse",
    };
    json!({ "wanted": platforms.wanted(), "mode": mode })
}

fn of_referrers(referrers: &Referrers) -> Value {
    match referrers {
        Referrers::None => json!("none"),
        Referrers::All => json!("all"),
        Referrers::OfTypes(types) => json!({ "types": types.globs() }),
    }
}

fn of_prune(Prune { keep, max_delete, others }: &Prune) -> Value {
    let other = |Neighbour { rule, scope }: &Neighbour| json!({ "rule": &**rule, "scope": of_scope(scope) });
    let others: Vec<Value> = others.iter().map(other).collect();
    json!({ "keep": of_patterns(keep), "max_delete": max_delete, "others": others })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::content::Location;
    use crate::transfer::places::RepositoryPattern;
    use crate::transfer::referrers::ArtifactTypes;

    fn location(text: &str) -> Location {
        text.parse().unwrap()
    }

    fn plain() -> Rule {
        let scope = Scope {
            sources: vec![Source::Repository(location("a.example/app"))],
            targets: vec![Target::Repository { location: location("b.example/app"), tag: None }],
            tags: TagFilter::default(),
        };
        Rule {
            name: "app".into(),
            scope: Arc::new(scope),
            kept: None,
            platforms: None,
            referrers: Referrers::None,
            overwrite: true,
            prune: None,
            timeout: None,
        }
    }

    /// Rules that do something else each.
    fn others() -> Vec<Rule> {
        let sources = [
            Source::Repository(location("a.example/other")),
            Source::Image("a.example/app:v1".parse().unwrap()),
            Source::Image(format!("a.example/app:v1@{}", Digest::of(b"")).parse().unwrap()),
            Source::Repositories("a.example".parse().unwrap(), RepositoryPattern::new("app").unwrap()),
            Source::Repositories("a.example".parse().unwrap(), RepositoryPattern::new("**").unwrap()),
        ];
        let below = |folder: Option<&str>, appends| Target::Below {
            host: "b.example".parse().unwrap(),
            folder: folder.map(|folder| folder.parse().unwrap()),
            appends,
        };
        let targets = [
            Target::Repository { location: location("b.example/app"), tag: Some("v1".parse().unwrap()) },
            Target::Repository { location: location("c.example/app"), tag: None },
            below(None, Appends::Path),
            below(Some("app"), Appends::Path),
            below(Some("app"), Appends::Name),
        ];
        let patterns = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Pattern>>();
        let tags = [
            TagFilter { include: patterns(&["v1"]), ..TagFilter::default() },
            TagFilter { include: patterns(&["v1", "v2"]), ..TagFilter::default() },
            TagFilter { include: patterns(&["/v1/"]), ..TagFilter::default() },
            TagFilter { exclude: patterns(&["v1"]), ..TagFilter::default() },
            TagFilter { semver: Some(">=1".parse().unwrap()), ..TagFilter::default() },
            TagFilter { latest: std::num::NonZeroUsize::new(1), ..TagFilter::default() },
        ];
        let platforms =
            |names: &[&str], mode| Platforms::new(names.iter().map(|name| name.parse().unwrap()).collect(), mode).ok();
        let prune = |keep: &[&str], max_delete, others| Some(Prune { keep: patterns(keep), max_delete, others });
        let of_scope = |change: &dyn Fn(&mut Scope)| {
            let mut scope = (*plain().scope).clone();
            change(&mut scope);
            Rule { scope: Arc::new(scope), ..plain() }
        };
        let of_types = |globs: &[&str]| {
            let globs: Vec<String> = globs.iter().map(ToString::to_string).collect();
            Referrers::OfTypes(ArtifactTypes::new(&globs).unwrap())
        };
        let mut rules: Vec<Rule> = Vec::new();
        rules.extend(sources.iter().map(|source| of_scope(&|scope| scope.sources = vec![source.clone()])));
        rules.extend(sources.iter().map(|source| of_scope(&|scope| scope.sources.push(source.clone()))));
        rules.extend(targets.iter().map(|target| of_scope(&|scope| scope.targets = vec![target.clone()])));
        rules.extend(tags.iter().map(|tags| of_scope(&|scope| scope.tags = tags.clone())));
        rules.extend([
            Rule { kept: Some(Kept { same_revision: false }), ..plain() },
            Rule { kept: Some(Kept { same_revision: true }), ..plain() },
            Rule { platforms: platforms(&["linux/amd64"], PlatformMode::Rewrite), ..plain() },
            Rule { platforms: platforms(&["linux/amd64"], PlatformMode::Sparse), ..plain() },
            Rule { platforms: platforms(&["linux/amd64", "linux/arm64"], PlatformMode::Sparse), ..plain() },
            Rule { referrers: Referrers::All, ..plain() },
            Rule { referrers: of_types(&["a/*"]), ..plain() },
            Rule { referrers: of_types(&["a/*", "b/*"]), ..plain() },
            Rule { overwrite: false, ..plain() },
            Rule { prune: prune(&[], 20, vec![]), ..plain() },
            Rule { prune: prune(&["v1"], 20, vec![]), ..plain() },
            Rule { prune: prune(&[], 21, vec![]), ..plain() },
            Rule { prune: prune(&[], 20, vec![Neighbour::from(&plain())]), ..plain() },
            Rule { timeout: Some(Duration::from_millis(1)), ..plain() },
            Rule { timeout: Some(Duration::from_millis(2)), ..plain() },
        ]);
        rules
    }

    #[test]
    fn every_change_of_what_a_rule_does_gives_it_another_fingerprint() {
        let mut seen = HashMap::from([(plain().fingerprint(), plain())]);
        for rule in others() {
            let before = seen.insert(rule.fingerprint(), rule.clone());
            assert!(before.is_none(), "{before:?}\n{rule:?}");
        }
    }

    #[test]
    fn a_fingerprint_never_changes_or_replicas_of_one_version_would_refuse_each_other() {
        insta::assert_snapshot!(plain().fingerprint(), @"sha256:d382fa9320d6e9bc34060b7bebddbac7f6e23106eaad0f9c4742aa0f0f7c1898");
        assert_eq!(Rule { name: "other".into(), ..plain() }.fingerprint(), plain().fingerprint());
    }
}
