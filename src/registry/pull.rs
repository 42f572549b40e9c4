//! Reading a repository. Source: distribution spec, "Pull".

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};

use super::blob::BlobBody;
use super::call::{Call, text};
use super::remote::Remote;
use super::{referrers, tags};
use crate::backoff::Patience;
use crate::content::{Cause, Error, Location, Pull, Trail, Verified};
use crate::oci::{Descriptor, Digest, MAX_MANIFEST_SIZE, Manifest, Tag, TagOrDigest, media_type};

const DOCKER_CONTENT_DIGEST: &str = "docker-content-digest";

/// Checked when this is compiled, not with every request.
static DOCUMENTS: HeaderValue = HeaderValue::from_static(media_type::ACCEPT);

impl Pull for Remote {
    type Blob = Verified<BlobBody>;

    fn location(&self) -> &Location {
        &self.location
    }

    /// One HEAD; a GET beside it only where the registry does not tell the digest.
    async fn resolve(&self, at: &TagOrDigest) -> Result<Option<Digest>, Error> {
        let call = self.manifest_call(Method::HEAD, at);
        let Some(response) = self.transport.probe(&self.caller, &call).await? else { return Ok(None) };
        match (at, announced_digest(response.headers())) {
            (TagOrDigest::Digest(digest), _) => Ok(Some(digest.clone())),
            (TagOrDigest::Tag(_), Some(digest)) => Ok(Some(digest)),
            (TagOrDigest::Tag(_), None) => Ok(self.manifest(at).await?.map(|manifest| manifest.digest().clone())),
        }
    }

    async fn manifest(&self, at: &TagOrDigest) -> Result<Option<Manifest>, Error> {
        let call = self.manifest_call(Method::GET, at).pull();
        let read = |headers: &HeaderMap, body: Bytes| {
            let expected = match at {
                TagOrDigest::Digest(digest) => Some(digest.clone()),
                TagOrDigest::Tag(_) => announced_digest(headers),
            };
            let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
            Ok(Manifest::parse(body, content_type, expected.as_ref())?)
        };
        self.transport.fetch(&self.caller, &call, MAX_MANIFEST_SIZE, read).await
    }

    async fn blob(&self, blob: &Descriptor, trail: &Arc<Trail>, from: u64) -> Result<Self::Blob, Error> {
        let url = self.transport.url(&self.location, format_args!("blobs/{}", blob.digest));
        let what = format!("fetching blob {blob} from {}", self.location);
        let call = Call::new(Method::GET, url, what.clone()).bulk();
        let (position, _) = trail.before(from);
        let body = if self.caller.lane.is_some() {
            BlobBody::open(self.clone(), call, position, blob.size).await?
        } else {
            let open = || async {
                let lane = self.caller.cancel.run_until_cancelled(self.in_lanes(1)).await;
                BlobBody::open(lane.ok_or_else(|| call.error(Cause::Cancelled))?, call.clone(), position, blob.size)
                    .await
            };
            self.transport.persistently(&self.caller, &call, open).await?
        };
        Ok(Verified::new(body, blob, what, trail, from))
    }

    async fn in_lanes(&self, streams: usize) -> Self {
        self.with_lane(self.transport.line().lanes(streams).await)
    }

    fn patience(&self) -> Patience {
        self.transport.patience()
    }

    async fn tags(&self) -> Result<Option<Vec<Tag>>, Error> {
        tags::list(self).await
    }

    async fn referrers(&self, subject: &Digest) -> Result<Option<Vec<Descriptor>>, Error> {
        referrers::list(self, subject).await
    }
}

impl Remote {
    fn manifest_call(&self, method: Method, at: &TagOrDigest) -> Call {
        let verb = if method == Method::HEAD { "looking up" } else { "fetching" };
        let what = text(format_args!("{verb} manifest {at} of {}", self.location));
        Call::new(method, self.manifest_url(at), what).accept(&DOCUMENTS)
    }

    pub(super) fn manifest_url(&self, at: &TagOrDigest) -> url::Url {
        self.transport.url(&self.location, format_args!("manifests/{at}"))
    }
}

/// The digest that the registry announces; a header that is none is as good as missing.
pub(super) fn announced_digest(headers: &HeaderMap) -> Option<Digest> {
    headers.get(DOCKER_CONTENT_DIGEST)?.to_str().ok()?.parse().ok()
}
