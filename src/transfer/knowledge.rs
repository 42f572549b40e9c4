//! What is known of the targets: only ever a saving of requests. Losing it, or its being wrong, loses nothing.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

use super::hearsay::Hearsay;
use super::whereabouts::Whereabouts;
use crate::content::Location;
use crate::oci::{Digest, Host, Repository, Tag};

/// Which blobs and documents lie in which repositories, learnt during a run, and who is busy with which of them.
#[derive(Default)]
pub struct Knowledge {
    facts: Mutex<Facts>,
    flights: Mutex<HashMap<Flight, Arc<tokio::sync::Mutex<()>>>>,
    hearsay: Arc<Hearsay>,
    whereabouts: Arc<Whereabouts>,
}

#[derive(Default)]
struct Facts {
    /// Repositories, by registry and blob, that have the blob.
    blobs: HashMap<(Host, Digest), Vec<Repository>>,
    /// Documents that lie whole in a repository.
    manifests: HashSet<(Location, Digest)>,
    /// Repositories that did not exist when this run began.
    new: HashSet<Location>,
    /// Who writes which tag.
    claims: HashMap<(Location, Tag), Arc<Claim>>,
}

/// A rule that writes a tag, and where it takes the image from.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) rule: Arc<str>,
    pub(super) source: Location,
}

/// Something that one task does while others that need it wait.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Flight {
    /// A tag that is looked at before it is written.
    Tag(Location, Tag),
    /// A blob on its way to a registry.
    Blob(Host, Digest),
    /// A blob on its way into one repository.
    BlobInto(Location, Digest),
    /// An image on its way into one repository.
    Image(Location, Digest),
    /// The list of what refers to a document of one repository.
    Referrers(Location, Digest),
}

/// Where a blob is, seen from one repository.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// In the repository itself.
    Here,
    /// In another repository of the same registry: it can be mounted.
    Elsewhere(Repository),
    /// Nobody has seen it.
    Nowhere,
}

impl Knowledge {
    /// Nothing yet, but for what other processes say, and earlier ones have noted.
    pub(super) fn beside(hearsay: &Arc<Hearsay>, whereabouts: &Arc<Whereabouts>) -> Self {
        Self { hearsay: Arc::clone(hearsay), whereabouts: Arc::clone(whereabouts), ..Self::default() }
    }

    pub(super) fn blob(&self, at: &Location, digest: &Digest) -> Known {
        let facts = self.facts();
        match facts.blobs.get(&(at.host.clone(), digest.clone())).map(Vec::as_slice) {
            None | Some([]) => match self.hearsay.repository(&at.host, digest) {
                Some(repository) if repository == at.repository => Known::Here,
                Some(_) | None if self.whereabouts.was_lately_in(at, digest) => Known::Here,
                Some(repository) => Known::Elsewhere(repository),
                None => Known::Nowhere,
            },
            Some(repositories) if repositories.contains(&at.repository) => Known::Here,
            Some(_) if self.whereabouts.was_lately_in(at, digest) => Known::Here,
            Some([first, ..]) => Known::Elsewhere(first.clone()),
        }
    }

    /// Another repository of the registry that had a blob once: it may be mounted from there, which costs nothing if it
    /// may not.
    pub(super) fn may_lie_in(&self, at: &Location, digest: &Digest) -> Option<Repository> {
        self.whereabouts.elsewhere(at, digest)
    }

    pub(super) fn learn_blob(&self, at: &Location, digest: &Digest) {
        let mut facts = self.facts();
        let repositories = facts.blobs.entry((at.host.clone(), digest.clone())).or_default();
        if !repositories.contains(&at.repository) {
            repositories.push(at.repository.clone());
            drop(facts);
            self.hearsay.tell(at, digest);
            self.whereabouts.note(at, digest);
        }
    }

    pub(super) fn has_manifest(&self, at: &Location, digest: &Digest) -> bool {
        self.facts().manifests.contains(&(at.clone(), digest.clone()))
    }

    pub(super) fn learn_manifest(&self, at: &Location, digest: &Digest) {
        self.facts().manifests.insert((at.clone(), digest.clone()));
    }

    /// Whether the repository is new, so that what nobody has put there in this run is not there.
    pub(super) fn is_new(&self, at: &Location) -> bool {
        self.facts().new.contains(at)
    }

