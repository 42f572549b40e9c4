//! A NATS, two registries and the images of one of them, for replicas to work with.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use testkit::client::{self, Place};
use testkit::{Cut, DistributionServer, Image, NatsServer};

use crate::daemon::Daemon;
use crate::registry_log::Asked;
use crate::support::{Ferry, until};

/// How long a replica may be silent, in these tests.
pub(crate) const ACK_WAIT: Duration = Duration::from_secs(2);

/// In each of these a replica has so many images at once.
pub(crate) const MAX_IMAGES: usize = 4;

/// Nothing here takes that long.
const PATIENCE: Duration = Duration::from_secs(120);

const SOURCE: &str = "app";
const TARGET: &str = "mirror";

/// What replicas work with.
pub(crate) struct Fleet {
    pub(crate) nats: NatsServer,
    pub(crate) source: DistributionServer,
    pub(crate) target: DistributionServer,
    images: Vec<Image>,
    way: Option<Cut>,
}

impl Fleet {
    /// The source has so many images, `t0` and so on, whose layers have so many bytes.
    pub(crate) async fn with_images(count: usize, layer: usize) -> Self {
        let (nats, source, target) = (NatsServer::start(), DistributionServer::start(), DistributionServer::start());
        let images: Vec<Image> = (0..count).map(|number| image(number as u64, layer)).collect();
        let host = source.host();
        let push = |(number, image): (usize, &Image)| {
            let image = image.clone();
            async move { client::push(host, SOURCE, &format!("t{number}"), &image).await }
        };
        stream::iter(images.iter().enumerate()).map(push).buffer_unordered(8).collect::<()>().await;
        Self { nats, source, target, images, way: None }
    }

    /// Replicas read so many bytes a second of the source over each connection.
    pub(crate) async fn read_slowly(self, bytes_per_second: u32) -> Self {
        let way = Cut::slowly(self.source.host(), bytes_per_second).await;
        Self { way: Some(way), ..self }
    }

    /// The configuration of every replica. `of_rule` and `of_source` are more lines of the rule and of the source.
    pub(crate) fn config(&self, nats: &str, of_rule: &str, of_source: &str) -> String {
        format!(
            "[cluster]\nnats = 'nats://{nats}'\nname = 'test'\nack_wait = '{}s'\n\
             [transfer]\nmax_images = {MAX_IMAGES}\n\
             [registries.'{}']\n{of_source}\n{}",
            ACK_WAIT.as_secs(),
            self.way_to_source(),
            self.rule(TARGET, of_rule)
        )
    }

    fn way_to_source(&self) -> &str {
        self.way.as_ref().map_or(self.source.host(), Cut::host)
    }

    /// A rule that mirrors all images into a repository of its own name.
    pub(crate) fn rule(&self, name: &str, lines: &str) -> String {
        let (source, target) = (self.way_to_source(), self.target.host());
        format!("[[rules]]\nname = '{name}'\nsource = '{source}/{SOURCE}'\ntarget = '{target}/{name}'\n{lines}\n")
    }

    /// A tag of the source is another image from now on.
    pub(crate) async fn move_tag(&mut self, number: usize, layer: usize) {
        let moved = image(1_000_000 + number as u64, layer);
        client::push(self.source.host(), SOURCE, &format!("t{number}"), &moved).await;
        self.images[number] = moved;
    }

    /// Waits until the target has every image.
    pub(crate) async fn until_mirrored(&self, daemons: &[Daemon]) {
        let mirrored = async {
            while self.missing().await.is_some() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, mirrored).await.is_err() {
            let logs: Vec<String> = daemons.iter().map(Daemon::log).collect();
            panic!(
                "{:?} is missing after {PATIENCE:?}\n{}\n{}",
                self.missing().await,
                logs.join("\n\n"),
                self.nats.log()
            );
        }
    }

    /// A tag whose image at the target is not the source's.
    pub(crate) async fn missing(&self) -> Option<String> {
        for (number, image) in self.images.iter().enumerate() {
            let tag = format!("t{number}");
            let there = client::glimpse_manifest(self.target.host(), TARGET, &tag).await;
            if there.is_none_or(|there| there != image.root) {
                return Some(tag);
            }
        }
        None
    }

    /// All images are whole, and nothing lies about that is not what it should be.
    pub(crate) async fn is_whole(&self) {
        for number in 0..self.images.len() {
            let tag = format!("t{number}");
            let (here, there) =
                (Place::new(self.source.host(), SOURCE, &tag), Place::new(self.target.host(), TARGET, &tag));
            assert_eq!(client::same_tree(here, there).await, Ok(()), "{tag}");
        }
        assert_eq!(self.target.damage(), Vec::<String>::new());
    }

    /// When the tag of an image was written at the target.
    pub(crate) fn written(&self, number: usize, all: &[Asked]) -> Vec<Asked> {
        let path = format!("/v2/{TARGET}/manifests/t{number}");
        let is_it = |asked: &&Asked| asked.method == "PUT" && asked.status == 201 && asked.path == path;
        all.iter().filter(is_it).cloned().collect()
    }

    /// When the layer of an image was read at the source.
    pub(crate) fn read(&self, number: usize, all: &[Asked]) -> Vec<Asked> {
        let layer = self.images[number].blobs().last().expect("it has a layer").digest();
        let path = format!("/v2/{SOURCE}/blobs/{layer}");
        all.iter().filter(|asked| asked.method == "GET" && asked.path == path).cloned().collect()
    }
}

/// A daemon that is part of the cluster.
pub(crate) async fn replica(config: &str) -> Daemon {
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--log-format", "json"];
    Daemon::of(Ferry::new(&arguments).config(config)).await
}

/// How many of its requests to a registry were answered so.
pub(crate) async fn answered(daemon: &Daemon, registry: &str, method: &str, status: u16) -> f64 {
    let labels = format!("{{method=\"{method}\",registry=\"{registry}\",status=\"{status}\"}}");
    daemon.metric(&format!("regferry_http_requests_total{labels}")).await
}

fn image(seed: u64, layer: usize) -> Image {
    Image::docker("linux/amd64").layer(seed, layer).build()
}

/// Waits until a replica copies something.
pub(crate) async fn until_it_copies(replica: &Daemon) {
    until("it copies something", async || (replica.metric("regferry_transfers_in_flight").await > 0.0).then_some(()))
        .await;
}
