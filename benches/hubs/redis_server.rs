//! A Redis for the servers that share one.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use crate::hubs::{
    kind::on_path,
    process::{Failure, Program, START_TIMEOUT, ends_with_us, free_address},
};

/// A Redis on one address, which may be stopped and started again.
pub struct Redis {
    pub address: SocketAddr,
    pub program: Program,
    directory: PathBuf,
    is_persistent: bool,
}

impl Redis {
    /// Starts a Redis without data. A persistent one writes its log to the disk every second, as chats need it.
    pub fn start(directory: &Path, is_persistent: bool) -> Result<Self, Failure> {
        let (address, directory) = (free_address(), directory.to_owned());
        let program = launch(address, &directory, is_persistent)?;
        Ok(Self { address, program, directory, is_persistent })
    }

    /// Starts it again after `program` has ended, with the data that it had written or without any.
    pub fn restart(&mut self, is_empty: bool) -> Result<(), Failure> {
        if is_empty {
            for entry in ["appendonlydir", "dump.rdb"].map(|name| self.directory.join(name)) {
                let _ = if entry.is_dir() {
                    std::fs::remove_dir_all(entry)
                } else {
                    std::fs::remove_file(entry)
                };
            }
        }
        self.program = launch(self.address, &self.directory, self.is_persistent)?;
        Ok(())
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    pub fn connect(&self) -> Result<redis::Connection, Failure> {
        Ok(redis::Client::open(self.url())?.get_connection()?)
    }

    /// Waits until all workers of nginx subscribe here: nchan never delivers to readers that connected before that.
    pub fn wait_for_nchan(&self, workers: usize) -> Result<(), Failure> {
        let end = Instant::now() + START_TIMEOUT;
        let mut connection = self.connect()?;
        while Instant::now() < end {
            let subscribed: Vec<String> =
                redis::cmd("PUBSUB").arg(&["CHANNELS", "nchan_worker:*"]).query(&mut connection)?;
            if subscribed.len() >= workers {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err("nchan does not subscribe to Redis".into())
    }

    /// Returns how many commands Redis has run so far, without those that ask for this.
    pub fn commands(&self) -> Result<u64, Failure> {
        let stats: String = redis::cmd("INFO").arg("commandstats").query(&mut self.connect()?)?;
        let is_query = |line: &&str| line.starts_with("cmdstat_info") || line.starts_with("cmdstat_client");
        let calls = stats
            .lines()
            .filter(|line| !is_query(line))
            .filter_map(|line| line.split_once("calls=")?.1.split(',').next()?.parse::<u64>().ok());
        Ok(calls.sum())
    }
}

fn launch(address: SocketAddr, directory: &Path, is_persistent: bool) -> Result<Program, Failure> {
    let mut command = ends_with_us(on_path("redis-server").ok_or("no redis-server")?, "KILL");
    command
        .args(["--port", &address.port().to_string(), "--bind", "127.0.0.1", "--save", ""])
        .arg("--dir")
        .arg(directory);
    if is_persistent {
        command.args(["--appendonly", "yes", "--appendfsync", "everysec"]);
    }
    Program::start_with_log(&mut command, address, &directory.join("redis.log"))
}
