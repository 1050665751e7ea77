use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::PATIENCE;
use super::log::{Log, Position};
use super::reader::{End, Reader};
use super::room::Room;
use crate::bus::{Entry, Span};
use crate::chat::{Id, RoomName};
use crate::sse::{self, GapReason};

/// A reader whose request has been decided upon: what the hub needs to take it over.
pub struct Arrival {
    /// The room it asked for.
    pub room: RoomName,
    /// Where it wants to begin.
    pub start: Start,
    /// Its connection, which nobody else writes to any more.
    pub socket: TcpStream,
    /// The head of the response, which goes out before the first frame.
    pub head: Bytes,
    /// Held for as long as the stream is open.
    pub seat: Box<dyn Send>,
}

/// Where a reader wants to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// With what comes from now on.
    Live,
    /// With the newest messages, so many.
    Newest(usize),
    /// After an id.
    After(Id),
    /// After something that is no id.
    Invalid(String),
}

impl Start {
    /// The place that is known before the log was read.
    fn place(&self) -> Option<Id> {
        match self {
            Start::After(id) => Some(*id),
            _ => None,
        }
    }
}

/// How a reader begins, decided when the room's frames are true to the log.
struct Plan {
    /// The place for the stream's opening. Unknown for an invalid id: a reader that is cut off
    /// before it heard of the gap must ask for it again.
    place: Option<Id>,
    /// The gap to tell before anything else.
    gap: Option<Bytes>,
    /// Messages that are read from the log, oldest first.
    replay: Vec<Entry>,
    next: Next,
}

/// Where a reader goes on after what the plan holds.
enum Next {
    /// At a position among the room's frames, which is the place after an id; `end` was their end when
    /// it was found.
    At {
        position: Position,
        end: Position,
        after: Id,
    },
    /// After an id that is not among them.
    After(Id),
}

impl Plan {
    /// Goes on among the room's frames, after an id.
    fn held(log: &Log, position: Position, after: Id) -> Self {
        let next = Next::At { position, end: log.end(), after };
        Self { place: Some(after), gap: None, replay: Vec::new(), next }
    }

    /// Reads the log, beginning after an id.
    fn read(replay: Vec<Entry>, place: Id, after: Id) -> Self {
        Self { place: Some(place), gap: None, replay, next: Next::After(after) }
    }
}

/// Opens a stream and brings the reader to its place. The opening goes out at once; where the log
/// cannot be read within a second, it goes out without what only the log knows.
pub async fn arrive(reader: &mut Reader, start: &Start) -> Result<(), End> {
    let room = reader.room().clone();
    let patience = if room.log().live() { PATIENCE } else { Duration::ZERO };
    let mut plan = pin!(plan(&room, start));
    match timeout(patience, &mut plan).await {
        Ok(plan) => {
            let opening = [sse::opening(sse::retry(), plan.place).into(), reader.hub().status(true)].concat();
            reader.send(opening).await?;
            go_on(reader, plan).await
        }
        Err(_) => open_without_the_log(reader, start, plan).await,
    }
}

async fn open_without_the_log(reader: &mut Reader, start: &Start, plan: impl Future<Output = Plan>) -> Result<(), End> {
    let opening = [sse::opening(sse::retry(), start.place()).into(), reader.hub().status(false)].concat();
    reader.told = false;
    reader.send(opening).await?;
    let plan = reader.wait_for(plan).await?;
    if let (None, Some(place)) = (start.place(), plan.place) {
        reader.send(sse::place(place)).await?;
    }
    go_on(reader, plan).await
}

async fn go_on(reader: &mut Reader, plan: Plan) -> Result<(), End> {
    if let Some(gap) = plan.gap {
        reader.send(gap).await?;
    }
    if !plan.replay.is_empty() {
        reader.replay(&plan.replay).await?;
    }
    match plan.next {
        Next::At { position, end, after } => reader.place_at(position, end, after),
        Next::After(id) => reader.find_place(id).await?,
    }
    Ok(())
}

/// Joins first, reads second: the room's frames are made true to the log as of now, and then the
/// reader's place is looked for among them.
async fn plan(room: &Arc<Room>, start: &Start) -> Plan {
    loop {
        room.current_since(room.ticket()).await;
        let planned = match start {
            Start::Live => live(room),
            Start::After(id) => Some(resume(room, *id)),
            Start::Invalid(asked) => invalid(room, asked),
            Start::Newest(count) => newest(room, *count).await,
        };
        match planned {
            Some(plan) => return plan,
            None => sleep(PATIENCE / 10).await,
        }
    }
}

fn live(room: &Room) -> Option<Plan> {
    let log = room.log();
    Some(Plan::held(&log, log.end(), log.last()?))
}

fn resume(room: &Room, id: Id) -> Plan {
    let log = room.log();
    let position = log.position_after(id);
    room.count_resume(position.is_some());
    position.map_or_else(|| Plan::read(Vec::new(), id, id), |position| Plan::held(&log, position, id))
}

fn invalid(room: &Room, asked: &str) -> Option<Plan> {
    room.count_gap(GapReason::Invalid);
    let log = room.log();
    let last = log.last()?;
    let gap = sse::gap(asked, None, GapReason::Invalid, last);
    Some(Plan { place: None, gap: Some(gap), ..Plan::held(&log, log.end(), last) })
}

/// The place before the first replayed message is that of a message, where one is retained: a
/// reader that comes back with it has to find it in the log.
async fn newest(room: &Room, count: usize) -> Option<Plan> {
    let held = newest_held(&room.log(), count);
    if held.is_some() {
        return held;
    }
    let reading = room.read(Span::Newest, count + 1).await.ok()?;
    let mut replay = reading.entries;
    let place = match replay.len() > count {
        true => replay.remove(0).id,
        false => replay.first().map_or(reading.last, |first| first.id.place_before()),
    };
    let after = replay.last().map_or(reading.last, |last| last.id);
    Some(Plan::read(replay, place, after))
}

fn newest_held(log: &Log, count: usize) -> Option<Plan> {
    let (place, position) = log.newest(count)?;
    Some(Plan::held(log, position, place))
}
