//! The workloads in which nothing is said: what waiting readers cost, and what their heartbeats cost.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use crate::{
    Failure,
    hubs::{kind::Kind, position::Position, server::ServerOptions},
    publisher::{Channel, Plan, PublishRate, Until},
    readers::{Readers, StreamRequest},
    setup::{STEP_TIMEOUT, Setup, Size, channel_per_room, one_room},
    table::{self, Trial},
};

/// A heartbeat as tiny-chat sends it, for the floor.
const HEARTBEAT: &str = "event: heartbeat\ndata: OK\n\n";

/// Heartbeats in the measured time: one every 15 s, which is the default.
const HEARTBEATS: u32 = 4;
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);

/// With a rate, posts go to the rooms in turn; as fast as acknowledged, each connection would have its own pace.
const EACH_ROOM_ONCE: PublishRate = PublishRate::PerSecond(2000.0);

/// After this time a node has forgotten rooms without readers, and what it has stored in them.
const ROOM_GRACE: Duration = Duration::from_secs(16);

/// 8,000 readers of one room.
pub fn idle(kind: Kind, size: Size) -> Result<Vec<Trial>, Failure> {
    let readers = size.count(8000);
    let mut setup = Setup::new(kind, 1, 1, one_room(1))?;
    let memory = fill(&mut setup, readers, |setup| setup.add_readers(readers, 0, 0, "bench"))?;
    Ok(vec![waiting_trial(&mut setup, size, memory, 1)?])
}

/// 8,000 readers of a room each.
pub fn silent(kind: Kind, size: Size) -> Result<Vec<Trial>, Failure> {
    let rooms = size.count(8000);
    let mut setup = Setup::new(kind, 1, 16, channel_per_room(rooms))?;
    let memory = fill(&mut setup, rooms, |setup| add_one_to_each(setup, rooms))?;
    Ok(vec![waiting_trial(&mut setup, size, memory, rooms)?])
}

fn add_one_to_each(setup: &mut Setup, rooms: usize) {
    for room in 0..rooms {
        setup.add_readers(1, 0, room, &format!("room-{room}"));
    }
}

/// Adds the readers, and returns the memory that each of them needs, in KiB. With one before them, a server allocates
/// what it needs only once.
fn fill(setup: &mut Setup, readers: usize, add: impl Fn(&mut Setup)) -> Result<f64, Failure> {
    let room = setup.channels[0].room.clone();
    setup.add_readers(1, 0, 0, &room);
    setup.wait_until_live()?;
    let before = setup.server.memory_kib();
    add(setup);
    setup.wait_until_live()?;
    Ok(setup.server.memory_kib().saturating_sub(before) as f64 / readers as f64)
}

/// Waits, and then posts to each room once: every reader must still be there.
fn waiting_trial(setup: &mut Setup, size: Size, memory: f64, rooms: usize) -> Result<Trial, Failure> {
    setup.readers.read_for(size.time(1.5))?;
    let busy = busy(setup, size.time(3.0))?;
    let run = setup.run(EACH_ROOM_ONCE, Until::Posts(rooms as u64))?;
    let values = [(table::MEMORY, memory), (table::BUSY, busy)];
    Ok(setup.trial(setup.server.kind.name(), &run.sent, &values))
}

/// Reads for a time, and returns what the server needs meanwhile, in percent of a core.
fn busy(setup: &mut Setup, time: Duration) -> Result<f64, Failure> {
    let (began, before) = (Instant::now(), setup.server.exact_cpu_time());
    setup.readers.read_for(time)?;
    Ok((setup.server.exact_cpu_time().saturating_sub(before)).as_secs_f64() * 100.0 / began.elapsed().as_secs_f64())
}

