//! What a node has of a log that its store may have lost.

use std::time::Instant;

use super::log_tail::LogTail;
use crate::bus::{Entry, LogPage};
use crate::chat::Id;

/// Returns the last id of a log, unless the log was read since a time.
pub fn last_known_before(tail: &LogTail, time: Instant) -> Option<Id> {
    tail.last().filter(|last| tail.read_at() < Some(time) && *last != Id::ZERO)
}

/// Returns the entries of a log after an id, or all that are in memory, unless the log was read since a time. Each has the
/// one before it as its predecessor. Those that were removed are without data.
pub fn entries_known_before(tail: &LogTail, time: Instant, after: Option<Id>) -> Vec<Entry> {
    if last_known_before(tail, time).is_none() {
        return Vec::new();
    }
    let mut entries = entries(tail);
    let Some(after) = after else { return entries };
    match entries.iter().position(|entry| entry.prev == Some(after)) {
        Some(next) => entries.split_off(next),
        // Another node may have what lies between.
        None if entries.first().is_some_and(|first| after.precedes(first.id)) => entries,
        None => Vec::new(),
    }
}

/// Returns true if a page shows that the log ends before its last known id, so that it has lost entries.
pub fn is_ahead_of(tail: &LogTail, page: &LogPage) -> bool {
    tail.last().is_some_and(|last| page.last.precedes(last))
}

/// Returns all entries in memory since the last gap that the log retained when it was last read.
fn entries(tail: &LogTail) -> Vec<Entry> {
    let (mut before, frames) = tail.frames_since_gap();
    let first = tail.first_retained().unwrap_or(Id::ZERO);
    let mut entries = Vec::new();
    for (id, frame) in frames {
        if id < first {
            before = Some(id);
            continue;
        }
        let prev = frame.prev.or(before.filter(|before| before.directly_precedes(id)));
        let prev = prev.unwrap_or_else(|| id.cursor_before());
        if let Some(before) = before.filter(|before| *before < prev) {
            // What the log had between them was deleted.
            entries.push(Entry::removed(prev, before));
        }
        entries.push(match &frame.event {
            Some(event) => {
                let (kind, data) = (event.stored_type().to_owned(), event.data.clone());
                Entry { id, prev: Some(prev), kind, data, node: None }
            }
            None => Entry::removed(id, prev),
        });
        before = Some(id);
    }
    entries
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sse::GapReason;

    fn id(n: u64) -> Id {
        Id { ms: 10, n }
    }

    fn entry(n: u64, prev: Option<u64>) -> Entry {
        Entry {
            id: id(n),
            prev: prev.map(id),
            kind: String::new(),
            data: format!("message {n}"),
            node: None,
        }
    }

    /// Returns the tail of a log with these entries and their predecessors, to the last of which it was read.
    fn tail(entries: &[(u64, Option<u64>)]) -> LogTail {
        let mut tail = LogTail::new(true, Arc::default());
        let entries: Vec<Entry> = entries.iter().map(|(n, prev)| entry(*n, *prev)).collect();
        let (first, last) = (entries.first().map(|entry| entry.id), entries.last().map_or(Id::ZERO, |entry| entry.id));
        tail.load(LogPage { first, last, entries, more: false, only_deleted: false });
        tail.mark_in_sync(Instant::now());
        tail
    }

    /// Returns the numbers of the entries after one, those of their predecessors, and whether they have data.
    fn known(tail: &LogTail, after: Option<u64>) -> Vec<(u64, u64, bool)> {
        let entries = entries_known_before(tail, Instant::now(), after.map(id));
        let prev = |entry: &Entry| entry.prev.map_or(0, |prev| prev.n);
        entries.iter().map(|entry| (entry.id.n, prev(entry), entry.has_data())).collect()
    }

    #[test]
    fn each_entry_follows_the_one_before() {
        let mut tail = tail(&[(4, Some(3)), (5, Some(4))]);
        tail.on_announcement(entry(6, None));
        assert_eq!(known(&tail, None), [(4, 3, true), (5, 4, true), (6, 5, true)]);
        assert_eq!(known(&tail, Some(3)), [(4, 3, true), (5, 4, true), (6, 5, true)]);
        assert_eq!(known(&tail, Some(5)), [(6, 5, true)]);
        assert_eq!(known(&tail, Some(6)), []);
        assert_eq!(known(&tail, Some(1)).len(), 3, "another node may have 2 and 3");
        assert_eq!(known(&tail, Some(7)), [], "the log is another one");
    }

    #[test]
    fn what_was_deleted_keeps_its_place() {
        let mut tail = tail(&[(4, Some(3)), (7, Some(6))]);
        let deletion = Entry { kind: "delete".into(), data: format!(r#"{{"id":"{}"}}"#, id(4)), ..entry(8, None) };
        tail.on_announcement(deletion);
        assert_eq!(known(&tail, None), [(4, 3, false), (6, 4, false), (7, 6, true), (8, 7, true)]);
    }

    #[test]
    fn what_the_log_no_longer_retains_is_left_out() {
        let mut tail = tail(&[(1, Some(0)), (2, Some(1)), (3, Some(2))]);
        let page = LogPage {
            first: Some(id(3)),
            last: id(3),
            entries: vec![entry(3, Some(2))],
            more: false,
            only_deleted: false,
        };
        assert_eq!(tail.apply_page(id(3), page), Ok(None));
        assert_eq!(known(&tail, None), [(3, 2, true)]);
    }

    #[test]
    fn what_was_read_since_then_is_not_from_before() {
        let before = Instant::now();
        let mut tail = tail(&[(1, Some(0))]);
        assert_eq!(last_known_before(&tail, before), None);
        assert_eq!(entries_known_before(&tail, before, None), []);
        let after = Instant::now();
        assert_eq!(last_known_before(&tail, after), Some(id(1)));
        tail.start_catching_up(after);
        assert_eq!(last_known_before(&tail, after), Some(id(1)), "until it is read again");
        tail.mark_in_sync(Instant::now());
        assert_eq!(last_known_before(&tail, after), None);
    }

    #[test]
    fn entries_before_a_gap_are_of_another_log() {
        let mut tail = tail(&[(1, Some(0)), (2, Some(1))]);
        let page = LogPage {
            first: Some(id(7)),
            last: id(7),
            entries: vec![entry(7, Some(6))],
            more: false,
            only_deleted: false,
        };
        assert_eq!(tail.apply_page(id(2), page), Ok(Some(GapReason::Trimmed)));
        assert_eq!(known(&tail, None), [(7, 6, true)]);
    }

    #[test]
    fn a_log_that_ends_early_has_lost_entries() {
        let tail = tail(&[(1, Some(0)), (2, Some(1))]);
        let page = |last| LogPage { last, ..LogPage::of_no_log() };
        assert!(is_ahead_of(&tail, &page(id(1))));
        assert!(is_ahead_of(&tail, &page(Id::ZERO)));
        assert!(!is_ahead_of(&tail, &page(id(2))));
        assert!(!is_ahead_of(&tail, &page(Id { ms: 11, n: 1 })), "it is a new one");
    }
}
