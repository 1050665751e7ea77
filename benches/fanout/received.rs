//! Finds lost, duplicated and reordered messages by the numbers that publishers put into them. Free of I/O, so that the
//! tests can show that it finds each fault.

/// Faults of a trial, counted over all readers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    pub lost: u64,
    pub doubled: u64,
    pub reordered: u64,
    /// Streams that the server closed.
    pub cut: u64,
    /// Posts that were not acknowledged.
    pub refused: u64,
}

impl Faults {
    /// Returns why a trial with these faults is void, or `None` if there are none.
    pub fn verdict(&self) -> Option<String> {
        let named = [
            (self.lost, "lost"),
            (self.doubled, "doubled"),
            (self.reordered, "reordered"),
            (self.cut, "cut off"),
            (self.refused, "refused"),
        ];
        let found: Vec<String> = named
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        (!found.is_empty()).then(|| found.join(", "))
    }
}

/// The numbers of one publisher in one room, counted from 1, as one reader received them.
#[derive(Clone, Debug, Default)]
struct Lane {
    last: u32,
    skipped: Vec<u32>,
}

/// The numbers that one reader received, by lane: a lane is a publisher in a room.
#[derive(Clone, Debug, Default)]
pub struct ReceivedNumbers {
    lanes: Vec<Lane>,
    doubled: u64,
    reordered: u64,
}

impl ReceivedNumbers {
    /// Records a number, and returns true if it is new.
    pub fn record(&mut self, lane: usize, number: u32) -> bool {
        if self.lanes.len() <= lane {
            self.lanes.resize_with(lane + 1, Lane::default);
        }
        let Some(lane) = self.lanes.get_mut(lane) else {
            return false;
        };
        if number > lane.last {
            lane.skipped.extend(lane.last + 1..number);
            lane.last = number;
            return true;
        }
        if let Some(at) = lane.skipped.iter().position(|skipped| *skipped == number) {
            lane.skipped.swap_remove(at);
            self.reordered += 1;
            return true;
        }
        self.doubled += 1;
        false
    }

    /// Adds the faults of this reader, given the last number that was sent on each lane.
    pub fn add_faults(&self, sent: &[u32], faults: &mut Faults) {
        faults.doubled += self.doubled;
        faults.reordered += self.reordered;
        for (number, sent) in sent.iter().enumerate() {
            let lane = self.lanes.get(number).cloned().unwrap_or_default();
            faults.lost += u64::from(sent.saturating_sub(lane.last)) + lane.skipped.len() as u64;
        }
    }
}

/// Formats the mark of a message: its lane, its number, and the time it was sent. HTML escaping leaves it unchanged.
pub fn format_mark(lane: usize, number: u32, nanos: u64) -> String {
    format!("#{lane}-{number}@{nanos}#")
}

/// The mark of a message without a number, which shows that a stream delivers.
pub const WARM_UP_MARK: &str = "#w#";

/// The longest mark in bytes: a `#` without another one within them begins no mark.
const MAX_MARK_BYTES: usize = 64;

/// A mark found in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    WarmUp,
    Numbered { lane: usize, number: u32, nanos: u64 },
}

/// Calls `found` for each mark in the bytes, and returns how many bytes are consumed; the rest may begin a mark.
pub fn parse_marks(bytes: &[u8], mut found: impl FnMut(Mark)) -> usize {
    let mut at = 0;
    while let Some(start) = memchr::memchr(b'#', &bytes[at..]).map(|offset| at + offset) {
        let rest = &bytes[start + 1..];
        match memchr::memchr(b'#', &rest[..rest.len().min(MAX_MARK_BYTES)]) {
            Some(length) => {
                at = start + 1 + length;
                // Otherwise the second `#` may begin a mark, and is looked at again.
                if let Some(mark) = parse_mark(&rest[..length]) {
                    at += 1;
                    found(mark);
                }
            }
            None if rest.len() < MAX_MARK_BYTES => return start,
            None => at = start + 1,
        }
    }
    bytes.len()
}

fn parse_mark(inner: &[u8]) -> Option<Mark> {
    if inner == b"w" {
        return Some(Mark::WarmUp);
    }
    let (lane, rest) = parse_digits(inner, b'-')?;
    let (number, rest) = parse_digits(rest, b'@')?;
    let (nanos, _) = parse_digits(rest, b'#')?;
    Some(Mark::Numbered { lane: usize::try_from(lane).ok()?, number: u32::try_from(number).ok()?, nanos })
}

/// Parses decimal digits up to `end` or to the end of the bytes, and returns what follows.
fn parse_digits(bytes: &[u8], end: u8) -> Option<(u64, &[u8])> {
    let length = bytes.iter().position(|byte| *byte == end).unwrap_or(bytes.len());
    let digits = &bytes[..length];
    let value = digits.iter().try_fold(0_u64, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })?;
    (!digits.is_empty()).then(|| (value, bytes.get(length + 1..).unwrap_or_default()))
}
