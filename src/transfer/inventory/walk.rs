//! What the tags of a repository reach, each document and each config read once.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::Deserialize;

use super::super::abreast::side_by_side;
use super::super::config::read_config;
use super::entry::Entry;
use super::reached::Reached;
use crate::content::{Cause, Error, Pull};
use crate::oci::{Content, Descriptor, Digest, Manifest, ManifestError, Platform, Tag, TagOrDigest, media_type};

/// What is known of a repository.
struct Known {
    reached: Reached<Brief>,
    tags: HashMap<Digest, Vec<String>>,
    /// By the configs' digests.
    configs: HashMap<Digest, Config>,
    /// What lists say of what they name.
    platforms: HashMap<Digest, Platform>,
}

/// What is kept of a document: a repository may have tens of thousands.
struct Brief {
    media_type: String,
    config: Option<Box<Descriptor>>,
    created: Option<String>,
    platforms: Box<[(Digest, Platform)]>,
}

impl From<Manifest> for Brief {
    fn from(document: Manifest) -> Self {
        let config = match document.content() {
            Content::Image(image) => image.config.clone(),
            Content::Index(_) => None,
        };
        let created = document.annotations().and_then(|annotations| annotations.get(media_type::CREATED).cloned());
        let named = document.children().filter_map(|child| Some((child.digest.clone(), child.platform.clone()?)));
        Self { media_type: document.media_type().to_owned(), config, created, platforms: named.collect() }
    }
}

/// What a config says of an image.
#[derive(Default, Deserialize)]
struct Config {
    created: Option<String>,
    #[serde(flatten)]
    platform: Option<Platform>,
    /// Why it says nothing.
    #[serde(skip)]
    remark: Option<&'static str>,
}

impl Config {
    /// What is no config says nothing of the image, and what is longer than a time or a name of a platform is none:
    /// there may be tens of thousands.
    fn of(bytes: &[u8]) -> Self {
        const LONGEST: usize = 256;
        let said: Self = serde_json::from_slice(bytes).unwrap_or_default();
        let is_short = |text: &String| text.len() <= LONGEST;
        let platform = said.platform.filter(|platform| is_short(&platform.to_string()));
        let platform = platform.map(|platform| Platform { os_features: Vec::new(), ..platform });
        Self { created: said.created.filter(is_short), platform, remark: None }
    }

    fn unread(remark: &'static str) -> Self {
        Self { remark: Some(remark), ..Self::default() }
    }
}

/// All manifests that these tags reach, by their digests. A document that is named and not there is passed over; of one
/// that cannot be read, its tags and its type are told.
pub(super) async fn walk<S: Pull>(source: &S, tags: Vec<Tag>) -> Result<Vec<Entry>, Error> {
    let tags = pointed(source, tags).await?;
    let mut reached = Reached::default();
    reached.read(source, tags.keys().cloned().collect(), tags.len()).await?;
    let configs = configs(source, &reached).await?;
    let platforms = reached.documents().flat_map(|(_, document)| document.platforms.iter().cloned()).collect();
    let known = Known { reached, tags, configs, platforms };
    let read = known.reached.documents().map(|(digest, document)| known.entry(digest, document));
    let refused = known.reached.refused().map(|(digest, refused)| known.refused_entry(digest, refused));
    let mut entries: Vec<Entry> = read.chain(refused).collect();
    entries.sort_unstable_by(|a, b| a.digest.cmp(&b.digest));
    Ok(entries)
}

/// The tags by what they point at; not those that are gone meanwhile.
async fn pointed<S: Pull>(source: &S, tags: Vec<Tag>) -> Result<HashMap<Digest, Vec<String>>, Error> {
    let look = |tag: Tag| async move {
        let found = Box::pin(source.resolve(&TagOrDigest::Tag(tag.clone()))).await?;
        Ok::<_, Error>(found.map(|digest| (digest, tag)))
    };
    let mut pointed: HashMap<Digest, Vec<String>> = HashMap::new();
    for looked in side_by_side(tags.into_iter().map(look)).await {
        if let Some((digest, tag)) = looked? {
            pointed.entry(digest).or_default().push(tag.to_string());
        }
    }
    Ok(pointed)
}

