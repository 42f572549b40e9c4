//! Memory does not grow with the size of what is copied.

use std::fs;

use testkit::{FakeRegistry, Image};

use crate::support::{Ferry, until};

const MIB: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_of_a_gibibyte_takes_less_than_48_mebibytes() {
    let source = FakeRegistry::start().await;
    let target = FakeRegistry::builder().discard_large_uploads(MIB).start().await;
    let layer = source.seed_generated_blob("app", 1024 * MIB, 1);
    source.seed("app", "v1", &Image::oci("linux/amd64").layer_elsewhere(layer).build());
    let from = format!("{}/app:v1", source.host());
    let to = format!("{}/app:v1", target.host());

    let mut copy = Ferry::new(&["copy", &from, &to]).spawn();
    let status = format!("/proc/{}/status", copy.pid());
    let mut peak = 0;
    until("the end of the copy", async || {
        // What was seen before the end stays: a process that is over has no memory.
        peak = fs::read_to_string(&status).ok().and_then(|text| high_water_mark(&text)).unwrap_or(peak);
        copy.has_ended().then_some(())
    })
    .await;

    copy.ended().await.success();
    assert_eq!(target.check_whole("app", "v1"), Ok(()));
    assert!(peak > MIB && peak < 48 * MIB, "{peak} bytes");
}

/// `VmHWM`, the peak of the resident set, in bytes. Source: proc_pid_status(5).
fn high_water_mark(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}
