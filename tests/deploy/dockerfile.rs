//! The `Dockerfile`: what it repeats of the project is so. `tests/image` holds the built image against the rest.

use crate::files;

/// What follows the text in the one line that has it.
fn after(text: &str) -> String {
    let dockerfile = files::read("Dockerfile");
    let found: Vec<&str> = dockerfile.lines().filter_map(|line| Some(line.split_once(text)?.1)).collect();
    let [rest] = found[..] else { panic!("{text:?} stands in one line: {found:?}") };
    rest.to_owned()
}

#[test]
fn it_builds_with_the_rust_that_the_project_asks_for() {
    let version = concat!(env!("CARGO_PKG_RUST_VERSION"), "-");
    assert!(after("FROM docker.io/library/rust:").starts_with(version));
}

#[test]
fn its_labels_are_those_of_the_crate() {
    for (label, value) in [
        ("title", env!("CARGO_PKG_NAME")),
        ("description", env!("CARGO_PKG_DESCRIPTION")),
        ("version", env!("CARGO_PKG_VERSION")),
        ("licenses", env!("CARGO_PKG_LICENSE")),
    ] {
        let written = after(&format!("org.opencontainers.image.{label}="));
        assert!(written.starts_with(&format!("\"{value}\"")), "{label}: {written}");
    }
}

#[test]
fn it_builds_with_any_builder() {
    let dockerfile = files::read("Dockerfile");
    for extension in ["# syntax=", "--mount=", "<<"] {
        assert!(!dockerfile.contains(extension), "{extension} is not every builder's");
    }
}

#[test]
fn it_copies_nothing_that_is_kept_out_of_the_context() {
    let (dockerfile, ignore) = (files::read("Dockerfile"), files::read(".dockerignore"));
    let let_in: Vec<&str> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let copies =
        dockerfile.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|line| !line.starts_with("--"));
    let copied: Vec<&str> = copies.flat_map(|line| line.rsplit_once(' ').unwrap().0.split(' ')).collect();
    assert_eq!(copied, let_in);
}
