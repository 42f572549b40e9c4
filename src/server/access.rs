//! Who may ask for what over the API.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use tokio::task;

use super::problem::Problem;
use super::tokens::Tokens;

/// Who may look at what the daemon does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reading {
    /// Whoever reaches it.
    #[default]
    Open,
    /// Who has a token.
    ByToken,
}

/// Who may ask for what, as the configuration says at the moment. Whoever changes something needs a token.
#[derive(Default)]
pub struct Access(RwLock<Rules>);

#[derive(Default)]
struct Rules {
    tokens: Option<Arc<Tokens>>,
    reading: Reading,
}

impl Access {
    /// From now on the tokens in this file hold; without one nobody may change anything. Looks at the file, which blocks.
    pub fn set(&self, token_file: Option<PathBuf>, reading: Reading) {
        let mut rules = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let file_now = rules.tokens.as_ref().map(|tokens| tokens.file().to_owned());
        if file_now != token_file {
            rules.tokens = token_file.map(Tokens::of).map(Arc::new);
        }
        rules.reading = reading;
    }

    /// Whether a request may look.
    pub(super) async fn may_read(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let (reading, tokens) = self.now();
        match (reading, tokens) {
            (Reading::Open, _) => Ok(()),
            (Reading::ByToken, Some(tokens)) => holds(tokens, headers).await,
            (Reading::ByToken, None) => Err(nobody()),
        }
    }

    /// Whether a request may change something.
    pub(super) async fn may_write(&self, headers: &HeaderMap) -> Result<(), Problem> {
        match self.now().1 {
            Some(tokens) => holds(tokens, headers).await,
            None => Err(nobody()),
        }
    }

    fn now(&self) -> (Reading, Option<Arc<Tokens>>) {
        let rules = self.0.read().unwrap_or_else(PoisonError::into_inner);
        (rules.reading, rules.tokens.clone())
    }
}

fn nobody() -> Problem {
    let detail = "the API is read-only: no token is configured that would let anybody in";
    Problem::new(
        StatusCode::FORBIDDEN,
        detail,
        "name a file with a token in the configuration: [service] api_token_file",
    )
}

async fn holds(tokens: Arc<Tokens>, headers: &HeaderMap) -> Result<(), Problem> {
    let advice = "send `Authorization: Bearer TOKEN` with a token of the daemon's api_token_file";
    let unauthorized = |detail: &str| Problem::new(StatusCode::UNAUTHORIZED, detail, advice);
    let token = bearer(headers).ok_or_else(|| unauthorized("this needs a token, and the request has none"))?;
    match task::spawn_blocking(move || tokens.hold(&token)).await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(unauthorized("the request's token is not one of the daemon's")),
        Ok(Err(_)) => {
            let detail = "the daemon cannot read its file of tokens, so none holds; its log says why";
            Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                detail,
                "mend the file: it is read again when it changes",
            ))
        }
        Err(fault) => Err(Problem::internal(&fault)),
    }
}

/// Source: RFC 6750, section 2.1; RFC 9110, section 11.1: the scheme's case does not matter.
fn bearer(headers: &HeaderMap) -> Option<String> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim_start_matches(' ').to_owned())
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;

    use super::*;

    fn with(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())])
    }

    async fn status(result: impl Future<Output = Result<(), Problem>>) -> u16 {
        result.await.map_or_else(|problem| problem.into_response().status().as_u16(), |()| 200)
    }

    #[tokio::test]
    async fn without_a_token_file_everybody_looks_and_nobody_changes_anything() {
        let access = Access::default();
        assert_eq!(status(access.may_read(&HeaderMap::new())).await, 200);
        assert_eq!(status(access.may_write(&with("Bearer any"))).await, 403);
    }

    #[tokio::test]
    async fn a_token_lets_in_where_one_is_needed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "s3cret\n").unwrap();
        let access = Access::default();
        access.set(Some(file.clone()), Reading::Open);
        assert_eq!(status(access.may_read(&HeaderMap::new())).await, 200);
        access.set(Some(file), Reading::ByToken);
        for (headers, code) in [
            (with("Bearer s3cret"), 200),
            (with("bearer  s3cret"), 200),
            (with("Bearer s3cre"), 401),
            (with("Bearer "), 401),
            (with("Basic s3cret"), 401),
            (with("s3cret"), 401),
            (HeaderMap::new(), 401),
        ] {
            assert_eq!(status(access.may_read(&headers)).await, code, "{headers:?}");
            assert_eq!(status(access.may_write(&headers)).await, code, "{headers:?}");
        }
        access.set(None, Reading::Open);
        assert_eq!(status(access.may_write(&with("Bearer s3cret"))).await, 403);
    }
}
