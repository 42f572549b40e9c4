//! What a message says, whoever's it is, and the few things that all of them have in common.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::events::WebhookKind;
use crate::oci::{Host, Reference, Repository, Tag};
use crate::transfer::{Arrived, Pushed, Sender};

use super::{acr, distribution, dockerhub, ghcr, harbor, quay};

/// So many parts of one message are looked at. Who pushes more at once is found out by the schedule.
pub(super) const MOST: usize = 200;

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// Something was pushed; nothing, if it is about something else.
    Pushes(Vec<Pushed>),
    /// The sender wants to be told this word, to know that it has come to the right place.
    Handshake(String),
}

/// Reads a body. What it says is a hint: names of what is worth a look, and nothing else is kept of it.
///
/// # Errors
/// If it is no such message at all. Parts of one that make no sense are left out.
pub(super) fn read(kind: WebhookKind, body: &[u8]) -> serde_json::Result<Message> {
    let pushes = match kind {
        WebhookKind::Distribution => distribution::read(body)?,
        WebhookKind::Acr => return acr::read(body),
        WebhookKind::Harbor => harbor::read(body)?,
        WebhookKind::DockerHub => dockerhub::read(body)?,
        WebhookKind::Quay => quay::read(body)?,
        WebhookKind::Ghcr => ghcr::read(body)?,
    };
    Ok(Message::Pushes(pushes))
}

/// A list of which only the first [`MOST`] are kept: short parts take more memory than they have bytes.
#[derive(Debug)]
pub(super) struct Few<T>(pub(super) Vec<T>);

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Parts<T> {
            type Value = Few<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Few<T>, A::Error> {
                let mut few = Vec::new();
                while few.len() < MOST {
                    match list.next_element()? {
                        Some(part) => few.push(part),
                        None => return Ok(Few(few)),
                    }
                }
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Few(few))
            }
        }

        deserializer.deserialize_seq(Parts(PhantomData))
    }
}

/// The registry and the repository of a name that has both, whatever stands behind them.
pub(super) fn place(name: &str) -> Option<(Host, Repository)> {
    let reference = Reference::parse_without_default_tag(name.trim_end_matches(':')).ok()?;
    (!reference.host.is_layout()).then_some((reference.host, reference.repository))
}

/// A tag, if that is what it is: some registries write a digest, or nothing, in its place.
pub(super) fn arrived(tag: Option<&str>) -> Arrived {
    tag.and_then(|tag| tag.parse::<Tag>().ok()).map_or(Arrived::Untagged, Arrived::Tag)
}

/// A registry by what it says of itself.
pub(super) fn says(host: Option<Host>) -> Sender {
    host.map_or(Sender::Unknown, Sender::Says)
}
