//! What one key may do.

use super::{KEYS, OPEN, SHOP, assert_text, next_event, open};
use crate::support::{Node, Redis, eventually};

#[tokio::test]
async fn calls_and_sockets_of_a_key_are_limited_over_all_nodes() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[KEYS]).await;
    let channel = [("channel", "news")];
    // The bucket of the calls of one key, empty.
    let bucket = "chat:rate:key:shop";
    let _: String = redis.cmd(&["SET", bucket, "99999999999999999", "PX", "60000"]).await;
    let refused = SHOP.call(&node, "/socket", &channel).await;
    assert_eq!(refused.header("retry-after"), "1");
    assert_text(refused, 429, "Too Many Calls");
    OPEN.socket(&node, "news").await;
    let _: u64 = redis.cmd(&["DEL", bucket]).await;
    // So many living sockets as a key may have.
    let later = (redis.cmd::<(u64, u64)>(&["TIME"]).await.0 + 60) * 1000;
    let fill = "for i = 1, 100000 do redis.call('ZADD', KEYS[1], ARGV[1], i) end";
    let _: Option<u64> = redis.cmd(&["EVAL", fill, "1", "chat:sockets:shop", &later.to_string()]).await;
    let refused = SHOP.call(&node, "/socket", &channel).await;
    assert!(!refused.header("retry-after").is_empty());
    assert_text(refused, 429, "Too Many Sockets");
    OPEN.socket(&node, "news").await;
    // One of them ends.
    let _: u64 = redis.cmd(&["ZADD", "chat:sockets:shop", "1", "1"]).await;
    SHOP.socket(&node, "news").await;
    assert_text(SHOP.call(&node, "/socket", &channel).await, 429, "Too Many Sockets");
    let refusals = node.metric("tiny_chat_app_refusals_total{key=\"shop\"}").await;
    assert!(refusals >= Some(3.0), "{refusals:?}");
}

#[tokio::test]
async fn usage_is_counted_by_key() {
    let node = Node::start(&[KEYS]).await;
    let usage = async |name: &str, key: &str| {
        let name = format!("tiny_chat_app_{name}{{key=\"{key}\"}}");
        node.metric(&name).await.unwrap_or_else(|| panic!("no {name}"))
    };
    for name in ["streams_open", "events_total", "deliveries_total", "sockets_total", "refusals_total"] {
        assert_eq!((usage(name, "shop").await, usage(name, "open").await), (0.0, 0.0), "{name} from the start");
    }
    let socket = SHOP.socket(&node, "news").await;
    let mut streams = [open(&node, &socket).await, open(&node, &socket).await];
    for number in 0..3 {
        SHOP.send(&node, "news", "note", &number.to_string()).await;
    }
    for stream in &mut streams {
        for _ in 0..3 {
            next_event(stream).await;
        }
    }
    SHOP.call(&node, "/event", &[("channel", "news")]).await.expect(400);
    node.get(&SHOP.users("news").replace("key=shop", "key=nobody")).await.expect(404);
    assert_eq!(usage("streams_open", "shop").await, 2.0);
    assert_eq!(usage("sockets_total", "shop").await, 1.0);
    assert_eq!(usage("events_total", "shop").await, 3.0);
    assert_eq!(usage("refusals_total", "shop").await, 1.0);
    let delivered = async || (usage("deliveries_total", "shop").await == 6.0).then_some(());
    eventually("six deliveries", delivered).await;
    assert_eq!(usage("events_total", "open").await, 0.0);
    assert!(!node.get("/metrics").await.text().contains("nobody"), "no client adds a series");
    drop(streams);
    let ended = async || (usage("streams_open", "shop").await == 0.0).then_some(());
    eventually("no streams", ended).await;
}
