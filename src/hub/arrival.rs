use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use super::PATIENCE;
use super::feed::{Feed, Found};
use super::presence::PresenceRequest;
use super::reader::{End, Reader};
use super::room::Room;
use crate::bus::{Entry, Span};
use crate::chat::{Cursor, Id, Rooms};
use crate::sse::{self, GapReason};

/// A reader whose request has been decided upon: what the hub needs to take it over.
pub struct SubscribeRequest {
    /// The rooms it asked for.
    pub rooms: Rooms,
    /// Where it wants to begin.
    pub start: Start,
    /// As whom it comes.
    pub presence: PresenceRequest,
    /// Its connection, which nobody else writes to any more.
    pub socket: std::net::TcpStream,
    /// The head of the response, which goes out before the first frame.
    pub head: Bytes,
    /// Held for as long as the stream is open.
    pub permit: Box<dyn Send>,
}

/// Where a reader wants to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// With what comes from now on.
    Live,
    /// With the newest messages of each room, so many.
    Newest(usize),
    /// After a place in each room.
    After(Vec<RequestedCursor>),
}

/// The place in one room that a reader asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestedCursor {
    /// After an id.
    Id(Id),
    /// After something that is no id.
    Invalid(String),
}

impl Start {
    /// After a place in each of so many rooms, as a reader writes it: ids with commas in between. A
    /// list of another length is none for any.
    pub fn after(asked: &str, rooms: usize) -> Self {
        let invalid = |asked: &str| RequestedCursor::Invalid(asked.to_owned());
        Start::After(match asked.split(',').count() == rooms {
            true => asked.split(',').map(|id| id.parse().map_or_else(|_| invalid(id), RequestedCursor::Id)).collect(),
            false => vec![invalid(asked); rooms],
        })
    }

    /// The place that is known before the logs were read.
    fn place(&self) -> Option<Cursor> {
        let Start::After(asked) = self else { return None };
        let id = |asked: &RequestedCursor| match asked {
            RequestedCursor::Id(id) => Some(*id),
            RequestedCursor::Invalid(_) => None,
        };
        asked.iter().map(id).collect()
    }
}

/// How a reader begins, decided when the frames of all its rooms are true to their logs.
struct Plan {
    beginnings: Vec<Beginning>,
    /// Where it goes on after these, if that is held.
    found: Option<Found>,
}

/// How a reader begins in one room.
struct Beginning {
    /// The place for the stream's opening. Unknown for an invalid id: a reader that is cut off
    /// before it heard of the gap must ask for it again.
    place: Option<Id>,
    /// The gap to tell before anything else.
    gap: Option<Bytes>,
    /// Messages that are read from the log, oldest first.
    replay: Vec<Entry>,
    /// The place after these.
    after: Id,
}

impl Beginning {
    fn after(id: Id) -> Self {
        Self { place: Some(id), gap: None, replay: Vec::new(), after: id }
    }
}

impl Plan {
    /// The place for the stream's opening.
    fn place(&self) -> Option<Cursor> {
        self.beginnings.iter().map(|beginning| beginning.place).collect()
    }
}

/// Opens a stream and brings the reader to its place. The opening goes out at once; where a log
/// cannot be read within a second, it goes out without what only the log knows.
pub async fn arrive(reader: &mut Reader, start: &Start) -> Result<(), End> {
    let feed = reader.feed().clone();
    let patience = if feed.tape(|tape| tape.live) { PATIENCE } else { Duration::ZERO };
    let mut plan = pin!(plan(&feed, start));
    match timeout(patience, &mut plan).await {
        Ok(plan) => {
            let opening =
                [sse::opening(sse::retry(), plan.place().as_ref()).into(), reader.hub().status(true)].concat();
            reader.send(opening).await?;
            go_on(reader, plan).await
        }
        Err(_) => open_without_the_log(reader, start, plan).await,
    }
}

