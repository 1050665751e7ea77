//! A Redis that is far away: everything works up to 400 ms of round trip (docs/operations.md).

use std::time::{Duration, Instant};

use serde_json::json;

use super::start_behind;
use crate::support::{Node, Proxy, Redis, Stream};

/// The time within which a post is answered.
const MAX_POST: Duration = Duration::from_secs(2);

#[tokio::test]
async fn everything_works_with_400_ms_of_round_trip() {
    let redis = Redis::start().await;
    let proxy = Proxy::with_round_trip(redis.address(), Duration::from_millis(400)).await;
    let (here, there) = (start_behind(&proxy).await, Node::on(&redis, &[]).await);
    let first = there.post("lobby", "mason", "before").await;
    let mut reader = Stream::live(&here, "lobby").await;
    let id = there.post("lobby", "mason", "from nearby").await;
    assert_eq!(reader.next_message().await.id, id);
    let started = Instant::now();
    let id = here.post("lobby", "mason", "from far away").await;
    assert!(started.elapsed() < MAX_POST, "{:?}", started.elapsed());
    assert_eq!(reader.next_message().await.id, id);
    let mut returning = Stream::resume(&here, "attic", "0-0").await;
    let elsewhere = there.post("attic", "mason", "in another room").await;
    assert_eq!(returning.next_message().await.id, elsewhere);
    let history = here.stored("lobby").await;
    assert_eq!((history.len(), &history[0]["id"]), (3, &json!(first)));
    assert!(!here.log().contains("lost the connection"), "{}", here.log());
}

#[tokio::test]
async fn longer_round_trip_is_named() {
    let redis = Redis::start().await;
    let proxy = Proxy::with_round_trip(redis.address(), Duration::from_millis(600)).await;
    let node = Node::launch(&[("REDIS_URL", &format!("redis://{}", proxy.address()))]).await;
    let line = node.logged("round trip to Redis").await;
    assert!(line.contains("round_trip_ms=6") && line.contains("longer than 400 ms"), "{line}");
}
