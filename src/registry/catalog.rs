//! The names of a registry's repositories. Source: Docker's "HTTP API V2", "Listing Repositories"; the OCI spec has no
//! such listing, and many registries have none.

use http::Method;
use serde::Deserialize;

use super::call::{Call, Caller};
use super::pages::{self, Bounds, Failure, PAGE};
use super::transport::Transport;
use crate::content::{Cause, Error, LoginSent, Refusal};
use crate::oci::{Host, Repository};

/// All repositories that the registry lists for us.
pub(super) async fn list(transport: &Transport, caller: &Caller) -> Result<Vec<Repository>, Error> {
    let mut url = transport.catalog_url();
    url.query_pairs_mut().append_pair("n", PAGE);
    let first = Call::new(Method::GET, url, format!("listing the repositories of {}", transport.host())).optional();
    let none = |answer| first.error(Cause::NoCatalog { answer }).at(transport.host());
    if transport.host().is_docker_hub() {
        return Err(none(None));
    }
    let read = |_: &_, body: &_| parse(body);
    match pages::all(transport, caller, first.clone(), Bounds::NAMES, read).await {
        Err(Failure::AtFirst(error)) => Err(refusal_to_list(&error).cloned().map_or(error, |said| none(Some(said)))),
        Ok(nothing) if nothing.is_empty() && answers_strangers_with_nothing(transport.host()) => Err(none(None)),
        listed => Ok(listed?),
    }
}

/// Where an empty catalog means that it is not told: public quay.io lists what a user owns, and nothing to others.
fn answers_strangers_with_nothing(host: &Host) -> bool {
    host.name() == "quay.io"
}

/// What a registry says instead of its catalog. A user's login that is refused is another matter.
fn refusal_to_list(error: &Error) -> Option<&Refusal> {
    let refusal = error.refusal().filter(|refusal| matches!(refusal.status, 400 | 401 | 403 | 404 | 405))?;
    let is_wrong_login = error.is_of_login() && refusal.status == 401 && refusal.login == LoginSent::User;
    (!is_wrong_login).then_some(refusal)
}

/// Names that are no repositories' are passed over. A web page is what some have in the catalog's place.
fn parse(body: &[u8]) -> Result<Vec<Repository>, Cause> {
    #[derive(Deserialize)]
    struct Page {
        repositories: Option<Vec<String>>,
    }
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(Cause::NoCatalog { answer: None });
    }
    let page: Page = serde_json::from_slice(body)
        .map_err(|error| Cause::Protocol(format!("the catalog is not JSON of the specification: {error}")))?;
    Ok(page.repositories.unwrap_or_default().iter().filter_map(|name| name.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_none_are_passed_over() {
        let names = parse(br#"{"repositories":["a/b","A","../c","","d"]}"#).unwrap();
        assert_eq!(names.iter().map(Repository::as_str).collect::<Vec<_>>(), ["a/b", "d"]);
        assert!(parse(br#"{"repositories":null}"#).unwrap().is_empty());
    }

    #[test]
    fn an_empty_catalog_is_one_but_where_it_means_that_nobody_is_told() {
        let is_silence = |host: &str| answers_strangers_with_nothing(&host.parse().unwrap());
        assert!(is_silence("quay.io") && is_silence("quay.io:443"));
        assert!(!is_silence("registry.example") && !is_silence("quay.example"));
    }

    #[test]
    fn a_web_page_is_no_catalog_and_broken_json_an_error() {
        assert!(matches!(parse(b"<html>"), Err(Cause::NoCatalog { .. })));
        assert!(matches!(parse(br#"{"repositories":["#), Err(Cause::Protocol(_))));
    }
}
