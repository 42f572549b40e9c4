//! `/v2/<repository>/referrers/<digest>`, where the registry has it.

use http::StatusCode;
use http::header::HeaderName;
use serde_json::json;

use super::Shared;
use super::answer::{Answer, Reply};
use super::listings::{self, Page};
use super::locked;
use super::route::Call;
use super::store::is_digest;
use super::stored::Stored;
use crate::content::Document;

const OCI_FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// GET: everything with this subject, of one kind of artifact if the client asks for it.
pub(super) fn list(shared: &Shared, call: &Call) -> Reply {
    if !is_digest(call.last()) {
        let detail = json!({"digest": call.last()});
        return Err(Answer::error(StatusCode::BAD_REQUEST, "DIGEST_INVALID", "invalid digest", detail));
    }
    let store = locked(&shared.store);
    let all = store.referrers(call.repository(), call.last()).ok_or_else(|| listings::name_unknown(call))?;
    let wanted = call.parameter("artifactType");
    let is_wanted = |document: &Document| wanted.is_none() || document.as_referrer().artifact_type == wanted;
    let listed = all.iter().filter(|(_, document)| is_wanted(document)).map(|(digest, _)| (*digest).to_owned());
    let page = Page::of(shared, call, listed.collect())?;
    let index =
        Document::referrers(page.names().filter_map(|digest| Some(store.resolve(call.repository(), digest)?.1)));
    let answer = Answer::content(StatusCode::OK, &index.media_type, Stored::Held(index.bytes));
    let answer = page.link_on(call, answer);
    Ok(if wanted.is_some() { answer.with(OCI_FILTERS_APPLIED, "artifactType") } else { answer })
}
