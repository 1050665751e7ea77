//! The workloads in which readers come back, and the one without readers.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    Failure,
    publisher::{Channel, Pace, Sent, Until},
    readers::Call,
    servers::{Kind, Redis, Server},
    table::{self, Trial},
    workloads::{PATIENCE, Size, Stage},
};

/// What `publish.lua` is handed in a benchmark, and XADD stores: as long as the harness's own messages.
const DATA: &str = r##"{"sender":"bench","message":"#0-12345@123456789012# it is about as long as what people write to each other in a room on a working day"}"##;

const SCRIPT: &str = include_str!("../../src/bus/redis/publish.lua");

/// 5,000 readers of one node lose it at once, and each reads 50 missed messages at another, after the time it was told.
pub fn storm(size: Size) -> Result<Vec<Trial>, Failure> {
    let mut stage = Stage::new(Kind::Ours, 2, 1, vec![Channel { room: "bench".into(), group: 0, lane: 0 }])?;
    stage.invite(size.count(5000), 0, 0, "bench");
    stage.warm()?;
    let played = stage.play(Pace::PerSecond(100.0), Until::Posts(10))?;
    let last = id(&played.sent)?;
    stage.server.node(0).kill();
    let cut = Instant::now();
    let second = stage.server.address(1);
    let call = Call { address: second, path: Kind::Ours.subscribe("bench"), last_event_id: Some(last) };
    let last_retry = stage.crowd.scatter(call);
    let missed = missed(&stage, 1, 50, played.sent)?;
    let (before, commands) = (log_reads(&stage.server, 1)?, stage.server.redis.as_ref().ok_or("no Redis")?.commands()?);
    let (all, due) = (stage.crowd.len(), 60 * stage.crowd.len() as u64);
    stage.crowd.read("the storm", PATIENCE, |seen| seen.live == all && seen.received >= due)?;
    let (took, after) = (cut.elapsed(), Instant::now().saturating_duration_since(last_retry));
    let commands = stage.server.redis.as_ref().ok_or("no Redis")?.commands()? - commands;
    let reads = log_reads(&stage.server, 1)? - before;
    stage.crowd.rest(Duration::from_millis(200))?;
    let peak = stage.server.node(1).peak() as f64 / 1024.0;
    let values = [
        (table::ALL_BACK, took.as_secs_f64()),
        (table::AFTER_RETRY, after.as_secs_f64()),
        (table::LOG_READS, reads),
        (table::COMMANDS, commands as f64),
        (table::PEAK, peak),
    ];
    Ok(vec![stage.trial(Kind::Ours.name(), &missed, &values)])
}

/// 5,000 readers come back 1, 10 and 100 messages behind, to a node that has the room in memory.
pub fn behind(size: Size) -> Result<Vec<Trial>, Failure> {
    [1_u32, 10, 100]
        .into_iter()
        .map(|messages| {
            let mut stage = Stage::new(Kind::Ours, 1, 1, vec![Channel { room: "bench".into(), group: 0, lane: 0 }])?;
            stage.invite(1, 0, 1, "bench");
            stage.open()?;
            stage.warm()?;
            // The last message that they have seen, on a lane of its own.
            stage.channels[0].lane = 1;
            let last = id(&stage.play(Pace::PerSecond(100.0), Until::Posts(1))?.sent)?;
            stage.channels[0].lane = 0;
            let sent = missed(&stage, 0, messages, Sent::default())?;
            stage.crowd.read("the first reader", PATIENCE, |seen| seen.received > messages.into())?;
            let readers = size.count(5000);
            let path = Kind::Ours.subscribe("bench");
            let (before, began) = (stage.server.spent(), stage.crowd.seen().received);
            stage
                .crowd
                .add(readers, 0, Call { address: stage.server.address(0), path, last_event_id: Some(last) });
            let due = began + readers as u64 * u64::from(messages);
            stage.crowd.read("coming back", PATIENCE, |seen| seen.received >= due)?;
            let cpu = (stage.server.spent() - before).as_secs_f64() * 1e6 / readers as f64;
            let subject = format!("{messages} behind");
            let values = [(table::PER_RETURN, cpu), (table::PER_MISSED, cpu / f64::from(messages))];
            Ok(stage.trial(&subject, &sent, &values))
        })
        .collect()
}

