//! The store in which processes count the posts and the open streams of client addresses together.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::error::Unavailable;

/// How long a process may go without a reservation call before it is considered dead and its streams no longer count.
pub const PROCESS_TTL: Duration = Duration::from_secs(4);

/// Whose posts or calls are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Bucket {
    /// Those of a client address.
    Address(IpAddr),
    /// Those of an app, by its key.
    App(Arc<str>),
}

/// How fast one client address may publish, or an app call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Messages per second in the long run, at most one in a microsecond.
    pub per_second: NonZeroU32,
    /// Messages at once.
    pub burst: NonZeroU32,
}

/// The token that a post costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Where it is taken from.
    pub bucket: Bucket,
    /// How fast tokens come back.
    pub rate: Rate,
}

/// The open streams of one client address in this process, and how many more it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamReservation {
    /// The client address.
    pub address: IpAddr,
    /// Streams that are open.
    pub open: usize,
    /// Streams that wait for a permit.
    pub wanted: usize,
}

/// The usage of client addresses, counted over all processes.
#[async_trait]
pub trait LimitStore: Send + Sync {
    /// Returns true if [`Bus::publish`](super::Bus::publish) takes the token of a post itself, in one step with the post.
    fn charges_posts(&self) -> bool;

    /// Takes one token from a bucket. Returns how long to wait if there is none.
    async fn take_token(&self, bucket: &Bucket, rate: Rate) -> Result<Result<(), Duration>, Unavailable>;

    /// Records the open streams of some addresses in `process` and reserves more of them. Returns the number granted to
    /// each address, such that all processes together have at most `max_per_address`.
    ///
    /// Granted streams count as open. Earlier reservations stay valid for as long as the process calls this, with or
    /// without reservations, at least every [`PROCESS_TTL`]. A store may forget an address that is not reported again
    /// within two minutes.
    async fn reserve_streams(
        &self,
        process: &str,
        reservations: &[StreamReservation],
        max_per_address: usize,
    ) -> Result<Vec<usize>, Unavailable>;
}
