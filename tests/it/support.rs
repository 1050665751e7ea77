//! What the tests are built from: real nodes, a real Redis, clients with parsers of their own, and deadlines instead of
//! sleeps.

mod browser;
mod bus;
mod chunks;
mod cluster;
mod dns;
mod fake_sentinel;
mod http;
mod lines;
mod load_balancer;
mod merged;
mod node;
mod ports;
mod process;
mod proxy;
mod redis;
pub mod repository;
mod resp;
mod sentinels;
mod servers;
mod site;
mod sse;
mod stalled;
mod subscribers;
mod tls;
mod web_server;

use std::{
    fs,
    pin::pin,
    thread,
    time::{Duration, Instant},
};

pub(crate) use browser::in_both_browsers;
pub use browser::{BarePage, BareStream, Browser, BrowserKind, Received, ShownMessage, Tab, keyboard, wait_for};
pub use bus::{Bus, Store};
pub(crate) use bus::{on_buses, on_every_bus, on_every_form};
pub use chunks::take_chunks;
pub use cluster::{Cluster, slot_of};
pub use dns::DnsServer;
pub use fake_sentinel::FakeSentinel;
pub use http::{Answer, Head, get_raw, post_until_rate_limited, send_raw};
pub use lines::{LineStream, json};
pub use load_balancer::LoadBalancer;
pub use merged::{IdsByRoom, MergedStream, RoomGap, count_ids, ids_after, room_of};
pub use node::{BINARY, BROWSER, Exited, Node, live_streams_of};
pub use ports::free_port;
pub use process::Process;
pub use proxy::Proxy;
pub use redis::{Redis, key};
pub use sentinels::{MASTER, Sentinels};
pub use servers::Program;
pub use site::Site;
pub use sse::{Block, Gap, Stream, assert_backoff};
pub use stalled::{stalled, stalled_many};
pub use subscribers::Subscribers;
pub use tls::{Certificates, TlsRedis};
pub use web_server::WebServer;

/// How long anything may take before a test fails, on a machine with idle cores.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// The most by which a deadline is extended on a busy machine.
const MAX_SLOWDOWN: f64 = 8.0;

/// Returns the result of `work`.
///
/// # Panics
///
/// If it is not there [in time](in_time); the message names `what`, and the load.
pub async fn within<T>(limit: Duration, what: &str, work: impl Future<Output = T>) -> T {
    let result = in_time(limit, work).await;
    result.unwrap_or_else(|| panic!("{what} did not come within {limit:?}, at {:.1} per core", load_per_core()))
}

/// Returns the result of `work`, or `None` if it takes longer than `limit`: as many times longer as more processes want
/// to run than there are cores.
pub async fn in_time<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let started = Instant::now();
    let mut work = pin!(work);
    loop {
        // Read again at each deadline: the average of a minute is late to show a load that has just begun.
        let slowdown = load_per_core().clamp(1.0, MAX_SLOWDOWN);
        let left = limit.mul_f64(slowdown).saturating_sub(started.elapsed());
        if let Ok(result) = tokio::time::timeout(left, &mut work).await {
            return Some(result);
        }
        if left.is_zero() {
            return None;
        }
    }
}

/// Returns how many processes wanted to run on each core, over the last minute.
pub fn load_per_core() -> f64 {
    let average = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = average.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default();
    load / thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64)
}

/// Polls every 10 ms until there is a result, for conditions that are not announced.
///
/// # Panics
///
/// If there is none within [`DEADLINE`]; the message names `what`.
pub async fn eventually<T>(what: &str, mut poll: impl AsyncFnMut() -> Option<T>) -> T {
    let polling = async {
        loop {
            if let Some(result) = poll().await {
                return result;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(DEADLINE, what, polling).await
}

/// Returns the two halves of an id: its milliseconds and its sequence number.
pub fn halves(id: &str) -> (u64, u64) {
    let (ms, n) = id.split_once('-').unwrap_or_else(|| panic!("{id:?} is not an id"));
    let number = |half: &str| half.parse().unwrap_or_else(|_| panic!("{id:?} is not an id"));
    (number(ms), number(n))
}
