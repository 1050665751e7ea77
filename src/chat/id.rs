//! The id of a message.

use std::fmt;
use std::str::FromStr;

/// Exclusive upper bound of the numbers that JSON parsers keep exact if they read them as doubles.
const EXACT_LIMIT: u64 = 1 << 53;

/// The id of a message in its room, displayed as `<ms>-<n>`.
///
/// Both halves are below 2^53, so that JSON parsers that read numbers as doubles keep them exact.
/// Ids are ordered by `ms`, then by `n`, like the ids of a Redis stream. An id also serves as the
/// cursor of a subscriber that has received the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// When the message was stored, in milliseconds since the Unix epoch.
    pub ms: u64,
    /// The number of the message in its room, counted from 1.
    pub n: u64,
}

impl Id {
    /// The cursor before the first message of any room.
    pub const ZERO: Id = Id { ms: 0, n: 0 };

    /// Returns the id of the next message, stored at `now` (Unix milliseconds). Its `ms` is never
    /// below that of this id, even if the clock was set back.
    pub fn next(self, now: u64) -> Id {
        Id { ms: now.max(self.ms), n: self.n + 1 }
    }

    /// Returns a cursor directly before this message, for when the id of the message before it is
    /// unknown.
    pub fn cursor_before(self) -> Id {
        if self.n <= 1 {
            return Id::ZERO;
        }
        Id { ms: self.ms, n: self.n - 1 }
    }

    /// Returns true if this id can come before `later` in one log: its number is smaller, and its
    /// time is not later.
    pub fn precedes(self, later: Id) -> bool {
        self.n < later.n && self.ms <= later.ms
    }

    /// Returns true if this id can come before `later` in one log with no message in between.
    pub fn directly_precedes(self, later: Id) -> bool {
        self.precedes(later) && self.n + 1 == later.n
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Each frame has an id: `write!` takes five times as many instructions.
        let (mut ms, mut n) = (itoa::Buffer::new(), itoa::Buffer::new());
        f.write_str(ms.format(self.ms))?;
        f.write_str("-")?;
        f.write_str(n.format(self.n))
    }
}

/// The error for a text that is not two canonical decimal numbers below 2^53 joined by `-`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseIdError;

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id must be two decimal numbers below 2^53 joined by '-', such as 1361572294000-42")
    }
}

impl FromStr for Id {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let (ms, n) = text.split_once('-').ok_or(ParseIdError)?;
        let half = |text| parse_canonical(text).ok_or(ParseIdError);
        Ok(Id { ms: half(ms)?, n: half(n)? })
    }
}

/// Parses a decimal number below 2^53. Returns `None` if it has a sign or a leading zero, so that a number
/// has one spelling.
pub fn parse_canonical(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|number| canonical && *number < EXACT_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_displayed_as_it_was_parsed() {
        for text in ["0-0", "1361572294000-42", "9007199254740991-9007199254740991"] {
            assert_eq!(text.parse::<Id>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_id_is_two_canonical_numbers_below_2_to_the_53() {
        for text in [
            "",
            "-",
            "1",
            "1-",
            "-1",
            "+1-1",
            "1-2-3",
            "01-1",
            "1-00",
            "1 -1",
            "9007199254740992-1",
            "1-9007199254740992",
            "١-١",
        ] {
            assert_eq!(text.parse::<Id>(), Err(ParseIdError), "{text:?}");
        }
    }

    #[test]
    fn the_next_id_counts_up_and_never_goes_back_in_time() {
        let last = Id { ms: 2000, n: 7 };
        assert_eq!(last.next(1000), Id { ms: 2000, n: 8 });
        assert_eq!(last.next(3000), Id { ms: 3000, n: 8 });
    }

    #[test]
    fn the_cursor_before_the_first_message_is_zero() {
        assert_eq!(Id { ms: 5, n: 1 }.cursor_before(), Id::ZERO);
        assert_eq!(Id { ms: 5, n: 3 }.cursor_before(), Id { ms: 5, n: 2 });
    }
}
