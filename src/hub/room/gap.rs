//! The gap rule: whether the entries after an id are all that the log ever had after it.

use crate::bus::{Entry, LogPage};
use crate::chat::Id;
use crate::sse::GapReason;

/// How a stream continues after an id.
#[derive(Debug, PartialEq, Eq)]
pub struct Continuation {
    /// Why messages may be missing; `None` if continuity was shown.
    pub gap: Option<GapReason>,
    /// The cursor before the entries; the last generated id of the log if there are none.
    pub cursor: Id,
    /// The entries that follow, oldest first.
    pub entries: Vec<Entry>,
}

impl Continuation {
    /// Returns the id of the first message that follows at once.
    pub fn resumed(&self) -> Option<Id> {
        self.entries.iter().find(|entry| entry.has_data()).map(|entry| entry.id)
    }
}

/// Applies the gap rule to a page that was read with [`Span::From`](crate::bus::Span::From) the asked id.
///
/// Continuity is shown by an id that is in the log, is the last generated one, or is the predecessor of the next
/// retained entry, and by one that has only deleted ones after it up to that. An id that precedes all retained entries in
/// both halves, or the last generated id if there are none, was trimmed. Any other id does not belong to this log, or what
/// came after it was deleted by hand.
pub fn continue_after(asked: Id, page: LogPage) -> Continuation {
    let LogPage { first, last, mut entries, only_deleted, .. } = page;
    let anchor = entries.first().filter(|entry| entry.id <= asked).map(|entry| entry.id);
    if anchor.is_some() {
        entries.remove(0);
    }
    let next = entries.first();
    let is_continuous = anchor == Some(asked)
        || asked == last
        || only_deleted
        || next.is_some_and(|next| is_predecessor(asked, anchor, next, first));
    let gap = if is_continuous {
        None
    } else if asked.precedes(first.unwrap_or(last)) {
        Some(GapReason::Trimmed)
    } else {
        Some(GapReason::Reset)
    };
    let cursor = next.map_or(last, |next| next.prev.or(anchor).unwrap_or_else(|| next.cursor_before()));
    Continuation { gap, cursor, entries }
}

