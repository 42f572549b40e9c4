//! `/v2/<repository>/tags/list` and `/v2/_catalog`: names in lexical order, page by page.

use http::StatusCode;
use http::header::LINK;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::Shared;
use super::answer::{Answer, Reply};
use super::locked;
use super::route::Call;

/// The tags of a repository.
pub(super) fn tags(shared: &Shared, call: &Call) -> Reply {
    let names = locked(&shared.store).tags(call.repository()).ok_or_else(|| {
        let detail = json!({"name": call.repository()});
        Answer::error(StatusCode::NOT_FOUND, "NAME_UNKNOWN", "repository name not known to registry", detail)
    })?;
    let page = Page::of(shared, call, names)?;
    // Distribution is written in Go, where a list that nothing was added to is `null`.
    let shown = if page.names.is_empty() { Value::Null } else { json!(page.names) };
    Ok(page.answer(call, &json!({"name": call.repository(), "tags": shown})))
}

/// The names of all repositories.
pub(super) fn catalog(shared: &Shared, call: &Call) -> Reply {
    let names = locked(&shared.store).repositories();
    let page = Page::of(shared, call, names)?;
    Ok(page.answer(call, &json!({"repositories": page.names})))
}

struct Page {
    names: Vec<String>,
    limit: usize,
    more: bool,
}

impl Page {
    // The client may ask for less than the registry's own page size, never for more.
    fn of(shared: &Shared, call: &Call, names: Vec<String>) -> Result<Self, Box<Answer>> {
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

    fn answer(&self, call: &Call, body: &Value) -> Answer {
        let answer = Answer::json(StatusCode::OK, body);
        match self.names.last().filter(|_| self.more) {
            Some(last) => answer.with(LINK, &self.link(call, last)),
            None => answer,
        }
    }

    fn link(&self, call: &Call, last: &str) -> String {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("last", last)
            .append_pair("n", &self.limit.to_string())
            .finish();
        format!(r#"<{}?{query}>; rel="next""#, call.path)
    }
}

fn invalid(n: &str) -> Box<Answer> {
    let message = "invalid number of results requested";
    Answer::error(StatusCode::BAD_REQUEST, "PAGINATION_NUMBER_INVALID", message, json!({"n": n}))
}
