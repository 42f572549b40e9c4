//! Who is measured: a name, and a line for the shell.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context as _, Result};

use crate::corpus::{PARENT, Repository};

/// A program that copies all repositories of a registry to another, both on plain HTTP, tags and platforms included.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    pub(crate) name: String,
    script: String,
}

/// `NAME=COMMAND`
impl FromStr for Contender {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, script) = text.split_once('=').context("a contender is written as NAME=COMMAND")?;
        Ok(Self { name: name.trim().to_owned(), script: script.trim().to_owned() })
    }
}

impl Contender {
    pub(crate) fn regferry(program: &Path) -> Self {
        let script = format!("exec {} --config {{config}}/regferry.toml sync", program.display());
        Self { name: "regferry".to_owned(), script }
    }

    /// A process a repository, all of them at once: in one process it takes one image after another.
    pub(crate) fn skopeo() -> Self {
        let script = format!(
            "exec xargs -P 0 -I REPO skopeo sync --all --preserve-digests --src docker --dest docker \
             --src-tls-verify=false --dest-tls-verify=false {{source}}/REPO {{target}}/{PARENT} \
             < {{config}}/repositories"
        );
        Self { name: "skopeo".to_owned(), script }
    }

    /// What the shell is to run, between two registries (`host:port`), with the folder of [`write()`] for its files.
    pub(crate) fn script(&self, source: &str, target: &str, config: &Path) -> String {
        let config = config.display().to_string();
        self.script.replace("{source}", source).replace("{target}", target).replace("{config}", &config)
    }
}

/// Writes what contenders may read: `repositories` and `images` (`REPOSITORY:TAG`), one a line, and the configurations of
/// those who have one.
pub(crate) fn write(folder: &Path, source: &str, target: &str, repositories: &[Repository]) -> Result<()> {
    let mut names = String::new();
    let mut images = String::new();
    for Repository { name, tags } in repositories {
        let _ = writeln!(names, "{name}");
        for tag in tags {
            let _ = writeln!(images, "{name}:{tag}");
        }
    }
    fs::write(folder.join("repositories"), names)?;
    fs::write(folder.join("images"), images)?;
    fs::write(folder.join("regferry.toml"), regferry(source, target, repositories))?;
    fs::write(folder.join("regsync.yml"), regsync(source, target, repositories))?;
    fs::write(folder.join("ocync.yaml"), ocync(source, target, repositories))?;
    Ok(())
}

fn regferry(source: &str, target: &str, repositories: &[Repository]) -> String {
    let sources: Vec<_> = repositories.iter().map(|Repository { name, .. }| format!("\"{source}/{name}\"")).collect();
    let sources = sources.join(", ");
    format!("[[rules]]\nname = \"bench\"\nsource = [{sources}]\ntarget = \"{target}/{PARENT}/*\"\n")
}

fn regsync(source: &str, target: &str, repositories: &[Repository]) -> String {
    let mut text = "version: 1\ncreds:\n".to_owned();
    for host in [source, target] {
        let _ = writeln!(text, "  - registry: {host}\n    tls: disabled");
    }
    text += "defaults:\n  parallel: 8\nsync:\n";
    for Repository { name, .. } in repositories {
        let _ = writeln!(text, "  - source: {source}/{name}\n    target: {target}/{name}\n    type: repository");
    }
    text
}

fn ocync(source: &str, target: &str, repositories: &[Repository]) -> String {
    let mut text = format!(
        "registries:\n  source: {{ url: \"http://{source}\" }}\n  target: {{ url: \"http://{target}\" }}\n\
         defaults:\n  source: source\n  targets: target\n  artifacts:\n    enabled: false\n  tags:\n    glob: [\"*\"]\n\
         mappings:\n"
    );
    for Repository { name, .. } in repositories {
        let _ = writeln!(text, "  - from: {name}\n    to: {name}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_by_hand_learns_where_its_registries_and_files_are() {
        let contender: Contender = "x=x -c {config}/x.yml {source}/a {target}/a".parse().unwrap();

        assert_eq!(contender.name, "x");
        assert_eq!(contender.script("s:1", "t:2", Path::new("/c")), "x -c /c/x.yml s:1/a t:2/a");
        assert!("x -c".parse::<Contender>().is_err());
    }
}
