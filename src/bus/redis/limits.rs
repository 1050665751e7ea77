//! The usage of client addresses in Redis: a script for each message that is not charged with it, and one per batch of streams.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::Script;

use super::connection::ThreadConnections;
use super::error::CallError;
use super::keys::Keys;
use super::scripts;
use crate::bus::error::Unavailable;
use crate::bus::limits::{Bucket, LimitStore, PROCESS_TTL, Rate, StreamReservation};

/// How long the reservations of an address are kept after the last report.
const RESERVATION_TTL: Duration = Duration::from_secs(120);

/// The usage of client addresses in one Redis.
pub struct RedisLimits {
    keys: Keys,
    connections: Arc<ThreadConnections>,
    /// Whether the buckets are where the logs are.
    with_logs: bool,
    take_token: Script,
    reserve_streams: Script,
}

impl RedisLimits {
    /// Opens it. `with_logs` is whether one server has all keys.
    pub fn new(keys: Keys, connections: Arc<ThreadConnections>, with_logs: bool) -> Self {
        Self {
            with_logs,
            keys,
            connections,
            take_token: Script::new(scripts::TAKE_TOKEN),
            reserve_streams: Script::new(include_str!("reserve_streams.lua")),
        }
    }

    async fn run_take_token(&self, bucket: &Bucket, rate: Rate) -> Result<Result<(), Duration>, CallError> {
        let key = self.keys.rate(bucket);
        let mut call = self.take_token.key(&key);
        call.arg(rate.per_second.get()).arg(rate.burst.get());
        let wait: u64 = self.connections.run(&key, &call).await?;
        Ok(if wait == 0 { Ok(()) } else { Err(Duration::from_micros(wait)) })
    }

    async fn run_reserve_streams(
        &self,
        process: &str,
        reservations: &[StreamReservation],
        max_per_address: usize,
    ) -> Result<Vec<usize>, CallError> {
        let processes = self.keys.processes();
        let mut call = self.reserve_streams.key(&processes);
        call.arg(process)
            .arg(max_per_address)
            .arg(PROCESS_TTL.as_millis() as u64)
            .arg(RESERVATION_TTL.as_millis() as u64);
        for reservation in reservations {
            call.key(self.keys.streams(reservation.address)).arg(reservation.open).arg(reservation.wanted);
        }
        self.connections.run(&processes, &call).await
    }
}

#[async_trait]
impl LimitStore for RedisLimits {
    fn charges_posts(&self) -> bool {
        self.with_logs
    }

    async fn take_token(&self, bucket: &Bucket, rate: Rate) -> Result<Result<(), Duration>, Unavailable> {
        let result = self.run_take_token(bucket, rate).await;
        self.connections.calls().settle("take token", None, result)
    }

    async fn reserve_streams(
        &self,
        process: &str,
        reservations: &[StreamReservation],
        max_per_address: usize,
    ) -> Result<Vec<usize>, Unavailable> {
        let granted = self.run_reserve_streams(process, reservations, max_per_address).await;
        self.connections.calls().settle("reserve streams", None, granted)
    }
}
