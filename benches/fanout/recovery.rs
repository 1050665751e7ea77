//! The workloads in which readers reconnect.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::{
    Failure,
    hubs::{kind::Kind, observer::Observer, position::Position, server::Server},
    publisher::{PublishRate, Sent, Until},
    readers::StreamRequest,
    setup::{STEP_TIMEOUT, Setup, Size, one_room},
    table::{self, Trial},
};

/// How long a browser waits before it reconnects, if the stream does not say.
const BROWSER_RETRY: Duration = Duration::from_secs(3);

/// Kills the node of 5,000 readers, which reconnect to another after the delay that their streams set, 50 messages
/// behind.
pub fn storm(kind: Kind, size: Size) -> Result<Vec<Trial>, Failure> {
    let mut setup = Setup::new(kind, 2, 1, one_room(1))?;
    setup.readers.set_default_retry(BROWSER_RETRY);
    setup.add_readers(size.count(5000), 0, 0, "bench");
    setup.warm_up()?;
    let mut observer = observe(&setup)?;
    let run = setup.run(PublishRate::PerSecond(100.0), Until::Posts(10))?;
    let position = position_of(&mut observer, 0, 10)?;
    setup.server.node(0).kill();
    let cut = Instant::now();
    let second = setup.server.address(1);
    let last_retry = setup.readers.reconnect(StreamRequest::new(kind, second, "bench", &position));
    let missed = publish_missed(&setup, 1, 50, run.sent)?;
    let spent = setup.server.cpu_time_except(Some(0));
    let before = if kind == Kind::Ours { log_reads(&setup.server, 1)? } else { 0.0 };
    let commands = setup.server.redis.as_ref().ok_or("no Redis")?.commands()?;
    let (all, expected) = (setup.readers.len(), 60 * setup.readers.len() as u64);
    setup
        .readers
        .read_until("the storm", STEP_TIMEOUT, |progress| progress.live == all && progress.received >= expected)?;
    let (took, after) = (cut.elapsed(), Instant::now().saturating_duration_since(last_retry));
    let commands = setup.server.redis.as_ref().ok_or("no Redis")?.commands()? - commands;
    let spent = (setup.server.cpu_time_except(Some(0)) - spent).as_secs_f64() * 1e6 / all as f64;
    let mut values = vec![
        (table::ALL_BACK, took.as_secs_f64()),
        (table::AFTER_RETRY, after.as_secs_f64()),
        (table::COMMANDS, commands as f64),
        (table::PEAK, setup.server.node(1).peak_memory_kib() as f64 / 1024.0),
        (table::PER_RETURN, spent),
    ];
    if kind == Kind::Ours {
        values.push((table::LOG_READS, log_reads(&setup.server, 1)? - before));
    }
    setup.readers.read_for(Duration::from_millis(200))?;
    Ok(vec![setup.trial(kind.name(), &missed, &values)])
}

/// 1,000 readers reconnect at once, 100 messages behind, to a node that has the room in memory.
pub fn resume(kind: Kind, size: Size) -> Result<Vec<Trial>, Failure> {
    Ok(vec![behind_trial(kind, size.count(1000), 100, kind.name())?])
}

/// 5,000 readers reconnect at once, 1, 10 and 100 messages behind.
pub fn behind(size: Size) -> Result<Vec<Trial>, Failure> {
    [1_u32, 10, 100]
        .into_iter()
        .map(|messages| behind_trial(Kind::Ours, size.count(5000), messages, &format!("{messages} behind")))
        .collect()
}

fn behind_trial(kind: Kind, readers: usize, messages: u32, subject: &str) -> Result<Trial, Failure> {
    let mut setup = Setup::new(kind, 1, 1, one_room(1))?;
    setup.add_readers(1, 0, 1, "bench");
    setup.warm_up()?;
    let mut observer = observe(&setup)?;
    // The message from which the readers resume has a lane of its own: they do not receive it.
    setup.channels[0].lane = 1;
    setup.run(PublishRate::PerSecond(100.0), Until::Posts(1))?;
    let position = position_of(&mut observer, 1, 1)?;
    setup.channels[0].lane = 0;
    let sent = publish_missed(&setup, 0, messages, Sent::default())?;
    setup
        .readers
        .read_until("the first reader", STEP_TIMEOUT, |progress| progress.received > messages.into())?;
    let (before, began) = (setup.server.exact_cpu_time(), setup.readers.progress().received);
    let started = Instant::now();
    setup
        .readers
        .add_at_once(readers, 0, StreamRequest::new(kind, setup.server.address(0), "bench", &position));
    let expected = began + readers as u64 * u64::from(messages);
    setup.readers.read_until("catching up", STEP_TIMEOUT, |progress| progress.received >= expected)?;
    let took = started.elapsed();
    let cpu = setup.server.exact_cpu_time().saturating_sub(before).as_secs_f64() * 1e6 / readers as f64;
    let values = [
        (table::PER_RETURN, cpu),
        (table::PER_MISSED, cpu / f64::from(messages)),
        (table::CAUGHT_UP, took.as_secs_f64() * 1000.0),
    ];
    setup.readers.read_for(Duration::from_millis(200))?;
    Ok(setup.trial(subject, &sent, &values))
}

/// Opens a stream beside the readers, which keeps its position.
fn observe(setup: &Setup) -> Result<Observer, Failure> {
    let (kind, address) = (setup.server.kind, setup.server.address(0));
    Observer::open(kind, address, &setup.channels[0].room, Position::default(), STEP_TIMEOUT)
}

/// Returns the position after a numbered message.
fn position_of(observer: &mut Observer, lane: usize, number: u32) -> Result<Position, Failure> {
    let mark = format!("#{lane}-{number}@");
    observer.read_until(STEP_TIMEOUT, |event, _| event.data.contains(&mark))?;
    // The offset of durable-streams comes in an event after it.
    observer.settle()?;
    Ok(observer.position.clone())
}

/// Publishes messages at one node while the readers are disconnected.
fn publish_missed(setup: &Setup, node: usize, messages: u32, earlier: Sent) -> Result<Sent, Failure> {
    let mut plan = setup.plan(PublishRate::AsAcknowledged, Until::Posts(messages.into()));
    plan.addresses = vec![setup.server.post_address(node)];
    plan.post_after(earlier)
}

/// Returns how often a node has read the log of any room.
fn log_reads(server: &Server, node: usize) -> Result<f64, Failure> {
    let mut stream = TcpStream::connect(server.address(node))?;
    stream.set_read_timeout(Some(STEP_TIMEOUT))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    let lines = response.lines().filter(|line| line.starts_with("tiny_chat_log_reads_total{"));
    Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
}
