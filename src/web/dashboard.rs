//! `/dashboard` and below: what the nodes do, for who has the operator's password. The page is live over a stream of our
//! own, which tells it when there are new summaries.

use std::rc::Rc;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use super::admin::require_admin;
use super::documented::{PasswordProblems, RoomPath, StoreProblems, StreamEvent, StreamParameters, StreamProblems};
use super::error::Problem;
use super::state::AppState;
use super::subscribe::{self, StreamRequest};
use super::{pages, query};
use crate::bus::{Ring, unix_ms};
use crate::chat::{RoomName, RoomNameError};
use crate::hub::{PresenceRequest, Start, Worker};
use crate::sse::{Syntax, Text};
use crate::summary::{self, Report, ReportQuery};

/// Handles `GET /dashboard`: the page.
#[utoipa::path(
    get, path = "/dashboard", operation_id = "getDashboard", tag = "dashboard", summary = "The page",
    responses((status = 200, description = "The page", body = String, content_type = "text/html"), PasswordProblems),
    security(("operator" = [])),
)]
pub(super) async fn page(req: HttpRequest, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    require_admin(&req, &state)?;
    Ok(pages::dashboard(state.hub.node()))
}

/// Handles `GET /dashboard/data`: what is plotted, for a range, a process and a key.
#[utoipa::path(
    get, path = "/dashboard/data", operation_id = "getDashboardData", tag = "dashboard", summary = "The numbers that it shows",
    params(
        ("range" = Option<String>, Query, pattern = "^(10m|1h|1d|7d)?$", description = "`10m`, `1h`, `1d` or `7d`"),
        ("node" = Option<String>, Query, description = "Of this process; without it of all together"),
        ("key" = Option<String>, Query, description = "Of this key; without it of the nodes"),
    ),
    responses((status = 200, description = "The report", body = Report), PasswordProblems, StoreProblems),
    security(("operator" = [])),
)]
pub(super) async fn data(req: HttpRequest, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    require_admin(&req, &state)?;
    let text = |name: &str| query::first(&req, &[name]).filter(|value| !value.is_empty());
    let range = text("range").unwrap_or_else(|| Ring::TenMinutes.name().to_owned());
    let ring = Ring::ALL.into_iter().find(|ring| ring.name() == range);
    let ring = ring.ok_or_else(|| Problem::bad_request("range must be 10m, 1h, 1d or 7d."))?;
    let query = ReportQuery { ring, process: text("node"), key: text("key") };
    let report = summary::report(&*state.summaries, &query, unix_ms()).await?;
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(report))
}

/// Handles `GET /dashboard/events`: a stream with an untyped event whenever a node has written a summary.
#[utoipa::path(
    get, path = "/dashboard/events", operation_id = "getDashboardEvents", tag = "dashboard", summary = "A stream with an event whenever there are new numbers",
    params(StreamParameters),
    responses(
        (status = 200, description = "The stream", body = StreamEvent, content_type = "text/event-stream"),
        PasswordProblems, StreamProblems,
    ),
    security(("operator" = [])),
)]
pub(super) async fn events(
    req: HttpRequest,
    state: web::Data<AppState>,
    worker: web::Data<Rc<Worker>>,
) -> Result<HttpResponse, Problem> {
    require_admin(&req, &state)?;
    let stream = watch(&req, RoomName::dashboard())?;
    subscribe::open(&req, StreamRequest { start: Start::Live, ..stream }, &state, &worker).await
}

/// Handles `GET /dashboard/wire/{room}`: the stream of any room, private ones as well.
#[utoipa::path(
    get, path = "/dashboard/wire/{room}", operation_id = "watchRoom", tag = "dashboard", summary = "The stream of any room, private ones as well",
    params(RoomPath, StreamParameters),
    responses(
        (status = 200, description = "The stream", body = StreamEvent, content_type = "text/event-stream"),
        PasswordProblems, StreamProblems,
    ),
    security(("operator" = [])),
)]
pub(super) async fn wire(
    req: HttpRequest,
    state: web::Data<AppState>,
    worker: web::Data<Rc<Worker>>,
) -> Result<HttpResponse, Problem> {
    require_admin(&req, &state)?;
    let room = req.uri().path().rsplit('/').next().unwrap_or_default();
    subscribe::open(&req, watch(&req, RoomName::from_path(room)?)?, &state, &worker).await
}

/// Handles every other address below `/dashboard`, for which the password comes first as well.
pub(super) async fn below(req: HttpRequest, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    require_admin(&req, &state)?;
    if req.path() == "/dashboard/" {
        return Ok(pages::redirect(&req, "/dashboard".to_owned()));
    }
    Err(RoomNameError::Malformed.into())
}

/// Returns a request for the stream of a room in which who reads it is not present.
fn watch(req: &HttpRequest, room: RoomName) -> Result<StreamRequest, Problem> {
    let stream = StreamRequest::of(req, room.into(), Syntax::EventStream(Text::Escaped))?;
    Ok(StreamRequest {
        presence: PresenceRequest { rooms: Some(Vec::new()), ..PresenceRequest::default() },
        ..stream
    })
}
