//! What one reader has seen of each numbered lane. Pure, so that `tests/it/bench.rs` can show that it sees every fault.

/// What must not happen, counted over all readers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    pub lost: u64,
    pub doubled: u64,
    pub reordered: u64,
    /// Streams that ended although nobody ended them.
    pub cut: u64,
    /// Posts that were not acknowledged.
    pub refused: u64,
}

impl Faults {
    /// Why a row counts for nothing; `None` where it counts.
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

/// Numbers of one writer in one room, from 1 on.
#[derive(Clone, Debug, Default)]
struct Lane {
    last: u32,
    skipped: Vec<u32>,
}

/// The lanes of one reader.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    lanes: Vec<Lane>,
    doubled: u64,
    reordered: u64,
}

impl Tally {
    /// Counts a number; true if it was not seen before.
    pub fn see(&mut self, lane: usize, number: u32) -> bool {
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

    /// Adds what went wrong, measured by the last numbers that were sent.
    pub fn judge(&self, sent: &[u32], faults: &mut Faults) {
        faults.doubled += self.doubled;
        faults.reordered += self.reordered;
        for (number, sent) in sent.iter().enumerate() {
            let lane = self.lanes.get(number).cloned().unwrap_or_default();
            faults.lost += u64::from(sent.saturating_sub(lane.last)) + lane.skipped.len() as u64;
        }
    }
}

/// What stands in a message for the readers: its lane, its number, and when it was sent. HTML escaping leaves it alone.
pub fn mark(lane: usize, number: u32, nanos: u64) -> String {
    format!("#{lane}-{number}@{nanos}#")
}

/// A mark that is no number of a lane: it only shows that the way is open.
pub const WARM: &str = "#w#";

/// The longest mark, so that a lonely `#` is not waited for.
const LONGEST: usize = 64;

/// A mark as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Warm,
    Numbered { lane: usize, number: u32, nanos: u64 },
}

/// Gives every mark in the bytes to `seen`, and how many bytes are done with; the rest may be half a mark.
pub fn marks(bytes: &[u8], mut seen: impl FnMut(Mark)) -> usize {
    let mut at = 0;
    while let Some(start) = memchr::memchr(b'#', &bytes[at..]).map(|found| at + found) {
        let rest = &bytes[start + 1..];
        match memchr::memchr(b'#', &rest[..rest.len().min(LONGEST)]) {
            Some(length) => {
                let read = read(&rest[..length]);
                // Not a mark: what looked like its end may begin one.
                at = start + 1 + length + usize::from(read.is_some());
                read.into_iter().for_each(&mut seen);
            }
            None if rest.len() < LONGEST => return start,
            None => at = start + 1,
        }
    }
    bytes.len()
}

fn read(inner: &[u8]) -> Option<Mark> {
    if inner == b"w" {
        return Some(Mark::Warm);
    }
    let (lane, rest) = number(inner, b'-')?;
    let (number_, rest) = number(rest, b'@')?;
    let (nanos, _) = number(rest, b'#')?;
    Some(Mark::Numbered { lane: usize::try_from(lane).ok()?, number: u32::try_from(number_).ok()?, nanos })
}

/// Decimal digits up to `end`, or to the end of all.
fn number(bytes: &[u8], end: u8) -> Option<(u64, &[u8])> {
    let length = bytes.iter().position(|byte| *byte == end).unwrap_or(bytes.len());
    let digits = &bytes[..length];
    let value = digits.iter().try_fold(0_u64, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })?;
    (!digits.is_empty()).then(|| (value, bytes.get(length + 1..).unwrap_or_default()))
}
