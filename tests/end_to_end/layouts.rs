//! Image layouts, with skopeo and umoci as witnesses: over an air gap, by several at once, and cut in the middle.

use std::fs;
use std::path::Path;

use serde_json::Value;
use testkit::client::{self, Place};
use testkit::content::{every_kind, hello_world};
use testkit::server::{skopeo, umoci};
use testkit::{DistributionServer, Image};

use crate::gate::Gate;
use crate::support::{Ferry, until};

const PLAIN: [&str; 2] = ["--src-tls-verify=false", "--dest-tls-verify=false"];

async fn skopeo_copy(from: &str, to: &str) {
    skopeo(&["copy", "--all", "--preserve-digests", PLAIN[0], PLAIN[1], from, to]).await;
}

async fn copy(from: &str, to: &str) {
    let printed = Ferry::new(&["copy", from, to]).run().await.success();
    assert!(printed.starts_with(to), "{printed}");
}

/// The names in a layout as umoci lists them.
async fn umoci_tags(dir: &str) -> Vec<String> {
    let listed = String::from_utf8(umoci(&["ls", "--layout", dir]).await).expect("tags are ASCII");
    let mut tags: Vec<String> = listed.lines().map(str::to_owned).collect();
    tags.sort();
    tags
}

/// Whether every file below `blobs` hashes to its name, and nothing lies about beside them.
fn assert_sound(dir: &str) {
    let names = |path: &Path| -> Vec<String> {
        let entries = fs::read_dir(path).expect("it is a directory");
        entries.map(|entry| entry.expect("it can be read").file_name().into_string().expect("ASCII")).collect()
    };
    let mut top = names(Path::new(dir));
    top.sort();
    assert_eq!(top, ["blobs", "index.json", "oci-layout"]);
    let blobs = Path::new(dir).join("blobs/sha256");
    for name in names(&blobs) {
        let bytes = fs::read(blobs.join(&name)).expect("a blob is a file");
        assert_eq!(regferry::oci::Digest::of(&bytes).hex(), name);
    }
}

#[tokio::test]
async fn every_kind_of_image_crosses_an_air_gap_byte_for_byte() {
    let (here, there, stick) = (DistributionServer::start(), DistributionServer::start(), tempdir());
    for (kind, image) in every_kind() {
        client::push(here.host(), kind, "v1", &image).await;
        copy(&format!("{}/{kind}:v1", here.host()), &format!("oci:{stick}:{kind}")).await;
    }
    assert_sound(&stick);
    for (kind, image) in every_kind() {
        let to = format!("{}/{kind}:v1", there.host());
        let printed = Ferry::new(&["copy", &format!("oci:{stick}:{kind}"), &to]).run().await.success();
        assert_eq!(printed, format!("{to} {}\n", image.digest()), "{kind}");
        let (one, other) = (Place::new(here.host(), kind, "v1"), Place::new(there.host(), kind, "v1"));
        assert_eq!(client::same_tree(one, other).await, Ok(()), "{kind}");
    }
    let kinds: Vec<String> = every_kind().into_iter().map(|(kind, _)| kind.to_owned()).collect();
    let listed = Ferry::new(&["tags", &format!("oci:{stick}")]).run().await.success();
    let mut listed: Vec<&str> = listed.lines().collect();
    listed.sort_unstable();
    let mut kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    kinds.sort_unstable();
    assert_eq!(listed, kinds);
}

#[tokio::test]
async fn skopeo_and_umoci_read_what_we_wrote() {
    let (here, there, dir) = (DistributionServer::start(), DistributionServer::start(), tempdir());
    let app = |number| Image::oci("linux/amd64").layer(1, 30_000).layer(number, 10_000).build();
    for (tag, image) in [("list", Image::oci_index([app(2), app(3)])), ("v1", app(2))] {
        client::push(here.host(), "app", tag, &image).await;
        copy(&format!("{}/app:{tag}", here.host()), &format!("oci:{dir}:{tag}")).await;
        let raw = skopeo(&["inspect", "--raw", &format!("oci:{dir}:{tag}")]).await;
        assert_eq!(raw, image.root.bytes, "{tag}");
        skopeo_copy(&format!("oci:{dir}:{tag}"), &format!("docker://{}/app:{tag}", there.host())).await;
        let (one, other) = (Place::new(here.host(), "app", tag), Place::new(there.host(), "app", tag));
        assert_eq!(client::same_tree(one, other).await, Ok(()), "{tag}");
    }
    // Skopeo looks for OCI's types only; what is Docker's is listed for whoever reads it as it is.
    client::push(here.host(), "app", "docker", &hello_world()).await;
    copy(&format!("{}/app:docker", here.host()), &format!("oci:{dir}:docker")).await;
    assert_eq!(umoci_tags(&dir).await, ["docker", "list", "v1"]);
    let stat: Value = serde_json::from_slice(&umoci(&["stat", "--json", "--image", &format!("{dir}:v1")]).await)
        .expect("umoci prints JSON");
    assert!(stat.get("history").is_some(), "{stat}");
    assert_sound(&dir);
}

