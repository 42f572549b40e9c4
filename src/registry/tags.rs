//! Tag listings, page by page. Source: distribution spec, "Listing Tags".

use std::collections::HashSet;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::Deserialize;

use super::call::Call;
use super::location;
use super::remote::Remote;
use crate::content::{Cause, Error};
use crate::oci::Tag;

/// What is asked for a page: more is an error on ECR. What comes may be fewer, and means nothing.
const PAGE: &str = "1000";
/// Some registries send all tags in one page, however many they are: half a million of the longest.
const MAX_PAGE_BYTES: usize = 64 << 20;
/// A listing longer than this has no end.
const MAX_PAGES: usize = 10_000;

/// All tags, or `None` if there is no such repository.
pub(super) async fn list(remote: &Remote) -> Result<Option<Vec<Tag>>, Error> {
    let mut url = remote.transport.url(&remote.caller.location, "tags/list");
    url.query_pairs_mut().append_pair("n", PAGE);
    let call = |url| Call::new(Method::GET, url, format!("listing the tags of {}", remote.caller.location));
    let mut page = call(url);
    let mut tags = Vec::new();
    let mut seen = HashSet::new();

    while seen.insert(page.url.clone()) && seen.len() <= MAX_PAGES {
        let read = |headers: &HeaderMap, body: Bytes| {
            let tags = parse(&body).map_err(Cause::Protocol)?;
            let next = location::next_page(headers, &page.url).map_err(Cause::Protocol)?;
            Ok((tags, next))
        };
        let Some((listed, next)) = remote.transport.fetch(&remote.caller, &page, MAX_PAGE_BYTES, read).await? else {
            return if seen.len() == 1 { Ok(None) } else { Err(page.error(Cause::NotFound)) };
        };
        tags.extend(listed);
        match next {
            Some(next) => page = call(next),
            None => return Ok(Some(tags)),
        }
    }
    Err(page.error(Cause::Protocol("the listing's pages have no end".to_owned())))
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
