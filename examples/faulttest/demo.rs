//! `faulttest demo`: starts a cluster, and kills, stops and freezes its processes, act by act.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use nix::sys::signal::Signal;
use tokio::time::sleep;

use crate::{
    Failure, interrupted,
    isolation::Isolation,
    room::{Load, Room},
    screen::Screen,
    world::{
        World,
        nodes::{NODES, NodeOptions, default_program, node_name},
        servers::Form,
    },
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

/// The name of the server in the table.
const REDIS: &str = "Redis";

/// The load and the pace of a demo.
struct Schedule {
    load: Load,
    /// How long a node drains.
    drain: Duration,
    /// The pause between two acts, in which a person can follow.
    pause: Duration,
}

impl Schedule {
    const FULL: Self = Self {
        load: Load { readers: 60, chatters: 12, messages_per_second: 3.0 },
        drain: Duration::from_secs(4),
        pause: Duration::from_secs(3),
    };
    const QUICK: Self = Self {
        load: Load { readers: 24, chatters: 12, messages_per_second: 12.0 },
        drain: Duration::from_secs(2),
        pause: Duration::from_millis(300),
    };
}

/// Runs the demo until its end or a signal, and returns whether there was no fault.
pub async fn run(options: Options) -> Result<bool, Failure> {
    let schedule = if options.quick { Schedule::QUICK } else { Schedule::FULL };
    let program = options.node.map_or_else(default_program, Ok)?;
    tokio::select! {
        flawless = run_acts(program, &schedule, options.quick) => flawless,
        ended = interrupted() => ended.map(|()| false).map_err(Failure::from),
    }
}

/// Runs all acts, and returns whether there was no fault.
async fn run_acts(program: PathBuf, schedule: &Schedule, quick: bool) -> Result<bool, Failure> {
    let nodes = NodeOptions { program, drain: schedule.drain, environment: Vec::new(), logs: None };
    let isolation = Isolation::None("a demo is for browsers, too".to_owned());
    let world = World::start(Form::One, isolation, false, nodes).await?;
    let url = format!("http://{}/everyone", world.balancer.address).parse()?;
    let room = Room::open(&url, schedule.load).await?;
    let screen = Screen::start(&format!("three nodes, one Redis: open {url} and watch"), &room.ledger);
    let mut demo = Demo { world, room, pause: schedule.pause };
    demo.set_state(REDIS, "up");
    (0..NODES).for_each(|node| demo.set_state(&node_name(node), "up"));
    demo.pause(2).await;
    let outcome = if quick { demo.quick().await } else { demo.full().await };
    let flawless = demo.room.close().await;
    screen.end().await;
    demo.world.stop().await?;
    outcome.map(|()| flawless)
}

/// The processes and the clients.
struct Demo {
    world: World,
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
        self.kill_node(node).await?;
        self.recover().await?;
        self.start_node(node).await?;
        self.pause(1).await;
        Ok(())
    }

    async fn deploy(&mut self, node: usize) -> Result<(), Failure> {
        self.room.begin_act(&format!("{} stopped, as for a deploy", node_name(node)));
        self.stop_node(node).await?;
        self.recover().await?;
        self.start_node(node).await?;
        self.pause(1).await;
        Ok(())
    }

    async fn rolling_deploy(&mut self) -> Result<(), Failure> {
        self.room.begin_act("all three restarted in turn");
        for node in 0..NODES {
            self.stop_node(node).await?;
            self.start_node(node).await?;
        }
        self.recover().await
    }

    async fn redis_crash(&mut self, outage: Duration) -> Result<(), Failure> {
        self.room.begin_act(&format!("Redis killed, back {} s later", outage.as_secs_f64()));
        self.kill_redis().await?;
        sleep(outage).await;
        self.start_redis().await?;
        self.recover().await
    }

    async fn freeze(&mut self, node: usize) -> Result<(), Failure> {
        self.room.begin_act(&format!("{} frozen, and thawed again", node_name(node)));
        self.set_state(&node_name(node), "frozen");
        self.world.nodes[node].process.signal(Signal::SIGSTOP).await?;
        self.recover().await?;
        self.world.nodes[node].process.signal(Signal::SIGCONT).await?;
        self.set_state(&node_name(node), "up");
        self.pause(1).await;
        Ok(())
    }

    async fn crash_with_redis(&mut self, node: usize) -> Result<(), Failure> {
        self.room.begin_act(&format!("{} and Redis killed at once", node_name(node)));
        self.kill_node(node).await?;
        self.kill_redis().await?;
        sleep(self.pause).await;
        self.start_redis().await?;
        self.start_node(node).await?;
        self.recover().await
    }

    async fn kill_node(&self, number: usize) -> Result<(), Failure> {
        self.set_state(&node_name(number), "killed");
        self.world.nodes[number].process.kill().await
    }

    async fn stop_node(&self, number: usize) -> Result<(), Failure> {
        self.set_state(&node_name(number), "leaving");
        self.world.nodes[number].stop().await?;
        self.set_state(&node_name(number), "down");
        Ok(())
    }

    async fn start_node(&self, number: usize) -> Result<(), Failure> {
        self.world.start_node(number).await?;
        self.set_state(&node_name(number), "up");
        Ok(())
    }

    async fn kill_redis(&self) -> Result<(), Failure> {
        self.set_state(REDIS, "killed");
        self.world.servers.servers[0].process.kill().await
    }

    async fn start_redis(&self) -> Result<(), Failure> {
        self.world.servers.servers[0].start().await?;
        self.set_state(REDIS, "up");
        Ok(())
    }

    fn set_state(&self, name: &str, state: &'static str) {
        self.room.ledger.send_modify(|ledger| ledger.set_process_state(name, state));
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
