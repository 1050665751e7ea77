//! Asks a public address, from outside, what stands between it and a node: whether anything on the way
//! buffers, compresses, cuts, caches or forgets, and which line of which proxy to change.
//!
//! It knows only what the contract promises to everybody. `checks` and `asker` judge what was
//! measured and do nothing else; `examination` measures.

mod advice;
mod asker;
mod checks;
mod door;
mod ear;
mod examination;
mod finding;
mod report;

use std::time::Duration;

use clap::Args;
use tokio::time::timeout;

use crate::chat::RoomName;
use door::Door;
use examination::Examination;
use finding::Finding;
use report::Report;

/// How long everything but the listening may take, whatever the way does.
const BOUND: Duration = Duration::from_secs(150);

/// How long is listened at most where nobody says: twice the longest heartbeat, and a little.
const LONGEST_IDLE: Duration = Duration::from_secs(130);

/// What to examine.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// The public address, such as `https://chat.example.org`; its path is ignored
    pub url: String,

    /// The room to use; five messages stay in it until they expire [default: a new one, doctor-…]
    #[arg(long, value_name = "ROOM", value_parser = room)]
    pub room: Option<RoomName>,

    /// Seconds of silence that the stream has to live through [default: two heartbeats and 3 s]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub idle: Option<u64>,
}

/// How an examination ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is broken.
    Sound,
    /// Something is.
    Broken,
    /// There was nothing to examine.
    Impossible,
}

impl Outcome {
    /// The exit code that scripts get.
    pub fn code(self) -> u8 {
        match self {
            Self::Sound => 0,
            Self::Broken => 1,
            Self::Impossible => 2,
        }
    }
}

/// Examines an address and writes to stdout what it finds.
pub async fn examine(options: &Options) -> Outcome {
    let run = format!("doctor-{:08x}", rand::random::<u32>());
    let mut report = Report::new(run.clone());
    let room = options.room.as_ref().map_or(run, |room| room.as_str().to_owned());
    match Door::new(&options.url, room) {
        Ok(door) => through(&door, &mut report, options.idle.map(Duration::from_secs)).await,
        Err(why) => impossible(&mut report, &why),
    }
}

async fn through(door: &Door, report: &mut Report, idle: Option<Duration>) -> Outcome {
    report.say(&format!("{}, room {}\n", door.origin(), door.room()));
    let bound = BOUND + idle.unwrap_or(LONGEST_IDLE);
    match timeout(bound, Examination::new(door, report).run(idle)).await {
        Ok(Err(why)) => return impossible(report, &why),
        Ok(Ok(())) => {}
        Err(_) => report.tell(Finding::broken("time", format!("not finished after {} s", bound.as_secs()))),
    }
    if report.sum_up() { Outcome::Sound } else { Outcome::Broken }
}

fn impossible(report: &mut Report, why: &str) -> Outcome {
    report.say(&format!("Could not examine it: {why}"));
    Outcome::Impossible
}

fn room(text: &str) -> Result<RoomName, String> {
    RoomName::parse(text).map_err(|why| why.to_string())
}
