use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;

use super::*;
use crate::bus::{Bucket, Rate};

/// A store that no other process uses. It can be paused: then it executes calls, but responds to none.
#[derive(Default)]
struct UnsharedStore {
    is_paused: AtomicBool,
    calls: AtomicUsize,
    open: Mutex<HashMap<(String, IpAddr), usize>>,
}

#[async_trait]
impl LimitStore for UnsharedStore {
    fn charges_posts(&self) -> bool {
        false
    }

    async fn take_token(&self, _: &Bucket, _: Rate) -> Result<Result<(), Duration>, Unavailable> {
        Ok(Ok(()))
    }

    async fn reserve_streams(
        &self,
        process: &str,
        reservations: &[StreamReservation],
        _: usize,
    ) -> Result<Vec<usize>, Unavailable> {
        for StreamReservation { address, open, wanted } in reservations {
            self.open.lock().insert((process.to_owned(), *address), open + wanted);
        }
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.is_paused.load(Ordering::SeqCst) {
            return Err(Unavailable);
        }
        Ok(reservations.iter().map(|reservation| reservation.wanted).collect())
    }
}

fn limiter(max: u32, max_per_address: u32) -> Arc<StreamLimiter> {
    limiter_on(Arc::default(), max, max_per_address)
}

fn limiter_on(store: Arc<UnsharedStore>, max: u32, max_per_address: u32) -> Arc<StreamLimiter> {
    let limiter = StreamLimiter::new(Some(store), max, max_per_address);
    tokio::spawn(StreamLimiter::run(Arc::downgrade(&limiter), "node~1".into()));
    limiter
}

async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn address(n: u32) -> IpAddr {
    Ipv4Addr::from_bits(n).into()
}

#[tokio::test]
async fn a_dropped_permit_is_free_again_and_leaves_nothing_behind() {
    let limiter = limiter(3, 2);
    let mut permits = Vec::new();
    for n in [1, 1, 2] {
        permits.push(limiter.permit(address(n)).await.unwrap());
    }
    assert!(limiter.permit(address(1)).await.is_none() && limiter.permit(address(3)).await.is_none());
    drop(permits);
    let permit = limiter.permit(address(1)).await;
    assert!(permit.is_some());
    drop(permit);
    until(|| limiter.usage.lock().addresses.is_empty()).await;
    assert_eq!(limiter.usage.lock().total, 0);
}

#[tokio::test]
async fn a_request_cancelled_during_the_call_returns_its_permit() {
    let limiter = limiter(0, 1);
    let request = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.permit(address(1)).await }
    });
    until(|| !limiter.usage.lock().addresses.is_empty()).await;
    request.abort();
    let _ = request.await;
    until(|| limiter.usage.lock().addresses.is_empty()).await;
    assert!(limiter.permit(address(1)).await.is_some());
}

#[tokio::test]
async fn zero_turns_a_limit_off() {
    let limiter = limiter(0, 0);
    let mut permits = Vec::new();
    for _ in 0..1000 {
        permits.push(limiter.permit(address(1)).await.unwrap());
    }
    drop(permits);
    assert!(limiter.usage.lock().unreported.is_empty() && limiter.usage.lock().addresses.is_empty());
}

#[tokio::test]
async fn streams_that_change_in_an_outage_are_counted_once_after_it() {
    let store = Arc::new(UnsharedStore::default());
    let limiter = limiter_on(store.clone(), 0, 9);
    let (ended, kept) = (limiter.permit(address(1)).await.unwrap(), limiter.permit(address(2)).await.unwrap());
    store.is_paused.store(true, Ordering::SeqCst);
    let during = limiter.permit(address(2)).await.unwrap();
    assert!(limiter.usage.lock().is_alone);
    for n in 3..1000 {
        limiter.permit(address(n)).await.unwrap(); // ends at once
    }
    drop(ended);
    assert_eq!(limiter.usage.lock().addresses.len(), 2, "what the store does not count is forgotten");
    let calls = store.calls.load(Ordering::SeqCst);
    until(|| store.calls.load(Ordering::SeqCst) > calls).await; // another one without a response
    store.is_paused.store(false, Ordering::SeqCst);
    until(|| limiter.usage.lock().has_no_news()).await;
    let calls = store.calls.load(Ordering::SeqCst);
    until(|| store.calls.load(Ordering::SeqCst) > calls).await; // after the last report
    let open: Vec<_> = store.open.lock().iter().map(|((_, address), open)| (*address, *open)).collect();
    let (ended, counted): (Vec<_>, Vec<_>) = open.into_iter().partition(|(_, open)| *open == 0);
    assert_eq!((ended, counted), (vec![(address(1), 0)], vec![(address(2), 2)]));
    drop((kept, during));
}
