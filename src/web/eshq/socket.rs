//! `POST /socket`: makes a socket for an app, and what all requests with a socket begin with.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::call::{self, Call};
use super::fields::CallFields;
use super::refusal::{Refusal, json};
use crate::apps::App;
use crate::bus::{Socket, SocketId, unix_ms};
use crate::chat::{Name, RoomName};
use crate::web::documented::{AppCall, CallBodyProblems, CallRefusals};
use crate::web::error::Problem;
use crate::web::state::AppState;

/// Handles `POST /socket`: returns the id of a new socket of a channel.
#[utoipa::path(
    post, path = "/socket", operation_id = "createSocket", tag = "apps", summary = "Gives a reader a pass to the stream of a channel",
    request_body(content((AppCall = "application/x-www-form-urlencoded"), (AppCall = "multipart/form-data"))),
    responses((status = 200, description = "The socket", body = Made), CallRefusals, CallBodyProblems),
    security((), ("app" = [])),
)]
pub async fn create(
    req: HttpRequest,
    payload: web::Payload,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let fields = CallFields::read(&req, payload);
    call::handle(&req, &state, fields, async |call| make_socket(call, &state).await).await
}

/// A new socket.
#[derive(Serialize, ToSchema)]
#[schema(as = Socket)]
struct Made<'a> {
    /// Its id, which lets a reader in.
    socket: String,
    channel: &'a str,
    /// Under what its reader is present.
    presence_id: Option<&'a str>,
}

async fn make_socket(mut call: Call, state: &AppState) -> Result<HttpResponse, Refusal> {
    let channel = call.fields.take_required("channel")?;
    let presence_id = call.fields.take("presence_id").ok().filter(|id| !id.trim().is_empty());
    if presence_id.as_ref().is_some_and(|id| Name::parse(id).is_err()) {
        return Err(Refusal::invalid("presence_id"));
    }
    let room = call::room(&call.app, &channel)?;
    state.hashed_rooms.remember(&call.app, &room).await?;
    let (key, prefix) = (call.app.key().clone(), call.app.own_prefix().map(str::to_owned));
    let (id, socket) = (SocketId::random(), Socket { key, channel, prefix, presence_id, made: unix_ms() });
    state.sockets.create(id, &socket).await?;
    call.usage.sockets.inc();
    let made = Made {
        socket: id.to_string(),
        channel: &socket.channel,
        presence_id: socket.presence_id.as_deref(),
    };
    Ok(json(serde_json::to_string(&made).unwrap_or_default()))
}

/// A socket that lives, with its app and the room of its channel.
pub struct LivingSocket {
    pub id: SocketId,
    pub socket: Socket,
    pub app: Arc<App>,
    pub room: RoomName,
}

impl LivingSocket {
    /// Finds the socket with this id.
    ///
    /// # Errors
    /// 503 if the store is unavailable, 404 if there is none, or if its app is no longer valid, or has another prefix now.
    pub async fn find(id: &str, state: &AppState) -> Result<Self, Refusal> {
        let id = SocketId::parse(id).ok_or_else(Refusal::socket_not_found)?;
        let socket = state.sockets.find(id).await?.ok_or_else(Refusal::socket_not_found)?;
        let app = state.apps.find(&socket.key).ok_or_else(Refusal::socket_not_found)?;
        if socket.prefix.as_deref() != app.own_prefix() {
            return Err(Refusal::socket_not_found());
        }
        let room = app.room(&socket.channel).map_err(|_| Refusal::socket_not_found())?;
        Ok(Self { id, socket, app, room })
    }
}