async fn open_without_the_log(reader: &mut Reader, start: &Start, plan: impl Future<Output = Plan>) -> Result<(), End> {
    let known = start.place();
    let opening = [sse::opening(sse::retry(), known.as_ref()).into(), reader.hub().status(false)].concat();
    reader.told = false;
    reader.send(opening).await?;
    let plan = reader.wait_for(plan).await?;
    if let (None, Some(place)) = (known, plan.place()) {
        reader.send(sse::place(&place)).await?;
    }
    go_on(reader, plan).await
}

/// Gaps are told before anything else: what follows moves the place in all rooms.
async fn go_on(reader: &mut Reader, plan: Plan) -> Result<(), End> {
    let begin = |beginning: &Beginning| beginning.place.unwrap_or(beginning.after);
    let place: Cursor = plan.beginnings.iter().map(begin).collect();
    let gaps = plan.beginnings.iter().enumerate().filter_map(|(member, beginning)| {
        let gap = beginning.gap.clone()?;
        Some(reader.feed().frame(member, gap, &place))
    });
    let gaps = gaps.collect::<Vec<_>>().concat();
    reader.begin_after(place);
    reader.send(gaps).await?;
    for (member, beginning) in plan.beginnings.iter().enumerate() {
        reader.replay(member, &beginning.replay).await?;
    }
    let is_there = match plan.found {
        Some(found) => reader.go_to(found).await?,
        None => false,
    };
    if is_there { Ok(()) } else { reader.find_place().await }
}

/// Joins first, reads second: the frames are made true to the logs as of now, and then the reader's
/// place is looked for among them, before it is told anything.
async fn plan(feed: &Feed, start: &Start) -> Plan {
    let rooms = feed.rooms().iter().enumerate();
    let beginnings = join_all(rooms.map(|(member, room)| begin(room, start, member))).await;
    let after = beginnings.iter().map(|beginning| beginning.after).collect();
    Plan { beginnings, found: feed.find(&after).ok() }
}

async fn begin(room: &Room, start: &Start, member: usize) -> Beginning {
    let asked = match start {
        Start::After(asked) => Some(&asked[member]),
        Start::Live | Start::Newest(_) => None,
    };
    if let Some(RequestedCursor::Id(id)) = asked {
        room.ready_to_judge(*id).await;
        return resume(room, *id);
    }
    loop {
        room.current_since(room.ticket()).await;
        let begun = match (start, asked) {
            (Start::Newest(count), _) => newest(room, *count).await,
            (_, Some(RequestedCursor::Invalid(asked))) => invalid(room, asked),
            _ => room.log().last().map(Beginning::after),
        };
        match begun {
            Some(beginning) => return beginning,
            None => sleep(PATIENCE / 10).await,
        }
    }
}

fn resume(room: &Room, id: Id) -> Beginning {
    room.count_resume(room.log().position_after(id).is_some());
    Beginning::after(id)
}

fn invalid(room: &Room, asked: &str) -> Option<Beginning> {
    let last = room.log().last()?;
    room.count_gap(GapReason::Invalid);
    let gap = sse::gap(asked, None, GapReason::Invalid, last);
    Some(Beginning { place: None, gap: Some(gap), ..Beginning::after(last) })
}

/// The place before the first replayed message is that of a message, where one is retained: a
/// reader that comes back with it has to find it in the log.
async fn newest(room: &Room, count: usize) -> Option<Beginning> {
    let held = room.log().newest(count);
    if held.is_some() {
        return held.map(Beginning::after);
    }
    let reading = room.read(Span::Newest, count + 1).await.ok()?;
    let mut replay = reading.entries;
    let place = match replay.len() > count {
        true => replay.remove(0).id,
        false => replay.first().map_or(reading.last, |first| first.id.place_before()),
    };
    let after = replay.last().map_or(reading.last, |last| last.id);
    Some(Beginning { place: Some(place), gap: None, replay, after })
}
