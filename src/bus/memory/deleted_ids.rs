//! The ids that were deleted from a log, for the gap rule.

use std::collections::{BTreeMap, VecDeque};

use crate::chat::Id;

/// The most ids that are remembered of those that were deleted side by side.
const MAX_RUN_IDS: usize = 12_000;

/// The deleted ids of a log, in runs of those that were deleted side by side.
#[derive(Debug, Default)]
pub struct DeletedIds {
    /// By the last id of a run: the id before it, and its ids.
    runs: BTreeMap<Id, VecDeque<Id>>,
    /// The ids of all runs.
    count: usize,
}

impl DeletedIds {
    /// Adds the id of an entry. `prev` is the id before it, and `until` the last one before the next retained entry.
    pub fn add(&mut self, id: Id, prev: Id, until: Id) {
        let mut run = self.take(prev).unwrap_or_else(|| VecDeque::from([prev]));
        run.push_back(id);
        if let Some(right) = self.take(until) {
            run.extend(right.into_iter().skip_while(|other| *other <= id));
        }
        let excess = run.len().saturating_sub(MAX_RUN_IDS);
        run.drain(..excess);
        self.count += run.len();
        self.runs.extend(run.back().copied().map(|last| (last, run)));
    }

    fn take(&mut self, last: Id) -> Option<VecDeque<Id>> {
        let run = self.runs.remove(&last)?;
        self.count -= run.len();
        Some(run)
    }

    /// Returns true if all that there was after an id, up to `until` and that included, was deleted.
    pub fn cover(&self, id: Id, until: Id) -> bool {
        self.runs.get(&until).is_some_and(|run| run.contains(&id))
    }

    /// Forgets the runs that end before an id.
    pub fn forget_before(&mut self, id: Id) {
        self.runs = self.runs.split_off(&id);
        self.count = self.runs.values().map(VecDeque::len).sum();
    }

    /// Returns about how many bytes it takes.
    pub fn size(&self) -> usize {
        self.count * size_of::<Id>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> Id {
        Id { ms: 1, n }
    }

    #[test]
    fn neighbours_are_one_run_in_whatever_order_they_are_deleted() {
        for order in [[3, 4, 5], [3, 5, 4], [4, 3, 5], [4, 5, 3], [5, 3, 4], [5, 4, 3]] {
            let mut deleted = DeletedIds::default();
            for (index, n) in order.into_iter().enumerate() {
                let until = (n + 1..).find(|n| !order[..index].contains(n)).expect("one that is retained") - 1;
                deleted.add(id(n), id(n - 1), id(until));
            }
            for n in 2..=5 {
                assert!(deleted.cover(id(n), id(5)), "{order:?}: {n}");
            }
            assert!(!deleted.cover(id(1), id(5)) && !deleted.cover(Id { ms: 2, n: 4 }, id(5)));
            assert_eq!((deleted.runs.len(), deleted.count), (1, 4));
            deleted.forget_before(id(5));
            assert_eq!(deleted.count, 4);
            deleted.forget_before(id(6));
            assert_eq!((deleted.count, deleted.size()), (0, 0));
        }
    }

    #[test]
    fn no_more_ids_are_remembered_than_the_newest_of_a_run() {
        let mut deleted = DeletedIds::default();
        let last = MAX_RUN_IDS as u64 + 100;
        (1..=last).for_each(|n| deleted.add(id(n), id(n - 1), id(n)));
        assert!(deleted.cover(id(101), id(last)) && !deleted.cover(id(100), id(last)));
        assert_eq!(deleted.count, MAX_RUN_IDS);
    }
}
