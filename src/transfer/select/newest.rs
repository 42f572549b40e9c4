//! Which tags are the newest, as `latest` counts them.

use std::cmp::Ordering;

use super::natural;
use super::version::Version;
use crate::oci::Tag;

/// So many of the tags, the newest first: versions by their [order](Version::compare), then what is no version by name,
/// the last in the alphabet first. Numbers in names count as numbers.
pub(super) fn newest(tags: &[Tag], count: usize) -> Vec<Tag> {
    let mut ranks: Vec<Rank<'_>> = tags.iter().map(Rank::of).collect();
    let newest_first = |a: &Rank<'_>, b: &Rank<'_>| b.compare(a);
    if count < ranks.len() {
        ranks.select_nth_unstable_by(count, newest_first);
        ranks.truncate(count);
    }
    ranks.sort_unstable_by(newest_first);
    ranks.into_iter().map(|rank| rank.tag.clone()).collect()
}

/// A tag's place in the order.
struct Rank<'t> {
    version: Option<Version<'t>>,
    tag: &'t Tag,
}

impl<'t> Rank<'t> {
    fn of(tag: &'t Tag) -> Self {
        Self { version: Version::read(tag.as_str()), tag }
    }

    /// From older to newer. Only a tag and itself are equal: the order never depends on the listing's.
    fn compare(&self, other: &Self) -> Ordering {
        let by_version = match (&self.version, &other.version) {
            (Some(one), Some(another)) => one.compare(another),
            (one, another) => one.is_some().cmp(&another.is_some()),
        };
        let (name, others_name) = (self.tag.as_str(), other.tag.as_str());
        by_version.then_with(|| natural::compare(name, others_name)).then_with(|| name.cmp(others_name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tags(names: &[&str]) -> Vec<Tag> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn versions_are_newer_than_serials_and_those_than_names() {
        let listed = tags(&["edge", "20240329", "3.9", "latest", "3.19", "v3.19", "3.19-rc1", "build-9", "build-10"]);
        let order = ["v3.19", "3.19", "3.19-rc1", "3.9", "20240329", "latest", "edge", "build-10", "build-9"];
        assert_eq!(newest(&listed, 20), tags(&order));
        assert_eq!(newest(&listed, 2), tags(&order[..2]));
    }

    /// Tags of the pieces that versions are made of, so that many are nearly equal.
    fn tag() -> impl Strategy<Value = Tag> {
        "v?[0-2]{1,2}(\\.0?[0-2]){0,3}([-._]?(rc|a|beta|alpine|m|x)[0-9]{0,2}){0,2}|[a-b]{1,2}[0-9]{0,2}|20240[12]01"
            .prop_map(|text| text.parse().unwrap())
    }

    proptest! {
        #[test]
        fn the_order_is_total(a in tag(), b in tag(), c in tag()) {
            let (one, two, three) = (Rank::of(&a), Rank::of(&b), Rank::of(&c));
            prop_assert_eq!(one.compare(&two), two.compare(&one).reverse());
            prop_assert_eq!(one.compare(&two) == Ordering::Equal, a == b);
            if one.compare(&two).is_le() && two.compare(&three).is_le() {
                prop_assert!(one.compare(&three).is_le());
            }
        }

        #[test]
        fn the_newest_do_not_depend_on_the_order_of_the_listing(mut listed in prop::collection::vec(tag(), 0..20), count in 0..20_usize) {
            let before = newest(&listed, count);
            listed.reverse();
            prop_assert_eq!(newest(&listed, count), before);
        }
    }
}
