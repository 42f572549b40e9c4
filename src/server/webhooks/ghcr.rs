//! GitHub's webhooks `package` and `registry_package`, of its container registry.
//!
//! Source: GitHub's documentation, "Webhook events and payloads".

use serde::Deserialize;

use super::message::{arrived, place};
use crate::oci::Repository;
use crate::transfer::{Arrived, Pushed, Sender};

const REGISTRY: &str = "ghcr.io";

#[derive(Deserialize)]
struct Notification {
    #[serde(default)]
    action: String,
    package: Option<Package>,
    registry_package: Option<Package>,
}

#[derive(Deserialize)]
struct Package {
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    package_type: String,
    package_version: Option<Version>,
}

#[derive(Deserialize)]
struct Version {
    #[serde(default)]
    package_url: Option<String>,
    container_metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    tag: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: Option<String>,
}

pub(super) fn read(body: &[u8]) -> serde_json::Result<Vec<Pushed>> {
    let Notification { action, package, registry_package } = serde_json::from_slice(body)?;
    let package = package.or(registry_package).filter(|_| matches!(&*action, "published" | "updated"));
    Ok(package.and_then(Package::push).into_iter().collect())
}

impl Package {
    fn push(self) -> Option<Pushed> {
        if !self.package_type.eq_ignore_ascii_case("container") {
            return None;
        }
        let Version { package_url, container_metadata } = self.package_version?;
        // It has the registry of an enterprise's own server in it.
        let written = package_url.filter(|url| url.contains('/')).and_then(|url| place(&url.to_ascii_lowercase()));
        let named = || -> Option<(_, Repository)> {
            let name = format!("{}/{}", self.namespace, self.name).to_ascii_lowercase();
            Some((REGISTRY.parse().ok()?, name.parse().ok()?))
        };
        let (host, repository) = written.or_else(named)?;
        let registry = if host.as_str() == REGISTRY { Sender::Is(host) } else { Sender::Says(host) };
        let tag = container_metadata.and_then(|metadata| metadata.tag).map(|tag| tag.name.unwrap_or_default());
        let arrived = tag.map_or(Arrived::Something, |tag| arrived(Some(&tag)));
        Some(Pushed { registry, repository, arrived })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(event: &str, action: &str, kind: &str, version: &str) -> Vec<u8> {
        format!(
            r#"{{"action": "{action}", "{event}": {{"name": "app", "namespace": "Octo-Org", "package_type": "{kind}",
                "package_version": {version}}}, "sender": {{}}}}"#
        )
        .into_bytes()
    }

    fn push(registry: Sender, arrived: Arrived) -> Pushed {
        Pushed { registry, repository: "octo-org/app".parse().unwrap(), arrived }
    }

    #[test]
    fn both_events_tell_of_a_push() {
        let version = r#"{"package_url": "ghcr.io/Octo-Org/app:v1", "container_metadata": {"tag": {"name": "v1"}}}"#;
        for event in ["package", "registry_package"] {
            let pushes = read(&body(event, "published", "CONTAINER", version)).unwrap();
            let expected = push(Sender::Is(REGISTRY.parse().unwrap()), Arrived::Tag("v1".parse().unwrap()));
            assert_eq!(pushes, [expected]);
        }
    }

    #[test]
    fn without_a_tag_and_a_url_it_is_still_known_where_it_is() {
        for (version, arrived) in [
            (
                r#"{"package_url": "", "container_metadata": {"tag": {"name": "", "digest": "sha256:aa"}}}"#,
                Arrived::Untagged,
            ),
            (r#"{"package_url": "ghcr.io/octo-org/app:", "container_metadata": null}"#, Arrived::Something),
            (r#"{"package_url": null}"#, Arrived::Something),
        ] {
            let pushes = read(&body("package", "updated", "container", version)).unwrap();
            assert_eq!(pushes, [push(Sender::Is(REGISTRY.parse().unwrap()), arrived)], "{version}");
        }
    }

    #[test]
    fn an_enterprises_own_registry_is_taken_at_its_word() {
        let version = r#"{"package_url": "containers.ghe.example/octo-org/app:v1"}"#;
        let pushes = read(&body("package", "published", "container", version)).unwrap();
        assert_eq!(pushes[0].registry, Sender::Says("containers.ghe.example".parse().unwrap()));
    }

    #[test]
    fn pings_and_packages_of_other_kinds_are_no_push() {
        let version = r#"{"package_url": "ghcr.io/octo-org/app:v1"}"#;
        for body in [
            body("package", "published", "npm", version),
            body("package", "deleted", "container", version),
            br#"{"zen": "Keep it logically awesome.", "hook_id": 1, "hook": {}}"#.to_vec(),
        ] {
            assert_eq!(read(&body).unwrap(), []);
        }
    }
}
