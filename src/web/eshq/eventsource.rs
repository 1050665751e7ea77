//! `GET /eventsource`: the stream of a socket.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};

use super::refusal::Refusal;
use super::socket::LivingSocket;
use crate::bus::{SOCKET_MAX_AGE, Socket, unix_ms};
use crate::chat::{Name, Rooms};
use crate::hub::{Pass, PresenceRequest, PresentAs, Start, Worker};
use crate::sse::{BackoffReason, Syntax};
use crate::web::documented::{SocketRefusals, StreamEvent};
use crate::web::error::Problem;
use crate::web::state::AppState;
use crate::web::subscribe::{self, StreamRequest};
use crate::web::{origin, query};

/// Handles `GET /eventsource`: opens the stream of a socket.
#[utoipa::path(
    get, path = "/eventsource", operation_id = "getSocketStream", tag = "apps", summary = "The stream of a socket",
    params(
        ("socket" = String, Query, description = "The id of the socket"),
        ("last-event-id" = Option<String>, Query, description = "The cursor after which the stream continues, unless the header `Last-Event-ID` has one"),
    ),
    responses(
        (status = 200, description = "The stream", body = StreamEvent, content_type = "text/event-stream"),
        SocketRefusals,
    ),
)]
pub async fn stream(
    req: HttpRequest,
    state: web::Data<AppState>,
    worker: web::Data<Rc<Worker>>,
) -> Result<HttpResponse, Problem> {
    origin::allow_all(&req);
    let Some(id) = query::first(&req, &["socket"]).filter(|id| !id.is_empty()) else {
        return Refusal::answer(Err(Refusal::missing("socket")));
    };
    match LivingSocket::find(&id, &state).await {
        Ok(socket) => subscribe::open(&req, stream_of(&req, socket, &state), &state, &worker).await,
        // Never 503: an `EventSource` would not come back.
        Err(Refusal::Text { status: StatusCode::SERVICE_UNAVAILABLE, .. }) => {
            let stream = request(&req, Rooms::none());
            if req.method() == Method::HEAD || state.hub.is_draining() {
                return subscribe::open(&req, stream, &state, &worker).await;
            }
            Ok(subscribe::refuse(&req, stream, BackoffReason::Bus, &state, &worker))
        }
        Err(refusal) => Refusal::answer(Err(refusal)),
    }
}

/// Returns a stream of these rooms that is read as those of sockets are.
fn request(req: &HttpRequest, rooms: Rooms) -> StreamRequest {
    let cursor = subscribe::requested_cursor(req, &["last-event-id", "lastEventId"]);
    let start = cursor.map_or(Start::Live, |cursor| Start::after(&cursor, 1));
    StreamRequest {
        rooms,
        syntax: Syntax::Socket,
        start,
        presence: PresenceRequest::default(),
        pass: None,
        guard: None,
    }
}

/// Returns the stream of a socket. The socket lives on from now, and for as long as the stream is open.
fn stream_of(req: &HttpRequest, socket: LivingSocket, state: &AppState) -> StreamRequest {
    let LivingSocket { id, socket, app, room } = socket;
    let name = socket.presence_id.as_deref().and_then(|id| Name::parse(id).ok().flatten());
    let pass = Pass {
        key: app.key().clone(),
        usage: state.metrics.usage.of(app.key()),
        expires_at: Instant::now() + time_left(&socket),
        revoked: app.revoked().clone(),
    };
    StreamRequest {
        presence: PresenceRequest { present_as: name.map_or(PresentAs::Unnamed, PresentAs::Id), rooms: None },
        pass: Some(Arc::new(pass)),
        guard: Some(Box::new(state.sockets.open(id, socket, app.revoked()))),
        ..request(req, room.into())
    }
}

fn time_left(socket: &Socket) -> Duration {
    SOCKET_MAX_AGE.saturating_sub(Duration::from_millis(unix_ms().saturating_sub(socket.made)))
}
