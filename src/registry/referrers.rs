//! The list of what refers to a document, where the registry keeps one. Source: distribution spec, "Listing Referrers".

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use serde::Deserialize;

use super::call::Call;
use super::pages::{self, Bounds, Failure};
use super::remote::Remote;
use crate::content::{Cause, Error};
use crate::oci::{Descriptor, Digest, MAX_MANIFEST_SIZE, ManifestError, media_type};

/// A page is an index like any other; what refers to one document fits into a few.
const BOUNDS: Bounds = Bounds { page: MAX_MANIFEST_SIZE, whole: 4 * MAX_MANIFEST_SIZE };

static LISTS: HeaderValue = HeaderValue::from_static(media_type::OCI_INDEX);

/// What an answer without a listing says.
enum Absence {
    /// The registry has no such list, of any document.
    Api,
    /// It has none of this document, or does not know its digest's kind.
    List,
    /// There is no such repository.
    Repository,
}

/// All that refers to `subject`; `None` if the registry does not list it.
pub(super) async fn list(remote: &Remote, subject: &Digest) -> Result<Option<Vec<Descriptor>>, Error> {
    let url = remote.transport.url(&remote.location, format_args!("referrers/{subject}"));
    let what = format!("listing what refers to {} in {}", subject.short(), remote.location);
    let first = Call::new(Method::GET, url, what).accept(&LISTS).optional();

    let api = remote.transport.referrers_api();
    let turn = remote.caller.cancel.run_until_cancelled(api.turn()).await;
    let _turn = turn.ok_or_else(|| first.error(Cause::Cancelled))?;
    if api.is_missing() {
        return Ok(None);
    }
    match pages::all(&remote.transport, &remote.caller, first, BOUNDS, parse).await {
        Ok(listed) => {
            api.learn(true);
            Ok(Some(listed))
        }
        Err(Failure::AtFirst(error)) => match absence(&error) {
            Some(Absence::Repository) => Ok(Some(Vec::new())),
            Some(Absence::List) => Ok(None),
            Some(Absence::Api) => {
                api.learn(false);
                Ok(None)
            }
            None => Err(error),
        },
        Err(Failure::Midway(error)) => Err(error),
    }
}

/// One page, which is an index. Any other answer comes of something that does not know what was asked.
fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Vec<Descriptor>, Cause> {
    #[derive(Deserialize)]
    struct Page {
        manifests: Option<Vec<Descriptor>>,
    }
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if media_type::essence(content_type) != media_type::OCI_INDEX {
        return Err(ManifestError::Unknown { what: "an answer of another type".to_owned() }.into());
    }
    let page: Page = serde_json::from_slice(body)
        .map_err(|error| Cause::Protocol(format!("the listing is not JSON of the spec: {error}")))?;
    Ok(page.manifests.unwrap_or_default())
}

/// What an error says of the listing; `None` if it only says that something went wrong.
fn absence(error: &Error) -> Option<Absence> {
    if error.is_of_login() {
        return None;
    }
    match error.cause() {
        Cause::Document(ManifestError::Unknown { .. }) => Some(Absence::Api),
        Cause::Refused(refusal) => match (refusal.status, refusal.code.as_deref()) {
            (404, Some("NAME_UNKNOWN")) => Some(Absence::Repository),
            (400 | 404, Some("MANIFEST_UNKNOWN" | "DIGEST_INVALID")) => Some(Absence::List),
            (400 | 404 | 405 | 406, _) => Some(Absence::Api),
            _ => None,
        },
        _ => None,
    }
}
