//! Who asked to be left alone, and until when (`Retry-After`).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Class;
use crate::content::Refusal;
use crate::oci::Repository;

/// What a registry asked for, by repository and class: what one repository's refusal says is not taken for another's.
/// The catalog is of none.
#[derive(Default)]
pub(in crate::registry) struct Pauses(Mutex<HashMap<Place, (Instant, Refusal)>>);

type Place = (Option<Repository>, Class);

impl Pauses {
    /// The registry asked to wait before requests like this one.
    pub(in crate::registry) fn ask(
        &self,
        repository: Option<&Repository>,
        class: Class,
        refusal: &Refusal,
        now: Instant,
    ) {
        // What is further away than the clock goes is not asked for in earnest.
        let Some(until) = refusal.retry_after.filter(|asked| !asked.is_zero()).and_then(|asked| now.checked_add(asked))
        else {
            return;
        };
        let mut pauses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pauses.retain(|_, (until, _)| *until > now);
        let pause = pauses.entry((repository.cloned(), class)).or_insert((until, refusal.clone()));
        pause.0 = pause.0.max(until);
    }

    /// How long is still to wait, and the refusal that asked for it.
    pub(in crate::registry) fn left(
        &self,
        repository: Option<&Repository>,
        class: Class,
        now: Instant,
    ) -> Option<(Duration, Refusal)> {
        let pauses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pauses.is_empty() {
            return None;
        }
        let (until, refusal) = pauses.get(&(repository.cloned(), class))?;
        let left = until.checked_duration_since(now).filter(|left| !left.is_zero())?;
        Some((left, Refusal { retry_after: Some(left), ..refusal.clone() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_holds_for_its_repository_and_class_alone() {
        let (pauses, now) = (Pauses::default(), Instant::now());
        let refusal = Refusal { retry_after: Some(Duration::from_secs(60)), ..Refusal::of_status(429) };
        let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
        pauses.ask(Some(&a), Class::Read, &refusal, now);
        let left = |repository, class, seconds| {
            pauses.left(Some(repository), class, now + Duration::from_secs(seconds)).map(|(left, _)| left.as_secs())
        };
        assert_eq!(left(&a, Class::Read, 20), Some(40));
        assert_eq!(left(&a, Class::Read, 60), None);
        assert_eq!(left(&a, Class::Upload, 20), None);
        assert_eq!(left(&b, Class::Read, 20), None);
    }

    #[test]
    fn a_pause_without_end_is_none() {
        let (pauses, now) = (Pauses::default(), Instant::now());
        let refusal = Refusal { retry_after: Some(Duration::MAX), ..Refusal::of_status(429) };
        let a = "a".parse().unwrap();
        pauses.ask(Some(&a), Class::Read, &refusal, now);
        assert!(pauses.left(Some(&a), Class::Read, now).is_none());
    }
}
