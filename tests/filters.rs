//! `docs/filters.md`: each of its examples is a configuration, and chooses the tags that it says.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic anywhere")]

use std::path::Path;

use regferry::config::Config;
use regferry::oci::Tag;

const GUIDE: &str = include_str!("../docs/filters.md");

/// An example of the guide.
struct Example {
    /// Its first line in the guide.
    line: usize,
    text: String,
    /// The tags that there are, and those of them that are chosen.
    tags: Option<(Vec<Tag>, Vec<Tag>)>,
}

impl Example {
    /// The example as a whole configuration: what it leaves out is put before it.
    fn configuration(&self) -> String {
        let is_whole = self.text.contains("[[rules]]") || self.text.contains("[registries");
        let rule = "[[rules]]\nname = 'example'\nsource = 'source.example/app'\ntarget = 'target.example/app'\n";
        if is_whole { self.text.clone() } else { format!("{rule}{}", self.text) }
    }

    fn parse(&self) -> Config {
        let parsed = Config::parse(&self.configuration(), Path::new("filters.md"), &|_| None);
        parsed.unwrap_or_else(|error| panic!("the example at line {}: {error}", self.line))
    }
}

fn examples() -> Vec<Example> {
    let mut lines = GUIDE.lines().enumerate();
    let (mut examples, mut tags) = (Vec::new(), None);
    while let Some((index, line)) = lines.next() {
        if let Some(comment) = line.strip_prefix("<!-- tags: ") {
            tags = Some(listed_and_chosen(comment.strip_suffix(" -->").unwrap()));
        } else if line == "```toml" {
            let block = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
            let text = block.collect::<Vec<_>>().join("\n");
            examples.push(Example { line: index + 2, text, tags: tags.take() });
        }
    }
    examples
}

fn listed_and_chosen(comment: &str) -> (Vec<Tag>, Vec<Tag>) {
    let (listed, chosen) = comment.split_once(" → ").unwrap();
    let tags = |text: &str| text.split_whitespace().map(|tag| tag.parse().unwrap()).collect();
    (tags(listed), tags(chosen))
}

#[test]
fn each_example_is_a_configuration() {
    let examples = examples();
    assert!(examples.len() > 15, "{} examples were found", examples.len());
    for example in &examples {
        example.parse();
    }
}

#[test]
fn each_example_chooses_the_tags_that_it_says() {
    let mut tried = 0;
    for example in examples() {
        let Some((listed, chosen)) = example.tags.clone() else { continue };
        let config = example.parse();
        let filter = &config.rules[0].rule.scope.tags;
        assert_eq!(filter.select(listed).tags, chosen, "the example at line {}", example.line);
        tried += 1;
    }
    assert!(tried >= 10, "{tried} examples were tried");
}
