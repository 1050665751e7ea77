use std::rc::Rc;

use actix_web::http::{Method, header};
use actix_web::{HttpRequest, HttpResponse, web};

use super::client::Client;
use super::error::Problem;
use super::state::AppState;
use super::{handover, query};
use crate::chat::{Name, RoomName, Rooms};
use crate::hub::{self, PresenceRequest, Start, SubscribeRequest, Worker};
use crate::sse::BackoffReason;

/// The most messages that a fresh reader may have first.
const MOST: usize = 1000;

/// `GET /subscribe/{room}`, or up to 16 rooms separated by commas: their stream. What is decided here
/// is who gets one, as whom and from where; then the connection goes over to the hub.
pub async fn subscribe(
    req: HttpRequest,
    rooms: Rooms,
    state: web::Data<AppState>,
    worker: web::Data<Rc<Worker>>,
) -> Result<HttpResponse, Problem> {
    let (start, presence) = (start(&req, &rooms)?, presence(&req, &rooms)?);
    if req.method() == Method::HEAD {
        return Ok(stream().finish());
    }
    if state.hub.is_draining() {
        return Ok(send_away(&state, BackoffReason::Draining, "draining"));
    }
    let client = Client::of(&req, &state.trusted_proxies);
    let permit = state.limits.stream_permit(client.address).await;
    let Some((permit, socket)) = permit.zip(handover::take(&req)) else {
        return Ok(send_away(&state, BackoffReason::Full, "full"));
    };
    let head = handover::head(&stream().finish(), &state.origins.cors_headers(req.headers()));
    worker.subscribe(SubscribeRequest { rooms, start, presence, socket, head, permit: Box::new(permit) });
    Ok(handover::let_go())
}

/// The head of every stream, whether it goes on or ends at once.
fn stream() -> actix_web::HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-cache, no-transform"))
        .insert_header(("X-Accel-Buffering", "no"))
        .force_close();
    answer
}

/// A stream that says why it cannot be had, and when to come back, and ends.
fn send_away(state: &AppState, reason: BackoffReason, label: &str) -> HttpResponse {
    state.metrics.streams_refused.with_label_values(&[label]).inc();
    stream().body(hub::backoff(reason))
}

/// Where the reader wants to begin: the header is what a browser knows by itself and wins over the
/// query, an id wins over `history`. What is empty was not said.
fn start(req: &HttpRequest, rooms: &Rooms) -> Result<Start, Problem> {
    let header = req
        .headers()
        .get("last-event-id")
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let asked = header
        .filter(|id| !id.is_empty())
        .or_else(|| query::first(req, &["lastEventId", "last_event_id"]))
        .filter(|id| !id.is_empty());
    let history = query::number(req, "history", 1..=MOST)?;
    Ok(match (asked, history) {
        (Some(asked), _) => Start::after(&asked, rooms.len()),
        (None, Some(count)) => Start::Newest(count),
        (None, None) => Start::Live,
    })
}

/// As whom the reader comes: `name` keeps the rule of a sender, `in` names rooms of this stream, once
/// or several times or separated by commas; none where it is empty.
fn presence(req: &HttpRequest, rooms: &Rooms) -> Result<PresenceRequest, Problem> {
    let name = Name::parse(&query::first(req, &["name"]).unwrap_or_default())?;
    let asked: Vec<String> = query::all(req, &["in"]).collect();
    let named = asked.iter().flat_map(|list| list.split(',')).filter(|room| !room.is_empty());
    let present: Option<Vec<RoomName>> =
        named.map(|room| RoomName::parse(room).ok().filter(|room| rooms.contains(room))).collect();
    let present = present.ok_or_else(|| Problem::bad_request("in must name rooms of this stream."))?;
    Ok(PresenceRequest { name, rooms: (!asked.is_empty()).then_some(present) })
}
