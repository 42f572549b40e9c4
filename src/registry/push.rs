//! Writing a repository. Source: distribution spec, "Push".

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use http::header::{CONTENT_LENGTH, RANGE};
use http::{HeaderMap, Method, StatusCode};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::call::{Call, Caller};
use super::deletion;
use super::limits::Class;
use super::location;
use super::pull::announced_digest;
use super::remote::Remote;
use super::upload::{self, Feed};
use crate::backoff::RetryReason;
use crate::content::{BlobFound, Cause, Deleted, Error, Mount, Push, Put};
use crate::http_client::{Body, Response};
use crate::oci::{Descriptor, Digest, Manifest, Repository, Tag, TagOrDigest};

/// Source: distribution spec, "Pushing a blob in chunks".
const OCI_CHUNK_MIN_LENGTH: &str = "oci-chunk-min-length";
/// Source: distribution spec, "Pushing Manifests with Subject".
const OCI_SUBJECT: &str = "oci-subject";
/// Closing a session is a courtesy: it gets this long.
const ABANDON_TIMEOUT: Duration = Duration::from_secs(5);

/// An open upload session.
pub struct Upload {
    url: Url,
    /// The smallest chunk that the registry takes, the last one apart.
    min_chunk: u64,
    /// Where its last body began, if that broke off.
    broke: Option<u64>,
}

impl Push for Remote {
    type Upload = Upload;

    /// Source: distribution spec, "Checking if content exists in the registry": `Content-Length` is the blob's size.
    ///
    /// Distribution says 500 for good of a blob whose link was made and not filled when it was killed. Sending the blob
    /// again mends that; if the registry has other trouble, the upload's answer tells.
    async fn find_blob(&self, blob: &Descriptor) -> Result<BlobFound, Error> {
        let url = self.transport.url(&self.location, format_args!("blobs/{}", blob.digest));
        let call = Call::new(Method::HEAD, url, format!("looking for blob {blob} in {}", self.location));
        match self.transport.probe(&self.caller, &call).await {
            // Artifactory's word for a blob that is not there; what really is forbidden, the upload's answer tells.
            Err(error) if error.is_forbidden() || error.is_internal() => Ok(BlobFound::Absent),
            found => Ok(found?.map_or(BlobFound::Absent, |response| found_size(response.headers(), blob))),
        }
    }

    /// A mount that the registry does not do leaves an open session; one that it refuses is followed by a plain one.
    async fn mount(&self, blob: &Descriptor, from: &Repository) -> Result<Mount<Upload>, Error> {
        let mut url = self.transport.url(&self.location, "blobs/uploads/");
        url.query_pairs_mut().append_pair("mount", &blob.digest.to_string()).append_pair("from", from.as_str());
        let what = format!("mounting blob {blob} from {from} in {}", self.location);
        let call = Call::new(Method::POST, url, what);
        self.caller.hold(&call).await?;
        let caller = Caller { scope: self.caller.scope.with_mount(from), ..self.caller.clone() };
        // Whatever a registry has against mounting, an upload does as well; but one that is only busy is asked again, and
        // one that has trouble is so once.
        let has_trouble = AtomicBool::new(false);
        let ask = || async {
            match self.transport.send_once(&caller, &call).await {
                Ok(answered) => Ok(Some(answered.response)),
                Err(error) if error.is_cancelled() || is_passing(&error) => Err(error),
                Err(error) if error.retry_reason().is_some() && !has_trouble.swap(true, Ordering::Relaxed) => {
                    Err(error)
                }
                Err(_) => Ok(None),
            }
        };
        match self.transport.persistently(&caller, &call, ask).await {
            Ok(Some(response)) if response.status() == StatusCode::CREATED => Ok(Mount::Done),
            Ok(Some(response)) if let Ok(session) = session(&call, &response) => Ok(Mount::Session(session)),
            Err(error) if !matches!(error.retry_reason(), Some(RetryReason::Throttled | RetryReason::Stall)) => {
                Err(error)
            }
            _ => self.open_upload(blob).await.map(Mount::Session),
        }
    }

    async fn open_upload(&self, blob: &Descriptor) -> Result<Upload, Error> {
        let url = self.transport.url(&self.location, "blobs/uploads/");
        let what = format!("opening an upload of blob {blob} to {}", self.location);
        let call = Call::new(Method::POST, url, what);
        self.caller.hold(&call).await?;
        let answered = self.transport.send(&self.caller, &call).await?;
        session(&call, &answered.response)
    }

