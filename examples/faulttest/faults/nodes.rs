//! Faults of nodes: killed, stopped, restarted, out of descriptors, and with a wrong clock.

use std::{fs, time::Duration};

use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::{Outcome, servers::JUMP, stage::Stage};
use crate::{
    Failure,
    world::{nodes::Node, process::CLOCK_DELAY},
};

/// How long a node that is restarted may take to be ready before the next one is.
const READY_LIMIT: Duration = Duration::from_secs(10);

fn node(stage: &Stage) -> &Node {
    &stage.world.nodes[stage.node()]
}

/// Kills a node, and starts it again.
pub async fn kill(stage: &Stage, length: Duration) -> Result<Outcome, Failure> {
    let node = node(stage);
    node.process.kill().await?;
    sleep(length).await;
    node.start().await?;
    Ok(Outcome::Ran)
}

/// Stops a node, which keeps its connections and does nothing, and continues it.
pub async fn stop(stage: &Stage, length: Duration) -> Result<Outcome, Failure> {
    let node = node(stage);
    node.process.signal(Signal::SIGSTOP).await?;
    sleep(length).await;
    node.process.signal(Signal::SIGCONT).await?;
    Ok(Outcome::Ran)
}

/// Restarts all nodes in turn, as a deploy does.
pub async fn restart_in_turn(stage: &Stage, _: Duration) -> Result<Outcome, Failure> {
    for (number, node) in stage.world.nodes.iter().enumerate() {
        node.stop().await?;
        node.start().await?;
        // Redis may be away, and no node ready for longer.
        let _ = tokio::time::timeout(READY_LIMIT, stage.world.balancer.wait_until_ready(number)).await;
    }
    Ok(Outcome::Ran)
}

/// Lets a node open no more files and connections than it has.
pub async fn exhaust_descriptors(stage: &Stage, length: Duration) -> Result<Outcome, Failure> {
    let node = node(stage);
    let open = fs::read_dir(format!("/proc/{}/fd", node.process.pid().await?))?.count();
    node.limit_descriptors(open.try_into()?).await?;
    sleep(length).await;
    node.limit_descriptors(rlimit::Resource::NOFILE.get_hard()?).await?;
    Ok(Outcome::Ran)
}

/// Sets the clock of a node an hour ahead or back, then the other way, and then right.
pub async fn shift_clock(stage: &Stage, length: Duration) -> Result<Outcome, Failure> {
    let (node, jump) = (node(stage), if stage.toss() { JUMP } else { -JUMP });
    for (seconds, pause) in [(jump, length / 2), (-jump, length / 2), (0, CLOCK_DELAY)] {
        node.clock.set(seconds)?;
        sleep(pause).await;
    }
    Ok(Outcome::Ran)
}
