use std::time::{Duration, Instant};

/// So many who come back to a room within [`SPAN`] are a crowd.
const CROWD: usize = 16;
const SPAN: Duration = Duration::from_secs(1);

/// So many within [`SPAN`] do not wait for each other.
const AT_ONCE: usize = 2;

/// For the others the log is read no more often than this, so that they share a reading. Who comes alone,
/// again and again, is never a crowd by that.
const SHARE: Duration = Duration::from_millis(80);

/// What one who comes back is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// By the log, which is read not before then.
    ByTheLog(Instant),
    /// By the frames in memory.
    ByMemory,
}

/// Those who come back to a room. Each is judged by the log as of now. A few share a reading. Where a
/// crowd comes, the frames in memory are trusted, and the log is read once a second to see whether they
/// still belong to it.
#[derive(Debug)]
pub struct Crowd {
    since: Instant,
    came: usize,
    /// Whether there was a crowd in the span before this one.
    lasts: bool,
    /// When the log is read next, or was read last.
    read: Instant,
    /// Whether frames were trusted since then.
    trusted: bool,
}

impl Crowd {
    /// Nobody has come yet.
    pub fn new(now: Instant) -> Self {
        Self { since: now, came: 0, lasts: false, read: now, trusted: false }
    }

    /// Somebody comes whose place is in memory.
    pub fn judge(&mut self, now: Instant) -> Judged {
        self.turn(now);
        self.came += 1;
        if self.lasts || self.came > CROWD {
            self.trusted = true;
            return Judged::ByMemory;
        }
        if self.came <= AT_ONCE {
            self.read = now;
        } else if self.read < now {
            self.read = now.max(self.read + SHARE);
        }
        Judged::ByTheLog(self.read)
    }

    /// Whether frames were trusted and it is time to read the log for those.
    pub fn is_due(&mut self, now: Instant) -> bool {
        let due = self.trusted && now >= self.read + SPAN;
        if due {
            self.read = now;
            self.trusted = false;
        }
        due
    }

    /// The reading failed that was due.
    pub fn owe(&mut self) {
        self.trusted = true;
    }

    fn turn(&mut self, now: Instant) {
        let spans = now.saturating_duration_since(self.since).as_secs();
        if spans > 0 {
            self.lasts = spans == 1 && self.came > CROWD;
            (self.since, self.came) = (now, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Judged::{ByMemory, ByTheLog};

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_first_are_judged_at_once_and_the_next_share_a_reading() {
        let now = Instant::now();
        let mut crowd = Crowd::new(now);
        assert_eq!(crowd.judge(now), ByTheLog(now));
        assert_eq!(crowd.judge(now + MS), ByTheLog(now + MS));
        let shared = now + MS + SHARE;
        for later in 2..10 {
            assert_eq!(crowd.judge(now + later * MS), ByTheLog(shared));
        }
        assert_eq!(crowd.judge(shared + MS), ByTheLog(shared + SHARE));
        let after = shared + 3 * SHARE;
        assert_eq!(crowd.judge(after), ByTheLog(after), "nobody came for a while");
    }

    #[test]
    fn one_after_the_other_is_no_crowd() {
        let mut now = Instant::now();
        let mut crowd = Crowd::new(now);
        for _ in 0..200 {
            match crowd.judge(now) {
                ByTheLog(read) => now = now.max(read) + MS,
                ByMemory => panic!("trusted"),
            }
        }
        assert!(!crowd.is_due(now + 10 * SPAN));
    }

    #[test]
    fn a_crowd_is_judged_by_memory_for_as_long_as_it_comes_and_the_log_is_read_each_second() {
        let began = Instant::now();
        let mut crowd = Crowd::new(began);
        let (mut readings, mut checks) = (std::collections::BTreeSet::new(), 0);
        for number in 0..3000 {
            let now = began + number * MS;
            if let ByTheLog(read) = crowd.judge(now) {
                readings.insert(read);
            }
            checks += u32::from(crowd.is_due(now));
        }
        assert!(readings.len() <= 4, "{readings:?}");
        assert_eq!(checks, 2);
        assert!(crowd.is_due(began + 4 * SPAN), "those who came last");
        assert!(!crowd.is_due(began + 6 * SPAN));
        assert_eq!(crowd.judge(began + 9 * SPAN), ByTheLog(began + 9 * SPAN), "the crowd is over");
    }

    #[test]
    fn a_reading_that_failed_is_owed() {
        let now = Instant::now();
        let mut crowd = Crowd::new(now);
        (0..40).for_each(|_| _ = crowd.judge(now));
        assert!(crowd.is_due(now + 2 * SPAN));
        crowd.owe();
        assert!(crowd.is_due(now + 3 * SPAN));
    }
}
