//! Imports that the API is asked for.

use serde::{Deserialize, Serialize};

use super::problem::Problem;
use crate::oci::{Platform, Reference};
use crate::transfer::{Extent, Import, NoTarget, Referrers, target_or_latest, untagged_target};

/// So many targets one import may have.
const MOST_TARGETS: usize = 100;

/// The body of `POST /api/v1/imports`: the options of `regferry import` that make sense at another machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportOrder {
    /// What is read.
    pub source: String,
    /// Targets with tags.
    #[serde(default)]
    pub images: Vec<String>,
    /// Target repositories that get the manifest without a tag.
    #[serde(default)]
    pub repositories: Vec<String>,
    /// Whether tags may be moved.
    #[serde(default)]
    pub force: bool,
    /// The platforms that are wanted; all of them where none is named.
    #[serde(default)]
    pub platforms: Vec<String>,
    /// Whether what refers to the image goes along.
    #[serde(default)]
    pub referrers: bool,
}

impl ImportOrder {
    /// What it asks for.
    pub(super) fn import(&self) -> Result<Import, Problem> {
        let source = self.source.parse::<Reference>();
        let source = source.map_err(|error| Problem::unprocessable(format!("source: {error}"), FULL_NAME))?;
        let images =
            self.images.iter().map(|text| target_or_latest(None, text).map_err(|no| no_target("images", text, &no)));
        let repositories = self.repositories.iter();
        let repositories =
            repositories.map(|text| untagged_target(None, text).map_err(|no| no_target("repositories", text, &no)));
        let targets: Vec<Reference> = images.chain(repositories).collect::<Result<_, _>>()?;
        if targets.is_empty() {
            return Err(Problem::unprocessable("the import has no target", "name one in images or repositories"));
        }
        if targets.len() > MOST_TARGETS {
            let detail = format!("the import has {} targets", targets.len());
            return Err(Problem::unprocessable(
                detail,
                format!("ask for {MOST_TARGETS} at most, and for the rest anew"),
            ));
        }
        if let Some(layout) = targets.iter().chain([&source]).find(|name| name.host.is_layout()) {
            let detail = format!("{layout}: an image layout is in files of the daemon's machine");
            return Err(Problem::unprocessable(detail, "name registries, or call `regferry import` on that machine"));
        }
        let wrong =
            |error: String| Problem::unprocessable(format!("platforms: {error}"), "write OS/ARCH, as linux/arm64");
        let platforms =
            self.platforms.iter().map(|text| text.parse::<Platform>().map_err(|error| wrong(error.to_string())));
        let platforms = platforms.collect::<Result<Vec<_>, _>>()?;
        Ok(Import {
            extent: Extent::of(&platforms).map_err(|error| wrong(error.to_string()))?,
            referrers: if self.referrers { Referrers::All } else { Referrers::None },
            force: self.force,
            ..Import::new(source, targets)
        })
    }
}

const FULL_NAME: &str = "write HOST/REPO[:TAG][@DIGEST]";

fn no_target(field: &str, text: &str, reason: &NoTarget) -> Problem {
    let advice = match reason {
        NoTarget::NoHost | NoTarget::HostTwice | NoTarget::Path(_) | NoTarget::Reference(_) if field == "images" => {
            "write HOST/REPO[:TAG]"
        }
        NoTarget::NoHost | NoTarget::HostTwice | NoTarget::Path(_) | NoTarget::Reference(_) => "write HOST/REPO",
        NoTarget::Digest => "name a tag, or the repository in repositories",
        NoTarget::TagOrDigest => "name it in images for a tag",
    };
    Problem::unprocessable(format!("{field}: {text}: {reason}"), advice)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn import(body: Value) -> Result<Import, String> {
        let order: ImportOrder = serde_json::from_value(body).unwrap();
        order.import().map_err(|problem| serde_json::to_string(&problem).unwrap())
    }

    #[test]
    fn an_order_is_what_the_command_line_would_say() {
        let import = import(json!({
            "source": "alpine:3.20",
            "images": ["r.example/base/alpine", "r.example/base/alpine:3"],
            "repositories": ["r.example/audit/alpine"],
            "force": true,
            "platforms": ["linux/arm64"],
            "referrers": true,
        }))
        .unwrap();
        assert_eq!(import.source.to_string(), "docker.io/library/alpine:3.20");
        let targets: Vec<String> = import.targets.iter().map(ToString::to_string).collect();
        assert_eq!(targets, ["r.example/base/alpine:latest", "r.example/base/alpine:3", "r.example/audit/alpine"]);
        assert_eq!(import.extent, Extent::One("linux/arm64".parse().unwrap()));
        assert!(import.force && import.referrers == Referrers::All && !import.dry_run);
    }

    #[test]
    fn what_cannot_be_done_is_told_with_its_field_and_advice() {
        for (body, tells) in [
            (json!({"source": "Alpine", "images": ["r.example/a"]}), ["source: invalid reference", "HOST/REPO"]),
            (json!({"source": "alpine"}), ["no target", "images or repositories"]),
            (json!({"source": "alpine", "images": ["a:1"]}), ["images: a:1: it names no host", "HOST/REPO[:TAG]"]),
            (json!({"source": "alpine", "repositories": ["r.example/a:1"]}), ["takes no tag", "name it in images"]),
            (json!({"source": "oci:/etc", "images": ["r.example/a"]}), ["image layout", "regferry import"]),
            (json!({"source": "alpine", "images": ["oci:/tmp/x"]}), ["image layout", "regferry import"]),
            (
                json!({"source": "alpine", "images": ["r.example/a"], "platforms": ["arm64"]}),
                ["platforms: ", "OS/ARCH"],
            ),
            (json!({"source": "alpine", "images": vec!["r.example/a"; 101]}), ["101 targets", "100 at most"]),
        ] {
            let problem = import(body).unwrap_err();
            for told in tells {
                assert!(problem.contains(told), "{told} is missing in {problem}");
            }
        }
    }
}
