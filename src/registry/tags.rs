//! Tag listings, page by page. Source: distribution spec, "Listing Tags".

use std::collections::HashSet;

use http::Method;
use serde::Deserialize;

use super::remote::Remote;
use super::transport::Call;
use super::{answer, location};
use crate::content::{Cause, Error};
use crate::oci::Tag;

/// What is asked for a page: more is an error on ECR. What comes may be fewer, and means nothing.
const PAGE: &str = "1000";
/// A page of a thousand tags at their longest, and room for names and white space.
const MAX_PAGE_BYTES: usize = 1 << 20;
/// A listing longer than this has no end.
const MAX_PAGES: usize = 10_000;

/// All tags, or `None` if there is no such repository.
pub(super) async fn list(remote: &Remote) -> Result<Option<Vec<Tag>>, Error> {
    let mut url = remote.transport.url(&remote.caller.location, "tags/list");
    url.query_pairs_mut().append_pair("n", PAGE);
    let mut call = Call::new(Method::GET, url, format!("listing the tags of {}", remote.caller.location));
    let mut tags = Vec::new();
    let mut seen = HashSet::new();

    while seen.insert(call.url().clone()) && seen.len() <= MAX_PAGES {
        let response = match remote.transport.send(&remote.caller, &call).await {
            Ok(response) => response,
            Err(error) if matches!(error.cause(), Cause::NotFound) && seen.len() == 1 => return Ok(None),
            Err(error) => return Err(error),
        };
        let next = location::next_page(response.headers(), call.url());
        let body = answer::body(response, MAX_PAGE_BYTES).await.map_err(|cause| call.error(cause))?;
        let body = body.ok_or_else(|| {
            call.error(Cause::Protocol(format!("a page of the listing is larger than {MAX_PAGE_BYTES} bytes")))
        })?;
        tags.extend(parse(&body).map_err(|reason| call.error(Cause::Protocol(reason)))?);
        let Some(next) = next else { return Ok(Some(tags)) };
        call = Call::new(Method::GET, next, format!("listing the tags of {}", remote.caller.location));
    }
    Err(call.error(Cause::Protocol("the listing's pages lead round in a circle".to_owned())))
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
