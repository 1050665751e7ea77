//! What a client address may do, counted over all nodes: one small script per message, and one per batch
//! of streams.

use std::net::IpAddr;
use std::time::Duration;

use redis::Script;

use super::{Links, PROCESS_TTL, Rate, StreamReservation, Trouble};

/// How long a claim is kept that is not repeated.
const KEPT: Duration = Duration::from_secs(120);

/// The counts of one Redis.
pub struct Limits {
    prefix: String,
    spend: Script,
    claim: Script,
}

impl Limits {
    /// The counts under a prefix.
    pub fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.into(),
            spend: Script::new(include_str!("spend.lua")),
            claim: Script::new(include_str!("claim.lua")),
        }
    }

    /// Counts one message of an address, or says how long it has to wait.
    pub async fn spend(&self, links: &Links, address: IpAddr, rate: Rate) -> Result<Result<(), Duration>, Trouble> {
        let mut call = self.spend.key(format!("{}:rate:{address}", self.prefix));
        call.arg(rate.per_second.get()).arg(rate.burst.get());
        let wait: u64 = links.run(&call).await?;
        Ok(if wait == 0 { Ok(()) } else { Err(Duration::from_micros(wait)) })
    }

    /// Says that a process lives and how many streams of each address it has open, and gives how many
    /// more it may open.
    pub async fn claim(
        &self,
        links: &Links,
        process: &str,
        claims: &[StreamReservation],
        most: usize,
    ) -> Result<Vec<usize>, Trouble> {
        let mut call = self.claim.prepare_invoke();
        call.key(format!("{}:processes", self.prefix));
        call.arg(process).arg(most).arg(PROCESS_TTL.as_millis() as u64).arg(KEPT.as_millis() as u64);
        for claim in claims {
            call.key(format!("{}:streams:{}", self.prefix, claim.address)).arg(claim.open).arg(claim.wanted);
        }
        links.run(&call).await
    }
}
