//! Writing a repository. Source: distribution spec, "Push".

use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use http::Method;
use url::Url;

use super::call::{Call, Caller};
use super::location;
use super::pull::announced_digest;
use super::remote::Remote;
use super::upload::{self, Outgoing};
use crate::content::{Cause, Error, Mount, Push};
use crate::oci::{Descriptor, Manifest, Repository, TagOrDigest};

/// Closing a session is a courtesy: it gets this long.
const ABANDON_TIMEOUT: Duration = Duration::from_secs(5);

/// An open upload session.
pub struct Upload {
    url: Url,
}

impl Push for Remote {
    type Upload = Upload;

    async fn has_blob(&self, blob: &Descriptor) -> Result<bool, Error> {
        let url = self.transport.url(&self.caller.location, &format!("blobs/{}", blob.digest));
        let call = Call::new(Method::HEAD, url, format!("looking for blob {blob} in {}", self.caller.location));
        match self.transport.probe(&self.caller, &call).await {
            // Artifactory's word for a blob that is not there; what really is forbidden, the upload's answer tells.
            Err(error) if error.is_forbidden() => Ok(false),
            found => Ok(found?.is_some()),
        }
    }

    /// A mount that the registry does not do leaves an open session; one that it refuses is followed by a plain one.
    async fn mount(&self, blob: &Descriptor, from: &Repository) -> Result<Mount<Upload>, Error> {
        let mut url = self.transport.url(&self.caller.location, "blobs/uploads/");
        url.query_pairs_mut().append_pair("mount", &blob.digest.to_string()).append_pair("from", from.as_str());
        let what = format!("mounting blob {blob} from {from} in {}", self.caller.location);
        let call = Call::new(Method::POST, url, what);
        let caller = Caller { scope: self.caller.scope.with_mount(from), ..self.caller.clone() };
        match self.transport.send(&caller, &call).await {
            Ok(response) if response.status() == http::StatusCode::CREATED => Ok(Mount::Done),
            Ok(response) => session(&call, &response).map(Mount::Session),
            Err(error) if error.is_refusal() || matches!(error.cause(), Cause::NotFound) => {
                self.open_upload(blob).await.map(Mount::Session)
            }
            Err(error) => Err(error),
        }
    }

    async fn open_upload(&self, blob: &Descriptor) -> Result<Upload, Error> {
        let url = self.transport.url(&self.caller.location, "blobs/uploads/");
        let what = format!("opening an upload of blob {blob} to {}", self.caller.location);
        let call = Call::new(Method::POST, url, what);
        let response = self.transport.send(&self.caller, &call).await?;
        session(&call, &response)
    }

    async fn upload<B>(&self, upload: &Upload, blob: &Descriptor, bytes: B) -> Result<(), Error>
    where
        B: Stream<Item = Result<Bytes, Error>> + Send + Sync + 'static,
    {
        let call = Call::new(
            Method::PUT,
            location::commit(&upload.url, &blob.digest),
            format!("pushing blob {blob} to {}", self.caller.location),
        );
        let (outgoing, watch) = Outgoing::new(bytes, blob.size, self.transport.clone());
        let request = self.transport.send_stream(&self.caller, &call, blob.size, reqwest::Body::wrap(outgoing));
        let sent = upload::watched(request, &watch, self.transport.idle_timeout(), &self.caller.cancel).await;
        match sent.unwrap_or_else(|cause| Err(call.error(cause))) {
            Ok(_) => Ok(()),
            // A registry that was restarted, or another replica of it, does not know the session.
            Err(error) if error.is_not_found() => {
                Err(call.error(Cause::Broken("the registry lost the upload session".to_owned())))
            }
            // What broke the source's side shows at the target's as a broken request: the first is the reason.
            Err(error) => Err(watch.take_source_error().unwrap_or(error)),
        }
    }

    async fn abandon(&self, upload: &Upload) {
        let call =
            Call::new(Method::DELETE, upload.url.clone(), format!("closing an upload to {}", self.caller.location));
        let _ = tokio::time::timeout(ABANDON_TIMEOUT, self.transport.send_once(&self.caller, &call)).await;
    }

    async fn put_manifest(&self, manifest: &Manifest, at: &TagOrDigest) -> Result<(), Error> {
        let what = format!("pushing manifest {at} to {}", self.caller.location);
        let call =
            Call::new(Method::PUT, self.manifest_url(at), what).body(manifest.media_type(), manifest.bytes().clone());
        let response = self.transport.send(&self.caller, &call).await?;
        match announced_digest(response.headers()) {
            // A registry may name the same bytes by its own algorithm.
            Some(other) if !other.matches(manifest.bytes()) => {
                let reason = format!("the registry stored {other} for what was sent as {}", manifest.digest());
                Err(call.error(Cause::Protocol(reason)))
            }
            _ => Ok(()),
        }
    }
}

fn session(call: &Call, response: &reqwest::Response) -> Result<Upload, Error> {
    location::upload(response.headers(), &call.url).map(|url| Upload { url }).ok_or_else(|| {
        call.error(Cause::Protocol(format!("the answer {} names no Location to upload to", response.status())))
    })
}