/// 1,000 rooms with a reader each, before and after 100,000 others were used: each got a message, and a tenth of them a
/// reader who has left.
pub fn known_rooms(size: Size) -> Result<Vec<Trial>, Failure> {
    let (live, known) = (size.count(1000), if size.quick { 1000 } else { 100_000 });
    // The first heartbeat comes after both measurements: it would be in one of them only.
    let options = ServerOptions { heartbeat: Duration::from_secs(60), ..ServerOptions::default() };
    let mut setup = Setup::with_options(Kind::Ours, options, 16, channel_per_room(live))?;
    add_one_to_each(&mut setup, live);
    setup.wait_until_live()?;
    let before = busy(&mut setup, size.time(8.0))?;
    let memory = setup.server.memory_kib();
    let used: Vec<Channel> =
        (0..known).map(|group| Channel { room: format!("used-{group}"), group, lane: 0 }).collect();
    let mut visitors = Readers::new(Kind::Ours)?;
    for channel in used.iter().take((known / 10).min(size.max_readers.saturating_sub(live))) {
        let address = setup.server.address(0);
        visitors.add(1, 0, StreamRequest::new(Kind::Ours, address, &channel.room, &Position::default()));
    }
    let all = visitors.len();
    visitors.read_until("the visitors", STEP_TIMEOUT, |progress| progress.live == all)?;
    let plan = setup.plan(PublishRate::PerSecond(6000.0), Until::Posts(known as u64));
    let sent = Plan { channels: used, ..plan }.post()?;
    drop(visitors);
    setup.readers.read_for(ROOM_GRACE)?;
    let after = busy(&mut setup, size.time(8.0))?;
    let grown = setup.server.memory_kib().saturating_sub(memory) as f64 / 1024.0;
    let run = setup.run(EACH_ROOM_ONCE, Until::Posts(live as u64))?;
    let values = [(table::LIVE_ONLY, before), (table::WITH_KNOWN, after), (table::GROWN, grown)];
    let mut trial = setup.trial(Kind::Ours.name(), &run.sent, &values);
    if sent.refused > 0 {
        trial.void = Some(format!("{} posts to known rooms refused", sent.refused));
    }
    Ok(vec![trial])
}

/// A minute with four heartbeats for each of 8,000 readers, who have one room or a room each. The floor writes the same
/// bytes four times; since it does nothing in between, it need not wait for that.
pub fn heartbeats(kind: Kind, size: Size) -> Result<Vec<Trial>, Failure> {
    let readers = size.count(8000);
    let minute = HEARTBEAT_INTERVAL * HEARTBEATS;
    if kind == Kind::Floor {
        let mut setup = Setup::new(kind, 1, 1, one_room(1))?;
        setup.add_readers(readers, 0, 0, "bench");
        setup.wait_until_live()?;
        let before = setup.server.exact_cpu_time();
        for number in 1..=HEARTBEATS {
            write_heartbeat(&setup)?;
            let expected = u64::from(number) * readers as u64;
            setup.readers.read_until("a heartbeat", STEP_TIMEOUT, |progress| progress.heartbeats >= expected)?;
        }
        let spent = (setup.server.exact_cpu_time() - before).as_secs_f64() * 100.0 / minute.as_secs_f64();
        return Ok(vec![Trial::of(kind.name(), table::MINUTE, spent)]);
    }
    let heartbeat = if size.quick { Duration::from_secs(1) } else { HEARTBEAT_INTERVAL };
    let options = ServerOptions { heartbeat, ..ServerOptions::default() };
    let one = Setup::with_options(kind, options, 1, one_room(1))?;
    let one = heartbeat_trial(one, heartbeat, "tiny-chat, one room", |setup| {
        setup.add_readers(readers, 0, 0, "bench");
    })?;
    let each = Setup::with_options(kind, options, 16, channel_per_room(readers))?;
    let each = heartbeat_trial(each, heartbeat, "tiny-chat, a room each", |setup| add_one_to_each(setup, readers))?;
    Ok(vec![one, each])
}

fn heartbeat_trial(
    mut setup: Setup,
    heartbeat: Duration,
    subject: &str,
    add: impl Fn(&mut Setup),
) -> Result<Trial, Failure> {
    add(&mut setup);
    setup.wait_until_live()?;
    setup.readers.read_for(heartbeat / 10)?;
    let between = busy(&mut setup, heartbeat / 3)?;
    let began = setup.readers.progress().heartbeats;
    let minute = busy(&mut setup, heartbeat * HEARTBEATS)?;
    let heartbeats = (setup.readers.progress().heartbeats - began) as f64 / setup.readers.len() as f64;
    let run = setup.run(EACH_ROOM_ONCE, Until::Posts(setup.channels.len() as u64))?;
    let values = [(table::MINUTE, minute), (table::BETWEEN, between), (table::HEARTBEATS, heartbeats)];
    let mut trial = setup.trial(subject, &run.sent, &values);
    if heartbeats < f64::from(HEARTBEATS - 1) {
        trial.void = Some(format!("{heartbeats:.1} heartbeats a reader"));
    }
    Ok(trial)
}

fn write_heartbeat(setup: &Setup) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(setup.server.post_address(0))?;
    let chunk = format!("{:x}\r\n{HEARTBEAT}\r\n", HEARTBEAT.len());
    write!(stream, "POST /bench HTTP/1.1\r\nContent-Length: {}\r\n\r\n{chunk}", chunk.len())?;
    // The writes of 8,000 sockets come before the answer, and readers have to read meanwhile.
    thread::spawn(move || stream.read(&mut [0; 64]));
    Ok(())
}
