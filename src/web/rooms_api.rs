//! `/rooms/{room}/events` and `/rooms/{room}/chats`: the messages of a room in the form of the chat article's API.

use std::rc::Rc;
use std::time::Instant;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use super::body;
use super::client::Client;
use super::error::Problem;
use super::held_body::held_bytes;
use super::publish::store;
use super::state::AppState;
use super::subscribe::{self, StreamRequest};
use crate::bus::{Entry, PageLimit, Span, Unavailable};
use crate::chat::{ArticleChat, Message, RoomName};
use crate::hub::{LogReader, Worker};
use crate::sse::Syntax;

/// The most chats of a response.
const MAX_CHATS: usize = 20;
/// The most bytes of a response: of a message whose characters are all escaped in JSON, and of its other members.
const MAX_ANSWER_BYTES: usize = MAX_CHATS * (25 << 10);
/// The bytes of the log that are read at once.
const PAGE_BYTES: usize = 64 << 10;
/// The entries after which the log is read no further: there may be many of other types between the messages.
const MAX_ENTRIES: usize = 2000;
/// The bytes after which the log is read no further.
const MAX_BYTES: usize = 1 << 20;

/// Handles `GET /rooms/{room}/events`: opens the room's stream.
pub(super) async fn events(
    req: HttpRequest,
    room: RoomName,
    state: web::Data<AppState>,
    worker: web::Data<Rc<Worker>>,
) -> Result<HttpResponse, Problem> {
    subscribe::open(&req, StreamRequest::of(&req, room.into(), Syntax::Chats)?, &state, &worker).await
}

/// Handles `POST /rooms/{room}/chats`: stores a message.
pub(super) async fn post(
    req: HttpRequest,
    room: RoomName,
    payload: web::Payload,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let received = Instant::now();
    let client = Client::from_request(&req, &state.trusted_proxies);
    state.origins.refuse_cross_site(&req, client)?;
    let mut fields = body::read_chat(&req, payload).await?;
    match store(&state, &room, &mut fields, req.headers(), client, received).await {
        Ok(_) => Ok(HttpResponse::Ok()
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .content_type(header::ContentType::plaintext())
            .body("OK")),
        Err(problem) => Err(problem.with_submitted(fields, &room)),
    }
}

/// Handles `GET /rooms/{room}/chats`: returns the newest messages, newest first.
pub(super) async fn list(room: RoomName, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let logs = state.hub.logs();
    let permit = logs.answer_permit(MAX_ANSWER_BYTES).await?;
    let chats = newest_chats(logs, &room).await?;
    let json = serde_json::to_vec(&chats).unwrap_or_default();
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type(header::ContentType::json())
        .body(held_bytes(json.into(), permit)))
}

/// Reads the newest messages of a room, newest first.
async fn newest_chats(logs: &LogReader, room: &RoomName) -> Result<Vec<ArticleChat>, Unavailable> {
    let (mut chats, mut span, mut entries, mut bytes) = (Vec::new(), Span::Newest, 0, 0);
    loop {
        // Each page may have as many entries as all before it, since these were hardly any messages.
        let limit = PageLimit { entries: entries.max(MAX_CHATS).min(MAX_ENTRIES - entries), bytes: PAGE_BYTES };
        let page = logs.answer_page(room, span, limit).await?;
        let missing = MAX_CHATS - chats.len();
        chats.extend(page.entries.iter().rev().filter_map(chat).take(missing));
        entries += page.entries.len();
        bytes += page.entries.iter().map(|entry| entry.data.len()).sum::<usize>();
        let is_complete = chats.len() == MAX_CHATS || entries >= MAX_ENTRIES || bytes >= MAX_BYTES;
        match page.entries.first() {
            Some(oldest) if page.more && !is_complete => span = Span::Before(oldest.id),
            _ => return Ok(chats),
        }
    }
}

/// Returns the message in a log entry, or `None` if the entry is of another kind.
fn chat(entry: &Entry) -> Option<ArticleChat> {
    let message = Message::parse(&entry.data).filter(|_| entry.kind.is_empty())?;
    Some(ArticleChat::new(entry.id, &message))
}
