//! The storeys hold: code imports only from lower ones, never upward and never sideways.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic anywhere")]

use std::fs;
use std::path::{Path, PathBuf};

/// The house from the ground up; parts of one storey stand beside each other.
const STOREYS: [&[&str]; 8] = [
    &["oci", "backoff", "files", "http_client"],
    &["content", "events"],
    &["registry", "layout"],
    &["transfer"],
    &["schedule", "queue", "telemetry"],
    &["config", "server", "history"],
    &["app"],
    &["cli"],
];

fn storey(part: &str) -> Option<usize> {
    STOREYS.iter().position(|parts| parts.contains(&part))
}

fn source_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The parts that a file names with `crate::part`, in `use` lines and elsewhere.
fn named_parts(text: &str) -> Vec<(usize, String)> {
    let mut parts = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        for rest in code.split("crate::").skip(1) {
            let part: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            parts.push((number + 1, part));
        }
    }
    parts
}

#[test]
fn code_imports_only_from_lower_storeys() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    source_files(&root, &mut files);
    assert!(files.len() > 30, "only {} files were found", files.len());

    let mut wrong = Vec::new();
    for file in &files {
        let inside = file.strip_prefix(&root).unwrap();
        let own = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        if matches!(own.as_str(), "lib" | "main") {
            continue;
        }
        let Some(own_storey) = storey(&own) else {
            wrong.push(format!("{}: {own} stands in no storey", inside.display()));
            continue;
        };
        for (line, part) in named_parts(&fs::read_to_string(file).unwrap()) {
            let allowed = part == own || storey(&part).is_some_and(|storey| storey < own_storey);
            if !allowed {
                wrong.push(format!("{}:{line}: {own} imports {part}", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "against the storeys:\n{}", wrong.join("\n"));
}

#[test]
fn the_check_sees_an_import() {
    assert_eq!(
        named_parts("use crate::cli::x; // crate::app\nlet a = crate::oci::y();"),
        [(1, "cli".into()), (2, "oci".into())]
    );
}
