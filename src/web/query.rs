//! Parameters in the query string of a request.

use std::ops::RangeInclusive;

use actix_web::HttpRequest;

use super::error::Problem;
use crate::chat::{TimeZone, TimeZoneError, parse_time};
use crate::sse::Text;

/// How many parameters of a query string are read; those after them are ignored.
const MAX_PARAMETERS: usize = 64;

/// Returns all values of a query parameter that may be repeated, in order. `names` are its spellings.
pub(super) fn all(req: &HttpRequest, names: &[&str]) -> impl Iterator<Item = String> {
    let pairs = form_urlencoded::parse(req.query_string().as_bytes()).take(MAX_PARAMETERS);
    pairs.filter(|(name, _)| names.contains(&name.as_ref())).map(|(_, value)| value.into_owned())
}

/// Returns the first value of a query parameter. `names` are its spellings.
pub(super) fn first(req: &HttpRequest, names: &[&str]) -> Option<String> {
    all(req, names).next()
}

/// Returns whether the client asks for senders and texts as they were posted (`text=plain`), or escaped for HTML.
///
/// # Errors
/// 400 if `text` is anything but `plain` and `escaped`.
pub(super) fn text(req: &HttpRequest) -> Result<Text, Problem> {
    match first(req, &["text"]).as_deref() {
        None | Some("escaped") => Ok(Text::Escaped),
        Some("plain") => Ok(Text::Plain),
        Some(_) => Err(Problem::bad_request("text must be plain, or escaped, which is the default.")),
    }
}

/// Reads `typed`: whether events with a type are only told of.
pub(super) fn is_brief(req: &HttpRequest) -> Result<bool, Problem> {
    match first(req, &["typed"]).as_deref() {
        None => Ok(false),
        Some("brief") => Ok(true),
        Some(_) => Err(Problem::bad_request("typed: it can only be brief.")),
    }
}

/// Returns the time zone that the client asks for (`tz`), UTC without one.
///
/// # Errors
/// 400 if there is no such zone.
pub(super) fn time_zone(req: &HttpRequest) -> Result<TimeZone, Problem> {
    let zone = first(req, &["tz"]).map_or(Ok(TimeZone::UTC), |text| text.parse());
    zone.map_err(|error: TimeZoneError| Problem::bad_request(format!("tz: {error}.")))
}

/// Returns a query parameter that is a time, in Unix milliseconds, or `None` if it is absent.
///
/// # Errors
/// 400 if it is none.
pub(super) fn time(req: &HttpRequest, name: &str) -> Result<Option<u64>, Problem> {
    let rule = "must be a time such as 2026-11-25T14:00, 2026-11-25T14:00:30 or 2026-11-25T14:00+01:00.";
    let time = first(req, &[name]).map(|text| parse_time(&text).ok_or(Problem::bad_request(format!("{name} {rule}"))));
    time.transpose()
}

/// Returns a query parameter that is a decimal number in `range`, or `None` if it is absent.
///
/// # Errors
/// 400 if the value contains anything but digits or is out of range.
pub(super) fn number(req: &HttpRequest, name: &str, range: RangeInclusive<usize>) -> Result<Option<usize>, Problem> {
    let Some(text) = first(req, &[name]) else {
        return Ok(None);
    };
    let digits = text.bytes().all(|b| b.is_ascii_digit()); // `parse` alone accepts "+1"
    match text.parse() {
        Ok(number) if digits && range.contains(&number) => Ok(Some(number)),
        _ => Err(Problem::bad_request(format!("{name} must be a number from {} to {}.", range.start(), range.end()))),
    }
}
