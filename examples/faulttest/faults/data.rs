//! Faults of what Redis has stored: gone, older, or removed by someone.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::sleep;

use super::{Outcome, stage::Stage};
use crate::{Failure, world::server::Server};

/// For how long Redis may keep what it was sent before it syncs its file with `appendfsync everysec`.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// Kills a master, removes its data, and starts it again.
pub async fn restart_empty(stage: &Stage, length: Duration) -> Result<Outcome, Failure> {
    let master = stage.master().await?;
    master.process.kill().await?;
    master.wipe()?;
    sleep(length).await;
    master.start().await?;
    Ok(Outcome::Ran)
}

/// Kills a master, and starts it with a copy of its data from some time before.
pub async fn restore_older_copy(stage: &Stage, length: Duration) -> Result<Outcome, Failure> {
    let master = stage.master().await?;
    let copy = master.folder.join("copy");
    copy_folder(&master.data(), &copy)?;
    sleep(length).await;
    master.process.kill().await?;
    master.wipe()?;
    fs::rename(&copy, master.data())?;
    master.start().await?;
    Ok(Outcome::Ran)
}

/// Lets the machine of a master crash before its file was synced: what was written in the last second is cut off. That
/// is as much as Redis may lose with `appendfsync everysec`.
pub async fn crash_before_sync(stage: &Stage, _: Duration) -> Result<Outcome, Failure> {
    let master = stage.master().await?;
    let (file, size) = last_file(master)?;
    sleep(stage.part_of(SYNC_INTERVAL)).await;
    master.process.kill().await?;
    let is_same = last_file(master)?.0 == file;
    if is_same {
        File::options().write(true).open(&file)?.set_len(size)?;
    }
    if master.start().await.is_err() {
        // Cut where Redis cannot load it, so that all of it is lost.
        master.process.kill().await?;
        master.wipe()?;
        master.start().await?;
    }
    let rewritten = || Outcome::NotRun("the file was being rewritten".to_owned());
    Ok(if is_same { Outcome::Ran } else { rewritten() })
}

/// Removes everything at all masters.
pub async fn flush(stage: &Stage, _: Duration) -> Result<Outcome, Failure> {
    for master in stage.world.servers.masters().await? {
        master.command::<String>(&["FLUSHALL"]).await?;
    }
    Ok(Outcome::Ran)
}

/// Removes the log of a room.
pub async fn delete_log(stage: &Stage, _: Duration) -> Result<Outcome, Failure> {
    of_a_log(stage, |log| vec!["DEL", log]).await
}

/// Removes all but the newest entries of a log.
pub async fn trim_log(stage: &Stage, _: Duration) -> Result<Outcome, Failure> {
    of_a_log(stage, |log| vec!["XTRIM", log, "MAXLEN", "=", "5"]).await
}

/// Executes a command with the log of some room.
async fn of_a_log(stage: &Stage, command: impl Fn(&str) -> Vec<&str>) -> Result<Outcome, Failure> {
    let mut logs = Vec::new();
    for master in stage.world.servers.masters().await? {
        logs.extend(master.logs().await?.into_iter().map(|log| (master, log)));
    }
    logs.sort_by(|one, other| one.1.cmp(&other.1)); // the seed chooses, not the order of the servers
    let Some((master, log)) = stage.pick(&logs) else {
        return Ok(Outcome::NotRun("there was no log".to_owned()));
    };
    master.command::<u32>(&command(log)).await?;
    Ok(Outcome::Ran)
}

/// Returns the file to which a server appends its commands, and its size.
fn last_file(server: &Server) -> Result<(PathBuf, u64), Failure> {
    let files = fs::read_dir(server.data())?.flatten().map(|entry| entry.path());
    let number = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?.strip_suffix(".incr.aof")?;
        name.rsplit('.').next()?.parse::<u32>().ok()
    };
    let last = files
        .filter(|path| number(path).is_some())
        .max_by_key(number)
        .ok_or("there is no file of commands")?;
    let size = fs::metadata(&last)?.len();
    Ok((last, size))
}

/// Copies a folder without folders in it. A file may grow meanwhile.
fn copy_folder(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
