use std::net::Ipv4Addr;

use super::*;
use crate::bus::{self, Retention};
use crate::metrics::Metrics;

/// Streams that share a bus with nobody.
fn streams(most: u32, most_per_address: u32) -> Arc<Streams> {
    let metrics = Arc::new(Metrics::new().unwrap());
    let bus = bus::open(None, "chat", "node", Retention { messages: 1, seconds: 1 }, metrics).unwrap();
    let streams = Streams::new(bus, most, most_per_address);
    tokio::spawn(Streams::share(Arc::downgrade(&streams), "node~1".into()));
    streams
}

fn address(n: u32) -> IpAddr {
    Ipv4Addr::from_bits(n).into()
}

#[tokio::test]
async fn a_seat_is_free_again_when_it_is_dropped_and_leaves_nothing_behind() {
    let streams = streams(3, 2);
    let mut seats = Vec::new();
    for n in [1, 1, 2] {
        seats.push(streams.seat(address(n)).await.unwrap());
    }
    assert!(streams.seat(address(1)).await.is_none() && streams.seat(address(3)).await.is_none());
    drop(seats);
    let seat = streams.seat(address(1)).await;
    assert!(seat.is_some());
    drop(seat);
    assert!(streams.counts().addresses.is_empty());
    assert_eq!(streams.counts().total, 0);
}

#[tokio::test]
async fn who_goes_while_the_bus_is_asked_gives_the_place_back() {
    let streams = streams(0, 1);
    let asking = tokio::spawn({
        let streams = streams.clone();
        async move { streams.seat(address(1)).await }
    });
    while streams.counts().addresses.is_empty() {
        tokio::task::yield_now().await;
    }
    asking.abort();
    let _ = asking.await;
    while !streams.counts().addresses.is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(streams.seat(address(1)).await.is_some());
}

#[tokio::test]
async fn zero_turns_a_limit_off() {
    let streams = streams(0, 0);
    let mut seats = Vec::new();
    for _ in 0..1000 {
        seats.push(streams.seat(address(1)).await.unwrap());
    }
    drop(seats);
    assert!(streams.counts().changed.is_empty() && streams.counts().addresses.is_empty());
}
