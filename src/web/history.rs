//! `GET /history/{room}` and `GET /history/{room}/{id}`: messages of a room's log as JSON.
//!
//! An answer that does not fit into one page of the log is read and encoded page by page while it is sent, so that the
//! node never holds it as a whole.

use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use serde::Serialize;

use super::error::Problem;
use super::held_body::{held_bytes, held_stream};
use super::query;
use super::state::AppState;
use crate::bus::{Entry, LogPage, PageLimit, Span, Unavailable};
use crate::chat::{Id, Message, ParseIdError, RoomName};
use crate::hub::Hub;
use crate::sse::Text;

/// Messages per response without `limit`.
const DEFAULT_MESSAGES_PER_RESPONSE: usize = 50;
/// The highest value of `limit`.
const MAX_MESSAGES_PER_RESPONSE: usize = 200;
/// The bytes of a page that is read for a response.
const PAGE_BYTES: usize = 64 << 10;
/// How often a page is tried to be read after the response has begun.
const PAGE_ATTEMPTS: usize = 3;

/// A part of a room's history.
#[derive(Serialize)]
struct History {
    /// Oldest first.
    messages: Vec<HistoryMessage>,
    /// The cursor after these messages: a stream that starts there misses and repeats nothing.
    last: String,
}

/// A message of the history.
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
    let text = query::text(&req)?;
    let logs = state.hub.logs();
    let permit = logs.answer_permit(PAGE_BYTES).await?;
    let page = logs.answer_page(&room, span, PageLimit { entries: limit, bytes: PAGE_BYTES }).await?;
    let last = match span {
        Span::Before(_) if page.entries.is_empty() => cursor_before_first(&room, &state).await?,
        _ => cursor_after(span, &page),
    };
    let messages: Vec<_> = page.entries.iter().filter_map(|entry| history_message(entry, text)).collect();
    if messages.len() == limit || !page.more {
        let json = serde_json::to_vec(&History { messages, last: last.to_string() }).unwrap_or_default();
        return Ok(json_response(held_bytes(json.into(), permit)));
    }
    let next = match span {
        Span::After(id) | Span::From(id) => id,
        Span::Newest | Span::Before(_) => logs.cursor_before(&room, span, limit).await?,
    };
    let until = page.entries.last().filter(|_| matches!(span, Span::Newest | Span::Before(_)));
    let rest = Pages {
        hub: state.hub.clone(),
        room,
        next,
        until: until.map(|until| (until.id, last)),
        left: limit,
        form: text,
        text: String::from("{\"messages\":["),
        ended: false,
    };
    Ok(json_response(held_stream(rest.into_stream(), permit)))
}

/// The messages of a response that is read page by page, from the oldest on.
struct Pages {
    hub: Arc<Hub>,
    room: RoomName,
    /// The cursor after what was read.
    next: Id,
    /// The newest entry of the response and the cursor after it, if they are known.
    until: Option<(Id, Id)>,
    /// The messages that may follow.
    left: usize,
    /// Whether they are escaped.
    form: Text,
    /// What was encoded and not sent.
    text: String,
    ended: bool,
}

impl Pages {
    fn into_stream(self) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
        stream::unfold(self, async |mut pages| {
            if pages.ended {
                return None;
            }
            // After an error the client sees that the body is incomplete.
            let chunk = pages.read_next().await.map_err(|Unavailable| std::io::Error::other("the log cannot be read"));
            pages.ended |= chunk.is_err();
            Some((chunk, pages))
        })
    }

    /// Reads a page and returns its messages in JSON, with the end of the response if it is the last page.
    async fn read_next(&mut self) -> Result<Bytes, Unavailable> {
        let page = self.read_page().await?;
        let is_included = |entry: &&Entry| self.until.is_none_or(|(until, _)| entry.id <= until);
        for entry in page.entries.iter().take_while(is_included) {
            self.next = entry.id;
            if let Some(message) = history_message(entry, self.form) {
                self.text.push_str(&serde_json::to_string(&message).unwrap_or_default());
                self.text.push(',');
                self.left -= 1;
            }
        }
        let is_last = self.left == 0 || !page.more || self.until.is_some_and(|(until, _)| self.next >= until);
        if is_last {
            let after = if page.more { self.next } else { page.last };
            let last = self.until.map_or(after, |(_, last)| last);
            let text = self.text.trim_end_matches(',').to_owned();
            self.text = format!("{text}],\"last\":\"{last}\"}}");
            self.ended = true;
        }
        // The comma after the last message of a page is sent only if another message follows.
        let comma = if self.text.ends_with(',') { self.text.len() - 1 } else { self.text.len() };
        let rest = self.text.split_off(comma);
        Ok(std::mem::replace(&mut self.text, rest).into())
    }

    async fn read_page(&self) -> Result<LogPage, Unavailable> {
        let limit = PageLimit { entries: self.left, bytes: PAGE_BYTES };
        let mut page = Err(Unavailable);
        for _ in 0..PAGE_ATTEMPTS {
            page = self.hub.logs().answer_page(&self.room, Span::After(self.next), limit).await;
            if page.is_ok() {
                break;
            }
        }
        page
    }
}

/// Handles `GET /history/{room}/{id}`: returns one message and the node that stored it.
pub(super) async fn one(
    req: HttpRequest,
    room: RoomName,
    path: web::Path<(String, String)>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let id: Id = path.1.parse().map_err(|error| Problem::bad_request(format!("{error}.")))?;
    let text = query::text(&req)?;
    let logs = state.hub.logs();
    let permit = logs.answer_permit(PAGE_BYTES).await?;
    let until = Span::Before(Id { n: id.n + 1, ..id });
    let page = logs.answer_page(&room, until, PageLimit { entries: 1, bytes: PAGE_BYTES }).await?;
    let entry = page.entries.iter().find(|entry| entry.id == id);
    let message = entry.and_then(|entry| {
        let node = Some(entry.node.clone().unwrap_or_default());
        Some(HistoryMessage { node, ..history_message(entry, text)? })
    });
    let message = message.ok_or_else(|| Problem::not_found("No retained message has this id."))?;
    let json = serde_json::to_vec(&message).unwrap_or_default();
    Ok(json_response(held_bytes(json.into(), permit)))
}

fn json_response(body: BoxBody) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type(header::ContentType::json())
        .body(body)
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
    let limit = PageLimit { entries: 1, bytes: PAGE_BYTES };
    let oldest = state.hub.logs().answer_page(room, Span::After(Id::ZERO), limit).await?;
    Ok(oldest.entries.first().map_or(oldest.last, Entry::cursor_before))
}

/// Returns the message in a log entry, as it was posted or escaped for HTML; `None` if the entry is of another kind.
fn history_message(entry: &Entry, text: Text) -> Option<HistoryMessage> {
    let message = Message::parse(&entry.data).filter(|_| entry.kind.is_empty())?;
    let message = match text {
        Text::Escaped => message,
        Text::Plain => message.decoded(),
    };
    Some(HistoryMessage { id: entry.id.to_string(), sender: message.sender, message: message.message, node: None })
}

/// Reads a query parameter that is an id.
fn id_parameter(req: &HttpRequest, name: &str) -> Result<Option<Id>, Problem> {
    let id = query::first(req, &[name]).map(|text| text.parse()).transpose();
    id.map_err(|error: ParseIdError| Problem::bad_request(format!("{name}: {error}.")))
}
