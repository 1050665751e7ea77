//! One redis-server: a master, a replica or a Sentinel, on a port and in a folder of its own.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, RedisResult, ToRedisArgs, aio::MultiplexedConnection};
use tokio::{
    process::Command,
    time::{sleep, timeout},
};

use super::process::{Clock, Process};
use crate::{
    Failure,
    isolation::{Isolation, mount_disk},
};

/// How long a server may take to start, to connect and to answer.
const START_LIMIT: Duration = Duration::from_secs(20);
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// How often something is looked at that has to change.
pub const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The size of a server's disk. Its file is rewritten long before it is full.
const DISK_MEBIBYTES: u32 = 256;

/// Every server writes each command to its file before it answers, so that SIGKILL loses nothing.
const DURABLE: [&str; 8] = [
    "--appendonly",
    "yes",
    "--appendfsync",
    "always",
    "--auto-aof-rewrite-min-size",
    "48mb",
    "--repl-diskless-sync-delay",
    "0",
];

pub struct Server {
    pub port: u16,
    pub folder: PathBuf,
    pub process: Process,
    pub clock: Clock,
    options: Vec<String>,
    log: Option<PathBuf>,
}

impl Server {
    /// Prepares a server that keeps its data in a folder, which is a disk of its own if that is possible.
    pub fn durable(port: u16, folder: PathBuf, isolation: &Isolation, options: &[&str]) -> Result<Self, Failure> {
        fs::create_dir_all(&folder)?;
        let clock = match isolation {
            Isolation::Full => {
                mount_disk(&folder, DISK_MEBIBYTES)?;
                Clock::new(folder.with_extension("clock"))?
            }
            Isolation::None(_) => Clock::real(),
        };
        let options = DURABLE.iter().chain(options).map(ToString::to_string).collect();
        Ok(Self { port, folder, process: Process::default(), clock, options, log: None })
    }

    /// Prepares a Sentinel with this configuration, which it also writes.
    pub fn sentinel(port: u16, folder: PathBuf, configuration: &str) -> Result<Self, Failure> {
        fs::create_dir_all(&folder)?;
        let file = folder.join("sentinel.conf");
        fs::write(&file, configuration)?;
        let options = vec![file.display().to_string(), "--sentinel".to_owned()];
        Ok(Self { port, folder, process: Process::default(), clock: Clock::real(), options, log: None })
    }

    /// Writes what the server logs to a file with its name, if there is a folder for that.
    pub fn log_to(&mut self, logs: Option<&Path>, name: &str) {
        self.log = logs.map(|logs| logs.join(format!("{name}.log")));
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Starts the server, or starts it again with its files, and waits until it answers.
    pub async fn start(&self) -> Result<(), Failure> {
        self.launch().await?;
        let answers = async {
            while self.command::<String>(&["PING"]).await.is_err() {
                sleep(POLL_INTERVAL).await;
            }
        };
        Ok(timeout(START_LIMIT, answers).await.map_err(|_| "redis-server does not start")?)
    }

    /// Starts the server without waiting.
    pub async fn launch(&self) -> Result<(), Failure> {
        let mut command = Command::new("redis-server");
        command.args(&self.options).args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"]);
        if !self.options.iter().any(|option| option == "--sentinel") {
            command.args(["--save", ""]);
        }
        command.arg("--dir").arg(&self.folder);
        self.clock.apply(&mut command);
        self.process.start(&mut command, self.log.as_deref()).await
    }

    /// Sends one command on a connection of its own.
    pub async fn command<T: FromRedisValue>(&self, words: &[impl ToRedisArgs]) -> RedisResult<T> {
        self.command_within(ANSWER_LIMIT, words).await
    }

    /// Sends one command that may take so long.
    pub async fn command_within<T: FromRedisValue>(
        &self,
        limit: Duration,
        words: &[impl ToRedisArgs],
    ) -> RedisResult<T> {
        Cmd::new().arg(words).query_async(&mut self.connect(limit).await?).await
    }

    /// Connects; a command may take so long.
    async fn connect(&self, limit: Duration) -> RedisResult<MultiplexedConnection> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port))?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWER_LIMIT))
            .set_response_timeout(Some(limit));
        client.get_multiplexed_async_connection_with_config(&config).await
    }

    /// Returns what the server says of itself, or nothing if it does not answer.
    pub async fn info(&self, section: &str) -> String {
        self.command(&["INFO", section]).await.unwrap_or_default()
    }

    /// Changes an option.
    pub async fn configure(&self, option: &str, value: &str) -> RedisResult<()> {
        self.command::<String>(&["CONFIG", "SET", option, value]).await.map(drop)
    }

    /// Returns the keys of the logs that the server has, in order.
    pub async fn logs(&self) -> RedisResult<Vec<String>> {
        let mut keys: Vec<String> = self.command(&["KEYS", "chat:{[^~]*}"]).await?;
        keys.sort();
        Ok(keys)
    }

    /// Returns true if the server answers, and as a master.
    pub async fn is_master(&self) -> bool {
        self.info("replication").await.contains("role:master")
    }

    /// Returns true if the server is a master, or a replica that follows its master.
    pub async fn is_in_step(&self) -> bool {
        let info = self.info("replication").await;
        info.contains("role:master") || info.contains("master_link_status:up")
    }

    /// Returns the folder with the file of commands.
    pub fn data(&self) -> PathBuf {
        self.folder.join("appendonlydir")
    }

    /// Removes all data. A server of a cluster keeps its place there, which is in another file.
    pub fn wipe(&self) -> Result<(), Failure> {
        Ok(fs::remove_dir_all(self.data())?)
    }
}
