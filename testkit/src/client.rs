//! The few requests that a test makes of any registry itself: no retries, no tokens, a panic where
//! something is off.
//!
//! It shares no code with what is tested, which is its point.

mod http1;

use std::collections::HashSet;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{Method, StatusCode};
use serde_json::Value;
use url::Url;

use crate::content::{Blob, Descriptor, Document, Image, media_type};
use http1::{Answer, Asked};

/// Puts an image into a registry: its blobs, its documents (children first), and last the root by
/// `tag`.
///
/// # Panics
/// If the registry refuses any of it.
pub async fn push(host: &str, repository: &str, tag: &str, image: &Image) {
    let mut pushed = HashSet::new();
    for blob in image.blobs() {
        if pushed.insert(blob.digest()) {
            push_blob(host, repository, blob).await;
        }
    }
    for document in image.documents().filter(|document| **document != image.root) {
        push_manifest(host, repository, &document.digest(), document).await;
    }
    push_manifest(host, repository, tag, &image.root).await;
}

/// What a tag or a digest stands for, byte for byte; `None` if the registry does not have it.
///
/// # Panics
/// If the registry answers anything else than 200 or 404.
pub async fn fetch_manifest(host: &str, repository: &str, reference: &str) -> Option<Document> {
    let answer = get_manifest(host, repository, reference).await;
    if answer.status == StatusCode::NOT_FOUND {
        return None;
    }
    answer.expect_status(StatusCode::OK);
    Some(document(answer))
}

/// The same of a tag that may just be written: `None` also if the registry fails, as docker-registry does while its file
/// is empty.
pub async fn glimpse_manifest(host: &str, repository: &str, reference: &str) -> Option<Document> {
    let answer = get_manifest(host, repository, reference).await;
    (answer.status == StatusCode::OK).then(|| document(answer))
}

/// Whether the registry has a blob in this repository.
pub async fn blob_exists(host: &str, repository: &str, digest: &str) -> bool {
    head_blob(host, repository, digest).await.status == StatusCode::OK
}

/// Whether the registry takes a token.
pub async fn admits(host: &str, token: &str) -> bool {
    let url = Url::parse(&format!("http://{host}/v2/")).expect("a test's names are fit for a URL");
    let answer = Asked::new(Method::GET, url).header(AUTHORIZATION, &format!("Bearer {token}")).send().await;
    answer.status == StatusCode::OK
}

/// The JSON that a server answers to a GET, whatever the status.
///
/// # Panics
/// If it answers anything else.
pub async fn get_json(url: Url) -> Value {
    let answer = Asked::new(Method::GET, url).send().await;
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{} {}: {error}", answer.url, answer.status))
}

/// A tag or a digest in a repository of a registry.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// `host:port`
    pub host: &'a str,
    /// The repository.
    pub repository: &'a str,
    /// The tag or the digest.
    pub reference: &'a str,
}

impl<'a> Place<'a> {
    /// All three in the order of an image's name.
    #[must_use]
    pub fn new(host: &'a str, repository: &'a str, reference: &'a str) -> Self {
        Self { host, repository, reference }
    }
}

/// Checks that two places hold the same image: every document of it byte-identical under the same
/// media type, and every blob of the size that its descriptor says on both sides. Foreign layers
/// are left out.
///
/// # Errors
/// The first difference, as a sentence for an assertion's message.
pub async fn same_tree(left: Place<'_>, right: Place<'_>) -> Result<(), String> {
    let root = same_document(left, right).await?;
    let mut open = vec![root];
    while let Some(document) = open.pop() {
        let parts = document.parts().map_err(|error| format!("{}: {error}", document.digest()))?;
        for child in &parts.manifests {
            let reference = child.digest.as_str();
            open.push(same_document(Place { reference, ..left }, Place { reference, ..right }).await?);
        }
        for blob in parts.own_blobs() {
            check_blob(left, blob).await?;
            check_blob(right, blob).await?;
        }
    }
    Ok(())
}

async fn same_document(left: Place<'_>, right: Place<'_>) -> Result<Document, String> {
    let mine = fetch_from(left).await?;
    let theirs = fetch_from(right).await?;
    if mine.media_type != theirs.media_type {
        return Err(format!("{left:?} is {}, {right:?} is {}", mine.media_type, theirs.media_type));
    }
    if mine.bytes != theirs.bytes {
        return Err(format!("{left:?} is {}, {right:?} is {}", mine.digest(), theirs.digest()));
    }
    Ok(mine)
}

async fn fetch_from(place: Place<'_>) -> Result<Document, String> {
    let document = fetch_manifest(place.host, place.repository, place.reference).await;
    document.ok_or_else(|| format!("{place:?} is missing"))
}

async fn check_blob(place: Place<'_>, blob: &Descriptor) -> Result<(), String> {
    let answer = head_blob(place.host, place.repository, &blob.digest).await;
    let size = answer.header(&CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if answer.status == StatusCode::OK && size == Some(blob.size) {
        return Ok(());
    }
    Err(format!(
        "{}/{}: blob {} of {} bytes: HEAD answers {} with {size:?} bytes",
        place.host, place.repository, blob.digest, blob.size, answer.status
    ))
}

async fn get_manifest(host: &str, repository: &str, reference: &str) -> Answer {
    let url = url(host, repository, &format!("manifests/{reference}"));
    Asked::new(Method::GET, url).header(ACCEPT, &media_type::DOCUMENTS.join(", ")).send().await
}

fn document(answer: Answer) -> Document {
    let media_type = answer.header(&CONTENT_TYPE).expect("a manifest has a Content-Type").to_owned();
    Document { media_type, bytes: answer.body }
}

async fn head_blob(host: &str, repository: &str, digest: &str) -> Answer {
    Asked::new(Method::HEAD, url(host, repository, &format!("blobs/{digest}"))).send().await
}

async fn push_blob(host: &str, repository: &str, blob: &Blob) {
    let opened = Asked::new(Method::POST, url(host, repository, "blobs/uploads/")).send().await;
    opened.expect_status(StatusCode::ACCEPTED);
    let location = opened.header(&LOCATION).expect("an upload has a Location");
    let mut url = opened.url.join(location).expect("a Location is a URL");
    url.query_pairs_mut().append_pair("digest", &blob.digest());
    let put = Asked::new(Method::PUT, url).header(CONTENT_TYPE, "application/octet-stream").body(blob.bytes.clone());
    put.send().await.expect_status(StatusCode::CREATED);
}

async fn push_manifest(host: &str, repository: &str, reference: &str, document: &Document) {
    let url = url(host, repository, &format!("manifests/{reference}"));
    let put = Asked::new(Method::PUT, url).header(CONTENT_TYPE, &document.media_type).body(document.bytes.clone());
    put.send().await.expect_status(StatusCode::CREATED);
}

fn url(host: &str, repository: &str, rest: &str) -> Url {
    Url::parse(&format!("http://{host}/v2/{repository}/{rest}")).expect("a test's names are fit for a URL")
}