#[tokio::test]
async fn we_read_what_skopeo_and_umoci_wrote() {
    let (here, there, dir) = (DistributionServer::start(), DistributionServer::start(), tempdir());
    let app = |number| Image::oci("linux/amd64").layer(1, 30_000).layer(number, 10_000).build();
    for (tag, image) in [("list", Image::oci_index([app(2), app(3)])), ("v1", app(2)), ("v2", app(4))] {
        client::push(here.host(), "app", tag, &image).await;
        skopeo_copy(&format!("docker://{}/app:{tag}", here.host()), &format!("oci:{dir}:{tag}")).await;
    }
    // The name that podman and others write.
    let full = "registry.example/team/app:v9";
    skopeo_copy(&format!("docker://{}/app:v2", here.host()), &format!("oci:{dir}:{full}")).await;
    for (tag, original) in [("list", "list"), ("v1", "v1"), ("v2", "v2"), ("v9", "v2")] {
        copy(&format!("oci:{dir}:{tag}"), &format!("{}/app:{tag}", there.host())).await;
        let (one, other) = (Place::new(here.host(), "app", original), Place::new(there.host(), "app", tag));
        assert_eq!(client::same_tree(one, other).await, Ok(()), "{tag}");
    }

    let own = tempdir();
    umoci(&["init", "--layout", &format!("{own}/made")]).await;
    umoci(&["new", "--image", &format!("{own}/made:blank")]).await;
    umoci(&["config", "--author", "umoci", "--image", &format!("{own}/made:blank"), "--tag", "signed"]).await;
    for tag in ["blank", "signed"] {
        copy(&format!("oci:{own}/made:{tag}"), &format!("{}/umoci:{tag}", there.host())).await;
        let raw = skopeo(&["inspect", "--raw", &format!("oci:{own}/made:{tag}")]).await;
        let arrived = client::fetch_manifest(there.host(), "umoci", tag).await.expect("it was copied");
        assert_eq!(arrived.bytes, raw, "{tag}");
    }
    // And we write beside what it wrote; to umoci that is all one.
    copy(&format!("{}/app:v1", here.host()), &format!("oci:{own}/made:ours")).await;
    umoci(&["gc", "--layout", &format!("{own}/made")]).await;
    assert_eq!(umoci_tags(&format!("{own}/made")).await, ["blank", "ours", "signed"]);
    copy(&format!("oci:{own}/made:ours"), &format!("{}/app:ours", there.host())).await;
}

#[tokio::test]
async fn two_who_write_one_layout_at_once_lose_nothing() {
    let (here, dir) = (DistributionServer::start(), tempdir());
    for number in 0..12 {
        let image = Image::oci("linux/amd64").layer(99, 100_000).layer(number, 5_000).build();
        client::push(here.host(), if number % 2 == 0 { "even" } else { "odd" }, &format!("v{number}"), &image).await;
    }
    let sync = |name: &str| {
        let rule = format!("[[rules]]\nname = '{name}'\nsource = '{}/{name}'\ntarget = 'oci:{dir}'\n", here.host());
        Ferry::new(&["sync"]).config(&rule).spawn()
    };
    let (even, odd) = (sync("even"), sync("odd"));
    let (even, odd) = tokio::join!(even.ended(), odd.ended());
    even.success();
    odd.success();
    assert_eq!(umoci_tags(&dir).await.len(), 12);
    assert_sound(&dir);
    for number in 0..12 {
        skopeo(&["inspect", "--raw", &format!("oci:{dir}:v{number}")]).await;
    }
}

