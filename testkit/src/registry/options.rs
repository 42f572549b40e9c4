//! How a registry differs from the usual one.

use std::time::Duration;

use super::FakeRegistry;
use super::auth::{Azure, Credentials, Lock, Scheme};
use super::pulls::Quota;

/// Options for a [`FakeRegistry`], each a deviation from the default.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    options: Options,
}

#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) page_size: Option<usize>,
    pub(super) digest_header: bool,
    pub(super) mount: bool,
    pub(super) locations: Locations,
    pub(super) location_query: String,
    pub(super) keep_at_most: u64,
    pub(super) lock: Lock,
    pub(super) quota: Option<Quota>,
    pub(super) referrers: bool,
    pub(super) catalog: Catalog,
    pub(super) deletion: Deletion,
    pub(super) immutability: Option<Immutability>,
    pub(super) sparse_lists: bool,
}

/// Whether the names of repositories are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Catalog {
    /// To everybody.
    #[default]
    Open,
    /// To nobody: there is nothing at that path.
    Missing,
    /// To others.
    Denied,
}

/// What may be deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Deletion {
    /// Manifests and tags, as in distribution v3.
    #[default]
    All,
    /// Manifests alone, as in distribution v2.
    Manifests,
    /// Nothing.
    Off,
}

/// Whose way of refusing to move a tag a registry has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Immutability {
    /// 400 for another digest; the one that the tag has is taken.
    LikeEcr,
    /// 412 for whatever is put to a tag that exists, and for deleting it.
    LikeHarbor,
}

/// How `Location` is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Locations {
    /// A whole URL.
    #[default]
    Absolute,
    /// A path, without scheme and host.
    Path,
    /// Of uploads a query alone; else a path.
    Query,
    /// A whole URL, of uploads at the registry's other port.
    Elsewhere,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            page_size: None,
            digest_header: true,
            mount: true,
            locations: Locations::default(),
            location_query: String::new(),
            keep_at_most: u64::MAX,
            lock: Lock { scheme: Scheme::Open, token_lifetime: Duration::from_secs(300), delete_scope: true },
            quota: None,
            referrers: false,
            catalog: Catalog::default(),
            deletion: Deletion::default(),
            immutability: None,
            sparse_lists: false,
        }
    }
}

impl Builder {
    /// Lists at most `names` tags or repositories in one answer, whatever the client asks for.
    #[must_use]
    pub fn page_size(mut self, names: usize) -> Self {
        self.options.page_size = Some(names);
        self
    }

    /// Whether answers carry `Docker-Content-Digest`; the spec does not oblige them to.
    #[must_use]
    pub fn digest_header(mut self, sent: bool) -> Self {
        self.options.digest_header = sent;
        self
    }

    /// Answers every attempt to mount a blob with an upload session.
    #[must_use]
    pub fn without_mount(mut self) -> Self {
        self.options.mount = false;
        self
    }

    /// Sends `Location` as a path, without scheme and host.
    #[must_use]
    pub fn relative_locations(mut self) -> Self {
        self.options.locations = Locations::Path;
        self
    }

    /// Sends the `Location` of an upload as a query alone: all else stays as it was asked.
    #[must_use]
    pub fn query_locations(mut self) -> Self {
        self.options.locations = Locations::Query;
        self
    }

    /// Has uploads go on at another port, which is another origin: see
    /// [`FakeRegistry::other_host`].
    #[must_use]
    pub fn uploads_elsewhere(mut self) -> Self {
        self.options.locations = Locations::Elsewhere;
        self
    }

    /// Adds this to the query of an upload's `Location`, where it has to come back unchanged: what
    /// a storage signs, say.
    #[must_use]
    pub fn location_query(mut self, query: &str) -> Self {
        self.options.location_query = query.to_owned();
        self
    }

    /// Hashes and counts uploads of more than `threshold` bytes but does not keep them: HEAD finds
    /// them, GET answers 500. So the memory that a process takes is the client's. A session that
    /// outgrew the threshold can only be closed with SHA-256.
    #[must_use]
    pub fn discard_large_uploads(mut self, threshold: u64) -> Self {
        self.options.keep_at_most = threshold;
        self
    }

