//! Docker Hub's webhooks. Their `callback_url` is nothing that we call.
//!
//! Source: Docker's documentation, "Webhooks".

use serde::Deserialize;

use super::message::{arrived, place};
use crate::oci::{Host, Repository};
use crate::transfer::{Pushed, Sender};

#[derive(Deserialize)]
struct Notification {
    push_data: Option<PushData>,
    repository: Option<Named>,
}

#[derive(Deserialize)]
struct PushData {
    tag: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    repo_name: String,
}

pub(super) fn read(body: &[u8]) -> serde_json::Result<Vec<Pushed>> {
    let Notification { push_data, repository } = serde_json::from_slice(body)?;
    let push = push_data.zip(repository).and_then(|(push, named)| {
        let repository = repository_of(&named.repo_name)?;
        Some(Pushed { registry: Sender::Is(Host::docker_hub()), repository, arrived: arrived(push.tag.as_deref()) })
    });
    Ok(push.into_iter().collect())
}

/// The name as Docker means it: `alpine` is `library/alpine`.
fn repository_of(name: &str) -> Option<Repository> {
    let name: Repository = name.parse().ok()?;
    place(&format!("{}/{name}", Host::docker_hub())).map(|(_, repository)| repository)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::Arrived;

    fn of(name: &str) -> Vec<Pushed> {
        let body = format!(
            r#"{{"callback_url": "https://registry.hub.docker.com/u/x/hook/1/", "push_data": {{"tag": "v1", "pusher": "x"}},
                "repository": {{"repo_name": "{name}", "name": "x", "is_private": true}}}}"#
        );
        read(body.as_bytes()).unwrap()
    }

    #[test]
    fn a_push_is_one_at_docker_hub_whatever_its_name_says() {
        for (name, repository) in [("team/app", "team/app"), ("alpine", "library/alpine")] {
            let registry = Sender::Is("docker.io".parse().unwrap());
            let arrived = Arrived::Tag("v1".parse().unwrap());
            assert_eq!(of(name), [Pushed { registry, repository: repository.parse().unwrap(), arrived }]);
        }
        for name in ["", "team/app:v2", "a.example:5000/app", "../app", "oci:dir"] {
            assert_eq!(of(name), [], "{name}");
        }
    }

    #[test]
    fn what_lacks_a_part_is_no_push() {
        assert_eq!(read(b"{}").unwrap(), []);
    }
}
