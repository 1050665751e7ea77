//! The ids of a room's newest messages, for subscribers that ask for more of them than there are frames in memory.

use std::collections::VecDeque;
use std::sync::OnceLock;

use crate::bus::{Entry, LogPage, Span, Unavailable};
use crate::chat::{Id, RoomName};
use crate::hub::log_reader::LogReader;

/// The most messages whose ids are kept: as many as a subscriber may ask for, and the one before them.
const MAX_RECENT_IDS: usize = 1001;

/// What the subscribers of a room share of its newest ids. A room of which none are asked for takes little memory.
#[derive(Debug, Default)]
pub struct SharedRecentIds(OnceLock<Box<tokio::sync::Mutex<RecentIds>>>);

impl SharedRecentIds {
    /// Returns the cursor before the newest `count` messages, or before all of them if there are fewer.
    pub async fn look_up(&self, logs: &LogReader, room: &RoomName, count: usize) -> Result<Id, Unavailable> {
        self.0.get_or_init(Box::default).lock().await.look_up(logs, room, count).await
    }
}

/// The ids of the newest messages of a log.
#[derive(Debug, Default)]
struct RecentIds {
    /// The ids, each with the cursor before it, oldest first.
    ids: VecDeque<(Id, Id)>,
    /// Whether there are no older messages.
    whole: bool,
}

impl RecentIds {
    /// Returns the cursor before the newest `count` messages, or before all of them if there are fewer. Reads what was
    /// appended since the last time, and further back if necessary.
    async fn look_up(&mut self, logs: &LogReader, room: &RoomName, count: usize) -> Result<Id, Unavailable> {
        while let Some(newest) = self.newest() {
            let page = logs.subscriber_sizes(room, Span::From(newest)).await?;
            self.append(&page);
            if !page.more {
                break;
            }
        }
        let mut last = Id::ZERO;
        while !self.reaches(count) {
            let page = logs.subscriber_sizes(room, self.oldest().map_or(Span::Newest, Span::Before)).await?;
            self.prepend(&page);
            last = page.last;
        }
        Ok(self.cursor_before_newest(count).unwrap_or(last))
    }

    fn newest(&self) -> Option<Id> {
        self.ids.back().map(|(id, _)| *id)
    }

    fn oldest(&self) -> Option<Id> {
        self.ids.front().map(|(id, _)| *id)
    }

    /// Appends a page that was read from the newest id, that id included. If the log no longer has it, or others were
    /// deleted since, forgets all ids.
    fn append(&mut self, page: &LogPage) {
        let mut entries = page.entries.iter();
        let has_change = page.entries.iter().skip(1).any(Entry::is_change);
        if has_change || entries.next().map(|anchor| anchor.id) != self.newest() {
            *self = Self::default();
            return;
        }
        self.ids.extend(messages(entries));
        while self.oldest() < page.first {
            self.ids.pop_front();
            self.whole = true;
        }
        self.limit();
    }

    /// Prepends a page of the entries before the oldest id, or of the newest entries if no id is known.
    fn prepend(&mut self, page: &LogPage) {
        messages(page.entries.iter()).rev().for_each(|id| self.ids.push_front(id));
        self.whole = !page.more;
        self.limit();
    }

    /// Returns true if the cursor before the newest `count` messages is known.
    fn reaches(&self, count: usize) -> bool {
        self.whole || self.ids.len() > count
    }

    /// Returns the cursor before the newest `count` messages, or before all of them if there are fewer; `None` if there
    /// are none.
    fn cursor_before_newest(&self, count: usize) -> Option<Id> {
        match self.ids.len().checked_sub(count + 1) {
            Some(index) => self.ids.get(index).map(|(id, _)| *id),
            None => self.ids.front().map(|(_, before)| *before),
        }
    }

    fn limit(&mut self) {
        let excess = self.ids.len().saturating_sub(MAX_RECENT_IDS);
        self.ids.drain(..excess);
        self.whole &= excess == 0;
    }
}

/// Returns the ids of the entries that have data.
fn messages<'a>(entries: std::slice::Iter<'a, Entry>) -> impl DoubleEndedIterator<Item = (Id, Id)> + 'a {
    entries.filter(|entry| entry.has_data()).map(|entry| (entry.id, entry.cursor_before()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(numbers: impl Iterator<Item = u64>, first: u64, more: bool) -> LogPage {
        let id = |n| Id { ms: 1, n };
        let entry = |n| Entry { id: id(n), prev: None, kind: String::new(), data: "1".into(), node: None };
        LogPage {
            first: Some(id(first)),
            last: id(9),
            entries: numbers.map(entry).collect(),
            more,
            only_deleted: false,
        }
    }

    fn before_newest(ids: &RecentIds, count: usize) -> Option<u64> {
        ids.reaches(count).then(|| ids.cursor_before_newest(count))?.map(|cursor| cursor.n)
    }

    #[test]
    fn pages_in_front_reach_further_back() {
        let mut ids = RecentIds::default();
        ids.prepend(&page(7..=9, 3, true));
        assert_eq!((before_newest(&ids, 2), before_newest(&ids, 3)), (Some(7), None));
        ids.prepend(&page(3..=6, 3, false));
        assert_eq!(
            (before_newest(&ids, 6), before_newest(&ids, 7), before_newest(&ids, 1000)),
            (Some(3), Some(2), Some(2))
        );
    }

    #[test]
    fn what_was_appended_or_trimmed_since_is_taken_over() {
        let mut ids = RecentIds::default();
        ids.prepend(&page(3..=6, 1, true));
        ids.append(&page(6..=9, 5, false));
        assert_eq!((before_newest(&ids, 1), before_newest(&ids, 1000)), (Some(8), Some(4)));
        let mut others = page(12..=13, 12, false);
        ids.append(&others);
        assert_eq!(ids.newest(), None, "another log");
        ids.prepend(&others);
        for kind in ["delete", "edit"] {
            others.entries[1].kind = kind.into();
            ids.append(&others);
            assert_eq!(ids.newest(), None, "one of them may be gone");
            others.entries[1].kind.clear();
            ids.prepend(&others);
        }
    }

    #[test]
    fn no_more_ids_are_kept_than_are_asked_for() {
        let mut ids = RecentIds::default();
        ids.prepend(&page(1..=1200, 1, false));
        assert_eq!((before_newest(&ids, 1000), before_newest(&ids, 1001)), (Some(200), None));
    }
}
