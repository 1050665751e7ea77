//! The API while Redis is away.

use std::time::Duration;

use reqwest::Method;

use super::{KEYS, SHOP, assert_text, next_event, open, path, post_to};
use crate::support::{DEADLINE, Node, Redis, Stream, assert_backoff, eventually, within};

#[tokio::test]
async fn calls_are_503_while_redis_is_away() {
    let mut redis = Redis::durable().await;
    let node = Node::on(&redis, &[KEYS]).await;
    let socket = SHOP.socket(&node, "news").await;
    let mut reader = open(&node, &socket).await;
    for is_killed in [false, true] {
        if is_killed {
            redis.kill();
        } else {
            redis.pause();
        }
        let fields = [("channel", "news"), ("data", "x")];
        let limit = Duration::from_secs(2);
        let calls = [
            within(limit, "a refusal", SHOP.call(&node, "/socket", &fields)).await,
            within(limit, "a refusal", SHOP.call(&node, "/event", &fields)).await,
            within(limit, "a refusal", post_to(&node, &socket, &[("data", "x")])).await,
            within(limit, "a refusal", node.get(&SHOP.users("others"))).await,
        ];
        for answer in calls {
            assert!(!answer.header("retry-after").is_empty(), "{answer:?}");
            assert_text(answer, 503, "Database Connection Error");
        }
        // Faults of the request come first.
        assert_text(SHOP.call(&node, "/event", &[]).await, 400, "Missing param: channel");
        let id = "1361572294000-41";
        let mut refused = Stream::open(&node, &path(&socket), &[("Last-Event-ID", id)]).await;
        assert_eq!(refused.head.status, 200);
        let blocks = refused.read_to_end().await;
        let [backoff] = &blocks[..] else { panic!("{blocks:?}") };
        assert_eq!((backoff.id.as_deref(), backoff.json()["reason"].as_str()), (Some(id), Some("bus")));
        let mut refused = Stream::open(&node, &path(&socket), &[]).await;
        assert_backoff(&refused.read_to_end().await, "bus", 1..=60_000);
        let status = async || {
            let answer = node.send(node.request(Method::HEAD, "/status")).await;
            (answer.status == 500).then_some(())
        };
        eventually("a status of 500", status).await;
    }
    redis.restart().await;
    within(DEADLINE, "an event after the outage", async {
        let fields = [("channel", "news"), ("data", "back")];
        let sent = async || (SHOP.call(&node, "/event", &fields).await.status == 200).then_some(());
        eventually("a call that is accepted", sent).await;
        while next_event(&mut reader).await.data.as_deref() != Some("back") {}
    })
    .await;
    open(&node, &socket).await;
}
