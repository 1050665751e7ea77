//! The workloads in which readers stay connected and receive messages, one function each. Each returns the trials of
//! one server.

use std::{sync::Arc, time::Duration};

use crate::{
    Failure,
    hubs::{kind::Kind, page},
    publisher::{Backpressure, Channel, PublishRate, Until},
    setup::{Setup, Size, channel_per_room, latency, one_room, paced_trial},
    table::{self, Trial},
};

/// 800 readers of one room, 50 messages a second.
pub fn paced(kind: Kind, size: Size) -> Result<Vec<Trial>, Failure> {
    let mut setup = Setup::new(kind, 1, 1, one_room(1))?;
    setup.add_readers(size.count(800), 0, 0, "bench");
    Ok(vec![paced_trial(&mut setup, 50.0, size.time(5.0), kind.name())?])
}

/// 1,000 readers of one room, 4 publishers as fast as they are acknowledged.
pub fn saturated(kind: Kind, size: Size) -> Result<Vec<Trial>, Failure> {
    let mut setup = Setup::new(kind, 1, 4, one_room(4))?;
    setup.add_readers(size.count(1000), 0, 0, "bench");
    setup.warm_up()?;
    let run = setup.run(PublishRate::AsAcknowledged, Until::Over(size.time(3.0)))?;
    let values = [
        (table::RATE, run.per_second()),
        (table::CPU, run.per_delivery()),
        (table::P99, latency(&setup.readers, 0.99)),
        (table::GENERATOR, run.generator()),
    ];
    Ok(vec![setup.trial(kind.name(), &run.sent, &values)])
}

/// 1,000 rooms of 5 readers, 1,000 messages a second over all.
pub fn many_rooms(kind: Kind, size: Size) -> Result<Vec<Trial>, Failure> {
    let setup = Setup::new(kind, 1, 8, channel_per_room(size.count(1000)))?;
    Ok(vec![rooms_trial(setup, size, kind.name())?])
}

/// The same, but posted at a second node, since with 5 deliveries per post the post costs more than they do.
pub fn posted_elsewhere(size: Size) -> Result<Vec<Trial>, Failure> {
    let mut setup = Setup::new(Kind::Ours, 2, 8, channel_per_room(size.count(1000)))?;
    setup.publish_node = Some(1);
    Ok(vec![rooms_trial(setup, size, "tiny-chat, posts elsewhere")?])
}

fn rooms_trial(mut setup: Setup, size: Size, subject: &str) -> Result<Trial, Failure> {
    let rooms = setup.channels.len();
    for group in 0..rooms {
        setup.add_readers(5, 0, group, &format!("room-{group}"));
    }
    paced_trial(&mut setup, rooms as f64, size.time(5.0), subject)
}

/// 800 readers of the same 8 rooms in one stream, 50 messages a second over all, which only tiny-chat can do.
pub fn merged_rooms(size: Size) -> Result<Vec<Trial>, Failure> {
    let rooms: Vec<String> = (0..8).map(|room| format!("room-{room}")).collect();
    let channels = rooms
        .iter()
        .enumerate()
        .map(|(lane, room)| Channel { room: room.clone(), group: 0, lane })
        .collect();
    let mut setup = Setup::new(Kind::Ours, 1, 1, channels)?;
    setup.add_readers(size.count(800), 0, 0, &rooms.join(","));
    Ok(vec![paced_trial(&mut setup, 50.0, size.time(5.0), Kind::Ours.name())?])
}

/// 900 readers of one room over 1, 2, 3 nodes on one Redis: 4 publishers as fast as they are acknowledged and readers
/// can follow; then 50 messages a second, a rate at which batches are as small on one node as on three.
pub fn scale(size: Size) -> Result<Vec<Trial>, Failure> {
    let new_setup = |nodes: usize, publishers| -> Result<Setup, Failure> {
        let mut setup = Setup::new(Kind::Ours, nodes, publishers, one_room(publishers))?;
        for node in 0..nodes {
            setup.add_readers(size.count(900) / nodes, node, 0, "bench");
        }
        Ok(setup)
    };
    let mut trials = Vec::new();
    for nodes in 1..=3 {
        let mut setup = new_setup(nodes, 4)?;
        setup.warm_up()?;
        let (received, readers) = (Arc::default(), setup.readers.len() as u64);
        setup.backpressure = Some(Backpressure { received, readers, max_lead: 500 });
        let run = setup.run(PublishRate::AsAcknowledged, Until::Over(size.time(2.5)))?;
        let subject = format!("{nodes} node{}", if nodes == 1 { "" } else { "s" });
        let values = [(table::RATE, run.per_second()), (table::CPU, run.per_delivery())];
        trials.push(setup.trial(&subject, &run.sent, &values));
        drop(setup);
        let paced = paced_trial(&mut new_setup(nodes, 1)?, 50.0, size.time(3.0), &format!("{subject}, 50 messages/s"))?;
        trials.push(paced);
    }
    Ok(trials)
}

/// 100, 1,000 and 10,000 readers of one room, with the same number of deliveries a second.
pub fn growth(kind: Kind, size: Size) -> Result<Vec<Trial>, Failure> {
    [(100, 200.0), (1000, 20.0), (10_000, 2.0)]
        .into_iter()
        .map(|(readers, rate)| {
            let mut setup = Setup::new(kind, 1, 1, one_room(1))?;
            let readers = size.count(readers);
            setup.add_readers(readers, 0, 0, "bench");
            paced_trial(
                &mut setup,
                rate,
                Duration::max(size.time(4.0), Duration::from_secs_f64(1.5 / rate)),
                &format!("{}, {} readers", kind.name(), page::with_commas(readers as f64, 0)),
            )
        })
        .collect()
}
