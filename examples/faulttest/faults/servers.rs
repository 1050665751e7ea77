//! Faults of the processes of Redis: killed, stopped, full, out of time, and rid of their clients.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    time::Duration,
};

use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::{
    Outcome,
    stage::{RECOVERY_LIMIT, Stage},
};
use crate::{
    Failure,
    world::{
        process::CLOCK_DELAY,
        servers::{Form, wait_until},
    },
};

/// An hour, by which clocks jump.
pub const JUMP: i32 = 3600;

/// Kills a master, and starts it again with its file.
pub async fn kill(stage: &Stage, length: Duration) -> Result<Outcome, Failure> {
    let master = stage.master().await?;
    master.process.kill().await?;
    sleep(length).await;
    master.start().await?;
    Ok(Outcome::Ran)
}

/// Stops a master, which keeps its connections and answers nothing, and continues it.
pub async fn stop(stage: &Stage, length: Duration) -> Result<Outcome, Failure> {
    let master = stage.master().await?;
    master.process.signal(Signal::SIGSTOP).await?;
    sleep(length).await;
    master.process.signal(Signal::SIGCONT).await?;
    Ok(Outcome::Ran)
}

/// Closes the connections of clients of a type at all masters.
async fn kill_clients(stage: &Stage, kinds: &[&str]) -> Result<Outcome, Failure> {
    let mut closed = 0;
    for master in stage.world.servers.masters().await? {
        for kind in kinds {
            closed += master.command::<u32>(&["CLIENT", "KILL", "TYPE", kind]).await?;
        }
    }
    Ok(if closed == 0 {
        Outcome::NotRun("there was no such client".to_owned())
    } else {
        Outcome::Ran
    })
}

pub async fn kill_subscribers(stage: &Stage, _: Duration) -> Result<Outcome, Failure> {
    kill_clients(stage, &["pubsub"]).await
}

pub async fn kill_all_clients(stage: &Stage, _: Duration) -> Result<Outcome, Failure> {
    kill_clients(stage, &["pubsub", "normal"]).await
}

/// Lets no master store anything more, as if its memory were full, and then gives it more.
pub async fn fill_memory(stage: &Stage, length: Duration) -> Result<Outcome, Failure> {
    let masters = stage.world.servers.masters().await?;
    for master in &masters {
        master.configure("maxmemory", "1").await?;
    }
    sleep(length).await;
    for master in &masters {
        master.configure("maxmemory", "0").await?;
    }
    Ok(Outcome::Ran)
}

/// Fills the disk of a master, and makes room again. With `appendfsync always` Redis would end itself.
pub async fn fill_disk(stage: &Stage, length: Duration) -> Result<Outcome, Failure> {
    let master = stage.master().await?;
    master.configure("appendfsync", "everysec").await?;
    let filler = master.folder.join("filler");
    fill(&filler)?;
    sleep(length).await;
    fs::remove_file(&filler)?;
    let can_write = async || master.info("persistence").await.contains("aof_last_write_status:ok");
    wait_until("a file that is written again", RECOVERY_LIMIT, can_write).await?;
    master.configure("appendfsync", "always").await?;
    Ok(Outcome::Ran)
}

/// Writes a file until its disk is full.
fn fill(path: &Path) -> Result<(), Failure> {
    let mut file = File::create(path)?;
    for size in [1 << 20, 1 << 12, 1] {
        let piece = vec![0; size];
        while file.write_all(&piece).is_ok() {}
    }
    Ok(())
}

/// Sets the clocks of all servers an hour ahead or back, then the other way, and then right. Those of a cluster go an
/// hour ahead and stay there: after a step back its servers would not notice for an hour that one of them is gone.
pub async fn shift_clocks(stage: &Stage, length: Duration) -> Result<Outcome, Failure> {
    let servers = &stage.world.servers;
    if servers.form == Form::Cluster {
        servers.servers.iter().try_for_each(|server| server.clock.advance(JUMP))?;
        sleep(length).await;
        return Ok(Outcome::Ran);
    }
    let jump = if stage.toss() { JUMP } else { -JUMP };
    for (seconds, pause) in [(jump, length / 2), (-jump, length / 2), (0, CLOCK_DELAY)] {
        servers.servers.iter().try_for_each(|server| server.clock.set(seconds))?;
        sleep(pause).await;
    }
    Ok(Outcome::Ran)
}
