//! Registries that do not take large bodies: found out by their 413, and remembered.

use regferry::events::ImageOutcome;
use testkit::{Effect, Endpoint, FakeRegistry, Fault, Image, Method};

use crate::support::{copy, engine};

const MIB: usize = 1 << 20;

async fn two(layers: &[usize]) -> (FakeRegistry, FakeRegistry) {
    let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
    for (n, size) in layers.iter().enumerate() {
        source.seed("app", &format!("v{n}"), &Image::oci("linux/amd64").layer(n as u64, *size).build());
    }
    (source, target)
}

fn ranges(target: &FakeRegistry) -> Vec<String> {
    let requests = target.requests();
    let patches = requests.iter().filter(|r| r.method == Method::PATCH && r.status == Some(202));
    patches.map(|request| request.header("content-range").unwrap().to_owned()).collect()
}

fn too_large(method: Method) -> (Fault, Effect) {
    (Fault::on(method, Endpoint::Upload).times(1), Effect::status(413))
}

#[tokio::test]
async fn a_body_that_is_too_large_goes_in_chunks_and_so_does_the_next() {
    let (source, target) = two(&[3 * MIB, 5 * MIB]).await;
    let layer = Image::oci("linux/amd64").layer(0, 3 * MIB).build();
    let layer = layer.blobs().find(|blob| blob.bytes.len() == 3 * MIB).unwrap().digest();
    target.fault(Fault::on(Method::PUT, Endpoint::Upload).reference(&layer).times(1), Effect::status(413));
    let engine = engine();

    for tag in ["v0", "v1"] {
        let to = format!("{}/app:{tag}", target.host());
        let report = copy(&engine, &format!("{}/app:{tag}", source.host()), &to).await;
        assert_eq!(report.outcome, ImageOutcome::Copied, "{:?}", report.error);
        assert_eq!(target.check_whole("app", tag), Ok(()));
    }

    let chunks = ["0-2097151", "2097152-3145727", "0-2097151", "2097152-4194303", "4194304-5242879"];
    assert_eq!(ranges(&target), chunks);
    assert_eq!(target.open_sessions(), 0);
}

#[tokio::test]
async fn chunks_get_smaller_until_they_are_taken() {
    let (source, target) = two(&[5 * MIB]).await;
    let (whole, first_chunk) = (too_large(Method::PUT), too_large(Method::PATCH));
    // The config blob is too small to be cut: its own refusal would be final.
    let image = Image::oci("linux/amd64").layer(0, 5 * MIB).build();
    let layer = image.blobs().find(|blob| blob.bytes.len() == 5 * MIB).unwrap().digest();
    target.fault(whole.0.reference(&layer), whole.1);
    target.fault(first_chunk.0, first_chunk.1);

    let report = copy(&engine(), &format!("{}/app:v0", source.host()), &format!("{}/app:v0", target.host())).await;

    assert_eq!(report.outcome, ImageOutcome::Copied, "{:?}", report.error);
    assert_eq!(ranges(&target), ["0-2097151", "2097152-4194303", "4194304-5242879"]);
    assert_eq!(target.check_whole("app", "v0"), Ok(()));
}

#[tokio::test]
async fn what_is_too_large_at_any_size_is_told() {
    let (source, target) = two(&[1000]).await;
    target.fault(Fault::on(Method::PUT, Endpoint::Upload), Effect::status(413));

    let report = copy(&engine(), &format!("{}/app:v0", source.host()), &format!("{}/app:v0", target.host())).await;

    let error = report.error.unwrap();
    assert!(error.contains("413") && error.contains("does not take bodies of this size"), "{error}");
}
