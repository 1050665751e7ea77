//! `/api/my-events` and `/api/heartbeat`: the streams of a tutorial.

use std::rc::Rc;

use actix_web::{HttpRequest, HttpResponse, web};

use super::documented::{FormParameters, NotFound, StreamEvent, StreamParameters, StreamProblems, TextParameter};
use super::error::Problem;
use super::state::AppState;
use super::subscribe::{self, StreamRequest, subscribe};
use crate::chat::Rooms;
use crate::hub::Worker;
use crate::sse::Syntax;

/// Handles `GET /api/my-events`: opens the stream of the first configured room.
#[utoipa::path(
    get, path = "/api/my-events", operation_id = "getFirstStream", tag = "rooms API", summary = "The stream of the first configured room",
    params(StreamParameters, TextParameter, FormParameters),
    responses(
        (status = 200, description = "The stream, in the form that `Accept` prefers", content(
            (StreamEvent = "text/event-stream"), (String = "text/plain"), (String = "application/x-ndjson"),
        )),
        NotFound, StreamProblems,
    ),
)]
pub(super) async fn my_events(
    req: HttpRequest,
    state: web::Data<AppState>,
    worker: web::Data<Rc<Worker>>,
) -> Result<HttpResponse, Problem> {
    let room = state.rooms[0].clone();
    subscribe(req, room.into(), state, worker).await
}

/// Handles `GET /api/heartbeat`: opens a stream of heartbeats, the first of which comes at once.
#[utoipa::path(
    get, path = "/api/heartbeat", operation_id = "getHeartbeats", tag = "rooms API", summary = "A stream of heartbeats",
    params(StreamParameters),
    responses(
        (status = 200, description = "The stream", body = StreamEvent, content_type = "text/event-stream"),
        NotFound, StreamProblems,
    ),
)]
pub(super) async fn heartbeat(
    req: HttpRequest,
    state: web::Data<AppState>,
    worker: web::Data<Rc<Worker>>,
) -> Result<HttpResponse, Problem> {
    let stream = StreamRequest::of(&req, Rooms::none(), Syntax::Heartbeats)?;
    subscribe::open(&req, stream, &state, &worker).await
}
