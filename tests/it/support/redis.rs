//! A redis-server for one test, on a port and in a directory of its own.

use std::{net::SocketAddr, path::Path, process::Command};

use nix::sys::signal::Signal;
use redis::{AsyncConnectionConfig, FromRedisValue, ToRedisArgs, aio::MultiplexedConnection};
use tempfile::TempDir;

use super::{DEADLINE, Program, eventually, free_port, process::Process};

/// The option that makes a Sentinel of a server.
const SENTINEL: &str = "--sentinel";

pub struct Redis {
    program: Program,
    port: u16,
    directory: TempDir,
    server: Process,
    options: Vec<String>,
}

impl Redis {
    /// Starts a Redis that keeps nothing on disk: after a restart it is empty.
    pub async fn start() -> Redis {
        Redis::with(&[]).await
    }

    /// Starts a Redis that syncs every command to its append-only file: after a restart it has lost nothing.
    pub async fn durable() -> Redis {
        Redis::with(&["--appendonly", "yes", "--appendfsync", "always"]).await
    }

    /// Starts a Redis with further command line options.
    pub async fn with(options: &[&str]) -> Redis {
        Redis::of(Program::Redis, options).await
    }

    /// Starts this program with further command line options.
    pub async fn of(program: Program, options: &[&str]) -> Redis {
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        loop {
            let port = free_port();
            let directory = tempfile::tempdir().expect("a directory for redis");
            let server = launch(program, port, &directory, &options);
            let mut redis = Redis { program, port, directory, server, options: options.clone() };
            if redis.wait_until_started().await {
                return redis;
            } // the port is in use: try the next one
        }
    }

    /// Starts a Sentinel with this configuration file, which it also writes.
    pub async fn sentinel(configuration: &Path) -> Redis {
        Redis::sentinel_of(Program::Redis, configuration).await
    }

    /// Starts this program as a Sentinel with this configuration file, which it also writes.
    pub async fn sentinel_of(program: Program, configuration: &Path) -> Redis {
        Redis::of(program, &[SENTINEL, configuration.to_str().expect("a path")]).await
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Returns the directory in which the server runs.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Sends SIGKILL: connections break immediately and new ones are refused.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Sends SIGKILL where only a reference is at hand, as in a fixture of several servers.
    pub fn crash(&self) {
        self.server.signal(Signal::SIGKILL);
    }

    /// Sends SIGSTOP: connections stay open and nothing is answered.
    pub fn pause(&self) {
        self.server.signal(Signal::SIGSTOP);
    }

    /// Sends SIGCONT, which ends a pause.
    pub fn unpause(&self) {
        self.server.signal(Signal::SIGCONT);
    }

    /// Stops following the master without ceasing to be its replica, so that what is written from now on is lost with it:
    /// shows the master a user that it does not have.
    pub async fn stop_following(&self, master: &Redis) {
        for (option, value) in [("masteruser", "nobody"), ("masterauth", "unknown")] {
            let _: String = self.cmd(&["CONFIG", "SET", option, value]).await;
        }
        let _: u64 = master.cmd(&["CLIENT", "KILL", "TYPE", "replica"]).await;
        eventually("a replica that follows no longer", async || {
            let info: String = self.cmd(&["INFO", "replication"]).await;
            info.contains("master_link_status:down").then_some(())
        })
        .await;
    }

    /// Kills the server if it still runs, and starts it again on the same port and directory.
    pub async fn restart(&mut self) {
        self.server.kill();
        self.server = launch(self.program, self.port, &self.directory, &self.options);
        assert!(self.wait_until_started().await, "redis does not restart:\n{}", self.server.output());
    }

    /// Returns how often Redis has run these commands, also in scripts.
    pub async fn count_calls(&self, commands: &[&str]) -> u64 {
        let stats: String = self.cmd(&["INFO", "commandstats"]).await;
        let calls = |line: &str| {
            let (command, stats) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            commands.contains(&command).then(|| stats.split(',').next()?.parse::<u64>().ok())?
        };
        stats.lines().filter_map(calls).sum()
    }

    /// Sends one command on a connection of its own.
    pub async fn cmd<T: FromRedisValue>(&self, words: &[impl ToRedisArgs]) -> T {
        self.try_cmd(words).await.expect("redis answers")
    }

    /// Appends a message with this id to the log without announcing it.
    pub async fn store_unannounced(&self, room: &str, id: &str) {
        let data = r#"{"sender":"mason","message":"hi"}"#;
        let _: String = self.cmd(&["XADD", &key(room), id, "data", data]).await;
    }

    /// Publishes on a room's channel as another program would, and returns the number of nodes that received it.
    pub async fn publish(&self, room: &str, payload: impl AsRef<[u8]>) -> u64 {
        let channel = key(room);
        self.cmd(&[b"PUBLISH", channel.as_bytes(), payload.as_ref()]).await
    }

    /// Subscribes to a room's channel as another program would.
    pub async fn subscribe(&self, room: &str) -> redis::aio::PubSub {
        let client = redis::Client::open(self.url()).expect("a URL");
        let mut pubsub = client.get_async_pubsub().await.expect("a connection");
        pubsub.subscribe(key(room)).await.expect("a subscription");
        pubsub
    }

    /// Returns the number of nodes that are subscribed to a room's channel.
    pub async fn subscriber_count(&self, room: &str) -> u64 {
        let (_, nodes): (String, u64) = self.cmd(&["PUBSUB", "NUMSUB", &key(room)]).await;
        nodes
    }

    /// Waits until a node is subscribed to a room's channel.
    pub async fn wait_for_subscriber(&self, room: &str) {
        eventually("a subscription to the room", async || (self.subscriber_count(room).await > 0).then_some(())).await
    }

    /// Sends one command on a connection of its own, and returns what comes of it.
    pub async fn try_cmd<T: FromRedisValue>(&self, words: &[impl ToRedisArgs]) -> redis::RedisResult<T> {
        let mut command = redis::Cmd::new();
        command.arg(words).query_async(&mut self.connect().await?).await
    }

    /// Connects as another program would.
    pub async fn connect(&self) -> redis::RedisResult<MultiplexedConnection> {
        let client = redis::Client::open(self.url())?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(DEADLINE))
            .set_response_timeout(Some(DEADLINE));
        client.get_multiplexed_async_connection_with_config(&config).await
    }

    /// Waits for an answer of the process that was started. Returns false if that process ended instead.
    async fn wait_until_started(&mut self) -> bool {
        eventually("redis-server", async || {
            if self.server.try_wait().is_some() {
                return Some(false);
            }
            let info: String = self.try_cmd(&["INFO", "server"]).await.ok()?;
            info.contains(&format!("process_id:{}\r\n", self.server.pid())).then_some(true)
        })
        .await
    }
}

/// Returns the key of a room's log, which is also the name of its channel (contract § 6).
pub fn key(room: &str) -> String {
    format!("chat:{{{room}}}")
}

fn launch(program: Program, port: u16, directory: &TempDir, options: &[String]) -> Process {
    let mut command = Command::new(program.path());
    match options {
        [first, configuration] if first == SENTINEL => drop(command.args([configuration, SENTINEL])),
        _ => drop(command.args(["--save", "", "--loglevel", "warning"])),
    }
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"]).arg(directory.path());
    if !options.iter().any(|option| option == SENTINEL) {
        command.args(options);
    }
    Process::spawn(&mut command)
}
