//! Memory does not grow with the size of what is copied, and with tags by little more than their names and digests.

use std::fs;

use testkit::{FakeRegistry, Image};

use crate::support::{Ferry, Running, until};

const MIB: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_of_a_gibibyte_takes_less_than_48_mebibytes() {
    let source = FakeRegistry::start().await;
    let target = FakeRegistry::builder().discard_large_uploads(MIB).start().await;
    let layer = source.seed_generated_blob("app", 1024 * MIB, 1);
    source.seed("app", "v1", &Image::oci("linux/amd64").layer_elsewhere(layer).build());
    let from = format!("{}/app:v1", source.host());
    let to = format!("{}/app:v1", target.host());

    let peak = peak(Ferry::new(&["copy", &from, &to]).spawn()).await;

    assert_eq!(target.check_whole("app", "v1"), Ok(()));
    assert!(peak > MIB && peak < 48 * MIB, "{peak} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_layer_goes_into_a_layout_and_through_a_pipe_in_as_little() {
    let (source, dir) = (FakeRegistry::start().await, tempfile::tempdir().expect("it is writable"));
    let target = FakeRegistry::builder().discard_large_uploads(MIB).start().await;
    let layer = source.seed_generated_blob("app", 256 * MIB, 1);
    source.seed("app", "v1", &Image::oci("linux/amd64").layer_elsewhere(layer).build());
    let (from, to) = (format!("{}/app:v1", source.host()), format!("{}/app:v1", target.host()));
    let layout = format!("oci:{}:v1", dir.path().display());

    let into_layout = peak(Ferry::new(&["copy", &from, &layout]).spawn()).await;
    let out_of_layout = peak(Ferry::new(&["copy", &layout, &to]).spawn()).await;
    let sending = Ferry::new(&["copy", &layout, "-"]).spawn();
    let tar = sending.home().join("stdout");
    let kept = dir.path().join("tar");
    fs::hard_link(&tar, &kept).expect("one file system has both");
    let into_pipe = peak(sending).await;
    let piped = format!("{}/piped:v1", target.host());
    let out_of_pipe = peak(Ferry::new(&["copy", "-", &piped]).stdin_from(&kept).spawn()).await;

    assert_eq!((target.check_whole("app", "v1"), target.check_whole("piped", "v1")), (Ok(()), Ok(())));
    let peaks = [into_layout, out_of_layout, into_pipe, out_of_pipe];
    assert!(peaks.iter().all(|peak| *peak > MIB && *peak < 48 * MIB), "{peaks:?} bytes");
}

/// At this rate 100,000 tags take less than 200 MiB, as `make bench CASES=growth` shows of the release build.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_tags_take_some_mebibytes_more_than_ten() {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let image = Image::oci("linux/amd64").layer(1, 100).build();
    for number in 0..10_000 {
        for registry in [&source, &target] {
            registry.seed("app", &format!("v{number}"), &image);
        }
    }
    let (from, to) = (source.host(), target.host());
    let sync = |tags: &str| {
        let rule = format!(
            "[[rules]]\nname = \"app\"\nsource = \"{from}/app\"\ntarget = \"{to}/app\"\ntags.include = [\"{tags}\"]"
        );
        Ferry::new(&["sync"]).config(&rule).spawn()
    };

    let (few, many) = (peak(sync("v?")).await, peak(sync("*")).await);

    let grown = many.saturating_sub(few);
    assert!(grown > MIB && grown < 16 * MIB, "{few} bytes grew to {many}");
}

/// The most memory that a program takes until it ends, in bytes.
async fn peak(mut program: Running) -> u64 {
    let status = format!("/proc/{}/status", program.pid());
    let mut peak = 0;
    until("the end of the program", async || {
        // What was seen before the end stays: a process that is over has no memory.
        peak = fs::read_to_string(&status).ok().and_then(|text| high_water_mark(&text)).unwrap_or(peak);
        program.has_ended().then_some(())
    })
    .await;
    let ended = program.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    peak
}

/// `VmHWM`, the peak of the resident set, in bytes. Source: proc_pid_status(5).
fn high_water_mark(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}
