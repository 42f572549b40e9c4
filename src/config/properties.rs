//! What holds for every text that may be a configuration.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{Config, ScheduledRule};
use crate::schedule::{Schedule, Timing};

const FILE: &str = "regferry.toml";

/// A configuration that is taken can be run; of one that is not, each problem is a line with its place in the file.
pub fn config(data: &[u8]) {
    // What a text names as `ca_file` is opened: a device has no end.
    let Some(text) = str::from_utf8(data).ok().filter(|text| !text.contains("/dev/")) else { return };
    let env = |name: &str| (name == "TRICKY").then(|| "x\"\n[[rules]]".to_owned());
    match Config::parse(text, Path::new(FILE), &env) {
        Ok(config) => taken(&config),
        Err(error) => {
            let told = error.to_string();
            assert_eq!(told.split('\n').count(), error.problems().len(), "{told}");
            told.split('\n').for_each(|line| has_its_place(line, text));
        }
    }
}

fn taken(config: &Config) {
    let names: HashSet<&str> = config.rules.iter().map(|rule| &*rule.rule.name).collect();
    assert_eq!(names.len(), config.rules.len(), "a name stands for two rules");
    assert!(!names.iter().any(|name| name.is_empty() || name.contains(char::is_control)), "{names:?}");
    assert!(config.limits.max_images > 0 && config.limits.max_blobs > 0, "{:?}", config.limits);

    for ScheduledRule { timing, .. } in &config.rules {
        assert!(timing.jitter <= timing.schedule.shortest_wait(), "{timing:?} skips ticks");
    }
    let rules = config.rules.iter().flat_map(|rule| [interval(&rule.timing), rule.timing.recheck, rule.rule.timeout]);
    let registries = config.registries.values().flat_map(|r| [Some(r.connect_timeout), Some(r.idle_timeout)]);
    for length in rules.chain(registries).flatten() {
        assert!(length > Duration::ZERO && Instant::now().checked_add(length).is_some(), "{length:?}");
    }
    assert!(Instant::now().checked_add(config.service.shutdown_grace).is_some());
}

fn interval(timing: &Timing) -> Option<Duration> {
    match &timing.schedule {
        Schedule::Every(every) => Some(*every),
        Schedule::Cron(cron) => {
            assert!(cron.next_after(Timestamp::UNIX_EPOCH).is_some(), "{cron:?} never comes");
            None
        }
    }
}

fn has_its_place(line: &str, text: &str) {
    let place = line.strip_prefix(FILE).and_then(|rest| rest.strip_prefix(':')).unwrap_or_default();
    let (number, problem) = place.split_once(':').unwrap_or_default();
    let lines = 1..=text.split('\n').count();
    assert!(number.parse().is_ok_and(|number: usize| lines.contains(&number)), "{line} is at no line");
    assert!(!problem.starts_with(" : "), "{line} has no key");
    assert!(!line.contains(char::is_control), "{line:?} is not plain");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Pieces of configurations, so that chance gets past the syntax.
    fn fragment() -> impl Strategy<Value = String> {
        let header = prop::sample::select(vec![
            "[service]",
            "[defaults]",
            "[transfer]",
            "[registries.'a.b']",
            "[registries.x]",
            "[cluster]",
            "[[rules]]",
            "[rules.tags]",
            "[rules]",
            "[[compose]]",
        ]);
        let key = prop::sample::select(vec![
            "listen",
            "shutdown_grace",
            "schedule",
            "timezone",
            "jitter",
            "recheck",
            "timeout",
            "tags",
            "tags.include",
            "max_blobs",
            "username",
            "password",
            "password_env",
            "ca_file",
            "nats",
            "ack_wait",
            "tls",
            "name",
            "source",
            "sources",
            "target",
            "include",
            "semver",
            "latest",
            "x",
            "\"x\\ny\"",
        ]);
        let value = prop::sample::select(vec![
            "1",
            "-1",
            "1.5",
            "true",
            "[]",
            "{}",
            "''",
            "['a', '/(/']",
            "{ include = ['*'] }",
            "1979-05-27",
            "'docker.io/a:b'",
            "'docker.io/a'",
            "'nats://a:b@c:4222'",
            "'${X}'",
            "\"${TRICKY}\"",
            "'15m'",
            "'0 */6 * * *'",
            "'0 0 30 2 *'",
            "'Europe/Berlin'",
            "'>=3.18, <4 || 1.*'",
            "'18446744073709551615s'",
        ]);
        let duration = "'[0-9]{0,3}[a-zµ. é-]{0,4}[0-9]{0,20}[a-z]{0,2}'";
        let value = prop_oneof![
            3 => value.prop_map(str::to_owned),
            1 => duration,
            3 => "\\PC{0,12}".prop_map(|text| format!("{text:?}")),
        ];
        prop_oneof![1 => header.prop_map(str::to_owned), 3 => (key, value).prop_map(|(key, value)| format!("{key} = {value}"))]
    }

    proptest! {
        #[test]
        fn any_text_keeps_it(text in "[\\PC\n]{0,200}") {
            config(text.as_bytes());
        }

        #[test]
        fn what_is_almost_a_configuration_keeps_it(lines in prop::collection::vec(fragment(), 0..12)) {
            config(lines.join("\n").as_bytes());
        }
    }
}
