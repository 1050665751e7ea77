//! Extractors for the room, or the rooms, that a request's path names.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use super::error::Problem;
use crate::chat::{RoomName, Rooms};

impl FromRequest for RoomName {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(RoomName::from_path(room_segment(req)).map_err(Problem::from))
    }
}

impl FromRequest for Rooms {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Rooms::from_path(room_segment(req)).map_err(Problem::from))
    }
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
