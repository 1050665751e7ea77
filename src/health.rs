//! The command `health`: asks `/readyz` of the node that listens at `BIND`, so that a health check needs no other program
//! and no shell.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::Value;

use crate::config::ListenOptions;

/// The command line or a variable is wrong.
const USAGE: u8 = 2;

/// More than any response of `/readyz` has.
const MAX_RESPONSE_BYTES: usize = 16 * 1024;

/// Options of `tiny-chat health`.
#[derive(Clone, Debug, Args)]
pub struct Options {
    #[command(flatten)]
    listen: ListenOptions,

    /// Seconds until an answer has to be complete
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=60))]
    timeout: u8,
}

/// Why a node counts as not ready.
enum Failure {
    /// The response has another status than 200, or is none of HTTP.
    NotReady(String),
    /// No complete response came in time.
    Late(Duration),
    /// The connection failed.
    Connection(io::Error),
}

/// Runs the command.
pub fn run(options: &Options) -> ExitCode {
    let address = reachable(options.listen.address());
    if address.port() == 0 {
        let _ = writeln!(io::stderr(), "Port 0 is a free one, which only the node knows: set BIND or PORT.");
        return USAGE.into();
    }
    // The exit code says it all, whether anything reads the line or not.
    match ask(address, Duration::from_secs(options.timeout.into())) {
        Ok(text) => {
            let _ = writeln!(io::stdout(), "{address}: {text}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            let _ = writeln!(io::stderr(), "{address}: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Returns an address at which a node that listens at `address` can be reached from this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Returns what a node that is ready says.
fn ask(address: SocketAddr, timeout: Duration) -> Result<String, Failure> {
    let deadline = Instant::now() + timeout;
    let response = request(address, deadline).map_err(|error| match error.kind() {
        // A read that takes longer than its timeout is `WouldBlock` on Unix.
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Failure::Late(timeout),
        _ => Failure::Connection(error),
    })?;
    judge(&response)
}

/// Sends the request, and reads until the node closes the connection.
fn request(address: SocketAddr, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, time_left(deadline)?)?;
    stream.set_write_timeout(Some(time_left(deadline)?))?;
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nAccept: text/plain\r\nConnection: close\r\n\r\n")?;
    let (mut response, mut buffer) = (Vec::new(), [0; 1024]);
    while response.len() < MAX_RESPONSE_BYTES {
        stream.set_read_timeout(Some(time_left(deadline)?))?;
        match stream.read(&mut buffer)? {
            0 => break,
            read => response.extend_from_slice(&buffer[..read]),
        }
    }
    Ok(response)
}

fn time_left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Returns the text of a response, if it is one of a node that is ready.
fn judge(response: &[u8]) -> Result<String, Failure> {
    let response = String::from_utf8_lossy(response);
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or((&response, ""));
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    let problem = serde_json::from_str::<Value>(body).ok();
    let detail = problem.as_ref().and_then(|problem| problem["detail"].as_str());
    let line = detail.or(body.lines().next()).unwrap_or_default();
    match status {
        Some("200") => Ok(line.to_owned()),
        Some(status) => Err(Failure::NotReady(format!("{status} {line}"))),
        None => Err(Failure::NotReady("what answers is no node of tiny-chat".to_owned())),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReady(why) => f.write_str(why),
            Self::Late(timeout) => write!(f, "no answer within {} s", timeout.as_secs()),
            Self::Connection(error) => write!(f, "{error}"),
        }
    }
}
