//! What the tests stand on: real nodes, a real Redis, a reader with its own parser, and deadlines instead of sleeps.

mod browser;
mod bus;
mod crowd;
mod front;
mod http;
mod node;
mod process;
mod proxy;
mod redis;
mod several;
mod sse;
mod web_server;

use std::{
    net::TcpListener,
    sync::{
        LazyLock,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

pub use browser::{Browser, Line, keyboard, patiently};
pub use bus::Bus;
pub(crate) use bus::on_both_buses;
pub use crowd::Crowd;
pub use front::Front;
pub use http::{Answer, Head, raw, raw_get};
pub use node::{BINARY, BROWSER, Node};
pub use proxy::Proxy;
pub use redis::{Redis, key};
pub use several::{RoomGap, Several, room_of};
pub use sse::{Block, Gap, Stream};
pub use web_server::WebServer;

/// How long anything that must happen may take on a busy machine before it counts as not happening.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// The result of `work`, or a panic that names what did not come in time.
pub async fn within<T>(limit: Duration, what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => panic!("{what} did not come within {limit:?}"),
    }
}

/// Asks again until there is an answer: for conditions nobody announces.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(DEADLINE, what, asking).await
}

/// The two halves of an id, as numbers.
pub fn halves(id: &str) -> (u64, u64) {
    let (ms, n) = id.split_once('-').unwrap_or_else(|| panic!("{id:?} is not an id"));
    let number = |half: &str| half.parse().unwrap_or_else(|_| panic!("{id:?} is not an id"));
    (number(ms), number(n))
}

/// A port below the ephemeral range that is given to nobody else in this run: a server that is
/// killed finds it still free when it is started again.
pub fn free_port() -> u16 {
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(rand::random_range(12_000..26_000)));
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}
