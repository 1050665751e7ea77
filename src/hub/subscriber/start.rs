//! Where a subscriber begins: its request, and the plan for each of its rooms.
//!
//! Subscribe first, read second: the plan is made when the frames of all rooms are in sync with their logs, so nothing
//! can be missed between reading a log and receiving its announcements.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::chat::{Cursor, Id, RoomName, Rooms};
use crate::hub::pass::Pass;
use crate::hub::room::presence::snapshot::PresentAs;
use crate::hub::room::shared_presence::PresenceGuard;
use crate::hub::room::{Room, RoomGuard};
use crate::hub::source::Source;
use crate::hub::source::lookup::Lookup;
use crate::sse::{Event, Form, GapReason};

/// The pause before a plan is tried again after a failed read.
const PLAN_RETRY_PAUSE: Duration = Duration::from_millis(100);

/// A subscribe request that was accepted, with everything the hub needs to serve it.
pub struct SubscribeRequest {
    /// The rooms of the stream.
    pub rooms: Rooms,
    /// Where it begins.
    pub start: Start,
    /// How the subscriber is present.
    pub presence: PresenceRequest,
    /// How it is written.
    pub form: Form,
    /// What lets the client have it; `None` if every client may have it.
    pub pass: Option<Arc<Pass>>,
    /// The client's connection, to which nothing else writes any more. It is registered with the reactor of the thread that
    /// took the request.
    pub socket: TcpStream,
    /// The head of the response, which is written before the first frame.
    pub head: Bytes,
    /// Held for as long as the stream is open.
    pub permit: Box<dyn Send>,
}

/// Where a stream begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// With what is published from now on.
    Live,
    /// With this many of the newest messages of each room.
    Newest(usize),
    /// After a cursor in each room.
    After(Vec<RequestedCursor>),
}

/// The cursor that a client requests in one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestedCursor {
    /// An id.
    Id(Id),
    /// Text that is not an id.
    Invalid(String),
}

/// Under what a subscriber is present, and where.
#[derive(Clone, Debug, Default)]
pub struct PresenceRequest {
    /// Under what; a subscriber counts in any case.
    pub present_as: PresentAs,
    /// The rooms of the stream in which the subscriber is present; `None` for all of them.
    pub rooms: Option<Vec<RoomName>>,
}

impl Start {
    /// Parses the cursor of a stream with this many rooms, which is a list of ids separated by commas. A list of another
    /// length is invalid in every room.
    pub fn after(cursor: &str, rooms: usize) -> Self {
        let invalid = |text: &str| RequestedCursor::Invalid(text.to_owned());
        Start::After(if cursor.split(',').count() == rooms {
            cursor.split(',').map(|id| id.parse().map_or_else(|_| invalid(id), RequestedCursor::Id)).collect()
        } else {
            vec![invalid(cursor); rooms]
        })
    }

    /// Returns the cursor that the stream begins with, if it is known without reading the logs.
    pub fn known_cursor(&self) -> Option<Cursor> {
        let Start::After(requested) = self else { return None };
        let id = |requested: &RequestedCursor| match requested {
            RequestedCursor::Id(id) => Some(*id),
            RequestedCursor::Invalid(_) => None,
        };
        requested.iter().map(id).collect()
    }
}

impl PresenceRequest {
    /// Joins those of the rooms in which the subscriber is to be present.
    pub fn join(&self, rooms: &[RoomGuard]) -> Box<[PresenceGuard]> {
        let is_present = |room: &&RoomGuard| self.rooms.as_ref().is_none_or(|rooms| rooms.contains(room.name()));
        let join = |room: &RoomGuard| PresenceGuard::new(Arc::clone(room.presence()), self.present_as.clone());
        rooms.iter().filter(is_present).map(join).collect()
    }
}

/// How a stream begins.
pub struct StartPlan {
    /// How it begins in each room, in the order of the rooms.
    pub rooms: Vec<RoomStart>,
    /// Where it continues; `None` if it has missed something first.
    pub lookup: Option<Lookup>,
}

/// How a stream begins in one room.
pub struct RoomStart {
    /// The id in the opening; `None` after an invalid cursor, since a client that is cut off before it receives the gap
    /// has to request the same cursor again.
    pub opening: Option<Id>,
    /// The gap event to send before anything else.
    pub gap: Option<Event>,
    /// The cursor after which it continues.
    pub cursor: Id,
}

impl RoomStart {
    fn at(id: Id) -> Self {
        Self { opening: Some(id), gap: None, cursor: id }
    }
}

impl StartPlan {
    /// Returns the cursor of the opening, if it has an id in every room.
    pub fn opening_cursor(&self) -> Option<Cursor> {
        self.rooms.iter().map(|room| room.opening).collect()
    }

    /// Returns the cursor after which the stream continues.
    pub fn cursor(&self) -> Cursor {
        self.rooms.iter().map(|room| room.cursor).collect()
    }
}

/// Plans how a stream begins, once the frames of all rooms are in sync.
pub async fn plan(source: &Source, start: &Start) -> StartPlan {
    let rooms = source.rooms().iter().enumerate();
    let rooms = join_all(rooms.map(|(index, room)| plan_room(room, start, index))).await;
    let cursor = rooms.iter().map(|room| room.cursor).collect();
    // What was missed is looked up again when the socket takes it.
    let lookup = source.look_up(&cursor).ok().filter(|lookup| lookup.missed.is_empty());
    StartPlan { rooms, lookup }
}

async fn plan_room(room: &Room, start: &Start, index: usize) -> RoomStart {
    let requested = match start {
        Start::After(requested) => Some(&requested[index]),
        Start::Live | Start::Newest(_) => None,
    };
    if let Some(RequestedCursor::Id(id)) = requested {
        room.ready_for_lookup(*id).await;
        room.context().count_resume(room.log().position_after(*id).is_some());
        return RoomStart::at(*id);
    }
    loop {
        room.in_sync_since(room.reads_started()).await;
        let planned = match (start, requested) {
            (Start::Newest(count), _) => room.cursor_before_newest(*count).await.ok().map(RoomStart::at),
            (_, Some(RequestedCursor::Invalid(text))) => start_after_invalid(room, text),
            _ => room.log().last().map(RoomStart::at),
        };
        match planned {
            Some(planned) => return planned,
            None => sleep(PLAN_RETRY_PAUSE).await,
        }
    }
}

fn start_after_invalid(room: &Room, requested: &str) -> Option<RoomStart> {
    let last = room.log().last()?;
    room.context().count_gap(GapReason::Invalid);
    let gap = Event::gap(requested, None, GapReason::Invalid);
    Some(RoomStart { opening: None, gap: Some(gap), ..RoomStart::at(last) })
}
