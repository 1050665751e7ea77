//! `/api/my-events` and `/api/heartbeat`: the streams of a tutorial.

use std::rc::Rc;

use actix_web::{HttpRequest, HttpResponse, web};

use super::error::Problem;
use super::state::AppState;
use super::subscribe::{self, StreamRequest, subscribe};
use crate::chat::Rooms;
use crate::hub::Worker;
use crate::sse::Syntax;

/// Handles `GET /api/my-events`: opens the stream of the first configured room.
pub(super) async fn my_events(
    req: HttpRequest,
    state: web::Data<AppState>,
    worker: web::Data<Rc<Worker>>,
) -> Result<HttpResponse, Problem> {
    let room = state.rooms[0].clone();
    subscribe(req, room.into(), state, worker).await
}

/// Handles `GET /api/heartbeat`: opens a stream of heartbeats, the first of which comes at once.
pub(super) async fn heartbeat(
    req: HttpRequest,
    state: web::Data<AppState>,
    worker: web::Data<Rc<Worker>>,
) -> Result<HttpResponse, Problem> {
    let stream = StreamRequest::of(&req, Rooms::none(), Syntax::Heartbeats)?;
    subscribe::open(&req, stream, &state, &worker).await
}
