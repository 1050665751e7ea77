//! `/rooms/{room}/events` and `/rooms/{room}/chats`: the messages of a room in the form of the chat article's API.

use std::rc::Rc;
use std::time::Instant;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use super::body;
use super::client::Client;
use super::documented::{
    BodyProblems, KeyHeader, NewChat, RoomPath, RoomProblems, StoreProblems, StreamEvent, StreamParameters,
    StreamProblems,
};
use super::error::Problem;
use super::held_body::held_bytes;
use super::newest_messages::{MAX_MESSAGE_BYTES, MAX_READ, NewestMessages};
use super::publish::store;
use super::state::AppState;
use super::subscribe::{self, StreamRequest};
use crate::bus::PageLimit;
use crate::chat::{ArticleChat, RoomName};
use crate::hub::Worker;
use crate::sse::Syntax;

/// The most chats of a response.
const MAX_CHATS: usize = 20;
/// The most bytes of a response.
const MAX_ANSWER_BYTES: usize = MAX_CHATS * MAX_MESSAGE_BYTES;

/// Handles `GET /rooms/{room}/events`: opens the room's stream.
#[utoipa::path(
    get, path = "/rooms/{room}/events", operation_id = "getChatStream", tag = "rooms API", summary = "The stream of a room, with chats as events",
    params(RoomPath, StreamParameters),
    responses(
        (status = 200, description = "The stream", body = StreamEvent, content_type = "text/event-stream"),
        RoomProblems, StreamProblems,
    ),
)]
pub(super) async fn events(
    req: HttpRequest,
    room: RoomName,
    state: web::Data<AppState>,
    worker: web::Data<Rc<Worker>>,
) -> Result<HttpResponse, Problem> {
    subscribe::open(&req, StreamRequest::of(&req, room.into(), Syntax::Chats)?, &state, &worker).await
}

/// Handles `POST /rooms/{room}/chats`: stores a message.
#[utoipa::path(
    post, path = "/rooms/{room}/chats", operation_id = "publishChat", tag = "rooms API", summary = "Publishes a chat",
    params(RoomPath, KeyHeader),
    request_body(content(
        (NewChat = "application/json"), (NewChat = "application/x-www-form-urlencoded"),
        (NewChat = "multipart/form-data"),
    )),
    responses(
        (status = 200, description = "The chat is stored: `OK`", body = String, content_type = "text/plain"),
        RoomProblems, BodyProblems, StoreProblems,
    ),
)]
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
#[utoipa::path(
    get, path = "/rooms/{room}/chats", operation_id = "getChats", tag = "rooms API", summary = "The newest chats, newest first",
    params(RoomPath),
    responses((status = 200, description = "At most 20", body = [ArticleChat]), RoomProblems, StoreProblems),
)]
pub(super) async fn list(room: RoomName, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let logs = state.hub.logs();
    let permit = logs.answer_permit(MAX_ANSWER_BYTES).await?;
    let newest = NewestMessages::read(logs, &room, PageLimit { entries: MAX_CHATS, bytes: MAX_READ.bytes }).await?;
    let chats: Vec<_> = newest.messages.iter().map(|(id, message)| ArticleChat::new(*id, message)).collect();
    let json = serde_json::to_vec(&chats).unwrap_or_default();
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type(header::ContentType::json())
        .body(held_bytes(json.into(), permit)))
}
