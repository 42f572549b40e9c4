//! Whether a message is still in its stream; and a new beginning for a stream that NATS' servers disagree about.

use super::Claim;
use crate::queue::error::Reason;
use crate::queue::stored::{Stored, Which};

impl Claim {
    /// Whether the message is still there: what is done, or was taken back, is not.
    ///
    /// Servers of 2.9 of which most were killed at once may come back counting a stream's messages differently, and never
    /// notice: who gives one out calls it by a number that is another one's to the leader, and whatever is told of the
    /// first is done to the other. Such a stream is deleted, to be made anew as one that was lost.
    pub(in crate::queue) async fn is_there(&self) -> Result<bool, Reason> {
        let stored = self.link.stored(&self.stream, Which::At(self.place().sequence)).await?;
        if stored.is_some_and(|stored| stored.payload == self.message.payload) {
            return Ok(true);
        }
        let last = self.link.stored(&self.stream, Which::Last(&self.message.subject)).await?;
        if last.is_some_and(|last| self.is_elsewhere(&last)) {
            let stream = &self.stream;
            tracing::warn!(
                stream,
                "servers of NATS count a stream's messages differently: it is deleted, and made anew"
            );
            self.link.look::<serde_json::Value>(format!("STREAM.DELETE.{stream}")).await?;
            self.link.deleted.notify_one();
        }
        Ok(false)
    }

    /// Whether the leader has the very message, and not one like it, in another place.
    fn is_elsewhere(&self, stored: &Stored) -> bool {
        self.message.info().is_ok_and(|info| {
            stored.sequence != info.stream_sequence
                && stored.published.as_nanosecond() == info.published.unix_timestamp_nanos()
                && stored.payload == self.message.payload
        })
    }
}
