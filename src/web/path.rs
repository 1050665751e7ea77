//! Extractors for the room, or the rooms, that a request's path names. They are the gate of private rooms: a handler gets
//! none of these, and before anything else is read the client gets the same answer for each.

use std::borrow::Cow;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use percent_encoding::percent_decode_str;

use super::error::Problem;
use super::state::AppState;
use crate::apps::is_private_name;
use crate::chat::{RoomName, Rooms};

impl FromRequest for RoomName {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(open_room(req))
    }
}

impl FromRequest for Rooms {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(open_rooms(req))
    }
}

/// Returns the room that the path names, private or not: for handlers that ask for credentials themselves.
pub(super) fn any_room(req: &HttpRequest) -> Result<RoomName, Problem> {
    Ok(RoomName::from_path(room_segment(req))?)
}

/// Returns the text of the path segment that names a room, whether it is a room's name or not.
pub(super) fn room_text(req: &HttpRequest) -> Cow<'_, str> {
    percent_decode_str(room_segment(req)).decode_utf8_lossy()
}

/// Returns the room that the path names, unless it is private.
pub(super) fn open_room(req: &HttpRequest) -> Result<RoomName, Problem> {
    let room = any_room(req)?;
    refuse_private(req, std::slice::from_ref(&room))?;
    Ok(room)
}

fn open_rooms(req: &HttpRequest) -> Result<Rooms, Problem> {
    let rooms = Rooms::from_path(room_segment(req)).or_else(|error| {
        // A private room counts before what is wrong with the list.
        let text = room_text(req);
        let private = text.split(',').filter(|name| is_private_name(name)).find_map(|name| RoomName::parse(name).ok());
        refuse_private(req, private.as_slice())?;
        Err(Problem::from(error))
    })?;
    refuse_private(req, &rooms)?;
    Ok(rooms)
}

/// Refuses the request if one of the rooms is private.
fn refuse_private(req: &HttpRequest, rooms: &[RoomName]) -> Result<(), Problem> {
    let apps = req.app_data::<web::Data<AppState>>().map(|state| &state.apps);
    let is_open = |room| apps.is_some_and(|apps| !apps.is_private(room));
    if rooms.iter().all(is_open) { Ok(()) } else { Err(Problem::private_room()) }
}

/// Returns the path segment that names a room or a list of rooms, still percent-encoded.
fn room_segment(req: &HttpRequest) -> &str {
    // Not from actix's match info: it decodes bytes that are not UTF-8 to U+FFFD, and they would go unnoticed.
    let mut segments = req.uri().path().split('/').skip(1);
    match segments.next().unwrap_or_default() {
        "subscribe" | "history" | "presence" | "rooms" => segments.next().unwrap_or_default(),
        room => room,
    }
}