/// Posts at one node what the others miss.
fn missed(stage: &Stage, node: usize, messages: u32, earlier: Sent) -> Result<Sent, Failure> {
    let mut plan = stage.plan(Pace::AsAcknowledged, Until::Posts(messages.into()));
    plan.addresses = vec![stage.server.address(node)];
    plan.post_after(earlier)
}

/// The id in the last answer.
fn id(sent: &Sent) -> Result<String, Failure> {
    let id = sent.answer.split('"').nth(3).ok_or("an answer without an id")?;
    Ok(id.to_owned())
}

/// How often a node has read a log, for rooms and for readers.
fn log_reads(server: &Server, node: usize) -> Result<f64, Failure> {
    let mut stream = TcpStream::connect(server.address(node))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let lines = answer.lines().filter(|line| line.starts_with("tiny_chat_log_reads_total{"));
    Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
}

/// No readers, 32 connections as fast as they are acknowledged; and Redis alone, with as many, for the same.
pub fn publish(size: Size) -> Result<Vec<Trial>, Failure> {
    let channels = (0..32).map(|lane| Channel { room: "bench".into(), group: 0, lane }).collect();
    let mut stage = Stage::new(Kind::Ours, 1, 32, channels)?;
    let redis = stage.server.redis.as_ref().ok_or("no Redis")?;
    let requests = if size.quick { "2000" } else { "60000" };
    let script = script_rate(redis, requests)?;
    let xadd = benchmark(redis, requests, &["XADD", "chat:{xadd}", "MAXLEN", "~", "1000", "*", "data", DATA])?;
    let _ = stage.play(Pace::AsAcknowledged, Until::Over(size.time(1.0)))?;
    let played = stage.play(Pace::AsAcknowledged, Until::Over(size.time(3.0)))?;
    let posts = played.sent.acknowledged as f64 / played.sent.took.as_secs_f64();
    let ours = stage.trial(
        Kind::Ours.name(),
        &played.sent,
        &[(table::POSTS, posts), (table::OF_SCRIPT, posts / script), (table::OF_XADD, posts / xadd)],
    );
    Ok(vec![
        ours,
        Trial::of("redis-benchmark, publish.lua", table::POSTS, script),
        Trial::of("redis-benchmark, XADD", table::POSTS, xadd),
    ])
}

fn script_rate(redis: &Redis, requests: &str) -> Result<f64, Failure> {
    let sha: String = redis::cmd("SCRIPT").arg("LOAD").arg(SCRIPT).query(&mut redis.connect()?)?;
    benchmark(redis, requests, &["EVALSHA", &sha, "1", "chat:{script}", DATA, "bench", "1000", "604800", "60000"])
}

/// Requests a second of one command, from 32 connections without pipelining.
fn benchmark(redis: &Redis, requests: &str, command: &[&str]) -> Result<f64, Failure> {
    let port = redis.address.port().to_string();
    let mut benchmark = Command::new("timeout");
    benchmark
        .args(["60", "redis-benchmark", "-p", &port, "-c", "32", "-P", "1", "-n", requests, "--csv"])
        .args(command);
    let output = String::from_utf8(benchmark.output()?.stdout)?;
    // The command comes first, whatever is in it; after it stand the rate and six latencies.
    let rate = output.lines().last().and_then(|line| line.rsplit(',').nth(6)).map(|rate| rate.trim_matches('"'));
    let rate = rate.and_then(|rate| rate.parse().ok());
    rate.ok_or_else(|| format!("redis-benchmark says: {output}").into())
}
