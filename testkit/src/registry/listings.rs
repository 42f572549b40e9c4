//! `/v2/<repository>/tags/list` and `/v2/_catalog`: names in lexical order, page by page.

use http::StatusCode;
use http::header::LINK;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::Shared;
use super::answer::{Answer, Reply};
use super::locked;
use super::options::Catalog;
use super::route::Call;

/// The tags of a repository.
pub(super) fn tags(shared: &Shared, call: &Call) -> Reply {
    let names = locked(&shared.store).tags(call.repository()).ok_or_else(|| name_unknown(call))?;
    let page = Page::of(shared, call, names)?;
    // Distribution is written in Go, where a list that nothing was added to is `null`.
    let shown = if page.names.is_empty() { Value::Null } else { json!(page.names) };
    let body = json!({"name": call.repository(), "tags": shown});
    Ok(page.link_on(call, Answer::json(StatusCode::OK, &body)))
}

/// The names of all repositories.
pub(super) fn catalog(shared: &Shared, call: &Call) -> Reply {
    match shared.options.catalog {
        Catalog::Open => {}
        Catalog::Missing => return Ok(Answer::not_routed()),
        Catalog::Denied => {
            let (code, message) = ("UNAUTHORIZED", "authentication required");
            return Err(Answer::error(StatusCode::UNAUTHORIZED, code, message, json!(null)));
        }
    }
    let names = locked(&shared.store).repositories();
    let page = Page::of(shared, call, names)?;
    Ok(page.link_on(call, Answer::json(StatusCode::OK, &json!({"repositories": page.names}))))
}

/// There is no such repository.
pub(super) fn name_unknown(call: &Call) -> Box<Answer> {
    let detail = json!({"name": call.repository()});
    Answer::error(StatusCode::NOT_FOUND, "NAME_UNKNOWN", "repository name not known to registry", detail)
}

/// Some of the names that are listed.
pub(super) struct Page {
    names: Vec<String>,
    limit: usize,
    more: bool,
}

impl Page {
    // The client may ask for less than the registry's own page size, never for more.
    pub(super) fn of(shared: &Shared, call: &Call, names: Vec<String>) -> Result<Self, Box<Answer>> {
        let most = shared.options.page_size.unwrap_or(usize::MAX);
        let limit = match call.parameter("n") {
            None => most,
            Some(n) => n.parse::<usize>().map_err(|_| invalid(&n))?.min(most),
        };
        let last = call.parameter("last").unwrap_or_default();
        let mut names: Vec<_> = names.into_iter().filter(|name| *name > last).collect();
        let more = names.len() > limit;
        names.truncate(limit);
        Ok(Self { names, limit, more })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.names.iter()
    }

    /// The answer, with a link to the next page if there is one.
    pub(super) fn link_on(&self, call: &Call, answer: Answer) -> Answer {
        match self.names.last().filter(|_| self.more) {
            Some(last) => answer.with(LINK, &self.link(call, last)),
            None => answer,
        }
    }

    fn link(&self, call: &Call, last: &str) -> String {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("last", last)
            .append_pair("n", &self.limit.to_string())
            .extend_pairs(call.parameter("artifactType").map(|wanted| ("artifactType", wanted)))
            .finish();
        format!(r#"<{}?{query}>; rel="next""#, call.path)
    }
}

fn invalid(n: &str) -> Box<Answer> {
    let message = "invalid number of results requested";
    Answer::error(StatusCode::BAD_REQUEST, "PAGINATION_NUMBER_INVALID", message, json!({"n": n}))
}
