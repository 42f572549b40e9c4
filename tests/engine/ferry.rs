//! One image on its way from a registry to another: the stage of most tests of faults.

use std::collections::HashMap;
use std::sync::Arc;

use regferry::events::ImageReport;
use testkit::{Document, FakeRegistry, Image};

use crate::support::{Retries, copy, engine_with};

/// Two registries, and what was tried again between them.
pub(crate) struct Ferry {
    pub(crate) source: FakeRegistry,
    pub(crate) target: FakeRegistry,
    pub(crate) retries: Arc<Retries>,
}

impl Ferry {
    /// Two registries; the source has `app:v1` with one layer of 10,000 bytes.
    pub(crate) async fn new() -> (Self, Image) {
        let image = Image::oci("linux/amd64").layer(1, 10_000).build();
        (Self::of(&image).await, image)
    }

    /// Two registries; the source has this image as `app:v1`.
    pub(crate) async fn of(image: &Image) -> Self {
        let ferry = Self::to(FakeRegistry::start().await).await;
        ferry.source.seed("app", "v1", image);
        ferry
    }

    /// Two registries; the source has this document as `app:v1`, and nothing that it names.
    pub(crate) async fn of_document(media_type: &str, text: impl Into<String>) -> (Self, Document) {
        let ferry = Self::to(FakeRegistry::start().await).await;
        let document = Document { media_type: media_type.to_owned(), bytes: text.into().into() };
        ferry.source.seed_document("app", "v1", &document);
        (ferry, document)
    }

    /// This target, and a source without anything.
    pub(crate) async fn to(target: FakeRegistry) -> Self {
        Self { source: FakeRegistry::start().await, target, retries: Arc::default() }
    }

    /// Copies `app:v1`.
    pub(crate) async fn copy(&self) -> Result<ImageReport, String> {
        self.copy_from("app:v1").await
    }

    /// Copies this image of the source, named without its host, to `app:v1`.
    pub(crate) async fn copy_from(&self, image: &str) -> Result<ImageReport, String> {
        let engine = engine_with(HashMap::new(), Arc::clone(&self.retries) as _);
        let (from, to) = (format!("{}/{image}", self.source.host()), format!("{}/app:v1", self.target.host()));
        let mut report = copy(&engine, &from, &to).await;
        report.error.take().map_or(Ok(report), Err)
    }
}

/// The layer of [`Ferry::new`]'s image.
pub(crate) fn layer(image: &Image) -> String {
    image.blobs().find(|blob| blob.bytes.len() == 10_000).unwrap().digest()
}
