use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::error::Problem;
use super::query;
use super::state::AppState;
use crate::bus::{Entry, LogPage, Span};
use crate::chat::{Id, Message, RoomName};

/// Messages per answer where the client does not say.
const LIMIT: usize = 50;
/// The most messages per answer.
const MOST: usize = 200;

/// A part of a room's history.
#[derive(Serialize)]
struct History {
    messages: Vec<Line>,
    /// The cursor of exactly this reading: a stream from here continues without hole or double.
    last: String,
}

/// A message of the history, escaped as it is stored.
#[derive(Serialize)]
struct Line {
    id: String,
    sender: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
}

/// `GET /history/{room}`: the newest messages, those before an id, or those after one.
pub async fn list(req: HttpRequest, room: RoomName, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let limit = query::number(&req, "limit", 1..=MOST)?.unwrap_or(LIMIT);
    let span = match (id(&req, "before")?, id(&req, "after")?) {
        (Some(_), Some(_)) => return Err(Problem::bad_request("Ask for messages either before or after an id.")),
        (Some(before), None) => Span::Before(before),
        (None, Some(after)) => Span::After(after),
        (None, None) => Span::Newest,
    };
    let reading = state.hub.history(&room, span, limit).await?;
    let last = cursor(span, &reading).to_string();
    let messages = reading.entries.iter().filter_map(line).collect();
    Ok(no_store().json(History { messages, last }))
}

/// `GET /history/{room}/{id}`: one message, and the node that took it.
pub async fn one(
    room: RoomName,
    path: web::Path<(String, String)>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let id: Id = path.1.parse().map_err(|why| Problem::bad_request(format!("{why}.")))?;
    let reading = state.hub.history(&room, Span::From(id), 1).await?;
    let entry = reading.entries.into_iter().find(|entry| entry.id == id);
    let line = entry
        .as_ref()
        .and_then(|entry| Some(Line { node: Some(entry.node.clone().unwrap_or_default()), ..line(entry)? }));
    let line = line.ok_or_else(|| Problem::not_found("No message with this id is retained."))?;
    Ok(no_store().json(line))
}

fn no_store() -> actix_web::HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::CACHE_CONTROL, "no-store"));
    answer
}

/// Where the reading ends: at its last message, or at the last id ever given out if it came to the
/// end of the log, since the newest message may have been deleted.
fn cursor(span: Span, reading: &LogPage) -> Id {
    let last_read = reading.entries.last().map(|entry| entry.id);
    match (span, last_read) {
        (Span::Before(_), Some(last)) => last,
        (Span::Before(_), None) => reading.first.map_or(reading.last, Id::place_before),
        (_, Some(last)) if reading.more && span != Span::Newest => last,
        _ => reading.last,
    }
}

fn line(entry: &Entry) -> Option<Line> {
    let message = Message::parse(&entry.data).filter(|_| entry.kind.is_empty())?;
    Some(Line { id: entry.id.to_string(), sender: message.sender, message: message.message, node: None })
}

fn id(req: &HttpRequest, name: &str) -> Result<Option<Id>, Problem> {
    let parsed = query::first(req, &[name]).map(|text| text.parse()).transpose();
    parsed.map_err(|why: crate::chat::NotAnId| Problem::bad_request(format!("{name}: {why}.")))
}
