//! Refused streams of a client that ignores the delay it is told: they come later (contract § 5, "Being sent away").

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::TRUST_LOOPBACK;
use crate::support::{Node, Stream, assert_backoff, eventually};

/// The refusals that an address gets at once in 10 s.
const AT_ONCE: usize = 10;

/// The shortest pause before a further one.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// The connections that may wait.
const MAX_WAITING: usize = 256;

/// A node that is full, and the stream that fills it.
async fn full_node() -> (Node, Stream) {
    let node = Node::start(&[TRUST_LOOPBACK, ("MAX_STREAMS", "1")]).await;
    let only = Stream::live(&node, "lobby").await;
    (node, only)
}

/// Asks for a stream and reads the refusal. Returns how long it took.
async fn refusal(node: &Node, address: &str) -> Duration {
    let started = Instant::now();
    let mut stream = Stream::open(node, "/subscribe/lobby", &[("X-Forwarded-For", address)]).await;
    assert_backoff(&stream.read_to_end().await, "full", 5000..=30_000);
    started.elapsed()
}

/// Asks for a stream.
async fn request(node: &Node, address: &str) -> TcpStream {
    let mut socket = TcpStream::connect(node.address()).await.expect("the node accepts");
    let request = format!("GET /subscribe/lobby HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {address}\r\n\r\n");
    socket.write_all(request.as_bytes()).await.expect("the node reads");
    socket
}

/// Returns whether a refusal has come on a connection.
fn is_refused(socket: &TcpStream) -> bool {
    socket.try_read(&mut [0; 1]).is_ok()
}

#[tokio::test]
async fn eleventh_refusal_in_ten_seconds_waits() {
    let (node, _only) = full_node().await;
    // A busy machine may be slow ten times in a row, but what waits is never faster than its pause.
    let mut first = Vec::new();
    for _ in 0..AT_ONCE {
        first.push(refusal(&node, "192.0.2.1").await);
    }
    assert!(first.iter().any(|elapsed| *elapsed < SHORTEST_PAUSE), "{first:?}");
    let (same, other, neighbour) =
        tokio::join!(refusal(&node, "192.0.2.1"), refusal(&node, "192.0.2.2"), refusal(&node, "2001:db8:1:2::1"));
    assert!(same >= SHORTEST_PAUSE, "the eleventh came after {same:?}");
    assert!(other < same && neighbour < same, "{other:?} and {neighbour:?} of others, {same:?}");
}

/// IPv6 clients have a /64 each.
#[tokio::test]
async fn refusals_of_ipv6_clients_are_counted_per_64() {
    let (node, _only) = full_node().await;
    for host in 0..AT_ONCE {
        refusal(&node, &format!("2001:db8:1:2::{host:x}")).await;
    }
    assert!(refusal(&node, "2001:db8:1:2:ffff::1").await >= SHORTEST_PAUSE);
}

/// At most 256 connections wait, and one that leaves makes way for another. What is seen within the shortest pause
/// counts; on a machine that is too busy for that, another address tries again.
#[tokio::test]
async fn few_connections_wait_and_those_that_leave_make_way() {
    const BEYOND: usize = 20;
    let (node, _only) = full_node().await;
    let mut addresses = 1..;
    eventually("a quiet second", async || {
        let address = format!("192.0.2.{}", addresses.next()?);
        let mut used_up = Vec::new();
        for _ in 0..AT_ONCE {
            used_up.push(request(&node, &address).await);
        }
        for mut socket in used_up {
            socket.read_to_end(&mut Vec::new()).await.ok()?;
        }
        let started = Instant::now();
        let mut sockets = Vec::new();
        for _ in 0..MAX_WAITING + BEYOND {
            sockets.push(request(&node, &address).await);
        }
        let refused = async {
            loop {
                let refused = sockets.iter().filter(|socket| is_refused(socket)).count();
                if refused >= BEYOND {
                    return refused;
                }
                tokio::time::sleep(Duration::from_millis(5)).await; // nothing announces an answer on one of many sockets
            }
        };
        let refused = timeout(SHORTEST_PAUSE.saturating_sub(started.elapsed()), refused).await.ok()?;
        if started.elapsed() >= SHORTEST_PAUSE {
            return None;
        }
        assert_eq!(refused, BEYOND, "more than {MAX_WAITING} connections wait, or fewer");
        drop(sockets);
        while started.elapsed() < SHORTEST_PAUSE {
            let (asked, elapsed) = (started.elapsed(), refusal(&node, &address).await);
            if elapsed >= SHORTEST_PAUSE && asked < SHORTEST_PAUSE {
                return Some(());
            }
        }
        None
    })
    .await;
}
