//! Redis down, hanging or emptied: posts are refused, streams report it, and nothing that the log still has is
//! lost (contract § 5 to § 7).

use std::time::{Duration, Instant};

use serde_json::json;

use super::{HEARTBEAT, assert_post_unavailable, post_until_accepted, start_behind};
use crate::support::{Gap, Node, Proxy, Redis, Stream, eventually, within};

/// Returns the ids of the next `count` messages, after which `status` must be live and not before.
async fn read_until_live(stream: &mut Stream, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    while ids.len() < count {
        let block = stream.next().await;
        match block.event.as_deref() {
            Some("heartbeat") => {}
            _ => ids.push(block.message().id),
        }
    }
    stream.expect_status(true).await;
    ids
}

// nodes and posts in an outage

#[tokio::test]
async fn node_starts_without_redis_and_recovers() {
    let mut redis = Redis::start().await;
    redis.kill();
    let node = Node::launch(&[("REDIS_URL", &redis.url()), HEARTBEAT]).await;
    node.logged("Redis cannot be reached").await;
    node.get("/readyz").await.expect(503);
    node.get("/healthz").await.expect(200);
    assert_post_unavailable(&node).await;
    let mut early = Stream::open(&node, "/subscribe/lobby", &[]).await;
    assert_eq!(early.head.status, 200);
    let first = early.first().await;
    assert_eq!((first.is_live(), first.id), (false, None), "the cursor is not known yet");
    redis.restart().await;
    node.ready().await;
    assert_eq!(early.late_cursor().await, "0-0");
    early.expect_status(true).await;
    let id = node.post("lobby", "mason", "at last").await;
    assert_eq!(early.next_message().await.id, id);
}

/// Readiness means that Redis was reached since the start. A later outage shows in the body and in `status`, not in the
/// code, so that a load balancer does not take out all nodes together.
#[tokio::test]
async fn later_outage_keeps_a_node_ready_and_shows_in_the_body() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let before = node.get("/readyz").await.expect(200);
    redis.kill();
    eventually("a changed body of /readyz", async || {
        (node.get("/readyz").await.expect(200).body != before.body).then_some(())
    })
    .await;
    assert_eq!(node.metric("tiny_chat_store_connected").await, Some(0.0));
    redis.restart().await;
    eventually("the original body of /readyz", async || {
        (node.get("/readyz").await.expect(200).body == before.body).then_some(())
    })
    .await;
}

#[tokio::test]
async fn pages_in_an_outage_omit_history_and_say_so() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    node.post("lobby", "mason", "before the storm").await;
    redis.kill();
    for path in ["/", "/lobby"] {
        let page = node.page(path).await.html(200);
        assert!(page.contains("lost its message store") && !page.contains("before the storm"), "{page}");
    }
    node.get("/history/lobby").await.problem(503);
    node.get("/history/lobby/1-1").await.problem(503);
    redis.restart().await;
    let id = post_until_accepted(&node, "after it").await;
    assert!(node.page("/lobby").await.html(200).contains(&id));
}

#[tokio::test]
async fn posts_are_refused_in_time_while_redis_is_gone() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    node.post("lobby", "mason", "before").await;
    redis.kill();
    for _ in 0..3 {
        assert_post_unavailable(&node).await;
    }
    redis.restart().await;
    post_until_accepted(&node, "after").await;
}

#[tokio::test]
async fn posts_are_refused_in_time_while_redis_hangs() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    node.post("lobby", "mason", "before").await;
    redis.pause();
    for _ in 0..5 {
        assert_post_unavailable(&node).await;
    }
    redis.unpause();
    post_until_accepted(&node, "after").await;
}

/// After a 503 it is unknown whether the message was stored.
#[tokio::test]
async fn unacknowledged_post_repeated_with_its_key_appears_once() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let mut subscriber = Stream::live(&node, "lobby").await;
    let fields = json!({ "sender": "mason", "message": "did it arrive?", "key": "k-1" });
    redis.pause();
    node.publish("lobby", fields.clone()).await.problem(503);
    redis.unpause();
    let id = eventually("an acknowledgement", async || {
        let answer = node.publish("lobby", fields.clone()).await;
        (answer.status == 200).then(|| answer.id())
    })
    .await;
    let next = node.post("lobby", "mason", "it did").await;
    assert_eq!(subscriber.next_ids(2).await, [id, next]);
}

