//! What a registry said of its quota of pulls, as it goes from one replica to the others. Pure.

use super::table::Left;

/// One replica's side: what it was told and the others do not know, and what it has seen of theirs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QuotaNews {
    untold: Option<Left>,
    seen: Option<Left>,
}

impl QuotaNews {
    /// The registry has told this replica.
    pub fn heard(&mut self, left: Left) {
        self.untold = Some(left);
    }

    /// What stands in the table. Returns it if it is news here: what was written since the last look is newer than what
    /// stood there, whatever the writer's clock says. Where both sides have something new within a beat, the dates decide,
    /// and where the clocks differ that is wrong by no more than the beat.
    pub fn look(&mut self, stands: Option<Left>) -> Option<Left> {
        let is_new = stands != self.seen;
        self.seen = stands;
        let news = stands.filter(|theirs| is_new && self.untold.is_none_or(|ours| ours.at < theirs.at));
        if news.is_some() {
            self.untold = None;
        }
        news
    }

    /// What is to stand there.
    pub fn to_write(&self) -> Option<Left> {
        self.untold.or(self.seen)
    }

    /// It does.
    pub fn written(&mut self) {
        self.seen = self.to_write();
        self.untold = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn left(remaining: u64, at: u64) -> Left {
        Left { remaining, limit: Some(100), window_seconds: 60, at }
    }

    #[test]
    fn a_clock_that_is_ahead_does_not_make_its_replicas_word_the_last() {
        let (mut ahead, mut right) = (QuotaNews::default(), QuotaNews::default());
        ahead.heard(left(50, HOUR));
        let stands = ahead.to_write();
        ahead.written();
        assert_eq!(right.look(stands), Some(left(50, HOUR)));
        right.heard(left(20, 1000));
        assert_eq!((right.look(stands), right.to_write()), (None, Some(left(20, 1000))), "what stands there is old");
        right.written();
        assert_eq!(ahead.look(Some(left(20, 1000))), Some(left(20, 1000)));
        assert_eq!(ahead.look(Some(left(20, 1000))), None, "once");
    }

    #[test]
    fn what_this_replica_wrote_is_no_news_to_it_and_what_it_could_not_write_stays() {
        let mut news = QuotaNews::default();
        news.heard(left(7, 10));
        assert_eq!(news.look(None), None);
        assert_eq!((news.to_write(), news.look(None), news.to_write()), (Some(left(7, 10)), None, Some(left(7, 10))));
        news.written();
        assert_eq!(news.look(Some(left(7, 10))), None);
    }

    #[test]
    fn of_two_that_were_told_within_a_beat_the_later_counts() {
        let mut news = QuotaNews::default();
        news.heard(left(7, 10));
        assert_eq!(news.look(Some(left(6, 11))), Some(left(6, 11)));
        news.heard(left(5, 12));
        assert_eq!((news.look(Some(left(4, 11))), news.to_write()), (None, Some(left(5, 12))));
    }
}
