//! A redis-server of one test's own: on a port nobody else gets, in a directory that goes with it.

use std::process::Command;

use nix::sys::signal::Signal;
use redis::{AsyncConnectionConfig, FromRedisValue, ToRedisArgs};
use tempfile::TempDir;

use super::{DEADLINE, eventually, free_port, process::Process};

pub struct Redis {
    port: u16,
    directory: TempDir,
    server: Process,
    options: Vec<String>,
}

impl Redis {
    /// A Redis that keeps nothing on disk: killed and restarted, it comes back empty.
    pub async fn start() -> Redis {
        Redis::with(&[]).await
    }

    /// A Redis that writes every command to its append-only file: killed and restarted, it has lost nothing.
    pub async fn durable() -> Redis {
        Redis::with(&["--appendonly", "yes", "--appendfsync", "always"]).await
    }

    /// A Redis with further command line options.
    pub async fn with(options: &[&str]) -> Redis {
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        loop {
            let port = free_port();
            let directory = tempfile::tempdir().expect("a directory for redis");
            let server = launch(port, &directory, &options);
            let mut redis = Redis { port, directory, server, options: options.clone() };
            if redis.answers_or_ends().await {
                return redis;
            } // the port was taken: try the next
        }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// SIGKILL: connections break at once, and new ones are refused.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// SIGSTOP: connections stay open and nobody answers.
    pub fn stop(&self) {
        self.server.signal(Signal::SIGSTOP);
    }

    /// SIGCONT: goes on where `stop` interrupted it.
    pub fn cont(&self) {
        self.server.signal(Signal::SIGCONT);
    }

    /// Killed if it still runs, then started again on the same port and directory.
    pub async fn restart(&mut self) {
        self.server.kill();
        self.server = launch(self.port, &self.directory, &self.options);
        assert!(self.answers_or_ends().await, "redis does not come back:\n{}", self.server.output());
    }

    /// One command on a connection of its own.
    pub async fn cmd<T: FromRedisValue>(&self, words: &[impl ToRedisArgs]) -> T {
        self.try_cmd(words).await.expect("redis answers")
    }

    /// Stores a message under an id, and announces it to nobody.
    pub async fn store(&self, room: &str, id: &str) {
        let data = r#"{"sender":"mason","message":"hi"}"#;
        let _: String = self.cmd(&["XADD", &key(room), id, "data", data]).await;
    }

    /// What another program does that PUBLISHes in a room: the number of nodes that heard it.
    pub async fn publish(&self, room: &str, payload: impl AsRef<[u8]>) -> u64 {
        let channel = key(room);
        self.cmd(&[b"PUBLISH", channel.as_bytes(), payload.as_ref()]).await
    }

    /// Listens to a room as another program would.
    pub async fn subscribe(&self, room: &str) -> redis::aio::PubSub {
        let client = redis::Client::open(self.url()).expect("a url");
        let mut ears = client.get_async_pubsub().await.expect("a connection");
        ears.subscribe(key(room)).await.expect("a subscription");
        ears
    }

    /// Waits until a node listens to the room.
    pub async fn heard(&self, room: &str) {
        let channel = key(room);
        eventually("a subscription to the room", async || {
            let (_, nodes): (String, u64) = self.cmd(&["PUBSUB", "NUMSUB", &channel]).await;
            (nodes > 0).then_some(())
        })
        .await
    }

    async fn try_cmd<T: FromRedisValue>(&self, words: &[impl ToRedisArgs]) -> redis::RedisResult<T> {
        let client = redis::Client::open(self.url())?;
        let patient = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(DEADLINE))
            .set_response_timeout(Some(DEADLINE));
        let mut connection = client.get_multiplexed_async_connection_with_config(&patient).await?;
        let mut command = redis::Cmd::new();
        command.arg(words).query_async(&mut connection).await
    }

    /// True when it answers as the process we started, false when that process ended.
    async fn answers_or_ends(&mut self) -> bool {
        eventually("redis-server", async || {
            if self.server.ended().is_some() {
                return Some(false);
            }
            let info: String = self.try_cmd(&["INFO", "server"]).await.ok()?;
            info.contains(&format!("process_id:{}\r\n", self.server.pid())).then_some(true)
        })
        .await
    }
}

/// The key of a room's log, and the name of its channel (contract 6).
pub fn key(room: &str) -> String {
    format!("chat:{{{room}}}")
}

fn launch(port: u16, directory: &TempDir, options: &[String]) -> Process {
    let mut command = Command::new("redis-server");
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--loglevel", "warning"])
        .arg("--dir")
        .arg(directory.path())
        .args(options);
    Process::spawn(&mut command)
}
