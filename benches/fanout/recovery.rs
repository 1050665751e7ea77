//! The workloads in which readers reconnect, and the one without readers.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    Failure,
    hubs::{kind::Kind, position::Position, redis_server::Redis, server::Server},
    publisher::{Channel, PublishRate, Sent, Until},
    readers::StreamRequest,
    table::{self, Trial},
    workloads::{STEP_TIMEOUT, Setup, Size},
};

/// The data that redis-benchmark stores, as long as that of the messages published here.
const MESSAGE_DATA: &str = r##"{"sender":"bench","message":"#0-12345@123456789012# it is about as long as what people write to each other in a room on a working day"}"##;

const PUBLISH_SCRIPT: &str = concat!(
    "local PUBLISH = 'PUBLISH'\n",
    include_str!("../../src/bus/redis/log.lua"),
    include_str!("../../src/bus/redis/token.lua"),
    include_str!("../../src/bus/redis/publish.lua")
);

/// Kills the node of 5,000 readers, which reconnect to another after the delay that their streams set, 50 messages
/// behind.
pub fn storm(size: Size) -> Result<Vec<Trial>, Failure> {
    let mut setup = Setup::new(Kind::Ours, 2, 1, vec![Channel { room: "bench".into(), group: 0, lane: 0 }])?;
    setup.add_readers(size.count(5000), 0, 0, "bench");
    setup.warm_up()?;
    let run = setup.run(PublishRate::PerSecond(100.0), Until::Posts(10))?;
    let last = last_id(&run.sent)?;
    setup.server.node(0).kill();
    let cut = Instant::now();
    let second = setup.server.address(1);
    let position = Position { id: Some(last), ..Position::default() };
    let request = StreamRequest::new(Kind::Ours, second, "bench", &position);
    let last_retry = setup.readers.reconnect(request);
    let missed = publish_missed(&setup, 1, 50, run.sent)?;
    let (before, commands) = (log_reads(&setup.server, 1)?, setup.server.redis.as_ref().ok_or("no Redis")?.commands()?);
    let (all, expected) = (setup.readers.len(), 60 * setup.readers.len() as u64);
    setup
        .readers
        .read_until("the storm", STEP_TIMEOUT, |progress| progress.live == all && progress.received >= expected)?;
    let (took, after) = (cut.elapsed(), Instant::now().saturating_duration_since(last_retry));
    let commands = setup.server.redis.as_ref().ok_or("no Redis")?.commands()? - commands;
    let reads = log_reads(&setup.server, 1)? - before;
    setup.readers.read_for(Duration::from_millis(200))?;
    let peak = setup.server.node(1).peak_memory_kib() as f64 / 1024.0;
    let values = [
        (table::ALL_BACK, took.as_secs_f64()),
        (table::AFTER_RETRY, after.as_secs_f64()),
        (table::LOG_READS, reads),
        (table::COMMANDS, commands as f64),
        (table::PEAK, peak),
    ];
    Ok(vec![setup.trial(Kind::Ours.name(), &missed, &values)])
}

/// 5,000 readers reconnect 1, 10 and 100 messages behind, to a node that has the room in memory.
pub fn behind(size: Size) -> Result<Vec<Trial>, Failure> {
    [1_u32, 10, 100]
        .into_iter()
        .map(|messages| {
            let mut setup = Setup::new(Kind::Ours, 1, 1, vec![Channel { room: "bench".into(), group: 0, lane: 0 }])?;
            setup.add_readers(1, 0, 1, "bench");
            setup.wait_until_live()?;
            setup.warm_up()?;
            // The message from which the readers resume has a lane of its own: they do not receive it.
            setup.channels[0].lane = 1;
            let last = last_id(&setup.run(PublishRate::PerSecond(100.0), Until::Posts(1))?.sent)?;
            setup.channels[0].lane = 0;
            let sent = publish_missed(&setup, 0, messages, Sent::default())?;
            setup
                .readers
                .read_until("the first reader", STEP_TIMEOUT, |progress| progress.received > messages.into())?;
            let readers = size.count(5000);
            let position = Position { id: Some(last), ..Position::default() };
            let request = StreamRequest::new(Kind::Ours, setup.server.address(0), "bench", &position);
            let (before, began) = (setup.server.cpu_time(), setup.readers.progress().received);
            setup.readers.add(readers, 0, request);
            let expected = began + readers as u64 * u64::from(messages);
            setup.readers.read_until("catching up", STEP_TIMEOUT, |progress| progress.received >= expected)?;
            let cpu = (setup.server.cpu_time() - before).as_secs_f64() * 1e6 / readers as f64;
            let subject = format!("{messages} behind");
            let values = [(table::PER_RETURN, cpu), (table::PER_MISSED, cpu / f64::from(messages))];
            Ok(setup.trial(&subject, &sent, &values))
        })
        .collect()
}

