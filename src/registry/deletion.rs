//! Deleting tags and documents. Source: distribution spec, "Deleting tags" and "Deleting Manifests".

use http::Method;

use super::call::{Call, Caller};
use super::limits::Class;
use super::remote::Remote;
use crate::content::{Deleted, Error, Refusal};
use crate::oci::TagOrDigest;

/// Deletes what a tag or a digest stands for: the tag alone, or the document with its tags.
pub(super) async fn delete(remote: &Remote, at: &TagOrDigest) -> Result<Deleted, Error> {
    let what = format!("deleting {at} from {}", remote.location);
    let call = Call::new(Method::DELETE, remote.manifest_url(at), what).class(Class::ManifestWrite).last(true);
    remote.caller.hold(&call).await?;
    let caller = Caller { scope: remote.caller.scope.with_delete(), ..remote.caller.clone() };
    // What is not supported is not tried again, whatever code says so.
    let delete = || async {
        match remote.transport.send_once(&caller, &call).await {
            Ok(_) => Ok(Deleted::Done),
            Err(error) if error.is_of_login() => Err(error),
            Err(error) if error.is_not_found() => Ok(Deleted::Gone),
            Err(error) if error.refusal().is_some_and(is_unsupported) => Ok(Deleted::Unsupported),
            Err(error) => Err(error),
        }
    };
    remote.transport.persistently(&caller, &call, delete).await
}

/// Whether a registry does not do this, rather than not now or not to us. Distribution 2.8 answers 405 where deleting is
/// off, and 400 for a tag, which is no digest to it; what is locked or still in use has codes of its own.
fn is_unsupported(refusal: &Refusal) -> bool {
    match (refusal.status, refusal.code.as_deref()) {
        _ if refusal.is_immutable() => false,
        (405, _) | (400, None | Some("UNSUPPORTED" | "DIGEST_INVALID" | "NAME_INVALID")) => true,
        _ => false,
    }
}
