//! Examines a public address from outside: whether anything between it and the nodes buffers, compresses, cuts or caches
//! streams, drops headers or hides clients, and which setting of which proxy to change.
//!
//! It relies only on what `docs/contract.md` promises to every client. `examination` measures; `checks`, `framing`,
//! `client_address` and `app_key` judge the measurements and do no I/O.

mod advice;
mod app_key;
mod checks;
mod client_address;
mod examination;
mod finding;
mod framing;
mod http;
mod recording;
mod report;
mod stream_recorder;
mod target;
mod text;

use std::time::Duration;

use clap::Args;
use tokio::time::timeout;

use crate::chat::RoomName;
use app_key::AppKey;
use examination::Examination;
use finding::Finding;
use report::Report;
use target::Target;

/// Limit on an examination without its idle time, however slowly the address answers.
const MAX_ACTIVE_TIME: Duration = Duration::from_secs(150);

/// The longest default idle time: two heartbeat intervals of at most 60 s, and some reserve.
const MAX_DEFAULT_IDLE: Duration = Duration::from_secs(130);

/// Options of `tiny-chat doctor`.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// The public address, such as `https://chat.example.org`; its path is ignored
    pub url: String,

    /// The room to use; five messages stay in it until they expire [default: a new one, doctor-…]
    #[arg(long, value_name = "ROOM", value_parser = parse_room)]
    pub room: Option<RoomName>,

    /// How many seconds to listen without posting; the stream has to stay open [default: two heartbeats and 3 s]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub idle: Option<u64>,

    /// The key and the secret of an app: whether its calls are accepted
    #[arg(long, value_name = "KEY:SECRET", value_parser = AppKey::parse)]
    key: Option<AppKey>,
}

/// The result of an examination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No finding is broken.
    Sound,
    /// At least one finding is broken.
    Broken,
    /// There was nothing to examine: no connection, or no tiny-chat at the address.
    NotExamined,
}

impl Outcome {
    /// Returns the exit code of the process.
    pub fn code(self) -> u8 {
        match self {
            Self::Sound => 0,
            Self::Broken => 1,
            Self::NotExamined => 2,
        }
    }
}

/// Examines an address and prints the findings to standard output.
pub async fn examine(options: &Options) -> Outcome {
    let run_id = format!("doctor-{:08x}", rand::random::<u32>());
    let room = options.room.as_ref().map_or(run_id.clone(), |room| room.as_str().to_owned());
    let mut report = Report::new();
    match Target::new(&options.url, room) {
        Ok(target) => run(&target, &mut report, run_id, options).await,
        Err(why) => not_examined(&mut report, &why),
    }
}

async fn run(target: &Target, report: &mut Report, run_id: String, options: &Options) -> Outcome {
    let idle = options.idle.map(Duration::from_secs);
    report.print_line(&format!("{}, room {}\n", target.origin(), target.room()));
    let limit = MAX_ACTIVE_TIME + 2 * idle.unwrap_or(MAX_DEFAULT_IDLE); // a stream that is cut is followed by a second
    match timeout(limit, Examination::new(target, report, run_id).run(idle, options.key.as_ref())).await {
        Ok(Ok(())) => {}
        Ok(Err(why)) => return not_examined(report, &why),
        Err(_) => report.add(Finding::broken("time", format!("not finished after {} s", limit.as_secs()))),
    }
    if report.print_summary() { Outcome::Sound } else { Outcome::Broken }
}

fn not_examined(report: &mut Report, why: &str) -> Outcome {
    report.print_line(&format!("Could not examine it: {why}"));
    Outcome::NotExamined
}

fn parse_room(text: &str) -> Result<RoomName, String> {
    RoomName::parse(text).map_err(|why| why.to_string())
}
