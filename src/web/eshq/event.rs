//! `POST /event` and `POST /socket/{socket}`: store an event, sent by an app or by the reader of one of its sockets.

use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, HttpResponse, web};

use super::call::{self, Call};
use super::fields::CallFields;
use super::refusal::{Refusal, json, plain_text};
use super::socket::LivingSocket;
use crate::chat::{Draft, EventType, InvalidEvent, InvalidField, RoomName};
use crate::metrics::AppUsage;
use crate::web::client::Client;
use crate::web::documented::{AppCall, CallBodyProblems, CallRefusals, KeyHeader, SenderRefusals, SocketEvent};
use crate::web::error::Problem;
use crate::web::origin;
use crate::web::publish::{check_rate, idempotency_key};
use crate::web::state::AppState;

/// Handles `POST /event`: stores an event of an app.
#[utoipa::path(
    post, path = "/event", operation_id = "sendEvent", tag = "apps", summary = "Sends an event to a channel",
    params(KeyHeader),
    request_body(content((AppCall = "application/x-www-form-urlencoded"), (AppCall = "multipart/form-data"))),
    responses((status = 200, description = "The event is stored: `{}`", body = Object), CallRefusals, CallBodyProblems),
    security((), ("app" = [])),
)]
pub async fn send(
    req: HttpRequest,
    payload: web::Payload,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let fields = CallFields::read(&req, payload);
    let send = async |mut call: Call| {
        let channel = call.fields.take_required("channel")?;
        let event = event(&mut call.fields)?;
        let room = call::room(&call.app, &channel)?;
        state.hashed_rooms.remember(&call.app, &room).await?;
        store(&state, &room, event, req.headers(), &call.usage, call.received).await?;
        Ok(json("{}"))
    };
    call::handle(&req, &state, fields, send).await
}

/// Handles `POST /socket/{socket}`: stores an event in the channel of a socket.
#[utoipa::path(
    post, path = "/socket/{socket}", operation_id = "sendToSocket", tag = "apps", summary = "Sends an event to the channel of a socket",
    params(("socket" = String, Path, description = "The id of the socket"), KeyHeader),
    request_body(content((SocketEvent = "application/x-www-form-urlencoded"), (SocketEvent = "multipart/form-data"))),
    responses(
        (status = 200, description = "The event is stored: `Ok`", body = String, content_type = "text/plain"),
        SenderRefusals, CallBodyProblems,
    ),
)]
pub async fn send_to_socket(
    req: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    origin::allow_all(&req);
    let received = Instant::now();
    let fields = CallFields::read(&req, payload).await?;
    let sent = call::within_time(async {
        let socket = LivingSocket::find(&id, &state).await?;
        let usage = state.metrics.usage.of(socket.app.key());
        let sent = send_from(&req, &state, &socket, fields, &usage, received).await;
        sent.inspect_err(|_| usage.refused.inc())
    });
    Refusal::answer(sent.await)
}

async fn send_from(
    req: &HttpRequest,
    state: &AppState,
    socket: &LivingSocket,
    mut fields: CallFields,
    usage: &AppUsage,
    received: Instant,
) -> Result<HttpResponse, Refusal> {
    let event = event(&mut fields)?;
    if socket.app.is_open() {
        // Its channels are open rooms, whose readers rely on escaping: only the app itself may write there unescaped.
        return Err(Refusal::new(StatusCode::FORBIDDEN, "Access Denied - Read only"));
    }
    check_rate(state, Client::from_request(req, &state.trusted_proxies)).await?;
    state.hashed_rooms.remember(&socket.app, &socket.room).await?;
    store(state, &socket.room, event, req.headers(), usage, received).await?;
    Ok(plain_text(HttpResponse::Ok(), "Ok"))
}

/// Takes the data and the type of an event: `type` if it is not empty, else `name`.
fn event(fields: &mut CallFields) -> Result<(EventType, String), Refusal> {
    let data = fields.take("data")?;
    let kind = |name| fields.get(name).filter(|kind| !kind.is_empty()).map(|kind| (name, kind));
    let (name, kind) = kind("type").or_else(|| kind("name")).unwrap_or_default();
    let kind = EventType::parse(kind).map_err(|_| Refusal::invalid(name))?;
    Ok((kind, data))
}

async fn store(
    state: &AppState,
    room: &RoomName,
    (kind, data): (EventType, String),
    headers: &HeaderMap,
    usage: &AppUsage,
    received: Instant,
) -> Result<(), Refusal> {
    // Never a field: `key` is the app's.
    let key = idempotency_key(None, headers)?;
    let draft = Draft::event(kind, data, key).map_err(|error| match error {
        InvalidEvent::TooLarge => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "The event is larger than 128 KiB."),
        InvalidEvent::Key => InvalidField::Key.into(),
    })?;
    let receipt = state.hub.publish(room, &draft, None, received).await?;
    if !receipt.duplicate {
        usage.events.inc();
    }
    Ok(())
}
