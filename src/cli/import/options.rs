//! What `import` and `copy` have in common.

use super::login::SourceLogin;
use crate::cli::{Failure, Format};
use crate::content::Location;
use crate::oci::{Platform, Reference};
use crate::server::ImportOrder;
use crate::transfer::{Extent, Import, Referrers};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// Take only this platform, as linux/arm64: one by itself, several (repeatable) as a smaller list
    #[arg(long = "platform", value_name = "PLATFORM")]
    platforms: Vec<Platform>,

    /// Bring what refers to the image too: signatures, SBOMs, attestations
    #[arg(long)]
    referrers: bool,

    /// Write every tag that the image has in the source's repository, to each target repository
    #[arg(long)]
    all_tags_of: bool,

    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    pub(super) login: SourceLogin,

    /// The form of the result
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) output: Format,
}

/// What the command line names at the targets.
#[derive(Debug)]
pub(in crate::cli) struct Targets {
    /// Names, as they are.
    named: Vec<Reference>,
    /// Repositories, for all tags of the image.
    repositories: Vec<Location>,
}

impl Targets {
    /// Where all tags are wanted, every target's repository gets them.
    pub(in crate::cli) fn new(mut named: Vec<Reference>, all_tags: bool) -> Self {
        let mut repositories: Vec<Location> = Vec::new();
        for repository in named.iter().map(Location::from).filter(|_| all_tags) {
            if !repositories.contains(&repository) {
                repositories.push(repository);
            }
        }
        named.retain(|target| !all_tags || target.tag.is_some());
        Self { named, repositories }
    }

    pub(super) fn names_layout(&self) -> bool {
        self.named.iter().any(|target| target.host.is_layout())
    }
}

impl Options {
    /// Whether all tags of the image are wanted.
    pub(in crate::cli) fn wants_all_tags(&self) -> bool {
        self.all_tags_of
    }

    /// Whether what is written is another document than the source's tag points at.
    pub(in crate::cli) fn chooses(&self) -> bool {
        !self.platforms.is_empty()
    }

    /// Whether stdin is read for a password.
    pub(in crate::cli) fn reads_stdin(&self) -> bool {
        self.login.reads_stdin()
    }

    /// Which of them only makes sense where the work is done, if one of those is there.
    pub(super) fn only_here(&self) -> Option<&'static str> {
        let all = [
            (self.all_tags_of, "--all-tags-of"),
            (self.dry_run, "--dry-run"),
            (self.login.is_there(), "--username and --password-stdin"),
        ];
        all.into_iter().find_map(|(is_there, name)| is_there.then_some(name))
    }

    /// What a daemon is asked for in their place.
    pub(super) fn order(&self, source: &Reference, targets: &Targets, force: bool) -> ImportOrder {
        let (images, repositories): (Vec<_>, Vec<_>) = targets.named.iter().partition(|target| target.tag.is_some());
        let names = |targets: Vec<&Reference>| targets.into_iter().map(ToString::to_string).collect();
        ImportOrder {
            source: source.to_string(),
            images: names(images),
            repositories: names(repositories),
            force,
            platforms: self.platforms.iter().map(ToString::to_string).collect(),
            referrers: self.referrers,
        }
    }

    /// What they ask for.
    pub(in crate::cli) fn import(&self, source: Reference, targets: Targets, force: bool) -> Result<Import, Failure> {
        let wrong = |reason| Failure::usage(format!("--platform: {reason}"));
        let own = Location::from(&source);
        if targets.repositories.contains(&own) {
            return Err(Failure::usage(format!(
                "--all-tags-of: {own} is the source's own repository, whose tags they are: name another target"
            )));
        }
        Ok(Import {
            all_tags_in: targets.repositories,
            extent: Extent::of(&self.platforms).map_err(wrong)?,
            referrers: if self.referrers { Referrers::All } else { Referrers::None },
            force,
            dry_run: self.dry_run,
            ..Import::new(source, targets.named)
        })
    }
}
