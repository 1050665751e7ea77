//! The rate limit of posts and calls (the generic cell rate algorithm), first in this process and then over all nodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::{DefaultKeyedRateLimiter, Quota};

use super::store_call::wait_for_store;
use crate::bus::{Bucket, Charge, LimitStore, Rate, Unavailable};

/// After this many posts, addresses with a full bucket are removed, so that memory is bounded by the posts of the last
/// few seconds.
const POSTS_PER_SWEEP: usize = 4096;

/// Counts posts by client address, or calls by app. Those over the limit of this process never reach the store, so flooding one node
/// costs the others nothing.
pub struct RateLimiter {
    store: Option<Arc<dyn LimitStore>>,
    rate: Rate,
    local: DefaultKeyedRateLimiter<Bucket>,
    posts: AtomicUsize,
}

impl RateLimiter {
    pub fn new(store: Option<Arc<dyn LimitStore>>, rate: Rate) -> Self {
        let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
        Self { store, rate, local: governor::RateLimiter::keyed(quota), posts: AtomicUsize::default() }
    }

    /// Takes the token of a post that is about to be published, or returns what the store has to charge for it. If there is
    /// none, returns how long to wait for it.
    pub async fn begin_post(&self, bucket: Bucket) -> Result<Option<Charge>, Duration> {
        self.take_local_token(&bucket)?;
        if self.store.as_ref().is_some_and(|store| store.charges_posts()) {
            return Ok(Some(Charge { bucket, rate: self.rate }));
        }
        self.take_stored_token(&bucket).await?;
        Ok(None)
    }

    /// Takes one token from a bucket. If there is none, returns how long to wait for it.
    pub async fn take_token(&self, bucket: Bucket) -> Result<(), Duration> {
        self.take_local_token(&bucket)?;
        self.take_stored_token(&bucket).await
    }

    async fn take_stored_token(&self, bucket: &Bucket) -> Result<(), Duration> {
        let Some(store) = &self.store else { return Ok(()) };
        match wait_for_store(store.take_token(bucket, self.rate)).await {
            Ok(taken) => taken,
            // The local bucket decides alone.
            Err(Unavailable) => Ok(()),
        }
    }

    fn take_local_token(&self, bucket: &Bucket) -> Result<(), Duration> {
        if self.posts.fetch_add(1, Ordering::Relaxed) % POSTS_PER_SWEEP == POSTS_PER_SWEEP - 1 {
            self.local.retain_recent();
        }
        // Not a clock of its own: each new one asks the processor what it can do, which traps in a virtual machine.
        let now = self.local.clock().now();
        self.local.check_key(bucket).map_err(|not_until| not_until.wait_time_from(now))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn addresses_with_full_buckets_leave_no_memory_behind() {
        let rate = Rate { per_second: 1000.try_into().unwrap(), burst: 1.try_into().unwrap() };
        let limiter = RateLimiter::new(None, rate);
        for n in 0..100_000 {
            limiter.take_token(Bucket::Address(Ipv4Addr::from_bits(n).into())).await.unwrap();
        }
        let held = limiter.local.len();
        assert!(held < 20_000, "{held} addresses are in memory");
    }
}
