//! What a node spends at once on single clients that read logs: pages that are being read, encoded and sent, and answers
//! that were not sent yet. Clients are served in the order in which they come, so a large room does not hold up others.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::bus::Unavailable;

/// The bytes of a page, which one entry may exceed.
pub const MAX_PAGE_BYTES: usize = 256 << 10;

/// The bytes of everything together.
const BUDGET_BYTES: usize = 64 << 20;

/// Pages for subscribers at once. The rooms, whose reads serve all subscribers, always find a connection to Redis.
const SUBSCRIBER_PAGES: usize = 4;

/// Pages for pages and `/history` at once.
const ANSWER_PAGES: usize = 2;

/// How long an answer waits for its turn.
const ANSWER_WAIT: Duration = Duration::from_secs(1);

/// The unit of the budget for answers.
const PERMIT_BYTES: usize = 1 << 10;

/// The reads of one node.
pub struct ReadBudget {
    subscriber_pages: Arc<Semaphore>,
    answer_pages: Arc<Semaphore>,
    /// What pages leave of the budget.
    answers: Arc<Semaphore>,
}

/// Permits one page to be read, encoded and written. It is not held while waiting for a client's socket.
pub struct PagePermit {
    _permit: OwnedSemaphorePermit,
}

/// Permits an answer to be held until it was sent.
#[derive(Debug)]
pub struct AnswerPermit(OwnedSemaphorePermit);

impl ReadBudget {
    /// Creates the budget of a node.
    pub fn new() -> Self {
        let pages = MAX_PAGE_BYTES * (SUBSCRIBER_PAGES + ANSWER_PAGES);
        Self {
            subscriber_pages: Arc::new(Semaphore::new(SUBSCRIBER_PAGES)),
            answer_pages: Arc::new(Semaphore::new(ANSWER_PAGES)),
            answers: Arc::new(Semaphore::new((BUDGET_BYTES - pages) / PERMIT_BYTES)),
        }
    }

    /// Waits until a page may be read for a subscriber.
    pub async fn subscriber_page(&self) -> Result<PagePermit, Unavailable> {
        let permit = self.subscriber_pages.clone().acquire_owned().await;
        permit.map(|permit| PagePermit { _permit: permit }).map_err(|_| Unavailable)
    }

    /// Waits until a page may be read for an answer.
    ///
    /// # Errors
    /// If that takes too long.
    pub async fn answer_page(&self) -> Result<PagePermit, Unavailable> {
        let permit = permit_within(ANSWER_WAIT, self.answer_pages.clone().acquire_owned()).await?;
        Ok(PagePermit { _permit: permit })
    }

    /// Waits until an answer may have this many bytes in memory.
    ///
    /// # Errors
    /// If that takes too long, because clients do not read their answers.
    pub async fn answer(&self, bytes: usize) -> Result<AnswerPermit, Unavailable> {
        let permits = bytes.div_ceil(PERMIT_BYTES) as u32;
        permit_within(ANSWER_WAIT, self.answers.clone().acquire_many_owned(permits)).await.map(AnswerPermit)
    }
}

impl AnswerPermit {
    /// Gives back what an answer of this many bytes does not need.
    pub fn shrink_to(&mut self, bytes: usize) {
        let surplus = self.0.num_permits().saturating_sub(bytes.div_ceil(PERMIT_BYTES));
        drop(self.0.split(surplus));
    }
}

/// Waits for a permit.
///
/// # Errors
/// If that takes longer than `wait`.
pub async fn permit_within<P>(
    wait: Duration,
    permit: impl Future<Output = Result<P, AcquireError>>,
) -> Result<P, Unavailable> {
    timeout(wait, permit).await.ok().and_then(Result::ok).ok_or(Unavailable)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn an_answer_that_finds_no_room_is_refused_after_a_while() {
        let budget = ReadBudget::new();
        let mut held = budget.answer(60 << 20).await.ok().unwrap();
        assert!(budget.answer(4 << 20).await.is_err());
        held.shrink_to(50 << 20);
        assert!(budget.answer(4 << 20).now_or_never().is_some_and(|permit| permit.is_ok()));
    }

    #[tokio::test]
    async fn pages_for_answers_do_not_wait_for_those_of_subscribers() {
        let budget = ReadBudget::new();
        let mut held: Vec<_> = (0..SUBSCRIBER_PAGES).map(|_| budget.subscriber_page().now_or_never()).collect();
        assert!(held.iter().all(|permit| matches!(permit, Some(Ok(_)))));
        assert!(budget.subscriber_page().now_or_never().is_none());
        assert!(budget.answer_page().now_or_never().is_some());
        held.pop();
        assert!(budget.subscriber_page().now_or_never().is_some());
    }
}
