//! The container image that `make image` has built, at work. Not for `make test`, which does not build it.

mod container;
mod daemon;

use testkit::DistributionServer;
use testkit::client::{self, Place};
use testkit::content::hello_world;

use container::Container;
use daemon::{CONFIG, Daemon, Mounted};

const USER: &str = "65532:65532";
const LARGEST: u64 = 20_000_000;

#[tokio::test]
#[ignore = "needs the image: make image"]
async fn it_is_small_and_says_what_it_is() {
    let image = container::inspect_image().await;

    let size = image["Size"].as_u64().expect("an image has a size");
    assert!(size < LARGEST, "{size} bytes");
    assert_eq!(image["User"], USER);
    assert_eq!(image["Labels"]["org.opencontainers.image.title"], "regferry");
    assert!(image["Config"]["ExposedPorts"]["9464/tcp"].is_object(), "{image:#}");
}

#[tokio::test]
#[ignore = "needs the image: make image"]
async fn it_holds_the_program_and_the_certificate_authorities_alone() {
    let container = Container::create(&[], &[]).await;

    let mut files = container.files().await;

    files.retain(|name| !name.ends_with('/'));
    files.sort();
    assert_eq!(files, ["etc/ssl/certs/ca-certificates.crt", "usr/local/bin/regferry"]);
}

#[tokio::test]
#[ignore = "needs the image: make image"]
async fn it_is_this_version() {
    let printed = container::run(&[], &["--version"]).await.success();
    assert_eq!(printed, format!("regferry {}\n", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
#[ignore = "needs the image: make image"]
async fn it_checks_a_configuration_that_is_mounted() {
    // The zone is in no file of the image.
    let rule = rule("ghcr.io", "registry.example") + "schedule = '0 6 * * *'\ntimezone = 'Europe/Berlin'\n";
    for (text, code) in [(rule.clone(), 0), (rule + "shedule = '1h'\n", 2)] {
        let config = Mounted::config(&text);
        let checked = container::run(&["--volume", &config.volume()], &["check", "--config", CONFIG]).await;
        assert_eq!(checked.code, Some(code), "{}{}", checked.stdout, checked.stderr);
    }
}

#[tokio::test]
#[ignore = "needs the image: make image"]
async fn it_copies_between_registries_that_it_finds_by_name() {
    let (source, target) = (DistributionServer::start(), DistributionServer::start());
    client::push(source.host(), "hello", "v1", &hello_world()).await;
    // A name of /etc/hosts: an empty image has no nsswitch.conf that says to look there.
    let named = |server: &DistributionServer| server.host().replace("127.0.0.1", "registry.test");
    let (from, to) = (named(&source), named(&target));

    let plain = [format!("--tls={from}=http"), format!("--tls={to}=http")];
    let (from, to) = (format!("{from}/hello:v1"), format!("{to}/hello:v1"));
    let arguments = ["copy", &plain[0], &plain[1], &from, &to];
    let printed = container::run(&["--add-host=registry.test:127.0.0.1"], &arguments).await.success();

    assert_eq!(printed, format!("{to} {}\n", hello_world().digest()));
    let (there, here) = (Place::new(source.host(), "hello", "v1"), Place::new(target.host(), "hello", "v1"));
    assert_eq!(client::same_tree(there, here).await, Ok(()));
}

#[tokio::test]
#[ignore = "needs the image: make image"]
async fn it_has_certificate_authorities_and_trusts_no_other() {
    let registry = DistributionServer::builder().with_tls().start();
    let (host, https) = (registry.host(), format!("--tls={}=https", registry.host()));

    let refused = container::run(&[], &["inspect", &https, &format!("{host}/hello:v1")]).await;

    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("the certificate is not trusted"), "{}", refused.stderr);
}

#[tokio::test]
#[ignore = "needs the image: make image"]
async fn it_serves_what_is_mounted_and_stops_within_its_grace() {
    let (source, target) = (DistributionServer::start(), DistributionServer::start());
    client::push(source.host(), "hello", "v1", &hello_world()).await;
    let daemon = Daemon::start(&rule(source.host(), target.host())).await;

    let arrived = async || client::fetch_manifest(target.host(), "hello", "v1").await.is_some();
    daemon.until("mirrored", arrived).await;
    let code = daemon.stop().await;

    assert_eq!(code, 143, "{}", daemon.log().await);
}

#[tokio::test]
#[ignore = "needs the image: make image"]
async fn its_own_health_check_passes_while_it_serves() {
    let daemon = Daemon::start(&rule("localhost:1", "localhost:2")).await;
    assert_eq!(daemon.healthcheck().await, Ok(()));
}

fn rule(source: &str, target: &str) -> String {
    format!("[[rules]]\nname = 'hello'\nsource = '{source}/hello'\ntarget = '{target}/hello'\n")
}
