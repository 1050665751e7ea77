//! The faults: what is done to a server in the middle of a trial, and how it is undone.

use std::time::Duration;

use clap::ValueEnum;
use tokio::time::{Instant, sleep};

use crate::{
    Failure,
    hubs::{kind::Kind, server::Server},
    relay::Relay,
};

/// How long a node that was asked to end may take before it is killed: as long as `docker stop` waits.
const TERMINATION_LIMIT: Duration = Duration::from_secs(10);

/// The node that fails, where one does.
pub const FAILING_NODE: usize = 0;

/// The faults, in the order of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    Kill,
    Terminate,
    Freeze,
    Cut,
    RedisRestart,
    RedisEmpty,
    RedisEmptyAway,
}

pub const FAULTS: [Fault; 7] = [
    Fault::Kill,
    Fault::Terminate,
    Fault::Freeze,
    Fault::Cut,
    Fault::RedisRestart,
    Fault::RedisEmpty,
    Fault::RedisEmptyAway,
];

/// One of each kind, for a short run: a node, Redis, the network.
pub const QUICK_FAULTS: [Fault; 3] = [Fault::Kill, Fault::Cut, Fault::RedisRestart];

/// How long things last.
#[derive(Clone, Copy)]
pub struct Times {
    /// Posts before the fault, and after it.
    pub around: Duration,
    /// How long a node or Redis that was killed is away.
    pub down: Duration,
    pub freeze: Duration,
    pub cut: Duration,
}

impl Times {
    pub const FULL: Self = Self {
        around: Duration::from_secs(3),
        down: Duration::from_secs(3),
        freeze: Duration::from_secs(8),
        cut: Duration::from_secs(6),
    };
    pub const QUICK: Self = Self {
        around: Duration::from_secs(1),
        down: Duration::from_secs(1),
        freeze: Duration::from_secs(2),
        cut: Duration::from_secs(2),
    };
}

/// What a fault disturbs.
pub struct Stage<'a> {
    pub server: &'a mut Server,
    pub relay: &'a Relay,
    pub times: Times,
    pub started: Instant,
}

impl Fault {
    /// Returns the heading of its table.
    pub fn title(self) -> &'static str {
        match self {
            Fault::Kill => "A node is killed (kill -9) and started again 3 s later",
            Fault::Terminate => "A node is asked to end (SIGTERM) and started again",
            Fault::Freeze => "A node is frozen for 8 s (SIGSTOP, SIGCONT)",
            Fault::Cut => "The readers' network is cut for 6 s, then their connections are reset",
            Fault::RedisRestart => "Redis is killed and started again 3 s later with its data",
            Fault::RedisEmpty => "Redis is killed and started again 3 s later without data",
            Fault::RedisEmptyAway => "The same, while the readers are away",
        }
    }

    /// Returns the short name of the fault, for progress and lists.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Kill => "node killed",
            Fault::Terminate => "node asked to end",
            Fault::Freeze => "node frozen",
            Fault::Cut => "network cut",
            Fault::RedisRestart => "Redis restarted",
            Fault::RedisEmpty => "Redis empty",
            Fault::RedisEmptyAway => "Redis empty, readers away",
        }
    }

    /// Returns true if it disturbs one node rather than all.
    pub fn is_of_node(self) -> bool {
        matches!(self, Fault::Kill | Fault::Terminate | Fault::Freeze)
    }

    /// Returns whether the fault can happen to a server.
    pub fn fits(self, kind: Kind) -> bool {
        self.is_of_node() || self == Fault::Cut || kind.uses_redis()
    }

    /// Lets the fault happen, and returns since when readers that it kept away on purpose are no longer kept away.
    pub async fn happen(self, stage: Stage<'_>) -> Result<Duration, Failure> {
        let Stage { server, relay, times, started } = stage;
        match self {
            Fault::Kill => {
                relay.set_in_service(FAILING_NODE, false);
                server.node(FAILING_NODE).kill();
                sleep(times.down).await;
                server.restart_node(FAILING_NODE)?;
                relay.set_in_service(FAILING_NODE, true);
            }
            Fault::Terminate => {
                relay.set_in_service(FAILING_NODE, false);
                server.node(FAILING_NODE).terminate();
                if !server.node(FAILING_NODE).wait(TERMINATION_LIMIT) {
                    server.node(FAILING_NODE).kill();
                }
                server.restart_node(FAILING_NODE)?;
                relay.set_in_service(FAILING_NODE, true);
            }
            Fault::Freeze => {
                server.node(FAILING_NODE).freeze();
                sleep(times.freeze).await;
                server.node(FAILING_NODE).resume();
            }
            Fault::Cut => {
                relay.stall();
                sleep(times.cut).await;
                relay.reset();
                relay.restore();
            }
            Fault::RedisRestart => restart_redis(server, times, false).await?,
            Fault::RedisEmpty => restart_redis(server, times, true).await?,
            Fault::RedisEmptyAway => {
                relay.reset();
                sleep(times.down).await;
                restart_redis(server, times, true).await?;
                sleep(times.down).await;
                relay.restore();
                return Ok(started.elapsed());
            }
        }
        Ok(Duration::ZERO)
    }
}

async fn restart_redis(server: &mut Server, times: Times, is_empty: bool) -> Result<(), Failure> {
    let redis = server.redis.as_mut().ok_or("no Redis")?;
    redis.program.kill();
    sleep(times.down).await;
    redis.restart(is_empty)
}
