//! Reading a log of 24 MB: nothing is missing, and clients that do not read cost the node little and the others nothing
//! (contract § 5).

use std::{fs, time::Instant};

use super::{MIB, NO_STREAM_LIMIT, PROMPT};
use crate::support::{Node, Proxy, Redis, Stream, eventually, key, stalled_many, within};

/// Stores messages of 24 kB, the longest there are.
async fn store_large_messages(redis: &Redis, room: &str, count: usize) -> Vec<String> {
    let script = "local data = '{\"sender\":\"mason\",\"message\":\"' .. string.rep('x', 24000) .. '\"}' \
        for n = 1, ARGV[1] do redis.call('XADD', KEYS[1], '1700000000000-' .. n, 'data', data) end";
    let _: redis::Value = redis.cmd(&["EVAL", script, "1", &key(room), &count.to_string()]).await;
    (1..=count).map(|number| format!("1700000000000-{number}")).collect()
}

/// The buffer of a room holds 4 MiB, so most of this is read from the log.
#[tokio::test]
async fn large_log_is_read_completely_page_by_page() {
    let redis = Redis::start().await;
    let all = store_large_messages(&redis, "large", 300).await;
    let node = Node::on(&redis, &[]).await;
    let mut newest = Stream::open(&node, "/subscribe/large?history=250", &[]).await;
    assert_eq!(newest.first().await.id.as_ref(), Some(&all[49]));
    assert_eq!(newest.next_ids(250).await, all[50..]);
    assert_eq!(Stream::resume(&node, "large", "0-0").await.next_ids(300).await, all);
    let mut merged = Stream::open(&node, "/subscribe/large,small?history=250", &[]).await;
    merged.first().await;
    let ids = merged.next_ids(250).await;
    assert_eq!(ids, all[50..].iter().map(|id| format!("{id},0-0")).collect::<Vec<_>>());
    for (query, expected, last) in [
        ("?limit=200".to_owned(), &all[100..], &all[299]),
        (format!("?limit=150&before={}", all[200]), &all[50..200], &all[199]),
        (format!("?limit=200&before={}", all[120]), &all[..120], &all[119]),
        ("?limit=200&after=0-0".to_owned(), &all[..200], &all[199]),
        (format!("?limit=200&after={}", all[150]), &all[151..], &all[299]),
    ] {
        let history = node.history("large", &query).await;
        let messages = history["messages"].as_array().expect("messages");
        let ids: Vec<&str> = messages.iter().filter_map(|message| message["id"].as_str()).collect();
        assert_eq!(ids, expected, "{query}");
        assert_eq!(history["last"], last.as_str(), "{query}");
    }
    let live = node.post("large", "mason", "live").await;
    assert_eq!(newest.next_message().await.id, live);
}

#[tokio::test]
async fn stalled_readers_of_a_large_log_cost_others_nothing() {
    let redis = Redis::start().await;
    store_large_messages(&redis, "large", 1000).await;
    let node = Node::on(&redis, &[NO_STREAM_LIMIT]).await;
    let mut small = Stream::live(&node, "small").await;
    let merged: Vec<String> = (0..14).map(|number| format!("other-{number}")).collect();
    let merged = format!("/subscribe/large,small,{}?history=1000", merged.join(","));
    let before = node.peak_memory();
    let _stalled = [
        stalled_many(&node, "/subscribe/large?history=1000", 100).await,
        stalled_many(&node, "/subscribe/large?lastEventId=0-0", 100).await,
        stalled_many(&node, &merged, 20).await,
        stalled_many(&node, "/history/large?limit=200", 80).await,
        stalled_many(&node, "/large", 40).await,
    ];
    for number in 0..20 {
        let posted = Instant::now();
        let id = node.post("small", "mason", "still served").await;
        assert_eq!(within(PROMPT, "a message", small.next_message()).await.id, id);
        assert!(posted.elapsed() < PROMPT);
        Stream::live(&node, &format!("new-{number}")).await;
        assert_eq!(node.history("small", "").await["last"], id);
    }
    eventually("all streams", async || (node.metric("tiny_chat_streams_open").await >= Some(221.0)).then_some(()))
        .await;
    let growth = node.peak_memory() - before;
    assert!(growth < 100 * MIB, "{} MiB more for 340 readers that do not read", growth / MIB);
}

/// 100 Mbit/s, over which the whole log takes 2 s.
#[tokio::test]
async fn room_with_a_large_log_opens_over_a_slow_link() {
    let redis = Redis::start().await;
    let all = store_large_messages(&redis, "large", 1000).await;
    let link = Proxy::with_bandwidth(redis.address(), 12_500_000).await;
    let node = Node::start(&[("REDIS_URL", &format!("redis://{}", link.address()))]).await;
    let mut stream = Stream::resume(&node, "large", &all[799]).await;
    assert_eq!(stream.next_ids(200).await, all[800..]);
    let live = node.post("large", "mason", "live").await;
    assert_eq!(stream.next_message().await.id, live);
}

/// Huge pages stay empty for the most part. `THP_enabled` is in the status of a process since Linux 5.0.
#[tokio::test]
async fn memory_is_not_taken_in_huge_pages() {
    let node = Node::start(&[]).await;
    let status = fs::read_to_string(format!("/proc/{}/status", node.pid())).expect("its status");
    assert!(status.contains("\nTHP_enabled:\t0\n"), "{status}");
}
