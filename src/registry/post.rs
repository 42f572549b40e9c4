//! A document for somebody who is no registry, over the same HTTP: with its proxies and its TLS, and no redirect.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;
use url::Url;

use super::answer;
use super::client;
use super::proxy;
use crate::content::{Cause, Error};
use crate::http_client::{Body, Request, bearer};

/// Who takes longer for an answer will not be waited for.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Posts JSON to a URL, which may be a secret, with a bearer's token if there is one. Certificates in `ca_file` are trusted
/// beside the system's. Cancel safe: it may have been taken all the same.
///
/// # Errors
/// If it is not taken: the error names the host, and nothing else of the URL.
pub async fn post_json(
    url: &Url,
    ca_file: Option<&Path>,
    token: Option<&SecretString>,
    body: Bytes,
) -> Result<(), Error> {
    let failed = |cause| Error::new(format!("posting to {}", url.host_str().unwrap_or_default()), cause);
    let proxy = proxy::before(url);
    let client = client::for_posts(url, proxy.is_some(), ca_file).map_err(|error| failed(Cause::Credentials(error)))?;
    let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    if let Some(token) = token {
        let unfit = || failed(Cause::Credentials("the token has characters that no header can carry".into()));
        headers.insert(AUTHORIZATION, bearer(token.expose_secret()).ok_or_else(unfit)?);
    }
    let request = Request { method: Method::POST, url: url.clone(), headers, body: Body::Whole(body) };
    let response = answer::in_time(Instant::now() + TIMEOUT, answer::of(&client, request)).await.map_err(|cause| {
        failed(match &proxy {
            Some(proxy) => proxy::behind(proxy, cause),
            None => cause,
        })
    })?;
    if response.status().is_success() {
        return Ok(());
    }
    Err(failed(Cause::Refused(answer::refusal(response, TIMEOUT).await)))
}