    pub(super) fn learn_new(&self, at: &Location) {
        self.whereabouts.forget(at);
        self.facts().new.insert(at.clone());
    }

    /// Notes who is going to write a tag. Returns who else is.
    pub(super) fn claim(&self, at: &Location, tag: &Tag, claim: &Arc<Claim>) -> Option<Arc<Claim>> {
        let mut facts = self.facts();
        let first = facts.claims.entry((at.clone(), tag.clone())).or_insert_with(|| Arc::clone(claim));
        (first != claim).then(|| Arc::clone(first))
    }

    /// Drops what was believed of a repository, since the registry says otherwise.
    pub(super) fn forget(&self, at: &Location) {
        self.hearsay.forget(at);
        self.whereabouts.forget(at);
        let mut facts = self.facts();
        facts.new.remove(at);
        facts.manifests.retain(|(location, _)| location != at);
        for ((host, _), repositories) in &mut facts.blobs {
            if *host == at.host {
                repositories.retain(|repository| *repository != at.repository);
            }
        }
    }

    /// Drops what was believed of one part of a repository, which was found to be damaged there. Registries keep a blob
    /// once for all repositories: if its bytes are wrong, it is not to be mounted from another one either.
    pub(super) fn forget_part(&self, at: &Location, digest: &Digest, is_wrong_everywhere: bool) {
        self.doubt(at, digest);
        let mut facts = self.facts();
        facts.manifests.remove(&(at.clone(), digest.clone()));
        if let Some(repositories) = facts.blobs.get_mut(&(at.host.clone(), digest.clone())) {
            repositories.retain(|repository| !is_wrong_everywhere && *repository != at.repository);
        }
    }

    /// Drops what others say of a blob: the registry has lost it in one repository, so who knows where else.
    pub(super) fn doubt(&self, at: &Location, digest: &Digest) {
        self.hearsay.forget_blob(&at.host, digest);
        self.whereabouts.forget_blob(&at.host, digest);
    }

    /// Waits until nobody else does the same. Flights nest in the order of [`Flight`]'s variants from below: an image's
    /// may hold on while a blob's is taken, never the other way round, so they cannot wait for each other in a circle.
    pub(super) async fn flight(&self, flight: Flight) -> FlightGuard<'_> {
        let lock = {
            let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(flights.entry(flight.clone()).or_default())
        };
        FlightGuard { knowledge: self, flight, held: Some(lock.lock_owned().await) }
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a flight when dropped.
pub(super) struct FlightGuard<'a> {
    knowledge: &'a Knowledge,
    flight: Flight,
    held: Option<OwnedMutexGuard<()>>,
}

impl Drop for FlightGuard<'_> {
    fn drop(&mut self) {
        self.held = None;
        let mut flights = self.knowledge.flights.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's own is the last: nobody waits.
        if flights.get(&self.flight).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            flights.remove(&self.flight);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(text: &str) -> Location {
        Location::from(&text.parse::<crate::oci::Reference>().unwrap())
    }

    #[test]
    fn a_blob_is_here_elsewhere_or_nowhere() {
        let knowledge = Knowledge::default();
        let (a, b, other) = (location("r.example/a"), location("r.example/b"), location("s.example/a"));
        let blob = Digest::of(b"blob");
        assert_eq!(knowledge.blob(&a, &blob), Known::Nowhere);
        knowledge.learn_blob(&a, &blob);
        assert_eq!(knowledge.blob(&a, &blob), Known::Here);
        assert_eq!(knowledge.blob(&b, &blob), Known::Elsewhere("a".parse().unwrap()));
        assert_eq!(knowledge.blob(&other, &blob), Known::Nowhere);
        knowledge.forget(&a);
        assert_eq!(knowledge.blob(&a, &blob), Known::Nowhere);
    }

    #[tokio::test]
    async fn one_flight_at_a_time_and_none_is_kept() {
        let knowledge = Arc::new(Knowledge::default());
        let flight = || Flight::Blob("r.example".parse().unwrap(), Digest::of(b""));
        let first = knowledge.flight(flight()).await;
        let second = tokio::spawn({
            let (knowledge, flight) = (Arc::clone(&knowledge), flight());
            async move { drop(knowledge.flight(flight).await) }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        second.await.unwrap();
        assert!(knowledge.flights.lock().unwrap().is_empty());
    }
}