/// Publishes messages at one node while the readers are disconnected.
fn publish_missed(setup: &Setup, node: usize, messages: u32, earlier: Sent) -> Result<Sent, Failure> {
    let mut plan = setup.plan(PublishRate::AsAcknowledged, Until::Posts(messages.into()));
    plan.addresses = vec![setup.server.address(node)];
    plan.post_after(earlier)
}

/// Returns the id in the last response.
fn last_id(sent: &Sent) -> Result<String, Failure> {
    let id = sent.last_response.split('"').nth(3).ok_or("a response without an id")?;
    Ok(id.to_owned())
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

/// Publishes over 32 connections as fast as they are acknowledged, without readers; and does the same to Redis alone.
pub fn publish(size: Size) -> Result<Vec<Trial>, Failure> {
    let channels = (0..32).map(|lane| Channel { room: "bench".into(), group: 0, lane }).collect();
    let mut setup = Setup::new(Kind::Ours, 1, 32, channels)?;
    let redis = setup.server.redis.as_ref().ok_or("no Redis")?;
    let requests = if size.quick { "2000" } else { "60000" };
    let script = script_rate(redis, requests)?;
    let xadd =
        redis_benchmark(redis, requests, &["XADD", "chat:{xadd}", "MAXLEN", "~", "1000", "*", "data", MESSAGE_DATA])?;
    let _ = setup.run(PublishRate::AsAcknowledged, Until::Over(size.time(1.0)))?;
    let run = setup.run(PublishRate::AsAcknowledged, Until::Over(size.time(3.0)))?;
    let posts = run.sent.acknowledged as f64 / run.sent.took.as_secs_f64();
    let ours = setup.trial(
        Kind::Ours.name(),
        &run.sent,
        &[(table::POSTS, posts), (table::OF_SCRIPT, posts / script), (table::OF_XADD, posts / xadd)],
    );
    Ok(vec![
        ours,
        Trial::of("redis-benchmark, publish.lua", table::POSTS, script),
        Trial::of("redis-benchmark, XADD", table::POSTS, xadd),
    ])
}

/// Returns how often a second Redis runs `publish.lua`.
fn script_rate(redis: &Redis, requests: &str) -> Result<f64, Failure> {
    let sha: String = redis::cmd("SCRIPT").arg("LOAD").arg(PUBLISH_SCRIPT).query(&mut redis.connect()?)?;
    redis_benchmark(
        redis,
        requests,
        &[
            "EVALSHA",
            &sha,
            "6",
            "chat:{script}",
            "chat:{script}:deleted",
            "chat:{script}:edits",
            "chat:{script}:absent",
            "chat:{script}:offers",
            "chat:{script}:filled",
            MESSAGE_DATA,
            "bench",
            "1000",
            "604800",
            "",
            "",
            "",
            "60000",
            "",
            "",
        ],
    )
}

/// Returns the requests per second of one command, from 32 connections without pipelining.
fn redis_benchmark(redis: &Redis, requests: &str, command: &[&str]) -> Result<f64, Failure> {
    let port = redis.address.port().to_string();
    let mut benchmark = Command::new("timeout");
    benchmark
        .args(["60", "redis-benchmark", "-p", &port, "-c", "32", "-P", "1", "-n", requests, "--csv"])
        .args(command);
    let output = benchmark.output()?;
    let (output, errors) = (String::from_utf8(output.stdout)?, String::from_utf8_lossy(&output.stderr));
    // The command comes first, and may contain commas; the rate and six latencies follow.
    let rate = output.lines().last().and_then(|line| line.rsplit(',').nth(6)).map(|rate| rate.trim_matches('"'));
    let rate = rate.and_then(|rate| rate.parse().ok());
    rate.ok_or_else(|| format!("redis-benchmark printed no rate: {output}{errors}").into())
}
