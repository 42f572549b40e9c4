//! An image's config, read whole.

use std::sync::Arc;

use futures_util::TryStreamExt;

use super::platforms::platform_config;
use crate::content::{Error, Pull, Trail};
use crate::oci::{Descriptor, Manifest};

/// A config is read no further than this: it is a page or two of JSON.
const MAX_CONFIG: u64 = 4 << 20;

/// The bytes of a config, checked against its digest; `None` if they are too many to be one.
///
/// # Errors
/// If it cannot be read. May be dropped at any time.
pub async fn read_config<S: Pull>(source: &S, config: &Descriptor) -> Result<Option<Vec<u8>>, Error> {
    if config.size > MAX_CONFIG {
        return Ok(None);
    }
    let bytes = source.blob(config, &Arc::new(Trail::of(config)), 0).await?;
    let read = bytes.try_fold(Vec::new(), async |mut read, piece| {
        read.extend_from_slice(&piece);
        Ok(read)
    });
    read.await.map(Some)
}

/// What an image's config says; `None` for a list and an artifact, and where the config is not there.
///
/// # Errors
/// As [`read_config`].
pub async fn read_image_config<S: Pull>(source: &S, image: &Manifest) -> Result<Option<Vec<u8>>, Error> {
    let Some(config) = platform_config(image) else { return Ok(None) };
    match read_config(source, config).await {
        Err(error) if error.is_not_found() => Ok(None),
        read => read,
    }
}
