//! `GET /history/{room}` and `GET /history/{room}/{id}`: messages of a room's log as JSON.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use serde::Serialize;

use super::error::Problem;
use super::query;
use super::state::AppState;
use crate::bus::{Entry, LogPage, Span};
use crate::chat::{Id, Message, ParseIdError, RoomName};

/// Messages per response without `limit`.
const DEFAULT_MESSAGES_PER_RESPONSE: usize = 50;
/// The highest value of `limit`.
const MAX_MESSAGES_PER_RESPONSE: usize = 200;

/// A part of a room's history.
#[derive(Serialize)]
struct History {
    /// Oldest first.
    messages: Vec<HistoryMessage>,
    /// The cursor after these messages: a stream that starts there misses and repeats nothing.
    last: String,
}

/// A message of the history; its sender and text are escaped for HTML.
#[derive(Serialize)]
struct HistoryMessage {
    id: String,
    sender: String,
    message: String,
    /// The node that stored the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
}

/// Handles `GET /history/{room}`: returns the newest messages, the newest before an id, or the
/// oldest after one.
pub(super) async fn list(
    req: HttpRequest,
    room: RoomName,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let limit = query::number(&req, "limit", 1..=MAX_MESSAGES_PER_RESPONSE)?.unwrap_or(DEFAULT_MESSAGES_PER_RESPONSE);
    let span = match (id_parameter(&req, "before")?, id_parameter(&req, "after")?) {
        (Some(_), Some(_)) => return Err(Problem::bad_request("Use either before or after, not both.")),
        (Some(before), None) => Span::Before(before),
        (None, Some(after)) => Span::After(after),
        (None, None) => Span::Newest,
    };
    let page = state.hub.history(&room, span, limit).await?;
    let last = match span {
        Span::Before(_) if page.entries.is_empty() => cursor_before_first(&room, &state).await?,
        _ => cursor_after(span, &page),
    };
    let last = last.to_string();
    let messages = page.entries.iter().filter_map(history_message).collect();
    Ok(no_store().json(History { messages, last }))
}

/// Handles `GET /history/{room}/{id}`: returns one message and the node that stored it.
pub(super) async fn one(
    room: RoomName,
    path: web::Path<(String, String)>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let id: Id = path.1.parse().map_err(|error| Problem::bad_request(format!("{error}.")))?;
    let page = state.hub.history(&room, Span::From(id), 1).await?;
    let entry = page.entries.iter().find(|entry| entry.id == id);
    let message = entry.and_then(|entry| {
        let node = Some(entry.node.clone().unwrap_or_default());
        Some(HistoryMessage { node, ..history_message(entry)? })
    });
    let message = message.ok_or_else(|| Problem::not_found("No retained message has this id."))?;
    Ok(no_store().json(message))
}

fn no_store() -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    response
}

/// Returns the cursor after the messages of a page: the id of the last one or, if the page reaches
/// the end of the log, the last id that the log ever gave out.
fn cursor_after(span: Span, page: &LogPage) -> Id {
    let last_entry = page.entries.last().map(|entry| entry.id);
    match (span, last_entry) {
        (Span::Before(_), Some(last)) => last,
        (_, Some(last)) if page.more && span != Span::Newest => last,
        // Not the last entry's id: later messages may have been deleted.
        _ => page.last,
    }
}

/// Returns the cursor before the first retained message, or the last id that the log ever gave out if there is none.
async fn cursor_before_first(room: &RoomName, state: &AppState) -> Result<Id, Problem> {
    let oldest = state.hub.history(room, Span::After(Id::ZERO), 1).await?;
    Ok(oldest.entries.first().map_or(oldest.last, Entry::cursor_before))
}

/// Returns the message in a log entry, or `None` if the entry is of another kind.
fn history_message(entry: &Entry) -> Option<HistoryMessage> {
    let message = Message::parse(&entry.data).filter(|_| entry.kind.is_empty())?;
    Some(HistoryMessage { id: entry.id.to_string(), sender: message.sender, message: message.message, node: None })
}

/// Reads a query parameter that is an id.
fn id_parameter(req: &HttpRequest, name: &str) -> Result<Option<Id>, Problem> {
    let id = query::first(req, &[name]).map(|text| text.parse()).transpose();
    id.map_err(|error: ParseIdError| Problem::bad_request(format!("{name}: {error}.")))
}