/// Returns true if no message came between the asked id and the next retained entry. An entry of an earlier version
/// does not state its predecessor: the asked id then has to be directly before the first retained entry, or between two
/// retained ones in both halves, so that its message was deleted.
fn is_predecessor(asked: Id, anchor: Option<Id>, next: &Entry, first: Option<Id>) -> bool {
    match (next.prev, anchor) {
        (Some(prev), _) => prev == asked,
        (None, Some(anchor)) => anchor.precedes(asked) && asked.precedes(next.id),
        (None, None) => first == Some(next.id) && asked.directly_precedes(next.id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use GapReason::{Reset, Trimmed};

    const LOG: &[Halves] = &[(10, 5), (10, 6), (20, 8), (20, 9)];

    type Halves = (u64, u64);

    /// The gap, the numbers of the entries that follow, and the cursor before them.
    type Outcome = (Option<GapReason>, Vec<u64>, Id);

    /// Applies the rule to a log with these entries, which do not state their predecessors, and this last generated id.
    fn rule(asked: Halves, log: &[Halves], last: Halves) -> Outcome {
        apply(asked, log.iter().map(|id| (*id, None)), last)
    }

    /// Applies the rule to a log with these entries and their predecessors.
    fn exact_rule(asked: Halves, log: &[(Halves, Halves)], last: Halves) -> Outcome {
        apply(asked, log.iter().map(|(id, prev)| (*id, Some(*prev))), last)
    }

    fn apply(asked: Halves, log: impl Iterator<Item = (Halves, Option<Halves>)>, last: Halves) -> Outcome {
        let id = |(ms, n)| Id { ms, n };
        let entry = |(at, prev): (_, Option<_>)| {
            let (id, prev) = (id(at), prev.map(id));
            Entry { id, prev, kind: String::new(), data: "{}".into(), node: None }
        };
        let all: Vec<Entry> = log.map(entry).collect();
        let after = all.partition_point(|entry| entry.id <= id(asked));
        let entries = all[after.saturating_sub(1)..].to_vec();
        let page = LogPage {
            first: all.first().map(|entry| entry.id),
            last: id(last),
            entries,
            more: false,
            only_deleted: false,
        };
        let continuation = continue_after(id(asked), page);
        let numbers = continuation.entries.iter().map(|entry| entry.id.n).collect();
        (continuation.gap, numbers, continuation.cursor)
    }

    #[test]
    fn only_the_stated_predecessor_is_directly_before_an_entry() {
        let log = &[((10, 5), (9, 4)), ((20, 6), (10, 5))];
        assert_eq!(exact_rule((9, 4), log, (20, 6)), (None, vec![5, 6], Id { ms: 9, n: 4 }));
        // They could be of a log that was lost.
        assert_eq!(exact_rule((8, 4), log, (20, 6)), (Some(Trimmed), vec![5, 6], Id { ms: 9, n: 4 }));
        assert_eq!(exact_rule((10, 4), log, (20, 6)), (Some(Trimmed), vec![5, 6], Id { ms: 9, n: 4 }));
        assert_eq!(exact_rule((0, 0), log, (20, 6)).0, Some(Trimmed));
        assert_eq!(exact_rule((0, 0), &[((10, 1), (0, 0))], (10, 1)).0, None);
        assert_eq!(exact_rule((11, 5), log, (20, 6)), (Some(Reset), vec![6], Id { ms: 10, n: 5 }));
    }

    #[test]
    fn a_deleted_id_is_continuous_if_the_next_entry_states_it() {
        let log = &[((10, 5), (9, 4)), ((20, 7), (15, 6)), ((30, 10), (22, 9))];
        assert_eq!(exact_rule((15, 6), log, (30, 10)), (None, vec![7, 10], Id { ms: 15, n: 6 }));
        assert_eq!(exact_rule((14, 6), log, (30, 10)), (Some(Reset), vec![7, 10], Id { ms: 15, n: 6 }));
        assert_eq!(exact_rule((22, 9), log, (30, 10)).0, None);
        // Of two deleted neighbours the first is stated by none.
        assert_eq!(exact_rule((21, 8), log, (30, 10)), (Some(Reset), vec![10], Id { ms: 22, n: 9 }));
    }

    #[test]
    fn an_id_in_the_log_is_continued_after_it() {
        assert_eq!(rule((10, 6), LOG, (20, 9)).0, None);
        assert_eq!(rule((10, 6), LOG, (20, 9)).1, [8, 9]);
        assert_eq!(rule((20, 9), LOG, (20, 9)), (None, vec![], Id { ms: 20, n: 9 }));
    }

    #[test]
    fn the_last_generated_id_is_continuous_even_if_deleted() {
        assert_eq!(rule((30, 10), LOG, (30, 10)).0, None);
        assert_eq!(rule((30, 10), &[], (30, 10)).0, None);
        assert_eq!(rule((0, 0), &[], (0, 0)).0, None);
    }

    #[test]
    fn the_id_directly_before_the_first_retained_is_continuous() {
        assert_eq!(rule((9, 4), LOG, (20, 9)), (None, vec![5, 6, 8, 9], Id { ms: 10, n: 4 }));
        assert_eq!(rule((10, 4), LOG, (20, 9)).0, None);
        assert_eq!(rule((0, 0), &[(7, 1)], (7, 1)).0, None);
    }

    #[test]
    fn a_deleted_id_between_two_retained_ones_is_continuous() {
        assert_eq!(rule((15, 7), LOG, (20, 9)), (None, vec![8, 9], Id { ms: 10, n: 6 }));
        assert_eq!(rule((10, 7), LOG, (20, 9)).0, None);
        assert_eq!(rule((20, 7), LOG, (20, 9)).0, None);
    }

    #[test]
    fn an_id_older_than_everything_retained_was_trimmed() {
        assert_eq!(rule((8, 3), LOG, (20, 9)), (Some(Trimmed), vec![5, 6, 8, 9], Id { ms: 10, n: 4 }));
        assert_eq!(rule((0, 0), LOG, (20, 9)).0, Some(Trimmed));
        assert_eq!(rule((8, 3), &[], (20, 9)), (Some(Trimmed), vec![], Id { ms: 20, n: 9 }));
    }

    #[test]
    fn an_id_that_the_log_never_assigned_is_a_reset() {
        for asked in [(30, 10), (15, 6), (9, 9), (20, 10), (25, 9)] {
            assert_eq!(rule(asked, LOG, (20, 9)).0, Some(Reset), "{asked:?}");
        }
        assert_eq!(rule((5, 3), &[], (0, 0)), (Some(Reset), vec![], Id::ZERO));
    }

    #[test]
    fn a_new_log_is_replayed_from_its_later_ids_on() {
        assert_eq!(rule((5, 500), &[(10, 1), (11, 2)], (11, 2)), (Some(Reset), vec![1, 2], Id::ZERO));
        assert_eq!(rule((15, 50), &[(10, 40), (20, 41)], (20, 41)), (Some(Reset), vec![41], Id { ms: 10, n: 40 }));
    }
}
