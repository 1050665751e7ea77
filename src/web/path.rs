use std::future::{Ready, ready};
use std::ops::RangeInclusive;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use super::error::Problem;
use crate::chat::{RoomName, Rooms};

/// The room that a path names. It is read from the path as it was sent: actix would decode bytes
/// that are not UTF-8 to U+FFFD, and then two names would be one room.
impl FromRequest for RoomName {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(RoomName::from_path(segment(req)).map_err(Problem::from))
    }
}

/// The rooms that a path names, read in the same way.
impl FromRequest for Rooms {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Rooms::from_path(segment(req)).map_err(Problem::from))
    }
}

/// The segment of a path that names rooms.
fn segment(req: &HttpRequest) -> &str {
    let mut segments = req.uri().path().split('/').skip(1);
    match segments.next().unwrap_or_default() {
        "subscribe" | "history" | "presence" => segments.next().unwrap_or_default(),
        room => room,
    }
}

/// The value of a query parameter, the first of these names that is there.
pub fn query(req: &HttpRequest, names: &[&str]) -> Option<String> {
    queries(req, names).next()
}

/// The values of a query parameter that may stand there several times.
pub fn queries(req: &HttpRequest, names: &[&str]) -> impl Iterator<Item = String> {
    let pairs = form_urlencoded::parse(req.query_string().as_bytes());
    pairs.filter(|(name, _)| names.contains(&name.as_ref())).map(|(_, value)| value.into_owned())
}

/// A query parameter that is a number in a range, written in digits only.
pub fn number(req: &HttpRequest, name: &str, range: RangeInclusive<usize>) -> Result<Option<usize>, Problem> {
    let Some(text) = query(req, &[name]) else {
        return Ok(None);
    };
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits && range.contains(&number) => Ok(Some(number)),
        _ => Err(Problem::malformed(format!("{name} is a number from {} to {}.", range.start(), range.end()))),
    }
}
