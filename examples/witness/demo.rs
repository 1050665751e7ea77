//! `witness demo`: a cluster of its own, and what is done to it, act by act.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use tokio::time::sleep;

use crate::{
    Failure,
    cluster::{Cluster, NODES, built_with_us, name},
    interrupted,
    room::{Crowd, Room},
    screen::Screen,
};

#[derive(Args)]
pub struct Options {
    /// A quarter of a minute instead of a good one
    #[arg(long)]
    quick: bool,

    /// The node's binary [default: the one built with this example]
    #[arg(long, value_name = "PATH")]
    node: Option<PathBuf>,
}

/// What a run of one length has.
struct Length {
    crowd: Crowd,
    /// Seconds that a node takes to send its readers away.
    drain: u32,
    /// Between two acts, so that a person can follow.
    breath: Duration,
}

impl Length {
    const FULL: Self = Self {
        crowd: Crowd { readers: 60, chatters: 12, rate: 3.0 },
        drain: 4,
        breath: Duration::from_secs(3),
    };
    const QUICK: Self = Self {
        crowd: Crowd { readers: 24, chatters: 12, rate: 12.0 },
        drain: 2,
        breath: Duration::from_millis(300),
    };
}

pub async fn run(options: Options) -> Result<bool, Failure> {
    let length = if options.quick { Length::QUICK } else { Length::FULL };
    let binary = options.node.map_or_else(built_with_us, Ok)?;
    tokio::select! {
        flawless = play(binary, &length, options.quick) => flawless,
        ended = interrupted() => ended.map(|()| false).map_err(Failure::from),
    }
}

async fn play(binary: PathBuf, length: &Length, quick: bool) -> Result<bool, Failure> {
    let cluster = Cluster::start(binary, length.drain).await?;
    let url = format!("http://{}/everyone", cluster.front.address).parse()?;
    let room = Room::open(&url, length.crowd).await?;
    let screen = Screen::start(&format!("three nodes, one Redis: open {url} and watch"), &room.tally);
    let mut stage = Stage { cluster, room, breath: length.breath };
    stage.cluster.report_to(&stage.room.tally);
    stage.breathe(2).await;
    let played = if quick { stage.quick().await } else { stage.full().await };
    let flawless = stage.room.close().await;
    screen.end().await;
    stage.cluster.stop().await?;
    played.map(|()| flawless)
}

struct Stage {
    cluster: Cluster,
    room: Room,
    breath: Duration,
}

impl Stage {
    async fn quick(&mut self) -> Result<(), Failure> {
        self.crash(0).await?;
        self.deploy(1).await?;
        self.redis_crash(Duration::from_millis(1500)).await
    }

    async fn full(&mut self) -> Result<(), Failure> {
        self.crash(0).await?;
        self.deploy(1).await?;
        self.redis_crash(Duration::from_secs(3)).await?;
        self.freeze(2).await?;
        self.rolling_deploy().await?;
        self.crash_with_redis(0).await
    }

    async fn crash(&mut self, node: usize) -> Result<(), Failure> {
        self.room.act(&format!("{} killed", name(node)));
        self.cluster.kill_node(node).await?;
        self.settle().await?;
        self.cluster.start_node(node).await?;
        self.breathe(1).await;
        Ok(())
    }

    async fn deploy(&mut self, node: usize) -> Result<(), Failure> {
        self.room.act(&format!("{} stopped, as for a deploy", name(node)));
        self.cluster.send_away(node).await?;
        self.settle().await?;
        self.cluster.start_node(node).await?;
        self.breathe(1).await;
        Ok(())
    }

    async fn rolling_deploy(&mut self) -> Result<(), Failure> {
        self.room.act("all three restarted in turn");
        for node in 0..NODES {
            self.cluster.send_away(node).await?;
            self.cluster.start_node(node).await?;
        }
        self.settle().await
    }

    async fn redis_crash(&mut self, outage: Duration) -> Result<(), Failure> {
        self.room.act(&format!("Redis killed, back {} s later", outage.as_secs_f64()));
        self.cluster.kill_redis().await?;
        sleep(outage).await;
        self.cluster.start_redis().await?;
        self.settle().await
    }

    async fn freeze(&mut self, node: usize) -> Result<(), Failure> {
        self.room.act(&format!("{} frozen, and thawed again", name(node)));
        self.cluster.freeze(node)?;
        self.settle().await?;
        self.cluster.thaw(node)?;
        self.breathe(1).await;
        Ok(())
    }

    async fn crash_with_redis(&mut self, node: usize) -> Result<(), Failure> {
        self.room.act(&format!("{} and Redis killed at once", name(node)));
        self.cluster.kill_node(node).await?;
        self.cluster.kill_redis().await?;
        sleep(self.breath).await;
        self.cluster.start_redis().await?;
        self.cluster.start_node(node).await?;
        self.settle().await
    }

    /// What the act does is done; goes on when everybody is back.
    async fn settle(&mut self) -> Result<(), Failure> {
        self.room.done();
        self.room.until("the readers", |tally| tally.has_recovered()).await?;
        self.breathe(1).await;
        Ok(())
    }

    async fn breathe(&self, times: u32) {
        sleep(self.breath * times).await;
    }
}