#[tokio::test]
async fn after_kill_9_what_was_there_is_there_and_the_next_run_goes_on() {
    let (here, dir) = (DistributionServer::start(), tempdir());
    let old = Image::oci("linux/amd64").layer(1, 10_000).build();
    let new = Image::oci("linux/amd64").layer(2, 4 << 20).build();
    client::push(here.host(), "app", "v1", &old).await;
    copy(&format!("{}/app:v1", here.host()), &format!("oci:{dir}:v1")).await;
    client::push(here.host(), "app", "v1", &new).await;

    let gate = Gate::before(here.host(), 2 << 20).await;
    let killed = Ferry::new(&["copy", &format!("{}/app:v1", gate.host()), &format!("oci:{dir}:v1")]).spawn();
    gate.closed().await;
    let unfinished = || {
        let entries = fs::read_dir(&*dir).expect("it is a directory").filter_map(Result::ok);
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(".regferry-")).count()
    };
    until("a blob that is not whole", async || (unfinished() > 0).then_some(())).await;
    killed.kill().await;

    assert_eq!(skopeo(&["inspect", "--raw", &format!("oci:{dir}:v1")]).await, old.root.bytes);
    assert_eq!(umoci_tags(&dir).await, ["v1"]);
    copy(&format!("{}/app:v1", here.host()), &format!("oci:{dir}:v1")).await;
    assert_eq!(skopeo(&["inspect", "--raw", &format!("oci:{dir}:v1")]).await, new.root.bytes);
    assert_sound(&dir);
}

#[tokio::test]
async fn a_rule_mirrors_into_a_layout_and_verify_finds_the_damaged_blob() {
    let (here, dir) = (DistributionServer::start(), tempdir());
    let image = Image::oci_index([
        Image::oci("linux/amd64").layer(1, 10_000).build(),
        Image::oci("linux/arm64").layer(2, 10_000).build(),
    ]);
    client::push(here.host(), "app", "v1", &image).await;
    let rule = format!("[[rules]]\nname = 'app'\nsource = '{}/app'\ntarget = 'oci:{dir}'\n", here.host());
    let run = |arguments: &'static [&'static str]| Ferry::new(arguments).config(&rule).run();
    run(&["check", "--online"]).await.success();
    run(&["sync"]).await.success();
    run(&["verify", "--deep"]).await.success();

    let layer = image.children[1].blobs[1].clone();
    let file = format!("{dir}/blobs/{}", layer.digest().replacen(':', "/", 1));
    let flipped: Vec<u8> = layer.bytes.iter().map(|byte| !byte).collect();
    fs::write(&file, flipped).expect("the layout is ours");
    let verified = run(&["verify", "--deep"]).await;
    assert_eq!(verified.code, Some(1));
    assert!(verified.text().contains("of linux/arm64 has other bytes than its digest says"), "{}", verified.text());
    fs::remove_file(&file).expect("the layout is ours");
    let verified = run(&["verify"]).await;
    assert_eq!(verified.code, Some(1));
    assert!(verified.text().contains("of linux/arm64 is not there"), "{}", verified.text());
    run(&["sync"]).await.success();
    run(&["verify", "--deep"]).await.success();
    assert_sound(&dir);
}

#[tokio::test]
async fn what_looks_at_registries_looks_at_layouts_too() {
    let (here, dir) = (DistributionServer::start(), tempdir());
    client::push(here.host(), "app", "v1", &hello_world()).await;
    let layout = format!("oci:{dir}");
    copy(&format!("{}/app:v1", here.host()), &format!("{layout}:v1")).await;
    copy(&format!("{layout}:v1"), &format!("{layout}:v2")).await;
    let show = |arguments: &[&str]| Ferry::new(arguments).run();
    let raw = show(&["inspect", "--raw", &layout]).await;
    assert_eq!(raw.stdout, &*hello_world().root.bytes, "both tags have the one image: {}", raw.stderr);
    assert!(show(&["inspect", &format!("{layout}:v2")]).await.success().contains("linux/arm64"));
    let manifests = show(&["manifests", &layout, "--output", "json"]).await.json();
    assert!(
        manifests.as_array().expect("it is a list").iter().any(|one| one["tags"] == serde_json::json!(["v1", "v2"]))
    );
    assert_eq!(show(&["tags", &layout]).await.success(), "v1\nv2\n");
    assert_eq!(show(&["delete", &format!("{layout}:v1"), "--yes"]).await.success(), format!("deleted {layout}:v1\n"));
    assert_eq!(umoci_tags(&dir).await, ["v2"]);
    let error = show(&["tags", "oci:nowhere"]).await.failure(1);
    assert!(error.contains("not found"), "{error}");
}

