//! Azure Container Registry's own listing of a repository's manifests, which has the untagged ones too.
//!
//! Source: Azure's REST reference, "Container Registry: Manifests - Get List", version 2019-08-15.

use http::Method;
use serde::Deserialize;

use super::call::{Call, Caller};
use super::pages::{self, Bounds, Failure};
use super::remote::Remote;
use crate::content::{Cause, Error};
use crate::oci::Digest;

/// What `az` asks for at once.
const PAGE: &str = "100";

/// A manifest as the listing has it; nothing but its digest has to be there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AzureManifest {
    /// Its digest.
    pub digest: Digest,
    /// The tags that point at it; none may be `null`.
    pub tags: Option<Vec<String>>,
    /// Its media type.
    pub media_type: Option<String>,
    /// Its config's media type.
    pub config_media_type: Option<String>,
    /// What it runs on.
    pub architecture: Option<String>,
    /// What it runs on.
    pub os: Option<String>,
    /// The size of the image, in bytes.
    pub image_size: Option<u64>,
    /// When it was first pushed there.
    pub created_time: Option<String>,
    /// When it was last pushed, or its attributes changed.
    pub last_update_time: Option<String>,
}

impl AzureManifest {
    /// One of which nothing else is known.
    pub fn of(digest: Digest) -> Self {
        Self {
            digest,
            tags: None,
            media_type: None,
            config_media_type: None,
            architecture: None,
            os: None,
            image_size: None,
            created_time: None,
            last_update_time: None,
        }
    }
}

impl Remote {
    /// All manifests of the repository; `None` where there is no such listing, or not for us. The right that it needs is
    /// Azure's `metadata_read`.
    ///
    /// # Errors
    /// If the registry cannot be asked, or the listing breaks off.
    pub async fn azure_manifests(&self) -> Result<Option<Vec<AzureManifest>>, Error> {
        let mut url = self.transport.base().clone();
        url.set_path(&format!("/acr/v1/{}/_manifests", self.location.repository));
        url.query_pairs_mut().append_pair("n", PAGE);
        let first = Call::new(Method::GET, url, format!("listing the manifests of {}", self.location)).optional();
        let caller = Caller { scope: self.caller.scope.with_metadata(), ..self.caller.clone() };
        match pages::all(&self.transport, &caller, first, Bounds::NAMES, |_, body| parse(body)).await {
            Ok(listed) => Ok(Some(listed)),
            Err(Failure::AtFirst(error)) if is_not_for_us(&error) => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }
}

fn parse(body: &[u8]) -> Result<Vec<AzureManifest>, Cause> {
    #[derive(Deserialize)]
    struct Page {
        manifests: Option<Vec<AzureManifest>>,
    }
    let page: Page = serde_json::from_slice(body)
        .map_err(|error| Cause::Protocol(format!("the listing is not Azure's JSON: {error}")))?;
    Ok(page.manifests.unwrap_or_default())
}

fn is_not_for_us(error: &Error) -> bool {
    error.is_not_found() || error.refusal().is_some_and(|refusal| matches!(refusal.status, 400 | 401 | 403 | 405))
}
