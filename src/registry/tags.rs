//! Tag listings. Source: distribution spec, "Listing Tags".

use http::Method;
use serde::Deserialize;

use super::call::Call;
use super::pages::{self, Bounds, Failure, PAGE};
use super::remote::Remote;
use crate::content::{Cause, Error};
use crate::oci::Tag;

/// All tags, or `None` if there is no such repository.
pub(super) async fn list(remote: &Remote) -> Result<Option<Vec<Tag>>, Error> {
    let mut url = remote.transport.url(&remote.location, "tags/list");
    url.query_pairs_mut().append_pair("n", PAGE);
    let first = Call::new(Method::GET, url, format!("listing the tags of {}", remote.location));
    let read = |_: &_, body: &_| parse(body).map_err(Cause::Protocol);
    match pages::all(&remote.transport, &remote.caller, first, Bounds::NAMES, read).await {
        Ok(tags) => Ok(Some(tags)),
        Err(Failure::AtFirst(error)) if matches!(error.cause(), Cause::NotFound) => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

/// `tags` may be null; entries that are no tags (Artifactory lists digests too) are passed over.
fn parse(body: &[u8]) -> Result<Vec<Tag>, String> {
    #[derive(Deserialize)]
    struct Page {
        tags: Option<Vec<String>>,
    }
    let page: Page =
        serde_json::from_slice(body).map_err(|error| format!("the listing is not JSON of the spec: {error}"))?;
    Ok(page.tags.unwrap_or_default().iter().filter_map(|tag| tag.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_an_empty_listing_and_digests_are_no_tags() {
        assert!(parse(br#"{"name":"a","tags":null}"#).unwrap().is_empty());
        let tags = parse(br#"{"name":"a","tags":["1","sha256:e3b0","2"]}"#).unwrap();
        assert_eq!(tags.iter().map(Tag::as_str).collect::<Vec<_>>(), ["1", "2"]);
        assert!(parse(b"<html>").is_err());
    }
}
