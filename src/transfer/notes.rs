//! What the images of one run tell only together: which platforms they have.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::crew::Sighting;
use super::platforms::{Census, Platforms, Seen};
use super::shape::Shape;
use crate::oci::{Platform, Reference};

/// So many images are named of those that lack a platform.
const NAMED: usize = 5;

/// Collected while images are looked at.
#[derive(Default)]
pub(super) struct Notes(Mutex<Told>);

#[derive(Default)]
struct Told {
    census: Census,
    lacking: BTreeMap<Platform, Vec<Reference>>,
}

impl Notes {
    /// An image was looked into.
    pub(super) fn add(&self, image: &Reference, shape: &Shape) {
        self.note(image, shape.seen.clone(), &shape.missing);
    }

    fn note(&self, image: &Reference, seen: Option<Seen>, missing: &[Platform]) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = seen {
            told.census.add(seen);
        }
        for platform in missing {
            let images = told.lacking.entry(platform.clone()).or_default();
            if !images.contains(image) {
                images.push(image.clone());
            }
        }
    }

    /// An image was as it should be, and was not looked into.
    pub(super) fn add_unchanged(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).census.add_unknown();
    }

    /// What was collected of one image, for who owns the run.
    pub(super) fn sighting(&self) -> Sighting {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (has, lacks) = (told.census.platforms(), told.lacking.keys().cloned().collect::<Vec<_>>());
        match told.census.is_partial() {
            true => Sighting::Whole,
            false if has.is_empty() && lacks.is_empty() => Sighting::Unknown,
            false => Sighting::Seen { has, lacks },
        }
    }

    /// An image was looked at elsewhere.
    pub(super) fn add_sighting(&self, image: &Reference, sighting: Sighting) {
        match sighting {
            Sighting::Whole => self.add_unchanged(),
            Sighting::Seen { has, lacks } => {
                let seen = Some(has.into_iter().collect());
                self.note(image, seen, &lacks);
            }
            Sighting::Unknown => {}
        }
    }

    /// A warning for each platform that some images lack, and an error if no image has one.
    pub(super) fn tell(&self, platforms: Option<&Platforms>) -> (Vec<String>, Option<String>) {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let error = platforms.and_then(|platforms| told.census.nowhere(platforms)).map(|error| error.to_string());
        let warnings = told.lacking.iter().map(|(platform, images)| warning(platform, images)).collect();
        (if error.is_some() { Vec::new() } else { warnings }, error)
    }
}

fn warning(platform: &Platform, images: &[Reference]) -> String {
    let named: Vec<String> = images.iter().take(NAMED).map(ToString::to_string).collect();
    let more = if images.len() > NAMED { ", …" } else { "" };
    format!("{platform} is missing in {} of the images: {}{more}", images.len(), named.join(", "))
}
