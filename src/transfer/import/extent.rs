//! How much of an image is imported.

use super::super::choice::{ChoiceError, image_for};
use super::super::documents::Documents;
use super::super::platforms::{InvalidChoice, PlatformMode, Platforms};
use super::super::route::Route;
use super::super::shape::Shape;
use crate::content::{Pull, Push};
use crate::oci::{Digest, Platform};

/// What of an image is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// A list's image for one platform, by itself. An image that is no list is taken as it is, if it is for it.
    One(Platform),
    /// A smaller list, of the images for several platforms.
    Several(Platforms),
}

impl Extent {
    /// What platforms on the command line mean: none of them the whole image.
    ///
    /// # Errors
    /// If one is no machine's.
    pub fn of(platforms: &[Platform]) -> Result<Self, InvalidChoice> {
        let mut wanted: Vec<Platform> = Vec::new();
        for platform in platforms {
            if !wanted.contains(platform) {
                wanted.push(platform.clone());
            }
        }
        let Some(first) = wanted.first().cloned() else { return Ok(Self::Whole) };
        let is_one = wanted.len() == 1;
        let several = Platforms::new(wanted, PlatformMode::Rewrite)?;
        Ok(if is_one { Self::One(first) } else { Self::Several(several) })
    }

    /// The platforms that are named; none where all are wanted.
    pub fn platforms(&self) -> &[Platform] {
        match self {
            Self::Whole => &[],
            Self::One(platform) => std::slice::from_ref(platform),
            Self::Several(platforms) => platforms.wanted(),
        }
    }

    /// What of the source's image of this digest is to be at the targets. What was read to tell, and what is to be written
    /// in its place, is kept among its documents.
    pub(super) async fn shape<S: Pull, T: Push>(
        &self,
        route: &Route<'_, S, T>,
        documents: &Documents,
        digest: &Digest,
    ) -> Result<Shape, ChoiceError> {
        match self {
            Self::Whole => Ok(Shape::whole(digest.clone())),
            Self::One(platform) => {
                let root = route.document(documents, digest).await?;
                let image = image_for(route.source, root, platform).await?;
                let shape = Shape::whole(image.digest().clone());
                documents.keep(image);
                Ok(shape)
            }
            Self::Several(platforms) => {
                let shape = route.shape(documents, digest, Some(platforms)).await?;
                let seen = shape.seen.clone().unwrap_or_default();
                // A rule warns of one that is not there; who names it on a command line means this image.
                platforms.all_in(&seen).map_err(|error| route.no_such_platform(digest, &error))?;
                Ok(shape)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> Result<Extent, InvalidChoice> {
        Extent::of(&texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn no_platform_means_all_one_an_image_and_several_a_smaller_list() {
        assert_eq!(of(&[]), Ok(Extent::Whole));
        assert_eq!(of(&["linux/arm64"]), Ok(Extent::One("linux/arm64".parse().unwrap())));
        assert_eq!(of(&["linux/arm64", "linux/arm64"]), of(&["linux/arm64"]));
        let several = of(&["linux/arm64", "linux/amd64"]).unwrap();
        assert!(matches!(several, Extent::Several(_)));
        assert_eq!(several.platforms().len(), 2);
    }

    #[test]
    fn attestations_are_no_platform() {
        assert!(of(&["unknown/unknown"]).is_err());
    }
}
