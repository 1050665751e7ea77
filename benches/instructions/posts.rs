//! Posts to a whole node on a Redis, over one connection that stays open: reading the request, routing it, its limits, the
//! call of Redis, and the answer.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    Failure,
    hubs::{process::free_address, redis_server::Redis},
    under_valgrind,
};

/// How long a post may take, and the end of a node; under valgrind a program is some fifty times as slow.
const TIMEOUT: Duration = Duration::from_secs(60);

pub struct Posts {
    pub name: &'static str,
    pub times: usize,
    /// Messages a second and at once that an address may post; 0 turns the limit off.
    rate: &'static str,
}

pub const POSTS: [Posts; 2] = [
    Posts { name: "post", times: 2000, rate: "0" },
    Posts { name: "post, with limits", times: 2000, rate: "1000000" },
];

impl Posts {
    /// Posts so many messages to a node whose instructions are counted.
    pub fn run_under_valgrind(&self, times: usize, log: &Path) -> Result<(), Failure> {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let (redis, address) = (Redis::start(directory.path(), false)?, free_address());
        let mut command = under_valgrind(log, Path::new(env!("CARGO_BIN_EXE_tiny-chat")));
        command
            .env("BIND", address.to_string())
            .env("REDIS_URL", redis.url())
            .env("NODE", "counted")
            .env("RATE_LIMIT", self.rate)
            .env("RATE_BURST", "1000000")
            .env("DRAIN_GRACE", "0")
            .env("DRAIN", "1")
            .env("LOG", "warn");
        let node = CountedNode(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
        let mut stream =
            BufReader::new(within_timeout("the node does not listen", || TcpStream::connect(address).ok())?);
        stream.get_ref().set_read_timeout(Some(TIMEOUT))?;
        for number in 0..times {
            post(&mut stream, address, number)?;
        }
        node.end()
    }
}

/// Posts a message, and reads the whole answer.
fn post(stream: &mut BufReader<TcpStream>, host: SocketAddr, number: usize) -> Result<(), Failure> {
    let text = "it is about as long as what people write to each other in a room on a working day";
    let body = format!(r#"{{"sender":"mason","message":"{number:06} {text}"}}"#);
    let length = body.len();
    let request = format!(
        "POST /bench HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.get_mut().write_all(request.as_bytes())?;
    let (mut line, mut length, mut status) = (String::new(), 0, String::new());
    while line != "\r\n" {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err("the node closed the connection".into());
        }
        if status.is_empty() {
            status = line.trim().to_owned();
        } else if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    let is_accepted = status.starts_with("HTTP/1.1 20");
    is_accepted
        .then_some(())
        .ok_or_else(|| format!("{status}: {}", String::from_utf8_lossy(&answer)).into())
}

/// A node under valgrind, which is killed when dropped.
struct CountedNode(Child);

impl CountedNode {
    /// Ends it as an operator does, so that callgrind prints its total.
    fn end(mut self) -> Result<(), Failure> {
        kill(Pid::from_raw(i32::try_from(self.0.id())?), Signal::SIGTERM)?;
        within_timeout("the node does not end", || self.0.try_wait().ok().flatten())?;
        Ok(())
    }
}

impl Drop for CountedNode {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Tries until there is a result.
fn within_timeout<T>(failure: &str, mut attempt: impl FnMut() -> Option<T>) -> Result<T, Failure> {
    let end = Instant::now() + TIMEOUT;
    loop {
        match attempt() {
            Some(result) => return Ok(result),
            None if Instant::now() > end => return Err(failure.into()),
            None => thread::sleep(Duration::from_millis(10)),
        }
    }
}