    /// Wants this user and password with every request.
    #[must_use]
    pub fn basic_auth(mut self, user: &str, password: &str) -> Self {
        self.options.lock.scheme = Scheme::Basic(Credentials::new(user, password));
        self
    }

    /// Wants a Bearer token, which `/token` of the same host gives to this user and for any scope.
    #[must_use]
    pub fn token_auth(mut self, user: &str, password: &str) -> Self {
        self.options.lock.scheme = Scheme::Token(Some(Credentials::new(user, password)));
        self
    }

    /// Wants a Bearer token, which `/token` of the same host gives to anybody and for any scope.
    #[must_use]
    pub fn anonymous_tokens(mut self) -> Self {
        self.options.lock.scheme = Scheme::Token(None);
        self
    }

    /// Wants a Bearer token, which `/token` of the same host gives for this identity token: by POST as
    /// an OAuth2 refresh token, by GET in the place of the user's password.
    #[must_use]
    pub fn identity_auth(mut self, user: &str, identity_token: &str) -> Self {
        self.options.lock.scheme = Scheme::Identity(Credentials::new(user, identity_token));
        self
    }

    /// Wants a Bearer token as Azure's registries do: `/oauth2/token` gives it for this refresh token,
    /// by POST alone, and `/oauth2/exchange` gives that for this access token.
    #[must_use]
    pub fn azure_auth(mut self, refresh_token: &str, access_token: &str) -> Self {
        let (refresh, access) = (refresh_token.to_owned(), access_token.to_owned());
        self.options.lock.scheme = Scheme::Azure(Azure { refresh, access });
        self
    }

    /// Grants so many pulls in any span of this length, and announces with every answer about a
    /// manifest how many are left, in whole seconds of the window, as Docker Hub does: a GET of a
    /// manifest is a pull, a HEAD is none. When none is left, a GET is answered 429. The clock is
    /// tokio's.
    #[must_use]
    pub fn pulls(mut self, limit: usize, window: Duration) -> Self {
        self.options.quota = Some(Quota { limit, window });
        self
    }

    /// How long tokens last: what `expires_in` says, in whole seconds, and when they are refused.
    /// The clock is tokio's, so that a test which pauses time can let them expire.
    #[must_use]
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.options.lock.token_lifetime = lifetime;
        self
    }

    /// Has the referrers API, and says so in the answer to a manifest with a `subject`. Without this there is none, as
    /// in distribution.
    #[must_use]
    pub fn with_referrers(mut self) -> Self {
        self.options.referrers = true;
        self
    }

    /// Has no catalog of its repositories: 404, without a word of an error.
    #[must_use]
    pub fn without_catalog(mut self) -> Self {
        self.options.catalog = Catalog::Missing;
        self
    }

    /// Tells the catalog of its repositories to nobody: 401.
    #[must_use]
    pub fn secret_catalog(mut self) -> Self {
        self.options.catalog = Catalog::Denied;
        self
    }

    /// Deletes manifests, but takes no tag for a DELETE, as distribution v2 does: 400.
    #[must_use]
    pub fn keeps_tags(mut self) -> Self {
        self.options.deletion = Deletion::Manifests;
        self
    }

    /// Deletes nothing, as distribution does unless told otherwise: 405.
    #[must_use]
    pub fn without_delete(mut self) -> Self {
        self.options.deletion = Deletion::Off;
        self
    }

    /// Refuses to move a tag that exists.
    #[must_use]
    pub fn immutable_tags(mut self, immutability: Immutability) -> Self {
        self.options.immutability = Some(immutability);
        self
    }

    /// Takes lists some of whose children it does not have.
    #[must_use]
    pub fn sparse_lists(mut self) -> Self {
        self.options.sparse_lists = true;
        self
    }

    /// Its token service knows no right to delete, as Quay's: who asks for it is refused, and who may push may delete.
    #[must_use]
    pub fn without_delete_scope(mut self) -> Self {
        self.options.lock.delete_scope = false;
        self
    }

    /// Binds a loopback port and serves on the current tokio runtime.
    ///
    /// # Panics
    /// If loopback has no port to give.
    pub async fn start(self) -> FakeRegistry {
        FakeRegistry::start_with(self.options).await
    }
}
