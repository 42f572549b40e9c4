//! An image's config, read whole.

use std::sync::Arc;

use futures_util::TryStreamExt;

use crate::content::{Error, Pull, Trail};
use crate::oci::Descriptor;

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
