//! Subscribers of rooms where nothing happens: their end is noticed although nothing is written to them (contract § 5,
//! "Leaving"), and what they send costs nothing.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::support::{Node, Stream};

/// The next heartbeat would be a minute later.
#[tokio::test]
async fn an_end_is_noticed_before_the_next_heartbeat() {
    let node = Node::start(&[("HEARTBEAT", "60")]).await;
    let kept = Stream::live(&node, "lobby").await;
    let mut talkative = TcpStream::connect(node.address()).await.expect("the node accepts");
    talkative
        .write_all(b"GET /subscribe/lobby HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .expect("the node reads");
    node.wait_for_open_streams(2).await;
    for _ in 0..3 {
        talkative.write_all(b"a subscriber has nothing to say").await.expect("the node reads");
    }
    drop(talkative);
    node.wait_for_open_streams(1).await;
    drop(kept);
    node.wait_for_open_streams(0).await;
}

/// A node that is stopped discards nothing, so that the kernel has to keep what a subscriber sends.
#[tokio::test]
async fn kernel_keeps_little_of_what_a_subscriber_sends() {
    const KIB: usize = 1024;
    let node = Node::start(&[]).await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_send_buffer_size(4096).expect("a small buffer");
    let mut talkative = socket.connect(node.address()).await.expect("the node accepts");
    talkative
        .write_all(b"GET /subscribe/lobby HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .expect("the node reads");
    node.wait_for_open_streams(1).await;
    node.signal(Signal::SIGSTOP);
    let mut kept = 0;
    while kept < 256 * KIB
        && let Ok(written) = timeout(Duration::from_millis(500), talkative.write(&[b'x'; KIB])).await
    {
        kept += written.expect("the connection stays");
    }
    node.signal(Signal::SIGCONT);
    // The buffers of both ends, each with a segment more than its limit.
    assert!(kept < 110 * KIB, "{} KiB of what a subscriber sent are kept", kept / KIB);
}