/// The configs of all images, by their digests.
async fn configs<S: Pull>(source: &S, reached: &Reached<Brief>) -> Result<HashMap<Digest, Config>, Error> {
    let named = reached
        .documents()
        .filter_map(|(_, document)| document.config.as_deref())
        .filter(|d| media_type::is_image_config(&d.media_type));
    let named: BTreeMap<&Digest, &Descriptor> = named.map(|config| (&config.digest, config)).collect();
    let read = |config: Descriptor| async move {
        let said = match Box::pin(read_config(source, &config)).await {
            Ok(bytes) => Config::of(&bytes.unwrap_or_default()),
            // One image that is not whole does not keep the others away.
            Err(error) if error.is_not_found() => Config::unread("its config is not there"),
            Err(error) if matches!(error.cause(), Cause::Mismatch { .. }) => Config::unread("its config is damaged"),
            Err(error) => return Err(error),
        };
        Ok((config.digest, said))
    };
    side_by_side(named.into_values().cloned().map(read)).await.into_iter().collect()
}

impl Known {
    fn entry(&self, digest: &Digest, document: &Brief) -> Entry {
        let platform = self.platform(digest, document);
        let created = self.created(digest);
        Entry {
            digest: digest.clone(),
            tags: self.tags(digest),
            media_type: Some(document.media_type.clone()),
            config_media_type: document.config.as_ref().map(|config| config.media_type.clone()),
            architecture: platform.map(|platform| platform.architecture.clone()),
            os: platform.map(|platform| platform.os.clone()),
            variant: platform.and_then(|platform| platform.variant.clone()).filter(|variant| !variant.is_empty()),
            image_size: Some(self.reached.size(digest)),
            created_time: created.clone(),
            last_update_time: None,
            timestamp: created,
            remark: self.config(document).and_then(|config| config.remark).map(str::to_owned),
        }
    }

    /// What is known of a document that could not be read: what it runs on, if a list says so.
    fn refused_entry(&self, digest: &Digest, refused: &ManifestError) -> Entry {
        let platform = self.platforms.get(digest).filter(|platform| !platform.is_unknown());
        Entry {
            digest: digest.clone(),
            tags: self.tags(digest),
            media_type: refused.media_type().map(str::to_owned),
            config_media_type: None,
            architecture: platform.map(|platform| platform.architecture.clone()),
            os: platform.map(|platform| platform.os.clone()),
            variant: platform.and_then(|platform| platform.variant.clone()),
            image_size: None,
            created_time: None,
            last_update_time: None,
            timestamp: None,
            remark: Some(refused.to_string()),
        }
    }

    fn tags(&self, digest: &Digest) -> Vec<String> {
        let mut tags = self.tags.get(digest).cloned().unwrap_or_default();
        tags.sort_unstable();
        tags
    }

    fn config(&self, document: &Brief) -> Option<&Config> {
        self.configs.get(&document.config.as_ref()?.digest)
    }

    /// What its config says that it runs on, else a list that names it.
    fn platform(&self, digest: &Digest, document: &Brief) -> Option<&Platform> {
        let said = self.config(document).and_then(|config| config.platform.as_ref());
        let mut said = said.into_iter().chain(self.platforms.get(digest));
        said.find(|platform| !platform.is_unknown())
    }

    /// When the newest image of a document was made.
    fn created(&self, digest: &Digest) -> Option<String> {
        let made = self.reached.images(digest).filter_map(|image| {
            let said = self.config(image).and_then(|config| config.created.as_deref());
            said.or(image.created.as_deref())
        });
        made.max_by_key(|text| text.parse::<Timestamp>().ok()).map(str::to_owned)
    }
}
