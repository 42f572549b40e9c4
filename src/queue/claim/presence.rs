//! Whether a message is still in its stream; and a new beginning for a stream that NATS' servers disagree about.

use async_nats::jetstream::stream::Info;

use super::Claim;
use crate::queue::error::Reason;
use crate::queue::stored::Which;

impl Claim {
    /// Whether the message is still there: what is done, or was taken back, is not.
    ///
    /// Servers of 2.9 of which most were killed at once may come back counting a stream's messages differently, and never
    /// notice: who gives one out calls it by a number that is another one's to the leader, and whatever is told of the
    /// first is done to the other. Such a stream is deleted, to be made anew as one that was lost.
    pub(in crate::queue) async fn is_there(&self) -> Result<bool, Reason> {
        let stored = self.link.stored(&self.stream, Which::At(self.place().sequence)).await?;
        if stored.as_ref().is_some_and(|stored| stored.payload == self.message.payload) {
            return Ok(true);
        }
        if stored.is_some() || self.is_elsewhere().await? {
            self.begin_anew().await?;
        }
        Ok(false)
    }

    /// Whether the leader has the very message, and not one like it, in another place.
    async fn is_elsewhere(&self) -> Result<bool, Reason> {
        let last = self.link.stored(&self.stream, Which::Last(&self.message.subject)).await?;
        Ok(last.is_some_and(|last| {
            self.message.info().is_ok_and(|info| {
                last.sequence != info.stream_sequence
                    && last.published.as_nanosecond() == info.published.unix_timestamp_nanos()
                    && last.payload == self.message.payload
            })
        }))
    }

    /// Deletes the stream, if it is the one that gave the message out, and none that another replica has made meanwhile.
    async fn begin_anew(&self) -> Result<(), Reason> {
        let stream = &self.stream;
        let info: Info = match self.link.look(format!("STREAM.INFO.{stream}")).await {
            Err(Reason::Gone) => return Ok(()),
            info => info?,
        };
        if info.created.unix_timestamp_nanos() / 1_000_000 > i128::from(self.place().published) {
            return Ok(());
        }
        let deleted = self.link.look::<serde_json::Value>(format!("STREAM.DELETE.{stream}")).await;
        self.link.deleted.notify_one();
        match deleted {
            Ok(_) => tracing::warn!(
                stream,
                "servers of NATS count a stream's messages differently: it was deleted, and is made anew"
            ),
            Err(Reason::Gone) => {}
            Err(reason) => return Err(reason),
        }
        Ok(())
    }
}
