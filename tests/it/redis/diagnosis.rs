//! Why Redis cannot be used is said in words that an operator can act on, with the address and without the password.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::support::{Node, Redis, eventually, free_port};

/// Starts a node, and checks that its log names the address and these words, that it is not ready, and that it claims
/// nothing else.
async fn assert_named(url: &str, place: &str, words: &[&str]) {
    let node = Node::launch(&[("REDIS_URL", url)]).await;
    let line = node.logged("cause=").await;
    for word in words.iter().chain([&place]) {
        assert!(line.contains(word), "{url}: {word:?} is missing in {line}");
    }
    assert!(!node.log().contains("hunter2"), "{}", node.log());
    assert!(!node.log().contains("sharing rooms"), "{}", node.log());
    node.get("/readyz").await.expect(503);
}

/// Starts a server that answers like one that speaks HTTP.
async fn start_http_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let _ = client.read(&mut [0; 1024]).await;
            let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
        }
    });
    address
}

#[tokio::test]
async fn unreachable_servers_are_told_apart() {
    let port = free_port();
    let place = format!("127.0.0.1:{port}");
    assert_named(&format!("redis://:hunter2@{place}"), &place, &["cannot be reached", "nothing listens"]).await;
    let place = "no-such-host.invalid:6379";
    assert_named(&format!("redis://:hunter2@{place}"), place, &["cannot be reached", "cannot be resolved"]).await;
}

#[tokio::test]
async fn servers_that_are_something_else_are_named() {
    let http = start_http_server().await.to_string();
    assert_named(&format!("redis://:hunter2@{http}"), &http, &["refuses this node", "an HTTP server"]).await;
    let redis = Redis::start().await;
    let place = redis.address().to_string();
    assert_named(&format!("rediss://:hunter2@{place}"), &place, &["refuses this node", "use redis://"]).await;
    assert_named(&format!("redis://{place}/99"), &place, &["refuses this node", "database", "does not exist"]).await;
    assert_named(&format!("redis://me:hunter2@{place}"), &place, &["refuses this node", "WRONGPASS"]).await;
}

#[tokio::test]
async fn replicas_sentinels_and_clusters_are_named_and_not_ready() {
    let master = Redis::start().await;
    let replica = Redis::with(&["--replicaof", "127.0.0.1", &master.port().to_string()]).await;
    assert_named(&replica.url(), &replica.address().to_string(), &["it is a replica"]).await;

    let directory = tempfile::tempdir().expect("a directory");
    let configuration = directory.path().join("sentinel.conf");
    std::fs::write(&configuration, format!("sentinel monitor m 127.0.0.1 {} 1\n", master.port())).expect("a file");
    let sentinel = Redis::sentinel(&configuration).await;
    assert_named(&sentinel.url(), &sentinel.address().to_string(), &["it is a Sentinel"]).await;

    let cluster = ["--cluster-enabled", "yes"];
    let masters = [Redis::with(&cluster).await, Redis::with(&cluster).await];
    for (node, (first, last)) in masters.iter().zip([("0", "8191"), ("8192", "16383")]) {
        let _: String = node.cmd(&["CLUSTER", "ADDSLOTSRANGE", first, last]).await;
    }
    let _: String = masters[0].cmd(&["CLUSTER", "MEET", "127.0.0.1", &masters[1].port().to_string()]).await;
    eventually("a cluster", async || {
        let info: String = masters[0].cmd(&["CLUSTER", "INFO"]).await;
        info.contains("cluster_size:2").then_some(())
    })
    .await;
    assert_named(&masters[0].url(), &masters[0].address().to_string(), &["a cluster of several masters"]).await;
}
