//! The workloads in which posts and page loads cost more than deliveries.

use std::process::Command;

use crate::{
    Failure,
    hubs::{kind::Kind, launch::Limits, redis_server::Redis, server::ServerOptions},
    publisher::{Plan, PublishRate, Request, Sent, Until},
    setup::{Setup, Size, channel_per_room, one_room},
    table::{self, Trial},
};

/// The data that redis-benchmark stores, as long as that of the messages published here.
const MESSAGE_DATA: &str = r##"{"sender":"bench","message":"#0-12345@123456789012# it is about as long as what people write to each other in a room on a working day"}"##;

const PUBLISH_SCRIPT: &str = concat!(
    "local PUBLISH = 'PUBLISH'\n",
    include_str!("../../src/bus/redis/log.lua"),
    include_str!("../../src/bus/redis/token.lua"),
    include_str!("../../src/bus/redis/publish.lua")
);

/// Connections that post, and rooms, each with a reader who checks what was acknowledged.
const POSTERS: usize = 16;

/// How many client addresses share the posts where limits are counted, so that none reaches its own.
const CLIENTS: u32 = 10_000;

/// 16 connections post as fast as they are acknowledged, each to a room of its own with a reader.
pub fn posts(kind: Kind, size: Size) -> Result<Vec<Trial>, Failure> {
    let mut trials = vec![posts_trial(kind, size, Limits::Off)?];
    if kind == Kind::Ours {
        trials.push(posts_trial(kind, size, Limits::Default)?);
    }
    Ok(trials)
}

fn posts_trial(kind: Kind, size: Size, limits: Limits) -> Result<Trial, Failure> {
    let options = ServerOptions { limits, ..ServerOptions::default() };
    let mut setup = Setup::with_options(kind, options, POSTERS, channel_per_room(POSTERS))?;
    for room in 0..POSTERS {
        setup.add_readers(1, 0, room, &format!("room-{room}"));
    }
    if limits == Limits::Default {
        setup.clients = CLIENTS;
    }
    setup.warm_up()?;
    let run = setup.run(PublishRate::AsAcknowledged, Until::Over(size.time(4.0)))?;
    let (node, redis) = run.per_post();
    let mut values = vec![
        (table::POSTS, run.sent.acknowledged as f64 / run.sent.took.as_secs_f64()),
        (table::PER_POST, node),
        (table::GENERATOR, run.generator()),
    ];
    if kind.uses_redis() {
        values.push((table::REDIS_PER_POST, redis));
    }
    let subject = match limits {
        Limits::Off => kind.name().to_owned(),
        Limits::Default => format!("{}, with its limits", kind.name()),
    };
    Ok(setup.trial(&subject, &run.sent, &values))
}

/// 1,000 pages a second, each of another of 1,000 rooms with ten messages.
pub fn pages(size: Size) -> Result<Vec<Trial>, Failure> {
    const MESSAGES: u32 = 10;
    let rooms = size.count(1000);
    let setup = Setup::new(Kind::Ours, 1, POSTERS, channel_per_room(rooms))?;
    let messages = u64::from(MESSAGES) * rooms as u64;
    setup.plan(PublishRate::PerSecond(4000.0), Until::Posts(messages)).post()?; // as many to each room
    let redis = setup.server.redis.as_ref().ok_or("no Redis")?;
    let (before, redis_before) = (setup.server.cpu_time(), setup.server.redis_cpu_time());
    let commands = redis.commands()?;
    let request = Request::Page { number: MESSAGES };
    let plan = setup.plan(PublishRate::PerSecond(rooms as f64), Until::Over(size.time(5.0)));
    let sent = Plan { request, ..plan }.post()?;
    let loads = sent.acknowledged.max(1) as f64;
    let values = [
        (table::PER_LOAD, (setup.server.cpu_time() - before).as_secs_f64() * 1e6 / loads),
        (table::REDIS_PER_POST, (setup.server.redis_cpu_time() - redis_before).as_secs_f64() * 1e6 / loads),
        (table::COMMANDS_PER_LOAD, (redis.commands()? - commands) as f64 / loads),
        (table::RESPONSE_P50, sent.response_time(0.5)),
        (table::RESPONSE_P99, sent.response_time(0.99)),
    ];
    let mut trial = setup.trial(Kind::Ours.name(), &Sent::default(), &values);
    trial.void = (sent.refused > 0).then(|| format!("{} of {} pages are wrong", sent.refused, sent.posts));
    Ok(vec![trial])
}

/// Publishes over 32 connections as fast as they are acknowledged, without readers; and does the same to Redis alone.
pub fn publish(size: Size) -> Result<Vec<Trial>, Failure> {
    let mut setup = Setup::new(Kind::Ours, 1, 32, one_room(32))?;
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
