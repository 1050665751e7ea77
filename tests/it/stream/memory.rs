//! Reading a log of 24 MB: nothing is missing, and clients that do not read cost the node little and the others nothing
//! (contract § 5).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Mutex,
};

use crate::support::{Node, Redis, Stream, eventually, key, within};

const NO_STREAM_LIMIT: (&str, &str) = ("MAX_STREAMS_PER_ADDRESS", "0");
const MIB: u64 = 1 << 20;

/// How long a message may take to a subscriber on a busy machine.
const PROMPT: Duration = Duration::from_secs(2);

/// Stores messages of 24 kB, the longest there are.
async fn store_large_messages(redis: &Redis, room: &str, count: usize) -> Vec<String> {
    let script = "local data = '{\"sender\":\"mason\",\"message\":\"' .. string.rep('x', 24000) .. '\"}' \
        for n = 1, ARGV[1] do redis.call('XADD', KEYS[1], '1700000000000-' .. n, 'data', data) end";
    let _: redis::Value = redis.cmd(&["EVAL", script, "1", &key(room), &count.to_string()]).await;
    (1..=count).map(|number| format!("1700000000000-{number}")).collect()
}

/// Sends a request and reads nothing of the answer, over a connection with the smallest receive buffer.
async fn stalled(node: &Node, path: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let mut socket = socket.connect(node.address()).await.expect("the node accepts");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    socket.write_all(request.as_bytes()).await.expect("the node reads");
    socket.readable().await.expect("an answer begins");
    socket
}

async fn stalled_many(node: &Node, path: &str, count: usize) -> Vec<TcpStream> {
    join_all((0..count).map(|_| stalled(node, path))).await
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

/// Forwards connections to a server, whose answers share this bandwidth.
async fn slow_link(server: u16, bytes_per_second: u64) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let free_at = Arc::new(Mutex::new(Instant::now()));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let free_at = Arc::clone(&free_at);
            tokio::spawn(async move {
                let server = TcpStream::connect(("127.0.0.1", server)).await.expect("a server");
                let (mut requests, mut to_client) = client.into_split();
                let (mut responses, mut to_server) = server.into_split();
                let upstream = tokio::io::copy(&mut requests, &mut to_server);
                let downstream = async {
                    let mut buffer = vec![0; 16 << 10];
                    while let Ok(count @ 1..) = responses.read(&mut buffer).await {
                        let mut free_at = free_at.lock().await;
                        let takes = Duration::from_micros(count as u64 * 1_000_000 / bytes_per_second);
                        *free_at = (*free_at).max(Instant::now()) + takes;
                        tokio::time::sleep_until((*free_at).into()).await;
                        drop(free_at);
                        if to_client.write_all(&buffer[..count]).await.is_err() {
                            break;
                        }
                    }
                };
                tokio::select! {
                    _ = upstream => {}
                    () = downstream => {}
                }
            });
        }
    });
    port
}

/// 100 Mbit/s, over which the whole log takes 2 s.
#[tokio::test]
async fn room_with_a_large_log_opens_over_a_slow_link() {
    let redis = Redis::start().await;
    let all = store_large_messages(&redis, "large", 1000).await;
    let link = slow_link(redis.port(), 12_500_000).await;
    let node = Node::start(&[("REDIS_URL", &format!("redis://127.0.0.1:{link}"))]).await;
    let mut stream = Stream::resume(&node, "large", &all[799]).await;
    assert_eq!(stream.next_ids(200).await, all[800..]);
    let live = node.post("large", "mason", "live").await;
    assert_eq!(stream.next_message().await.id, live);
}
