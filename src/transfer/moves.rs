//! Tags that move: every process of a cluster says so, before and when it is over. So what one of them has seen in place
//! holds for as long as nobody has said anything of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;

use crate::content::Location;
use crate::oci::Tag;

/// What is moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Movable {
    /// A tag.
    Tag(Location, Tag),
    /// Any tags of a repository, as where something is deleted.
    Repository(Location),
}

/// What all processes that write to the same targets tell each other. Moves have numbers, which grow as they are told.
pub trait Moves: Send + Sync {
    /// Says that something is about to be moved; done when whoever asks is told so, however long that takes. None if
    /// nobody can say when that is over: another has begun as well, and may be dead.
    fn begin(&self, what: Movable) -> BoxFuture<'_, Option<u64>>;

    /// Says that what was begun with this number is over, and returns its last number; none if it counts as going on.
    fn end(&self, what: Movable, begun: u64) -> BoxFuture<'_, Option<u64>>;

    /// The number of the last move of something, 0 if nobody knows of any; none while it is going on, or if it is not
    /// known.
    fn last(&self, what: Movable) -> BoxFuture<'_, Option<u64>>;
}

/// What the work of one run or task moves, and what it knows of others' moves. Without others nothing is told or known.
#[derive(Clone, Default)]
pub(super) struct Moving {
    others: Option<Arc<dyn Moves>>,
    last: Arc<Mutex<HashMap<(Location, Tag), u64>>>,
}

/// A move that was told of, as [`Moving::end`] wants it.
#[must_use]
pub(super) struct Begun(Option<(Movable, u64)>);

impl Moving {
    pub(super) fn among(others: Option<Arc<dyn Moves>>) -> Self {
        Self { others, last: Arc::default() }
    }

    /// To be done before anything is moved. May be cancelled.
    pub(super) async fn begin(&self, what: Movable) -> Begun {
        let Some(others) = &self.others else { return Begun(None) };
        if let Movable::Tag(location, tag) = &what {
            self.last().remove(&(location.clone(), tag.clone()));
        }
        let begun = others.begin(what.clone()).await;
        Begun(begun.map(|begun| (what, begun)))
    }

    /// To be done when the registry has answered: of what is not ended nobody believes what he sees.
    pub(super) async fn end(&self, begun: Begun) {
        let (Some(others), Begun(Some((what, number)))) = (&self.others, begun) else { return };
        let last = others.end(what.clone(), number).await;
        if let (Some(last), Movable::Tag(location, tag)) = (last, what) {
            self.last().insert((location, tag), last);
        }
    }

    /// To be done before a tag is looked at, by who wants to know for how long the answer holds.
    pub(super) async fn look(&self, location: &Location, tag: &Tag) {
        let Some(others) = &self.others else { return };
        let of_tag = others.last(Movable::Tag(location.clone(), tag.clone()));
        let of_all = others.last(Movable::Repository(location.clone()));
        if let (Some(last), Some(_)) = futures_util::join!(of_tag, of_all) {
            self.believe(location, tag, last);
        }
    }

    /// Another has looked: this was the last move before.
    pub(super) fn believe(&self, location: &Location, tag: &Tag, last: u64) {
        self.last().insert((location.clone(), tag.clone()), last);
    }

    /// The last move of a tag before it was looked at here, or that was made here.
    pub(super) fn last_of(&self, location: &Location, tag: &Tag) -> Option<u64> {
        self.last().get(&(location.clone(), tag.clone())).copied()
    }

    fn last(&self) -> MutexGuard<'_, HashMap<(Location, Tag), u64>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
