//! Decides whether a resuming subscriber's cursor is checked against the log or against memory.
//!
//! A few subscribers that resume within a second are checked against the log, sharing reads of it. In a burst, such as
//! after a network outage, cursors found in memory are trusted, and the log is read once a second to see whether the
//! frames still belong to it. Pure: the caller brings the clock.

use std::time::{Duration, Instant};

/// The most subscribers that may resume within [`BURST_WINDOW`] without being a burst.
const MAX_CHECKED_RESUMES: u32 = 16;

/// The time over which resuming subscribers are counted, and between two checks of the frames during a burst.
const BURST_WINDOW: Duration = Duration::from_secs(1);

/// How many subscribers within [`BURST_WINDOW`] do not wait for a shared read.
const UNSHARED_READS: u32 = 2;

/// The interval between shared reads, so long that subscribers that resume one after the other are never a burst.
const READ_SHARING_INTERVAL: Duration = Duration::from_millis(80);

/// The subscribers of a room that have resumed of late.
#[derive(Debug)]
pub struct ResumeBurst {
    window_start: Instant,
    resumed: u32,
    /// Whether the previous window was a burst.
    is_continuing: bool,
    /// When the log is read next, or was last read.
    read_at: Instant,
    /// Whether frames were trusted since `read_at`.
    has_trusted: bool,
}

impl ResumeBurst {
    pub fn new(now: Instant) -> Self {
        Self { window_start: now, resumed: 0, is_continuing: false, read_at: now, has_trusted: false }
    }

    /// Counts a resuming subscriber whose cursor is in memory. Returns the time from which on the log is to be read to
    /// check the cursor, or `None` if the frames in memory are trusted.
    pub fn on_resume(&mut self, now: Instant) -> Option<Instant> {
        self.advance_window(now);
        self.resumed += 1;
        if self.is_continuing || self.resumed > MAX_CHECKED_RESUMES {
            self.has_trusted = true;
            return None;
        }
        if self.resumed <= UNSHARED_READS {
            self.read_at = now;
        } else if self.read_at < now {
            self.read_at = now.max(self.read_at + READ_SHARING_INTERVAL);
        }
        Some(self.read_at)
    }

    /// Returns true if frames were trusted and the check of them against the log is due.
    pub fn take_due_check(&mut self, now: Instant) -> bool {
        let is_due = self.has_trusted && now >= self.read_at + BURST_WINDOW;
        if is_due {
            self.read_at = now;
            self.has_trusted = false;
        }
        is_due
    }

    /// Returns true if frames were trusted that are still to be checked.
    pub fn needs_check(&self) -> bool {
        self.has_trusted
    }

    /// Makes the check due again, because reading the log failed.
    pub fn retry_check(&mut self) {
        self.has_trusted = true;
    }

    fn advance_window(&mut self, now: Instant) {
        let windows = now.saturating_duration_since(self.window_start).as_secs();
        if windows > 0 {
            self.is_continuing = windows == 1 && self.resumed > MAX_CHECKED_RESUMES;
            (self.window_start, self.resumed) = (now, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_first_are_checked_at_once_and_the_next_share_a_read() {
        let now = Instant::now();
        let mut burst = ResumeBurst::new(now);
        assert_eq!(burst.on_resume(now), Some(now));
        assert_eq!(burst.on_resume(now + MS), Some(now + MS));
        let shared = now + MS + READ_SHARING_INTERVAL;
        for later in 2..10 {
            assert_eq!(burst.on_resume(now + later * MS), Some(shared));
        }
        assert_eq!(burst.on_resume(shared + MS), Some(shared + READ_SHARING_INTERVAL));
        let after = shared + 3 * READ_SHARING_INTERVAL;
        assert_eq!(burst.on_resume(after), Some(after), "there was a pause");
    }

    #[test]
    fn one_after_the_other_is_not_a_burst() {
        let mut now = Instant::now();
        let mut burst = ResumeBurst::new(now);
        for _ in 0..200 {
            let read_at = burst.on_resume(now).expect("memory is not trusted");
            now = now.max(read_at) + MS;
        }
        assert!(!burst.take_due_check(now + 10 * BURST_WINDOW));
    }

    #[test]
    fn a_burst_is_checked_against_memory_and_a_read_a_second() {
        let start = Instant::now();
        let mut burst = ResumeBurst::new(start);
        let (mut reads, mut checks) = (std::collections::BTreeSet::new(), 0);
        for number in 0..3000 {
            let now = start + number * MS;
            if let Some(read_at) = burst.on_resume(now) {
                reads.insert(read_at);
            }
            checks += u32::from(burst.take_due_check(now));
        }
        assert!(reads.len() <= 4, "{reads:?}");
        assert_eq!(checks, 2);
        assert!(burst.take_due_check(start + 4 * BURST_WINDOW), "the last subscribers are checked as well");
        assert!(!burst.take_due_check(start + 6 * BURST_WINDOW));
        let over = start + 9 * BURST_WINDOW;
        assert_eq!(burst.on_resume(over), Some(over), "the burst is over");
    }

    #[test]
    fn a_check_that_failed_is_due_again() {
        let now = Instant::now();
        let mut burst = ResumeBurst::new(now);
        for _ in 0..40 {
            burst.on_resume(now);
        }
        assert!(burst.take_due_check(now + 2 * BURST_WINDOW));
        burst.retry_check();
        assert!(burst.take_due_check(now + 3 * BURST_WINDOW));
    }
}