    async fn upload<B>(&self, upload: &mut Upload, blob: &Descriptor, from: u64, bytes: B) -> Result<(), Error>
    where
        B: Stream<Item = Result<Bytes, Error>> + Send + Sync + 'static,
    {
        let feed = Feed::new(bytes, Arc::clone(&self.transport));
        let chunking = self.transport.chunking();
        let chunk = chunking.size_for(blob).map(|size| size.max(upload.min_chunk));
        let sent = match chunk {
            None if from == 0 => self.upload_whole(upload, blob, &feed).await,
            chunk => self.upload_in_chunks(upload, blob, &feed, from, chunk.unwrap_or(blob.size)).await,
        };
        feed.close();
        // What broke the source's side shows at the target's as a broken request: the first is the reason.
        let sent =
            sent.map_err(|error| feed.take_source_error().map_or((error, Side::Target), |error| (error, Side::Source)));
        match &sent {
            Ok(()) => chunking.arrived(blob, chunk),
            Err((error, Side::Target)) if error.is_break() => upload.broke = Some(from),
            Err((error, Side::Target)) if error.is_refusal() => chunking.unwanted(blob),
            Err(_) => {}
        }
        sent.map_err(|(error, _)| error)
    }

    /// Source: distribution spec, "Pushing a blob in chunks", the status of an upload: 204 with `Range: 0-N`.
    async fn kept(&self, upload: &mut Upload, blob: &Descriptor) -> Option<u64> {
        let what = format!("asking how far blob {blob} came to {}", self.location);
        let call = Call::new(Method::GET, upload.url.clone(), what).class(Class::Upload);
        let response = self.transport.send_once(&self.caller, &call).await.ok().map(|answered| answered.response);
        let response = response.filter(|response| response.status() == StatusCode::NO_CONTENT);
        // `0-0` is what some say of nothing.
        let kept = response.as_ref().map(|response| kept(response.headers()).filter(|kept| *kept > 1).unwrap_or(0));
        if let Some(begun_at) = upload.broke.take() {
            self.transport.chunking().broke(blob, kept.unwrap_or(0).saturating_sub(begun_at));
        }
        upload.url = location::upload(response?.headers(), &call.url).unwrap_or(call.url);
        kept.filter(|kept| *kept <= blob.size)
    }

    async fn abandon(&self, upload: &Upload) {
        let call = Call::new(Method::DELETE, upload.url.clone(), format!("closing an upload to {}", self.location));
        // Also after a stop.
        let caller = Caller { cancel: CancellationToken::new(), ..self.caller.clone() };
        let _ = tokio::time::timeout(ABANDON_TIMEOUT, self.transport.send(&caller, &call)).await;
    }

    async fn put_manifest(&self, manifest: &Manifest, at: &TagOrDigest) -> Result<Put, Error> {
        let what = format!("pushing manifest {at} to {}", self.location);
        let call = Call::new(Method::PUT, self.manifest_url(at), what).class(Class::ManifestWrite);
        let call = call.body(manifest.media_type(), manifest.bytes().clone()).last(matches!(at, TagOrDigest::Tag(_)));
        self.caller.hold(&call).await?;
        let put = || async {
            let response = self.transport.send_once(&self.caller, &call).await?.response;
            match announced_digest(response.headers()) {
                // A registry may name the same bytes by its own algorithm.
                Some(stored) if !stored.matches(manifest.bytes()) => {
                    Err(call.error(Cause::StoredOther { sent: manifest.digest().clone(), stored }))
                }
                _ => Ok(Put { subject: noted_subject(response.headers()) }),
            }
        };
        let put = self.transport.persistently(&self.caller, &call, put).await;
        put.map_err(|error| if lacks_foreign_layers(&error, manifest) { call.error(foreign_layers()) } else { error })
    }

    async fn delete_tag(&self, tag: &Tag) -> Result<Deleted, Error> {
        deletion::delete(self, &TagOrDigest::Tag(tag.clone())).await
    }

    async fn delete_manifest(&self, digest: &Digest) -> Result<Deleted, Error> {
        deletion::delete(self, &TagOrDigest::Digest(digest.clone())).await
    }
}

impl Remote {
    /// One request: the cheapest way, where it is taken.
    async fn upload_whole<B>(&self, upload: &Upload, blob: &Descriptor, feed: &Arc<Feed<B>>) -> Result<(), Error>
    where
        B: Stream<Item = Result<Bytes, Error>> + Send + Sync + 'static,
    {
        let commit = location::commit(&upload.url, &blob.digest);
        let call = Call::new(Method::PUT, commit, format!("pushing blob {blob} to {}", self.location)).bulk();
        self.send_part(upload, &call, feed, blob.size).await.map(drop)
    }

