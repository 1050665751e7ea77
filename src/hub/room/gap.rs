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
        self.entries.iter().find(|entry| !entry.data.is_empty()).map(|entry| entry.id)
    }
}

/// Applies the gap rule to a page that was read with [`Span::From`](crate::bus::Span::From) the asked id.
///
/// Continuity is shown by an id that is in the log, is the last generated one, directly precedes the first retained
/// entry, or lies between two retained entries in both halves (its message was deleted). An id that precedes all
/// retained entries in both halves, or the last generated id if there are none, was trimmed. Any other id does not
/// belong to this log.
pub fn continue_after(asked: Id, page: LogPage) -> Continuation {
    let LogPage { first, last, mut entries, .. } = page;
    let anchor = entries.first().filter(|entry| entry.id <= asked).map(|entry| entry.id);
    if anchor.is_some() {
        entries.remove(0);
    }
    let next = entries.first().map(|entry| entry.id);
    let is_continuous = anchor == Some(asked)
        || asked == last
        || first.is_some_and(|first| asked.directly_precedes(first))
        || anchor.zip(next).is_some_and(|(before, after)| before.precedes(asked) && asked.precedes(after));
    let gap = if is_continuous {
        None
    } else if asked.precedes(first.unwrap_or(last)) {
        Some(GapReason::Trimmed)
    } else {
        Some(GapReason::Reset)
    };
    let cursor = match (next, anchor) {
        (None, _) => last,
        (Some(_), Some(before)) => before,
        (Some(next), None) => next.cursor_before(),
    };
    Continuation { gap, cursor, entries }
}

#[cfg(test)]
mod tests {
    use super::*;
    use GapReason::{Reset, Trimmed};

    /// Applies the rule to a log with these entries and this last generated id. Returns the gap, the numbers of the
    /// entries that follow, and the cursor before them.
    fn rule(asked: (u64, u64), log: &[(u64, u64)], last: (u64, u64)) -> (Option<GapReason>, Vec<u64>, Id) {
        let id = |(ms, n)| Id { ms, n };
        let all: Vec<Entry> = log
            .iter()
            .map(|at| Entry { id: id(*at), kind: String::new(), data: String::new(), node: None })
            .collect();
        let after = all.partition_point(|entry| entry.id <= id(asked));
        let entries = all[after.saturating_sub(1)..].to_vec();
        let page = LogPage { first: all.first().map(|entry| entry.id), last: id(last), entries, more: false };
        let continuation = continue_after(id(asked), page);
        let numbers = continuation.entries.iter().map(|entry| entry.id.n).collect();
        (continuation.gap, numbers, continuation.cursor)
    }

    const LOG: &[(u64, u64)] = &[(10, 5), (10, 6), (20, 8), (20, 9)];

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
