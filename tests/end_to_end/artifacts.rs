//! What is no image goes the same way: pushed by the tool that made it, mirrored, and pulled by that tool again.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use testkit::DistributionServer;
use testkit::client::{self, Place};
use tokio::process::Command;

use crate::support::Ferry;

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

#[tokio::test]
async fn a_chart_that_helm_has_pushed_is_pulled_from_the_target_by_helm() {
    let (source, target) = (DistributionServer::start(), DistributionServer::start());
    let (pushed, pulled) = (Folder::new(), Folder::new());
    let chart = format!("{REPOSITORY}/tests/end_to_end/artifacts/chart");
    pushed.run("with_helm.py", &["push", &chart, ".", &format!("{}/charts", source.host())]).await;

    mirror(&source, "charts/tide", &target, "mirror/tide").await;

    // The version's plus sign is an underscore in the tag.
    let tag = "1.4.0_build.7";
    let (there, here) = (Place::new(source.host(), "charts/tide", tag), Place::new(target.host(), "mirror/tide", tag));
    assert_eq!(client::same_tree(there, here).await, Ok(()));
    let at = format!("{}/mirror/tide", target.host());
    pulled.run("with_helm.py", &["pull", &at, "1.4.0+build.7", "."]).await;
    let archive = "tide-1.4.0+build.7.tgz";
    assert_eq!((pulled.files(), pulled.read(archive)), (vec![PathBuf::from(archive)], pushed.read(archive)));
}

#[tokio::test]
async fn an_artifact_that_oras_has_pushed_is_pulled_from_the_target_by_oras() {
    let (source, target) = (DistributionServer::start(), DistributionServer::start());
    let (pushed, pulled) = (Folder::new(), Folder::new());
    pushed.write("config.json", br#"{"made":"for a test"}"#);
    pushed.write("weights.bin", &(0..300_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
    pushed.write("empty.txt", b"");
    pushed.write("notes/deep/one.txt", b"in a folder");
    let config = "config.json:application/vnd.example.config.v1+json";
    let files = ["weights.bin:application/vnd.example.weights", "empty.txt:text/plain", "notes"];
    let at = format!("{}/models/tide:v1", source.host());
    pushed.run("with_oras.py", &[&["push", &at, config], &files[..]].concat()).await;

    mirror(&source, "models/tide", &target, "mirror/model").await;

    let (there, here) =
        (Place::new(source.host(), "models/tide", "v1"), Place::new(target.host(), "mirror/model", "v1"));
    assert_eq!(client::same_tree(there, here).await, Ok(()));
    pulled.run("with_oras.py", &["pull", &format!("{}/mirror/model:v1", target.host()), "."]).await;
    // The configuration is no file of the artifact.
    let files = ["empty.txt", "notes/deep/one.txt", "weights.bin"].map(PathBuf::from);
    assert_eq!(pulled.files(), files);
    for file in &files {
        assert_eq!(pulled.read(file), pushed.read(file), "{}", file.display());
    }
}

/// Brings all tags of one repository over, and looks again: then there is nothing to do.
async fn mirror(source: &DistributionServer, from: &str, target: &DistributionServer, to: &str) {
    let config = format!(
        "[[rules]]\nname = \"artifacts\"\nsource = \"{}/{from}\"\ntarget = \"{}/{to}\"",
        source.host(),
        target.host()
    );
    for outcome in ["copied", "unchanged"] {
        let report = Ferry::new(&["sync", "--output", "json"]).config(&config).run().await.json();
        assert_eq!(report["totals"][outcome], 1, "{report}");
    }
}

/// An empty folder in which a tool runs. It is its home too, so that it finds no logins.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("the temporary directory is writable"))
    }

    /// Runs one of the scripts beside this file.
    async fn run(&self, script: &str, arguments: &[&str]) {
        let python = format!("{REPOSITORY}/target/test-tools/python/bin/python");
        let script = format!("{REPOSITORY}/tests/end_to_end/artifacts/{script}");
        let mut command = Command::new(&python);
        // Isolated: it sees the packages that were installed for it, and nothing else.
        command.args(["-I", &script]).args(arguments).current_dir(&self.0).env_clear().env("HOME", self.0.path());
        let output = command.kill_on_drop(true).output().await;
        let output = output.unwrap_or_else(|error| panic!("{python}: {error}; scripts/install-test-tools makes it"));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script} {arguments:?}: {}\n{errors}", output.status);
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.0.path().join(name);
        let folder = path.parent().expect("a file is in a folder");
        fs::create_dir_all(folder).and_then(|()| fs::write(&path, bytes)).expect("the folder is writable");
    }

    fn read(&self, name: impl AsRef<Path>) -> Vec<u8> {
        let path = self.0.path().join(name);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// All files, those of hidden folders, which tools keep for themselves, left out.
    fn files(&self) -> Vec<PathBuf> {
        let mut files = files_below(self.0.path());
        files.sort();
        files.iter().map(|file| file.strip_prefix(&self.0).expect("it is below").to_owned()).collect()
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is readable").map(|entry| entry.expect("so are its entries"));
    let seen = entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    seen.flat_map(|entry| if entry.path().is_dir() { files_below(&entry.path()) } else { vec![entry.path()] }).collect()
}
