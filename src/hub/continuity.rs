//! The gap rule: whether what follows an id in a log is all that there ever was after it.

use crate::bus::{Entry, LogPage};
use crate::chat::Id;
use crate::sse::GapReason;

/// How a reader, or a room of this node, goes on after an id.
#[derive(Debug, PartialEq, Eq)]
pub struct Continuation {
    /// Why messages may be missing, if so.
    pub gap: Option<GapReason>,
    /// The place before what follows; the log's last generated id where nothing does.
    pub place: Id,
    /// What follows, oldest first.
    pub entries: Vec<Entry>,
}

impl Continuation {
    /// The first message that follows at once.
    pub fn resumed(&self) -> Option<Id> {
        self.entries.first().map(|entry| entry.id)
    }
}

/// Judges a reading of [`Span::From`](crate::bus::Span::From) the asked id.
///
/// Continuity is shown when the asked id is in the log, is its last generated id, stands directly
/// before the first retained message, or lies between two retained ones in both halves (it was
/// deleted). An id that is older in both halves than all that is retained was trimmed; any other
/// does not belong to this log.
pub fn judge(asked: Id, reading: LogPage) -> Continuation {
    let LogPage { first, last, mut entries, .. } = reading;
    let anchor = entries.first().filter(|entry| entry.id <= asked).map(|entry| entry.id);
    if anchor.is_some() {
        entries.remove(0);
    }
    let next = entries.first().map(|entry| entry.id);
    let shown = anchor == Some(asked)
        || asked == last
        || first.is_some_and(|first| asked.directly_precedes(first))
        || anchor.zip(next).is_some_and(|(before, after)| before.precedes(asked) && asked.precedes(after));
    let older_than_all = asked.precedes(first.unwrap_or(last));
    let gap = match (shown, older_than_all) {
        (true, _) => None,
        (false, true) => Some(GapReason::Trimmed),
        (false, false) => Some(GapReason::Reset),
    };
    let place = match (next, anchor) {
        (None, _) => last,
        (Some(_), Some(before)) => before,
        (Some(next), None) => next.place_before(),
    };
    Continuation { gap, place, entries }
}

#[cfg(test)]
mod tests {
    use super::*;
    use GapReason::{Reset, Trimmed};

    /// The answer about `asked` by a log with these entries and last generated id.
    fn ask(asked: (u64, u64), log: &[(u64, u64)], last: (u64, u64)) -> (Option<GapReason>, Vec<u64>, Id) {
        let id = |(ms, n)| Id { ms, n };
        let all: Vec<Entry> = log
            .iter()
            .map(|at| Entry { id: id(*at), kind: String::new(), data: String::new(), node: None })
            .collect();
        let after = all.partition_point(|entry| entry.id <= id(asked));
        let entries = all[after.saturating_sub(1)..].to_vec();
        let reading = LogPage { first: all.first().map(|entry| entry.id), last: id(last), entries, more: false };
        let answer = judge(id(asked), reading);
        (answer.gap, answer.entries.iter().map(|entry| entry.id.n).collect(), answer.place)
    }

    const LOG: &[(u64, u64)] = &[(10, 5), (10, 6), (20, 8), (20, 9)];

    #[test]
    fn an_id_in_the_log_goes_on_after_it() {
        assert_eq!(ask((10, 6), LOG, (20, 9)).0, None);
        assert_eq!(ask((10, 6), LOG, (20, 9)).1, [8, 9]);
        assert_eq!(ask((20, 9), LOG, (20, 9)), (None, vec![], Id { ms: 20, n: 9 }));
    }

    #[test]
    fn the_last_generated_id_shows_continuity_though_its_message_was_deleted() {
        assert_eq!(ask((30, 10), LOG, (30, 10)).0, None);
        assert_eq!(ask((30, 10), &[], (30, 10)).0, None);
        assert_eq!(ask((0, 0), &[], (0, 0)).0, None);
    }

    #[test]
    fn the_place_directly_before_the_first_retained_message_shows_continuity() {
        assert_eq!(ask((9, 4), LOG, (20, 9)), (None, vec![5, 6, 8, 9], Id { ms: 10, n: 4 }));
        assert_eq!(ask((10, 4), LOG, (20, 9)).0, None);
        assert_eq!(ask((0, 0), &[(7, 1)], (7, 1)).0, None);
    }

    #[test]
    fn a_deleted_message_between_two_retained_ones_shows_continuity() {
        assert_eq!(ask((15, 7), LOG, (20, 9)), (None, vec![8, 9], Id { ms: 10, n: 6 }));
        assert_eq!(ask((10, 7), LOG, (20, 9)).0, None);
        assert_eq!(ask((20, 7), LOG, (20, 9)).0, None);
    }

    #[test]
    fn an_id_older_than_all_that_is_retained_was_trimmed() {
        assert_eq!(ask((8, 3), LOG, (20, 9)), (Some(Trimmed), vec![5, 6, 8, 9], Id { ms: 10, n: 4 }));
        assert_eq!(ask((0, 0), LOG, (20, 9)).0, Some(Trimmed));
        assert_eq!(ask((8, 3), &[], (20, 9)), (Some(Trimmed), vec![], Id { ms: 20, n: 9 }));
    }

    #[test]
    fn an_id_that_the_log_never_gave_was_of_another_log() {
        for asked in [(30, 10), (15, 6), (9, 9), (20, 10), (25, 9)] {
            assert_eq!(ask(asked, LOG, (20, 9)).0, Some(Reset), "{asked:?}");
        }
        assert_eq!(ask((5, 3), &[], (0, 0)), (Some(Reset), vec![], Id::ZERO));
    }

    #[test]
    fn a_younger_log_is_replayed_from_where_its_ids_are_later() {
        assert_eq!(ask((5, 500), &[(10, 1), (11, 2)], (11, 2)), (Some(Reset), vec![1, 2], Id::ZERO));
        assert_eq!(ask((15, 50), &[(10, 40), (20, 41)], (20, 41)), (Some(Reset), vec![41], Id { ms: 10, n: 40 }));
    }
}