// streams in an outage

#[tokio::test]
async fn redis_restart_with_its_log_loses_nothing() {
    let mut redis = Redis::durable().await;
    let nodes = [Node::on(&redis, &[HEARTBEAT]).await, Node::on(&redis, &[HEARTBEAT]).await];
    let mut subscribers = [Stream::live(&nodes[0], "lobby").await, Stream::live(&nodes[1], "lobby").await];
    for round in 0..3 {
        let ids = nodes[round % 2].fill("lobby", 5).await;
        for subscriber in &mut subscribers {
            assert_eq!(subscriber.next_ids(5).await, ids);
        }
        redis.kill();
        for subscriber in &mut subscribers {
            subscriber.expect_status(false).await;
        }
        redis.restart().await;
        for subscriber in &mut subscribers {
            subscriber.expect_status(true).await;
        }
    }
}

/// A gap in mid-stream has the id that was sent last as `asked`.
#[tokio::test]
async fn redis_restart_without_its_log_sends_a_gap() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[HEARTBEAT, ("HEAL", "off")]).await;
    let mut connected = Stream::live(&node, "lobby").await;
    let last = node.fill("lobby", 5).await.pop().unwrap();
    connected.next_ids(5).await;
    redis.kill();
    connected.expect_status(false).await;
    redis.restart().await;
    let lost = Gap { asked: last.clone(), resumed: None, reason: "reset".into(), cursor: "0-0".into() };
    assert_eq!(Gap::next(&mut connected).await, lost, "the gap comes before the status");
    connected.expect_status(true).await;
    let mut returning = Stream::resume(&node, "lobby", &last).await;
    assert_eq!(Gap::next(&mut returning).await, lost);
    let ids = node.fill("lobby", 7).await;
    assert_eq!(connected.next_ids(7).await, ids);
    assert_eq!(returning.next_ids(7).await, ids);
}

/// The stream stays open and reports `"live":false` within a second or so.
#[tokio::test]
async fn hanging_redis_shows_in_the_status_and_heartbeats_continue() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[HEARTBEAT]).await;
    let mut subscriber = Stream::live(&node, "lobby").await;
    redis.pause();
    within(Duration::from_secs(5), "the status", subscriber.expect_status(false)).await;
    for _ in 0..2 {
        assert_eq!(subscriber.next().await.event.as_deref(), Some("heartbeat"));
    }
    redis.unpause();
    subscriber.expect_status(true).await;
    let id = post_until_accepted(&node, "awake").await;
    assert_eq!(subscriber.next_message().await.id, id);
}

/// `"live":true` is sent after everything that was missed.
#[tokio::test]
async fn missed_messages_arrive_before_the_live_status() {
    let redis = Redis::start().await;
    let proxy = Proxy::to(redis.address()).await;
    let (here, there) = (start_behind(&proxy).await, Node::on(&redis, &[("HISTORY", "10000")]).await);
    let mut subscriber = Stream::live(&here, "lobby").await;
    let mut idle = Stream::live(&here, "garden").await;
    for missed in [10, 300, 1500] {
        proxy.cut();
        subscriber.expect_status(false).await;
        idle.expect_status(false).await;
        let ids = there.fill("lobby", missed).await;
        proxy.restore();
        assert_eq!(read_until_live(&mut subscriber, ids.len()).await, ids);
        idle.expect_status(true).await;
    }
}

/// After the outage more is sent at once than any socket buffer holds, which must not count as a slow subscriber.
#[tokio::test]
async fn subscriber_behind_after_an_outage_is_not_ended_as_slow() {
    const MISSED: usize = 2000;
    let redis = Redis::start().await;
    let proxy = Proxy::to(redis.address()).await;
    let (here, there) = (start_behind(&proxy).await, Node::on(&redis, &[("HISTORY", "10000")]).await);
    let mut subscriber = Stream::live(&here, "lobby").await;
    proxy.cut();
    subscriber.expect_status(false).await;
    let text = "x".repeat(4000);
    let mut ids = Vec::new();
    for _ in 0..MISSED {
        ids.push(there.post("lobby", "mason", &text).await);
    }
    proxy.restore();
    assert_eq!(read_until_live(&mut subscriber, ids.len()).await, ids);
}