/// Runs a line in which `regferry` is the program that is tested.
async fn shell(line: &str) -> std::process::Output {
    let line = line.replace("regferry ", &format!("{} ", env!("CARGO_BIN_EXE_regferry")));
    let mut shell = tokio::process::Command::new("bash");
    shell.args(["-o", "pipefail", "-c", &line]).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    shell.stdin(std::process::Stdio::null()).kill_on_drop(true).output().await.expect("there is bash")
}

fn told(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn every_kind_of_image_goes_through_a_pipe_byte_for_byte() {
    let (here, there) = (DistributionServer::start(), DistributionServer::start());
    for (kind, image) in every_kind() {
        client::push(here.host(), kind, "v1", &image).await;
        let (from, to) = (format!("{}/{kind}:v1", here.host()), format!("{}/{kind}", there.host()));
        let piped = shell(&format!("regferry copy {from} - | regferry copy - {to}")).await;
        assert!(piped.status.success(), "{kind}: {}", told(&piped));
        assert_eq!(String::from_utf8_lossy(&piped.stdout), format!("{to}:v1 {}\n", image.digest()), "{kind}");
        assert!(told(&piped).contains(&image.digest()), "what was sent is told on stderr: {}", told(&piped));
        let (one, other) = (Place::new(here.host(), kind, "v1"), Place::new(there.host(), kind, "v1"));
        assert_eq!(client::same_tree(one, other).await, Ok(()), "{kind}");
    }
}

#[tokio::test]
async fn tar_and_skopeo_read_our_archives_and_we_read_theirs() {
    let (here, there, dir) = (DistributionServer::start(), DistributionServer::start(), tempdir());
    // The second layer is larger than what is kept in memory.
    let app = |number| Image::oci("linux/amd64").layer(number, 30_000).layer(9, 6 << 20).build();
    let image = Image::oci_index([app(1), app(2)]);
    client::push(here.host(), "app", "v1", &image).await;
    let exported = shell(&format!("regferry copy {}/app:v1 - > {dir}/ours.tar", here.host())).await;
    assert!(exported.status.success(), "{}", told(&exported));
    let listed =
        shell(&format!("tar tf {dir}/ours.tar && mkdir {dir}/out && tar xf {dir}/ours.tar -C {dir}/out")).await;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.starts_with("oci-layout\n") && listed.ends_with("\nindex.json\n"), "{listed}");
    assert_sound(&format!("{dir}/out"));
    assert_eq!(umoci_tags(&format!("{dir}/out")).await, ["v1"]);
    skopeo_copy(&format!("oci-archive:{dir}/ours.tar:v1"), &format!("docker://{}/skopeo:v1", there.host())).await;

    skopeo_copy(&format!("docker://{}/app:v1", here.host()), &format!("oci-archive:{dir}/theirs.tar:v7")).await;
    let imported = shell(&format!("regferry copy - {}/app < {dir}/theirs.tar", there.host())).await;
    assert!(imported.status.success(), "{}", told(&imported));
    let again = shell(&format!("regferry copy - oci:{dir}/layout:v9 --output json < {dir}/theirs.tar")).await;
    assert!(again.status.success(), "{}", told(&again));
    let report: Value = serde_json::from_slice(&again.stdout).expect("it is JSON");
    assert_eq!(report["images"][0]["blobs"]["copied"], 5, "{report:#}");
    assert_eq!(umoci_tags(&format!("{dir}/layout")).await, ["v9"]);
    for (repository, tag) in [("skopeo", "v1"), ("app", "v7")] {
        let (one, other) = (Place::new(here.host(), "app", "v1"), Place::new(there.host(), repository, tag));
        assert_eq!(client::same_tree(one, other).await, Ok(()), "{repository}");
    }
}

