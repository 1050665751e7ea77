//! `faulttest demo`: starts a cluster, and kills, stops and freezes its processes, act by act.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use tokio::time::sleep;

use crate::{
    Failure,
    cluster::{Cluster, NODES, default_program, node_name},
    interrupted,
    room::{Load, Room},
    screen::Screen,
};

#[derive(Args)]
pub struct Options {
    /// Run for a quarter of a minute instead of one and a half
    #[arg(long)]
    quick: bool,

    /// Program of the nodes [default: the one built with this example]
    #[arg(long, value_name = "PATH")]
    node: Option<PathBuf>,
}

/// The load and the pace of a demo.
struct Schedule {
    load: Load,
    /// Seconds over which a node drains.
    drain: u32,
    /// The pause between two acts, in which a person can follow.
    pause: Duration,
}

impl Schedule {
    const FULL: Self = Self {
        load: Load { readers: 60, chatters: 12, messages_per_second: 3.0 },
        drain: 4,
        pause: Duration::from_secs(3),
    };
    const QUICK: Self = Self {
        load: Load { readers: 24, chatters: 12, messages_per_second: 12.0 },
        drain: 2,
        pause: Duration::from_millis(300),
    };
}

/// Runs the demo until its end or a signal, and returns whether there was no fault.
pub async fn run(options: Options) -> Result<bool, Failure> {
    let schedule = if options.quick { Schedule::QUICK } else { Schedule::FULL };
    let binary = options.node.map_or_else(default_program, Ok)?;
    tokio::select! {
        flawless = run_acts(binary, &schedule, options.quick) => flawless,
        ended = interrupted() => ended.map(|()| false).map_err(Failure::from),
    }
}

/// Runs all acts, and returns whether there was no fault.
async fn run_acts(binary: PathBuf, schedule: &Schedule, quick: bool) -> Result<bool, Failure> {
    let cluster = Cluster::start(binary, schedule.drain).await?;
    let url = format!("http://{}/everyone", cluster.balancer.address).parse()?;
    let room = Room::open(&url, schedule.load).await?;
    let screen = Screen::start(&format!("three nodes, one Redis: open {url} and watch"), &room.ledger);
    let mut demo = Demo { cluster, room, pause: schedule.pause };
    demo.cluster.report_to(&demo.room.ledger);
    demo.pause(2).await;
    let outcome = if quick { demo.quick().await } else { demo.full().await };
    let flawless = demo.room.close().await;
    screen.end().await;
    demo.cluster.stop().await?;
    outcome.map(|()| flawless)
}

/// A cluster and its clients.
struct Demo {
    cluster: Cluster,
    room: Room,
    pause: Duration,
}

impl Demo {
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
        self.room.begin_act(&format!("{} killed", node_name(node)));
        self.cluster.kill_node(node).await?;
        self.recover().await?;
        self.cluster.start_node(node).await?;
        self.pause(1).await;
        Ok(())
    }

    async fn deploy(&mut self, node: usize) -> Result<(), Failure> {
        self.room.begin_act(&format!("{} stopped, as for a deploy", node_name(node)));
        self.cluster.stop_node(node).await?;
        self.recover().await?;
        self.cluster.start_node(node).await?;
        self.pause(1).await;
        Ok(())
    }

    async fn rolling_deploy(&mut self) -> Result<(), Failure> {
        self.room.begin_act("all three restarted in turn");
        for node in 0..NODES {
            self.cluster.stop_node(node).await?;
            self.cluster.start_node(node).await?;
        }
        self.recover().await
    }

    async fn redis_crash(&mut self, outage: Duration) -> Result<(), Failure> {
        self.room.begin_act(&format!("Redis killed, back {} s later", outage.as_secs_f64()));
        self.cluster.kill_redis().await?;
        sleep(outage).await;
        self.cluster.start_redis().await?;
        self.recover().await
    }

    async fn freeze(&mut self, node: usize) -> Result<(), Failure> {
        self.room.begin_act(&format!("{} frozen, and thawed again", node_name(node)));
        self.cluster.freeze(node)?;
        self.recover().await?;
        self.cluster.thaw(node)?;
        self.pause(1).await;
        Ok(())
    }

    async fn crash_with_redis(&mut self, node: usize) -> Result<(), Failure> {
        self.room.begin_act(&format!("{} and Redis killed at once", node_name(node)));
        self.cluster.kill_node(node).await?;
        self.cluster.kill_redis().await?;
        sleep(self.pause).await;
        self.cluster.start_redis().await?;
        self.cluster.start_node(node).await?;
        self.recover().await
    }

    /// Marks the act as done, and waits until all readers have recovered.
    async fn recover(&mut self) -> Result<(), Failure> {
        self.room.act_done();
        self.room.wait_until("the readers", |ledger| ledger.has_recovered()).await?;
        self.pause(1).await;
        Ok(())
    }

    async fn pause(&self, times: u32) {
        sleep(self.pause * times).await;
    }
}
