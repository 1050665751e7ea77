use std::fmt;
use std::str::FromStr;

/// The place of a message in its room, written `<ms>-<n>`.
///
/// `ms` is the Unix time in milliseconds at which the bus took the message, `n` its number in the
/// room, counting from 1. Both halves are below 2^53, so that every JSON reader keeps them exact.
/// Ids order by `ms`, then by `n`, as Redis orders stream ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Unix milliseconds.
    pub ms: u64,
    /// The number in the room.
    pub n: u64,
}

impl Id {
    /// The place before the first message of any room.
    pub const ZERO: Id = Id { ms: 0, n: 0 };

    /// Both halves of an id are smaller than this.
    const LIMIT: u64 = 1 << 53;

    /// The id of the message after this one, taken at `now` (Unix milliseconds). Time never runs
    /// backwards in a room.
    pub fn next(self, now: u64) -> Id {
        Id { ms: now.max(self.ms), n: self.n + 1 }
    }

    /// The place directly before this message, where no earlier message is known.
    pub fn place_before(self) -> Id {
        match self.n {
            0 | 1 => Id::ZERO,
            n => Id { ms: self.ms, n: n - 1 },
        }
    }

    /// Whether this id is older than `later` in both halves, as it is in one living log: the
    /// number is smaller and the time is not later.
    pub fn precedes(self, later: Id) -> bool {
        self.n < later.n && self.ms <= later.ms
    }

    /// Whether no message can stand between this id and `later` in one living log.
    pub fn directly_precedes(self, later: Id) -> bool {
        self.precedes(later) && self.n + 1 == later.n
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.n)
    }
}

/// Why a text is not an id: it is not two plain decimal numbers below 2^53 joined by `-`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnId;

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id is <ms>-<n>: two decimal numbers below 2^53, such as 1361572294000-42")
    }
}

impl FromStr for Id {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let (ms, n) = text.split_once('-').ok_or(NotAnId)?;
        Ok(Id { ms: half(ms)?, n: half(n)? })
    }
}

/// One half of an id, in the only way it is ever written: no sign, no leading zero.
fn half(text: &str) -> Result<u64, NotAnId> {
    let canonical = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    match text.parse() {
        Ok(number) if canonical && number < Id::LIMIT => Ok(number),
        _ => Err(NotAnId),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_as_it_is_read() {
        for text in ["0-0", "1361572294000-42", "9007199254740991-9007199254740991"] {
            assert_eq!(text.parse::<Id>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_not_two_small_canonical_numbers_is_no_id() {
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
            assert_eq!(text.parse::<Id>(), Err(NotAnId), "{text:?}");
        }
    }

    #[test]
    fn time_never_runs_backwards_and_the_number_always_counts() {
        let last = Id { ms: 2000, n: 7 };
        assert_eq!(last.next(1000), Id { ms: 2000, n: 8 });
        assert_eq!(last.next(3000), Id { ms: 3000, n: 8 });
    }

    #[test]
    fn the_place_before_the_first_message_is_zero() {
        assert_eq!(Id { ms: 5, n: 1 }.place_before(), Id::ZERO);
        assert_eq!(Id { ms: 5, n: 3 }.place_before(), Id { ms: 5, n: 2 });
    }
}