#[tokio::test]
async fn a_pipe_that_breaks_off_leaves_no_tag() {
    let (here, there, dir) = (DistributionServer::start(), DistributionServer::start(), tempdir());
    let image = Image::oci("linux/amd64").layer(1, 6 << 20).build();
    client::push(here.host(), "app", "v1", &image).await;
    let (from, to) = (format!("{}/app:v1", here.host()), format!("{}/app:v1", there.host()));
    let cut = shell(&format!("regferry copy {from} - | head -c 3000000 | regferry copy - {to}")).await;
    assert_eq!(cut.status.code(), Some(1));
    assert!(told(&cut).contains("ends in the middle"), "{}", told(&cut));
    assert_eq!(client::fetch_manifest(there.host(), "app", "v1").await, None);

    let nothing = shell(&format!("regferry copy {}/app:none - > {dir}/none.tar", here.host())).await;
    assert_eq!(
        (nothing.status.code(), fs::metadata(format!("{dir}/none.tar")).expect("it is there").len()),
        (Some(1), 0)
    );
    let both = shell("regferry copy - -").await;
    assert_eq!(both.status.code(), Some(2), "{}", told(&both));
    let planned = shell(&format!("regferry copy {from} - | regferry copy - {to} --dry-run")).await;
    assert!(planned.status.success(), "{}", told(&planned));
    let plan = String::from_utf8_lossy(&planned.stdout).into_owned();
    assert!(plan.contains("blobs: 1 to copy, 1 present"), "what had come of the broken pipe is there: {plan}");
    assert_eq!(client::fetch_manifest(there.host(), "app", "v1").await, None);
}

#[tokio::test]
async fn what_is_no_layout_is_told_and_nothing_is_written() {
    let (here, home) = (DistributionServer::start(), tempdir());
    client::push(here.host(), "app", "v1", &hello_world()).await;
    fs::write(format!("{home}/notes.txt"), "not ours").expect("it is writable");
    let target = format!("oci:{home}");
    let error = Ferry::new(&["copy", &format!("{}/app:v1", here.host()), &target]).run().await.failure(1);
    assert!(error.contains("is no image layout") && error.contains("name a new or an empty directory"), "{error}");
    let error = Ferry::new(&["copy", &format!("oci:{home}/nowhere:v1"), &format!("{}/x", here.host())]).run().await;
    let error = error.failure(1);
    assert!(error.contains("not found; check the directory"), "{error}");
    assert_eq!(fs::read_dir(&*home).expect("it is a directory").count(), 1);
}

#[tokio::test]
async fn an_import_writes_layouts_and_reads_them_as_it_does_registries() {
    let (here, dir) = (DistributionServer::start(), tempdir());
    let (one, other) = (hello_world(), Image::oci("linux/amd64").layer(1, 100).build());
    client::push(here.host(), "app", "v1", &one).await;
    client::push(here.host(), "app", "v2", &other).await;
    let import = |tag: &str, more: &[&str]| {
        let source = format!("{}/app:{tag}", here.host());
        Ferry::new(&[&["import", "--source", &source, "--image", &format!("oci:{dir}:stable")], more].concat()).run()
    };
    import("v1", &[]).await.success();
    let refused = import("v2", &[]).await.failure(1);
    assert!(refused.contains(":stable exists as") && refused.contains("--force"), "{refused}");
    import("v2", &["--force", "--repository", &format!("oci:{dir}")]).await.success();
    assert_eq!(umoci_tags(&dir).await, ["stable"]);

    let source = format!("oci:{dir}:stable");
    let nameless = Ferry::new(&["import", "--source", &source, "--registry", here.host()]).run().await.failure(2);
    assert!(nameless.contains("no repository's name"), "{nameless}");
    let image = ["import", "--source", &source, "--registry", here.host(), "--image", "back:v2"];
    let printed = Ferry::new(&image).run().await.success();
    assert_eq!(printed, format!("{}/back:v2 {}\n", here.host(), other.digest()));
}

/// A directory, until it is dropped.
struct Dir {
    path: String,
    _dir: tempfile::TempDir,
}

fn tempdir() -> Dir {
    let dir = tempfile::tempdir().expect("the temporary directory is writable");
    Dir { path: dir.path().to_str().expect("its name is ASCII").to_owned(), _dir: dir }
}

impl std::ops::Deref for Dir {
    type Target = str;

    fn deref(&self) -> &str {
        &self.path
    }
}

impl std::fmt::Display for Dir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.path)
    }
}
