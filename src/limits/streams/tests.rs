use std::net::Ipv4Addr;

use async_trait::async_trait;

use super::*;
use crate::bus::Rate;

/// A store that no other process uses.
struct UnsharedStore;

#[async_trait]
impl LimitStore for UnsharedStore {
    async fn take_token(&self, _: IpAddr, _: Rate) -> Result<Result<(), Duration>, Unavailable> {
        Ok(Ok(()))
    }

    async fn reserve_streams(
        &self,
        _: &str,
        reservations: &[StreamReservation],
        _: usize,
    ) -> Result<Vec<usize>, Unavailable> {
        Ok(reservations.iter().map(|reservation| reservation.wanted).collect())
    }
}

fn limiter(max: u32, max_per_address: u32) -> Arc<StreamLimiter> {
    let limiter = StreamLimiter::new(Some(Arc::new(UnsharedStore)), max, max_per_address);
    tokio::spawn(StreamLimiter::run(Arc::downgrade(&limiter), "node~1".into()));
    limiter
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
    assert!(limiter.usage.lock().addresses.is_empty());
    assert_eq!(limiter.usage.lock().total, 0);
}

#[tokio::test]
async fn a_request_cancelled_during_the_call_returns_its_permit() {
    let limiter = limiter(0, 1);
    let request = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.permit(address(1)).await }
    });
    while limiter.usage.lock().addresses.is_empty() {
        tokio::task::yield_now().await;
    }
    request.abort();
    let _ = request.await;
    while !limiter.usage.lock().addresses.is_empty() {
        tokio::task::yield_now().await;
    }
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