    /// Sized chunks, for what lies behind a proxy that limits bodies. Source: distribution spec, "Pushing a blob in
    /// chunks".
    async fn upload_in_chunks<B>(
        &self,
        upload: &mut Upload,
        blob: &Descriptor,
        feed: &Arc<Feed<B>>,
        from: u64,
        chunk: u64,
    ) -> Result<(), Error>
    where
        B: Stream<Item = Result<Bytes, Error>> + Send + Sync + 'static,
    {
        let what = format!("pushing blob {blob} to {}", self.location);
        let mut offset = from;
        while offset < blob.size {
            let size = chunk.min(blob.size - offset);
            let call =
                Call::new(Method::PATCH, upload.url.clone(), what.clone()).chunk(offset..=offset + size - 1).bulk();
            let response = self.send_part(upload, &call, feed, size).await?;
            // Always the newest: it may carry the session's state.
            upload.url = location::upload(response.headers(), &call.url).unwrap_or(call.url);
            offset += size;
        }
        let call = Call::new(Method::PUT, location::commit(&upload.url, &blob.digest), what).bulk();
        self.send_part(upload, &call, feed, 0).await.map(drop)
    }

    async fn send_part<B>(
        &self,
        upload: &Upload,
        call: &Call,
        feed: &Arc<Feed<B>>,
        size: u64,
    ) -> Result<Response, Error>
    where
        B: Stream<Item = Result<Bytes, Error>> + Send + Sync + 'static,
    {
        let ready = self.transport.ready_to_stream(&self.caller, call).await?;
        let body = Body::stream(feed.next(size));
        let request = self.transport.send_stream(&self.caller, call, ready, size, body);
        let sent = upload::watched(request, feed.watch(), self.transport.idle_timeout(), &self.caller.cancel).await;
        sent.unwrap_or_else(|cause| Err(call.error(cause))).map_err(|error| self.part_failed(upload, call, size, error))
    }

    /// What a failed part of an upload means for another try.
    fn part_failed(&self, upload: &Upload, call: &Call, size: u64, error: Error) -> Error {
        // A session that stands elsewhere than it said is as good as lost.
        if error.is_not_found() || error.is_out_of_range() {
            return call.error(Cause::SessionLost);
        }
        match error.is_too_large().then(|| self.transport.chunking().refused(size)).flatten() {
            // What is before the registry takes less than the registry wants: there is no way between them.
            Some(next) if next.max(upload.min_chunk) >= size => error,
            Some(next) => call.error(Cause::BodyTooLarge { refused: size, next }),
            None => error,
        }
    }
}

/// A size that is not told, or not as a number, is as good as the right one.
fn found_size(headers: &HeaderMap, blob: &Descriptor) -> BlobFound {
    let told = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    told.filter(|size| *size != blob.size).map_or(BlobFound::Whole, BlobFound::OtherSize)
}

fn noted_subject(headers: &HeaderMap) -> Option<Digest> {
    headers.get(OCI_SUBJECT)?.to_str().ok()?.parse().ok()
}

/// Whether an error has nothing to do with what was asked.
fn is_passing(error: &Error) -> bool {
    matches!(error.retry_reason(), Some(RetryReason::Throttled | RetryReason::Connection | RetryReason::Stall))
}

/// Whether all that a registry misses of a document are layers that registries do not keep.
fn lacks_foreign_layers(error: &Error, manifest: &Manifest) -> bool {
    let foreign: Vec<&Digest> = manifest.foreign_layers().map(|layer| &layer.digest).collect();
    let lost = error.missing_parts().unwrap_or_default();
    !lost.is_empty() && lost.iter().all(|digest| foreign.contains(&digest))
}

fn foreign_layers() -> Cause {
    let reason =
        "the registry takes no foreign layers; allow their URLs there (distribution: validation.manifests.urls)";
    Cause::Protocol(reason.to_owned())
}

/// Which side of a transfer an error is of.
enum Side {
    Source,
    Target,
}

/// How many bytes a session has, by `Range: 0-N`; the unit is told by some.
fn kept(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(RANGE)?.to_str().ok()?.trim();
    let last: u64 = range.strip_prefix("bytes=").unwrap_or(range).strip_prefix("0-")?.parse().ok()?;
    last.checked_add(1)
}

fn session(call: &Call, response: &Response) -> Result<Upload, Error> {
    let min_chunk = response.headers().get(OCI_CHUNK_MIN_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let opened = |url| Upload { url, min_chunk: min_chunk.unwrap_or(0), broke: None };
    location::upload(response.headers(), &call.url).map(opened).ok_or_else(|| {
        call.error(Cause::Protocol(format!(
            "the answer {} names no Location that an upload may go to",
            response.status()
        )))
    })
}
