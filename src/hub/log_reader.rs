//! Reads the logs for the rooms of a node, for single subscribers, and for answers, in pages of limited size.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::read_budget::{AnswerPermit, MAX_PAGE_BYTES, PagePermit, ReadBudget, permit_within};
use crate::bus::{Bus, LogPage, PageLimit, Span, Unavailable};
use crate::chat::{Id, RoomName};
use crate::metrics::Metrics;

/// The entries that a room begins with, if its buffer can hold them: as many as a subscriber may lag behind, so that
/// most resuming subscribers find their cursor in memory.
const INITIAL_ENTRIES: usize = 1000;

/// A page that is read for a room.
const ROOM_PAGE: PageLimit = PageLimit { entries: INITIAL_ENTRIES, bytes: MAX_PAGE_BYTES };

/// How long a room may take to fill its buffer before it is in sync for the first time.
const FILL_TIME: Duration = Duration::from_millis(500);

/// What the store looks at in one read of sizes, so that it is not held up.
const SIZES_PAGE: PageLimit = PageLimit { entries: 1000, bytes: 2 << 20 };

/// What is compared at once of the entries that were announced to a room.
const ANNOUNCED_PAGE: PageLimit = PageLimit { entries: 100, bytes: 256 << 10 };

/// The comparisons with announced entries that run at once: of 1,000 rooms, hundreds are due in the same tick.
const COMPARISON_TURNS: usize = 2;

/// How long a comparison waits for its turn. After that the room is due again.
const COMPARISON_WAIT: Duration = Duration::from_secs(5);

/// The reads of a node, and how many there are at once.
pub struct LogReader {
    bus: Arc<dyn Bus>,
    metrics: Arc<Metrics>,
    budget: ReadBudget,
    comparison_turns: Semaphore,
}

impl LogReader {
    /// Creates the reader of a node.
    pub fn new(bus: Arc<dyn Bus>, metrics: Arc<Metrics>) -> Self {
        Self {
            bus,
            metrics,
            budget: ReadBudget::new(),
            comparison_turns: Semaphore::new(COMPARISON_TURNS),
        }
    }

    fn count(&self, purpose: &str) {
        self.metrics.log_reads.with_label_values(&[purpose]).inc();
    }

    /// Reads a page for a room, from its last known id on, that id included. If the log is found to have lost entries, and
    /// they may be restored, the page is read after that.
    pub async fn room_page(
        &self,
        room: &RoomName,
        last: Id,
        has_lost: impl Fn(&LogPage) -> bool,
    ) -> Result<LogPage, Unavailable> {
        let read = async || {
            self.count("room");
            self.bus.read(room, Span::From(last), ROOM_PAGE).await
        };
        let page = read().await?;
        if has_lost(&page) && self.bus.heal(room).await? {
            read().await
        } else {
            Ok(page)
        }
    }

    /// Reads the page with which a room begins: the newest entries. If its buffer can hold more than a page, and the
    /// store is near enough for it, returns an empty page instead, whose last id is the cursor before all of them.
    pub async fn first_room_page(&self, room: &RoomName, buffer_bytes: usize) -> Result<LogPage, Unavailable> {
        self.count("room");
        let started = Instant::now();
        let page = self.bus.read(room, Span::Newest, ROOM_PAGE).await?;
        if !page.more || page.entries.len() == INITIAL_ENTRIES {
            return Ok(LogPage { more: false, ..page });
        }
        let pages = FILL_TIME.as_secs_f64() / started.elapsed().as_secs_f64();
        let bytes = (pages * MAX_PAGE_BYTES as f64).min(buffer_bytes as f64) as usize;
        let sizes = self.bus.read_sizes(room, Span::Newest, PageLimit { bytes, ..ROOM_PAGE }).await?;
        Ok(match sizes.entries.first() {
            Some(oldest) if sizes.entries.len() > page.entries.len() => {
                LogPage { last: oldest.id, entries: Vec::new(), ..page }
            }
            _ => LogPage { more: false, ..page },
        })
    }

    /// Compares announced entries with a log when it is this room's turn, so that live messages do not wait for the
    /// comparisons of many rooms.
    ///
    /// # Errors
    /// If the comparison fails, or takes too long to get its turn.
    pub async fn in_turn(&self, comparison: impl Future<Output = Result<(), Unavailable>>) -> Result<(), Unavailable> {
        let _turn = permit_within(COMPARISON_WAIT, self.comparison_turns.acquire()).await?;
        comparison.await
    }

    /// Reads what a room has to compare with announced entries, from an id on, that id included.
    pub async fn announced_entries(&self, room: &RoomName, after: Id) -> Result<LogPage, Unavailable> {
        self.count("room");
        self.bus.read_sizes(room, Span::From(after), ANNOUNCED_PAGE).await
    }

    /// Waits until a page may be read for a subscriber, which holds the permit until it has dropped the page.
    pub async fn subscriber_permit(&self) -> Result<PagePermit, Unavailable> {
        self.budget.subscriber_page().await
    }

    /// Reads a page for a subscriber, from an id on, that id included.
    pub async fn subscriber_page(&self, room: &RoomName, id: Id, limit: PageLimit) -> Result<LogPage, Unavailable> {
        self.count("subscriber");
        self.bus.read(room, Span::From(id), limit).await
    }

    /// Reads ids and sizes for a subscriber.
    pub async fn subscriber_sizes(&self, room: &RoomName, span: Span) -> Result<LogPage, Unavailable> {
        let _permit = self.subscriber_permit().await?;
        self.count("subscriber");
        self.bus.read_sizes(room, span, SIZES_PAGE).await
    }

    /// Waits until an answer may have this many bytes in memory, which it holds until it was sent.
    ///
    /// # Errors
    /// If that takes too long.
    pub async fn answer_permit(&self, bytes: usize) -> Result<AnswerPermit, Unavailable> {
        self.budget.answer(bytes).await
    }

    /// Reads a page for an answer, with the texts that messages have now.
    ///
    /// # Errors
    /// If the store is unavailable, or too many answers are being read.
    pub async fn answer_page(&self, room: &RoomName, span: Span, limit: PageLimit) -> Result<LogPage, Unavailable> {
        let _permit = self.budget.answer_page().await?;
        self.count("history");
        self.bus.read_edited(room, span, limit).await
    }

    /// Reads ids, types and sizes for an answer.
    ///
    /// # Errors
    /// As [`answer_page`](Self::answer_page).
    pub async fn answer_sizes(&self, room: &RoomName, span: Span, limit: PageLimit) -> Result<LogPage, Unavailable> {
        let _permit = self.budget.answer_page().await?;
        self.count("history");
        self.bus.read_sizes(room, span, limit).await
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures_util::FutureExt;

    use super::*;
    use crate::bus::{Retention, Stores};

    #[tokio::test]
    async fn few_comparisons_run_at_once() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let retention = Retention { messages: 100, seconds: 60 };
        let stores = Stores::open(None, "chat", "node", retention, false, metrics.clone()).unwrap();
        let reader = LogReader::new(stores.bus.clone(), metrics);
        let mut running: Vec<_> = (0..COMPARISON_TURNS).map(|_| Box::pin(reader.in_turn(pending()))).collect();
        assert!(running.iter_mut().all(|comparison| comparison.now_or_never().is_none()));
        let mut next = Box::pin(reader.in_turn(ready(Ok(()))));
        assert!((&mut next).now_or_never().is_none());
        running.pop();
        assert_eq!(next.await, Ok(()));
    }
}
