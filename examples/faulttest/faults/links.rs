//! Faults of the links between nodes and Redis: cut, slow, lossy, deaf, and overflowing.

use std::time::Duration;

use tokio::time::sleep;

use super::{Outcome, stage::Stage};
use crate::{
    Failure,
    world::links::{Behaviour, Links, remove_all},
};

/// How long a byte takes on a slow link in each direction: a round trip takes 200 ms.
const SLOW: Duration = Duration::from_millis(100);

/// The share of packets that a lossy link loses.
const LOSSY: &str = "-m statistic --mode random --probability 0.1";

/// What a server may hold for a subscriber that reads nothing, where the default is 32 MiB.
const SMALL_BUFFER: &str = "pubsub 1mb 0 0";
const DEFAULT_BUFFER: &str = "pubsub 32mb 8mb 60";

/// What is sent to a subscriber that reads nothing: more than all buffers on the way hold. Nodes ignore it.
const PIECES: usize = 24;
const PIECE_BYTES: usize = 1 << 20;

fn links(stage: &Stage) -> Result<&Links, Failure> {
    Ok(stage.pick(&stage.world.links).ok_or("there are no links")?)
}

/// Drops what a node sends to Redis, or what Redis sends to it.
pub async fn cut_one_way(stage: &Stage, length: Duration) -> Result<Outcome, Failure> {
    let links = links(stage)?;
    let rules = if stage.toss() {
        links.drop_requests("").await?
    } else {
        links.drop_responses("").await?
    };
    sleep(length).await;
    remove_all(rules).await?;
    Ok(Outcome::Ran)
}

/// Drops everything between a node and Redis.
pub async fn cut_both_ways(stage: &Stage, length: Duration) -> Result<Outcome, Failure> {
    drop_both_ways(stage, length, "").await
}

/// Drops some packets between a node and Redis.
pub async fn lose_packets(stage: &Stage, length: Duration) -> Result<Outcome, Failure> {
    drop_both_ways(stage, length, LOSSY).await
}

async fn drop_both_ways(stage: &Stage, length: Duration, matching: &str) -> Result<Outcome, Failure> {
    let links = links(stage)?;
    let requests = links.drop_requests(matching).await?;
    let responses = links.drop_responses(matching).await?;
    sleep(length).await;
    remove_all(requests).await?;
    remove_all(responses).await?;
    Ok(Outcome::Ran)
}

/// Makes the links of a node behave like this for a time.
async fn behave(stage: &Stage, length: Duration, behaviour: Behaviour) -> Result<Outcome, Failure> {
    let links = links(stage)?;
    links.behaviour.send_replace(behaviour);
    sleep(length).await;
    links.behaviour.send_replace(Behaviour::default());
    Ok(Outcome::Ran)
}

pub async fn slow_down(stage: &Stage, length: Duration) -> Result<Outcome, Failure> {
    behave(stage, length, Behaviour { delay: SLOW, ..Behaviour::default() }).await
}

/// Leaves out the announcements to a node, whose connections work otherwise.
pub async fn deafen(stage: &Stage, length: Duration) -> Result<Outcome, Failure> {
    behave(stage, length, Behaviour { deaf: true, ..Behaviour::default() }).await
}

/// Reads no announcements for a node until Redis closes the connection because of what it holds for it.
pub async fn overflow(stage: &Stage, length: Duration) -> Result<Outcome, Failure> {
    let links = links(stage)?;
    let masters = stage.world.servers.masters().await?;
    links.behaviour.send_replace(Behaviour { stalled: true, ..Behaviour::default() });
    let mut published = false;
    for master in &masters {
        master.configure("client-output-buffer-limit", SMALL_BUFFER).await?;
        if let Some(channel) = master.logs().await?.into_iter().next() {
            flood(stage, master, &channel).await?;
            published = true;
        }
    }
    sleep(length).await;
    for master in &masters {
        master.configure("client-output-buffer-limit", DEFAULT_BUFFER).await?;
    }
    links.behaviour.send_replace(Behaviour::default());
    Ok(if published {
        Outcome::Ran
    } else {
        Outcome::NotRun("there was no room".to_owned())
    })
}

/// Announces on a room's channel what cannot be read, and so is ignored: presence that is no JSON.
async fn flood(stage: &Stage, master: &crate::world::server::Server, channel: &str) -> Result<(), Failure> {
    let verb = stage.world.servers.form.publish_command();
    let payload = format!("\u{1e}0-0 presence {}", "x".repeat(PIECE_BYTES));
    for _ in 0..PIECES {
        master.command::<u32>(&[verb, channel, &payload]).await?;
    }
    Ok(())
}
