//! Parameters in the query string of a request.

use std::ops::RangeInclusive;

use actix_web::HttpRequest;

use super::error::Problem;

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

/// Returns true if the client asks for senders and texts as they were posted (`text=plain`), and not escaped for HTML.
///
/// # Errors
/// 400 if `text` is anything but `plain` and `escaped`.
pub(super) fn wants_plain_text(req: &HttpRequest) -> Result<bool, Problem> {
    match first(req, &["text"]).as_deref() {
        None | Some("escaped") => Ok(false),
        Some("plain") => Ok(true),
        Some(_) => Err(Problem::bad_request("text must be plain, or escaped, which is the default.")),
    }
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
