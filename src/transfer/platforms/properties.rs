//! What holds for the smaller form of every list.

use std::collections::HashMap;

use proptest::prelude::*;

use super::tests::{child, list, plain, wanted};
use super::{Fate, Platforms, Seen};
use crate::oci::Manifest;

const PLATFORMS: [&str; 4] = ["linux/amd64", "linux/arm64", "linux/s390x", "windows/amd64"];

/// A list's children in any order, with spaces and fields that nobody knows.
fn children() -> impl Strategy<Value = Vec<String>> {
    let spaces = prop::sample::select(vec!["", " ", "\n\t"]);
    let one = (0..PLATFORMS.len(), prop::char::range('a', 'f'), spaces, "[a-z\\\\u00e9]{0,4}", any::<bool>());
    let one = one.prop_map(|(platform, letter, space, unknown, plainly)| {
        let entry = if plainly { plain(letter, "application/x") } else { child(letter, PLATFORMS[platform]) };
        let unknown = serde_json::to_string(&unknown).unwrap();
        entry.replacen('{', &format!("{{{space}\"x\":{space}{unknown},{space}"), 1)
    });
    prop::collection::vec(one, 0..8)
}

proptest! {
    #[test]
    fn a_smaller_list_is_a_part_of_the_list_in_its_order(children in children(), chosen in prop::sample::subsequence(PLATFORMS.to_vec(), 1..4)) {
        let list = list(&children);
        let platforms = wanted(&chosen);
        let Ok(smaller) = platforms.smaller(&list, &HashMap::new()) else {
            prop_assert!(platforms.missing(&Seen::in_list(&list)).is_err());
            return Ok(());
        };
        let text = std::str::from_utf8(smaller.root.bytes()).unwrap();
        let choice = platforms.choose(&list);
        let kept = children.iter().zip(&choice).filter(|(_, (_, fate))| *fate == Fate::Keep).map(|(written, _)| written.as_str());
        let expected = format!("\"manifests\":[{}]", kept.collect::<Vec<_>>().join(","));
        prop_assert!(text.contains(&expected), "{} has not {expected}", text);
        prop_assert_eq!(smaller.root == list, choice.iter().all(|(_, fate)| *fate == Fate::Keep));
        prop_assert!(smaller.root == list || platforms.made_from(list.digest(), &smaller.root));
    }

    #[test]
    fn the_same_choice_again_changes_nothing(children in children(), chosen in prop::sample::subsequence(PLATFORMS.to_vec(), 1..4)) {
        let (list, platforms) = (list(&children), wanted(&chosen));
        let reversed: Vec<&str> = chosen.iter().rev().copied().collect();
        let root = |platforms: &Platforms, list| platforms.smaller(list, &HashMap::new()).ok().map(|smaller| smaller.root);
        let first = root(&platforms, &list);
        prop_assert_eq!(&first, &root(&wanted(&reversed), &list));
        if let Some(smaller) = first {
            prop_assert_eq!(root(&platforms, &smaller), Some(smaller.clone()));
            let again = Manifest::parse(smaller.bytes().clone(), Some(smaller.media_type()), Some(smaller.digest()));
            prop_assert_eq!(again, Ok(smaller));
        }
    }
}
