//! What falls on whom.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Mutex;

use http::request::Parts;
use url::form_urlencoded;

use super::Harm;
use crate::content::split_mix;

/// Whatever is asked for is struck so many times in a row and no more: however the dice fall, a
/// client that tries as often as that gets there.
const MOST_IN_A_ROW: u32 = 3;

/// Decides, for every request, whether it is struck.
#[derive(Debug)]
pub(super) struct Dice {
    seed: u64,
    rates: Vec<(Harm, f64)>,
    seen: Mutex<HashMap<String, Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    times: u64,
    in_a_row: u32,
}

impl Dice {
    pub(super) fn new(seed: u64, rates: Vec<(Harm, f64)>) -> Self {
        Self { seed, rates, seen: Mutex::default() }
    }

    /// What this request suffers, and the numbers for how and where.
    pub(super) fn throw(&self, request: &Parts, has_body: bool) -> Option<(Harm, Numbers)> {
        let subject = subject(request);
        let mut seen = self.seen.lock().expect("no holder panics");
        let mut numbers = Numbers::of(&(self.seed, &subject, seen.get(&subject).map_or(0, |seen| seen.times)));
        let seen = seen.entry(subject).or_default();
        seen.times += 1;
        let harm = self.fall(numbers.share(), request, has_body).filter(|_| seen.in_a_row < MOST_IN_A_ROW);
        seen.in_a_row = if harm.is_some() { seen.in_a_row + 1 } else { 0 };
        harm.map(|harm| (harm, numbers))
    }

    fn fall(&self, mut point: f64, request: &Parts, has_body: bool) -> Option<Harm> {
        let able = self.rates.iter().filter(|(harm, _)| harm.can_strike(&request.method, has_body));
        for (harm, rate) in able {
            if point < *rate {
                return Some(*harm);
            }
            point -= rate;
        }
        None
    }
}

/// What a request is about: the same for whoever asks it again. An upload's session, which the
/// registry makes up, is left out.
fn subject(request: &Parts) -> String {
    let path = request.uri.path();
    let end = path.find("/blobs/uploads/").map_or(path.len(), |at| at + "/blobs/uploads/".len());
    let query = request.uri.query().unwrap_or_default();
    let digest = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "digest" || key == "mount");
    format!("{} {} {}", request.method, &path[..end], digest.map_or_else(String::new, |(_, value)| value.into_owned()))
}

/// Random numbers for one request.
#[derive(Clone, Debug)]
pub(super) struct Numbers(u64);

impl Numbers {
    fn of(what: &(u64, &String, u64)) -> Self {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        Self(hasher.finish())
    }

    /// From 0 to 1, without 1.
    fn share(&mut self) -> f64 {
        f64::from(u32::try_from(split_mix(&mut self.0) >> 32).expect("32 bits are left")) / (f64::from(u32::MAX) + 1.0)
    }

    /// From 0 to `bound`, without `bound`, which is at least 1.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        split_mix(&mut self.0) % bound
    }

    pub(super) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).expect("an index")]
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, Request};

    use super::*;

    fn request(method: Method, target: &str) -> Parts {
        Request::builder().method(method).uri(target).body(()).expect("a target").into_parts().0
    }

    fn thrown(dice: &Dice, targets: &[&str]) -> Vec<Option<Harm>> {
        let throw = |target: &&str| dice.throw(&request(Method::GET, target), false).map(|(harm, _)| harm);
        targets.iter().map(throw).collect()
    }

    #[test]
    fn the_order_of_arrival_changes_nothing() {
        let dice = || Dice::new(5, vec![(Harm::Throttle, 0.3), (Harm::CutAnswer, 0.3)]);
        let targets: Vec<_> = (0..50).map(|number| format!("/v2/app/manifests/{number}")).collect();
        let forward: Vec<_> = targets.iter().map(String::as_str).collect();
        let backward: Vec<_> = forward.iter().rev().copied().collect();

        let mut there = thrown(&dice(), &forward);
        let back = thrown(&dice(), &backward);

        assert!(
            there.contains(&None) && there.contains(&Some(Harm::Throttle)) && there.contains(&Some(Harm::CutAnswer))
        );
        there.reverse();
        assert_eq!(there, back);
    }

    #[test]
    fn nothing_is_struck_for_ever() {
        let dice = Dice::new(5, vec![(Harm::NoAnswer, 1.0)]);
        let struck: Vec<_> = thrown(&dice, &["/v2/"; 8]).iter().map(Option::is_some).collect();
        assert_eq!(struck, [true, true, true, false, true, true, true, false]);
    }

    #[test]
    fn a_request_without_a_body_does_not_lose_it() {
        let dice = Dice::new(5, vec![(Harm::CutRequest, 1.0)]);
        assert_eq!(thrown(&dice, &["/v2/"]), [None]);
        assert!(dice.throw(&request(Method::PUT, "/v2/app/manifests/1"), true).is_some());
    }

    #[test]
    fn an_upload_is_known_by_its_digest() {
        let of = |target| subject(&request(Method::PUT, target));
        assert_eq!(of("/v2/a/blobs/uploads/1?_state=x&digest=sha256%3Aab"), "PUT /v2/a/blobs/uploads/ sha256:ab");
        assert_eq!(of("/v2/a/blobs/uploads/2?_state=y"), "PUT /v2/a/blobs/uploads/ ");
    }
}
