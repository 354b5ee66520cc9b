//! When a file is written: after others had a moment to join, at a distance from the last commit, and later and later
//! while it fails.

use std::time::{Duration, Instant};

use crate::store::Options;
use crate::store::queue::{BATCH, Backlog};

/// The timing of one file's writes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lane {
    last_commit: Option<Instant>,
    /// Set while writing fails.
    pub(super) retry_at: Option<Instant>,
    delay: Duration,
}

impl Lane {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            last_commit: None,
            retry_at: None,
            delay: options.retry_min,
        }
    }

    /// When this backlog is to be written; `None` where there is none.
    ///
    /// A write waits a moment for others. Where nobody waits for one of them, commits also keep a distance, since each
    /// costs an fsync however few rows it holds. While writing fails only a durable write comes before its time.
    pub(super) fn due(&self, backlog: Backlog, options: &Options) -> Option<Instant> {
        let since = backlog.since?;
        let full = backlog.len >= BATCH;
        let gathered = if full { since } else { since + options.gather };
        if backlog.urgent {
            return Some(gathered);
        }
        if let Some(retry_at) = self.retry_at {
            return Some(retry_at);
        }
        let paced = self.last_commit.map(|last| last + options.pace);
        if full {
            return Some(gathered);
        }
        Some(paced.map_or(gathered, |paced| gathered.max(paced)))
    }

    pub(super) fn succeeded(&mut self, options: &Options) {
        *self = Self::new(options);
        self.last_commit = Some(Instant::now());
    }

    pub(super) fn failed(&mut self, now: Instant, options: &Options) {
        match self.retry_at {
            // Tried before its time, for a durable write: that says nothing new about how long to wait.
            Some(retry_at) if now < retry_at => return,
            Some(_) => self.delay = (self.delay * 2).min(options.retry_max),
            None => self.delay = options.retry_min,
        }
        self.retry_at = Some(now + self.delay);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backlog(len: usize, since: Instant, urgent: bool) -> Backlog {
        Backlog {
            len,
            since: Some(since),
            urgent,
        }
    }

    #[test]
    fn writes_gather_and_commits_keep_their_distance() {
        let options = Options::default();
        let now = Instant::now();
        let mut lane = Lane::new(&options);
        assert_eq!(lane.due(Backlog::default(), &options), None);
        let due = lane.due(backlog(1, now, false), &options);
        assert_eq!(due, Some(now + options.gather), "the first is not paced");
        lane.last_commit = Some(now);
        let due = lane.due(backlog(1, now, false), &options);
        assert_eq!(due, Some(now + options.pace));
        let due = lane.due(backlog(1, now, true), &options);
        assert_eq!(due, Some(now + options.gather), "somebody waits");
        let due = lane.due(backlog(BATCH, now, false), &options);
        assert_eq!(due, Some(now), "a full batch");
    }

    #[test]
    fn retries_back_off_up_to_a_bound_and_durable_writes_do_not_wait() {
        let options = Options::default();
        let mut lane = Lane::new(&options);
        let mut now = Instant::now();
        let mut delays = Vec::new();
        for _ in 0..7 {
            lane.failed(now, &options);
            let retry_at = lane.due(backlog(1, now, false), &options).unwrap();
            delays.push((retry_at - now).as_secs());
            lane.failed(now, &options);
            assert_eq!(lane.retry_at, Some(retry_at), "a try before its time");
            assert!(lane.due(backlog(1, now, true), &options).unwrap() < retry_at);
            now = retry_at;
        }
        assert_eq!(delays, [1, 2, 4, 8, 16, 30, 30]);
        lane.succeeded(&options);
        assert_eq!(lane.retry_at, None);
    }
}
