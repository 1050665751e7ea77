//! Subscribers of rooms where nothing happens: their end is noticed although nothing is written to them (contract § 5,
//! "Leaving").

use tokio::{io::AsyncWriteExt, net::TcpStream};

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
