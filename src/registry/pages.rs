//! Listings, page by page: tags, repositories, referrers. Source: distribution spec, "Listing Tags"; RFC 8288.

use std::collections::HashSet;

use bytes::Bytes;
use http::HeaderMap;

use super::call::{Call, Caller};
use super::location;
use super::transport::Transport;
use crate::content::{Cause, Error};

/// What is asked for a page of names: more is an error on ECR. What comes may be fewer, and means nothing.
pub(super) const PAGE: &str = "1000";
/// A listing longer than this has no end.
const MAX_PAGES: usize = 10_000;

/// How much of a listing is read, in bytes; what it lists takes memory of that order.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) page: usize,
    pub(super) whole: usize,
}

impl Bounds {
    /// Some registries send all names in one page, however many they are: half a million of the longest.
    pub(super) const NAMES: Self = Self { page: 64 << 20, whole: 1 << 30 };
}

/// Why a listing was not read.
pub(super) enum Failure {
    /// There may be none.
    AtFirst(Error),
    /// There is one, but not all of it was read.
    Midway(Error),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::AtFirst(error) | Failure::Midway(error) => error,
        }
    }
}

/// Everything that is listed from the first page on.
///
/// # Errors
/// If a page is not found or none by the word of `read`, the listing goes on at another origin, or it has no end.
pub(super) async fn all<T>(
    transport: &Transport,
    caller: &Caller,
    first: Call,
    bounds: Bounds,
    read: impl Fn(&HeaderMap, &[u8]) -> Result<Vec<T>, Cause>,
) -> Result<Vec<T>, Failure> {
    let mut page = first;
    let mut entries = Vec::new();
    let mut left = bounds.whole;
    let mut seen = HashSet::new();

    while seen.insert(page.url.clone()) && seen.len() <= MAX_PAGES && left > 0 {
        let understand = |headers: &HeaderMap, body: Bytes| {
            let next = location::next_page(headers, &page.url).map_err(Cause::Protocol)?;
            Ok((read(headers, &body)?, next, body.len()))
        };
        let failed = if seen.len() == 1 { Failure::AtFirst } else { Failure::Midway };
        // Listings are few, and asked for from deep inside: on the heap, a page's state takes no stack.
        let fetched = Box::pin(transport.fetch(caller, &page, bounds.page, understand)).await.map_err(failed)?;
        let (listed, next, bytes) = fetched.ok_or_else(|| failed(page.error(Cause::NotFound)))?;
        entries.extend(listed);
        left = left.saturating_sub(bytes);
        match next {
            Some(next) => page = page.page(next),
            None => return Ok(entries),
        }
    }
    Err(Failure::Midway(page.error(Cause::Protocol("the listing's pages have no end".to_owned()))))
}
