//! Quay's notifications of a push.
//!
//! Source: Quay's documentation, "Repository notifications", "Repository Push".

use serde::Deserialize;

use super::message::{Few, arrived, place, says};
use crate::transfer::{Arrived, Pushed};

#[derive(Deserialize)]
struct Notification {
    #[serde(default)]
    repository: String,
    #[serde(default)]
    docker_url: String,
    /// Only a push has them.
    updated_tags: Option<Few<String>>,
}

pub(super) fn read(body: &[u8]) -> serde_json::Result<Vec<Pushed>> {
    let Notification { repository, docker_url, updated_tags } = serde_json::from_slice(body)?;
    let (Some(Few(tags)), Ok(repository)) = (updated_tags, repository.parse()) else { return Ok(Vec::new()) };
    let registry = says(place(&docker_url).map(|(host, _)| host));
    let pushed = |arrived| Pushed { registry: registry.clone(), repository: Clone::clone(&repository), arrived };
    Ok(match tags[..] {
        [] => vec![pushed(Arrived::Something)],
        _ => tags.iter().map(|tag| pushed(arrived(Some(tag)))).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::samples::pushed;
    use super::*;

    fn of(rest: &str) -> Vec<Pushed> {
        let body = format!(
            r#"{{"name": "app", "repository": "team/app", "namespace": "team", "docker_url": "quay.io/team/app",
                "homepage": "https://quay.io/repository/team/app"{rest}}}"#
        );
        read(body.as_bytes()).unwrap()
    }

    #[test]
    fn each_tag_is_a_push() {
        let pushes = of(r#", "updated_tags": ["latest", "v1"]"#);
        assert_eq!(pushes, [pushed("quay.io", "team/app", "latest"), pushed("quay.io", "team/app", "v1")]);
    }

    #[test]
    fn without_a_tag_it_is_a_push_of_something() {
        let pushes = of(r#", "updated_tags": []"#);
        assert_eq!((pushes.len(), &pushes[0].arrived), (1, &Arrived::Something));
    }

    #[test]
    fn builds_and_scans_are_no_push() {
        for rest in ["", r#", "build_id": "1", "docker_tags": ["v1"]"#, r#", "tags": ["v1"], "vulnerability": {}"#] {
            assert_eq!(of(rest), [], "{rest}");
        }
    }
}
