//! What holds for every command: it explains itself, in the terminal and in the manual, and is in the README.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic anywhere")]

use std::fs;
use std::path::Path;

use clap::Command;
use regferry::cli;

/// Every command that does something, with its full name: `index create` too.
fn commands() -> Vec<(String, Command)> {
    let mut all = Vec::new();
    collect(&cli::command(), "", &mut all);
    assert!(all.len() > 10, "only {} were found", all.len());
    all
}

fn collect(command: &Command, above: &str, all: &mut Vec<(String, Command)>) {
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        let name = format!("{above}{}", below.get_name());
        if below.has_subcommands() {
            collect(below, &format!("{name} "), all);
        } else {
            all.push((name, below.clone()));
        }
    }
}

/// The lines of its help that show how it is called.
fn examples(name: &str, command: &Command) -> Vec<String> {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default().replace("\\\n", " ");
    let (_, examples) = help.split_once("Examples:\n").unwrap_or_else(|| panic!("{name} has no examples"));
    let calls = examples.lines().map(str::trim_start).filter(|line| line.contains(&format!("regferry {name}")));
    calls.map(str::to_owned).collect()
}

/// The words of the program's call in a shell's line, up to a pipe or a redirection.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut is_quoted) = (vec![String::new()], false);
    for c in line.chars() {
        match c {
            '\'' => is_quoted = !is_quoted,
            '|' | '>' | '<' if !is_quoted => break,
            ' ' if !is_quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words.into_iter().filter(|word| !word.is_empty()).skip_while(|word| word != "regferry").collect()
}

#[test]
fn the_help_of_every_command_has_two_examples_of_it() {
    for (name, command) in commands() {
        let examples = examples(&name, &command);
        assert!(examples.len() >= 2, "regferry {name}: {examples:?}");
    }
}

#[test]
fn every_example_is_understood() {
    for (name, command) in commands() {
        for example in examples(&name, &command) {
            let parsed = cli::command().try_get_matches_from(words(&example));
            assert!(parsed.is_ok(), "{example}: {}", parsed.unwrap_err());
        }
    }
}

#[test]
fn every_command_has_a_page_with_its_examples() {
    let folder = tempfile::tempdir().unwrap();
    clap_mangen::generate_to(cli::command(), folder.path()).unwrap();

    assert!(folder.path().join("regferry.1").exists());
    for (name, _) in commands() {
        let page = folder.path().join(format!("regferry-{}.1", name.replace(' ', "-")));
        let text = fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        assert!(text.contains("Examples:") && text.contains("regferry"), "{}", page.display());
    }
}

#[test]
fn every_command_is_in_the_readme() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    for command in cli::command().get_subcommands() {
        let line = format!("| `{} ", command.get_name());
        let is_there = readme.lines().any(|known| known.replace('`', " ").starts_with(&line.replace('`', " ")));
        assert!(is_there, "README.md has no line that starts with {line:?} in its table of commands");
    }
}

#[test]
fn the_definition_of_the_command_line_is_sound() {
    cli::command().debug_assert();
}