/// A stream opened in an outage gets 200, `retry:`, `status` false, and its cursor once that is known.
#[tokio::test]
async fn stream_opened_in_an_outage_is_served_after_it() {
    let redis = Redis::start().await;
    let proxy = Proxy::to(redis.address()).await;
    let (here, there) = (start_behind(&proxy).await, Node::on(&redis, &[]).await);
    let mut warm = Stream::live(&here, "lobby").await;
    let before = there.fill("lobby", 5).await;
    warm.next_ids(5).await;
    proxy.cut();
    warm.expect_status(false).await;
    let mut returning = Stream::open(&here, "/subscribe/lobby", &[("Last-Event-ID", &before[2])]).await;
    let first = returning.first().await;
    assert_eq!((first.is_live(), first.id.as_ref()), (false, Some(&before[2])));
    let mut recent = Stream::open(&here, "/subscribe/lobby?history=3", &[]).await;
    let first = recent.first().await;
    assert_eq!((first.is_live(), first.id), (false, None), "the last three messages are not known yet");
    let mut elsewhere = Stream::open(&here, "/subscribe/attic", &[("Last-Event-ID", "0-0")]).await;
    let first = elsewhere.first().await;
    assert_eq!((first.is_live(), first.id.as_deref()), (false, Some("0-0")));
    let during = there.fill("lobby", 5).await;
    proxy.restore();
    assert_eq!(read_until_live(&mut warm, 5).await, during);
    assert_eq!(read_until_live(&mut returning, 7).await, [&before[3..], &during[..]].concat());
    assert_eq!(recent.late_cursor().await, during[1], "the cursor before the last three");
    assert_eq!(read_until_live(&mut recent, 3).await, during[2..]);
    assert_eq!(read_until_live(&mut elsewhere, 0).await, [""; 0]);
    let id = post_until_accepted(&here, "after").await;
    for mut subscriber in [warm, returning, recent] {
        assert_eq!(subscriber.next_message().await.id, id);
    }
}

/// `DRAIN` holds whether or not Redis answers.
#[tokio::test]
async fn node_with_a_hanging_redis_exits_in_time() {
    let redis = Redis::start().await;
    let mut node = Node::on(&redis, &[("DRAIN", "1")]).await;
    let mut subscriber = Stream::live(&node, "lobby").await;
    redis.pause();
    subscriber.expect_status(false).await;
    let signalled = Instant::now();
    node.terminate();
    assert!(node.exit().await.success());
    assert!(signalled.elapsed() < Duration::from_secs(4), "ended after {:?}", signalled.elapsed());
    let last = subscriber.read_to_end().await.pop().expect("a last block");
    assert_eq!(last.event.as_deref(), Some("backoff"), "{last:?}");
}

#[tokio::test]
async fn node_survives_losing_all_redis_connections() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let mut subscriber = Stream::live(&node, "lobby").await;
    for round in 0..5 {
        let _: u64 = redis.cmd(&["CLIENT", "KILL", "SKIPME", "yes"]).await;
        let id = post_until_accepted(&node, &format!("round {round}")).await;
        assert_eq!(subscriber.next_message().await.id, id);
        node.history("lobby", "").await;
    }
}

/// Other payloads on the channel, before and after each break, are forwarded and must not disturb the recovery.
#[tokio::test]
async fn reconnects_with_foreign_publishes_lose_nothing() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let mut subscriber = Stream::live(&node, "lobby").await;
    let mut ids = Vec::new();
    for payload in [
        "cron",
        "{\"sender\":\"cron\"}",
        "\u{1e}",
        "\u{1e}7-7",
        "\u{1e}9007199254740991-900  forged",
        "a\r\nid: 1-1\r\n",
    ] {
        redis.publish("lobby", payload).await;
        ids.push(node.post("lobby", "mason", "one").await);
        let _: u64 = redis.cmd(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
        redis.publish("lobby", payload).await;
        ids.push(node.post("lobby", "mason", "two").await);
        redis.wait_for_subscriber("lobby").await;
    }
    let mut seen = Vec::new();
    while seen.len() < ids.len() {
        let block = subscriber.next_content().await;
        assert_eq!(block.event, None, "{block:?}");
        seen.extend(block.id);
    }
    assert_eq!(seen, ids);
}
