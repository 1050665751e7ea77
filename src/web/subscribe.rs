//! `GET /subscribe/{rooms}` and what else is a stream: decides whether a client gets one, where it starts and under which
//! name the client is present.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode, Version, header};
use actix_web::{HttpRequest, HttpResponse, web};

use super::client::Client;
use super::connection::Connection;
use super::documented::{
    FormParameters, RoomPath, RoomProblems, StreamEvent, StreamParameters, StreamProblems, TextParameter,
};
use super::error::Problem;
use super::negotiation::{StreamType, prefers_event_stream, stream_type};
use super::state::AppState;
use super::{pages, query, raw_response};
use crate::chat::{MAX_ROOMS, Name, RoomName, Rooms};
use crate::hub::{Pass, PresenceRequest, PresentAs, Start, SubscribeRequest, Worker};
use crate::sse::{BackoffReason, Form, Syntax};

/// The highest value of `history`, in messages per room.
const MAX_REPLAY_MESSAGES: usize = 1000;

/// How much of a cursor is read, in characters; 16 ids with their commas have at most 543.
const MAX_CURSOR_CHARS: usize = 1024;

/// Handles `GET /subscribe/{room}`, or a comma-separated list of rooms.
#[utoipa::path(
    get, path = "/subscribe/{rooms}", operation_id = "subscribe", tag = "streams", summary = "The stream of a room, or of several rooms",
    params(
        ("rooms" = String, Path, description = "One to 16 rooms, separated by commas", example = "everyone"),
        StreamParameters, TextParameter, FormParameters,
    ),
    responses(
        (status = 200, description = "A stream that never ends by itself, in the form that `Accept` prefers", content(
            (StreamEvent = "text/event-stream"), (String = "text/plain"), (String = "application/x-ndjson"),
        )),
        RoomProblems, StreamProblems,
    ),
)]
pub(super) async fn subscribe(
    req: HttpRequest,
    rooms: Rooms,
    state: web::Data<AppState>,
    worker: web::Data<Rc<Worker>>,
) -> Result<HttpResponse, Problem> {
    let (text, zone) = (query::text(&req)?, query::time_zone(&req)?);
    let is_brief = query::is_brief(&req)?;
    let syntax = match stream_type(req.headers()) {
        StreamType::EventStream if is_brief => Syntax::Page,
        StreamType::EventStream => Syntax::EventStream(text),
        StreamType::Lines => Syntax::TextLines(zone),
        StreamType::JsonLines => Syntax::JsonLines(text),
    };
    open(&req, StreamRequest::of(&req, rooms, syntax)?, &state, &worker).await
}

/// Handles `GET /{room}`: the page of a room, or its stream if the client prefers that.
#[utoipa::path(
    get, path = "/{room}", operation_id = "getRoom", tag = "pages", summary = "The page of a room, or its stream",
    params(RoomPath, StreamParameters, TextParameter),
    responses(
        (status = 200, description = "The page with the newest messages, or the stream for a client that prefers one", content(
            (String = "text/html"), (StreamEvent = "text/event-stream"),
        )),
        RoomProblems, StreamProblems,
    ),
)]
pub(super) async fn room(
    req: HttpRequest,
    room: RoomName,
    state: web::Data<AppState>,
    worker: web::Data<Rc<Worker>>,
) -> Result<HttpResponse, Problem> {
    if prefers_event_stream(req.headers()) {
        let stream = StreamRequest::of(&req, room.into(), Syntax::EventStream(query::text(&req)?))?;
        return open(&req, stream, &state, &worker).await;
    }
    let mut page = pages::room(&state, &room).await;
    page.headers_mut().append(header::VARY, HeaderValue::from_static("Accept"));
    Ok(page)
}

/// A stream that a client asks for.
pub(super) struct StreamRequest {
    pub rooms: Rooms,
    pub syntax: Syntax,
    pub start: Start,
    pub presence: PresenceRequest,
    /// What lets the client have it; `None` if every client may have it.
    pub pass: Option<Arc<Pass>>,
    /// Held for as long as the stream is open.
    pub guard: Option<Box<dyn Send>>,
}

impl StreamRequest {
    /// Reads the request for a stream of these rooms that every client may have.
    ///
    /// # Errors
    /// 400 or 422 for a parameter that breaks its rule.
    pub(super) fn of(req: &HttpRequest, rooms: Rooms, syntax: Syntax) -> Result<Self, Problem> {
        let (start, presence) = (start(req, &rooms)?, presence(req, &rooms)?);
        Ok(Self { rooms, syntax, start, presence, pass: None, guard: None })
    }

    /// Returns how the stream is written.
    fn form(&self, req: &HttpRequest) -> Form {
        Form { syntax: self.syntax, is_chunked: req.version() >= Version::HTTP_11 }
    }
}

/// Opens a stream: hands the connection over to the hub.
pub(super) async fn open(
    req: &HttpRequest,
    stream: StreamRequest,
    state: &AppState,
    worker: &Rc<Worker>,
) -> Result<HttpResponse, Problem> {
    if req.method() == Method::HEAD {
        let mut response = HttpResponse::Ok();
        for header in stream_headers(stream.form(req)) {
            response.insert_header(header);
        }
        return Ok(response.force_close().body(body::None::new())); // a stream has no length
    }
    if state.hub.is_draining() {
        // The node no longer listens: this connection was kept alive. Closing it without an answer sends the request to
        // another node, by the proxy or by the client, which may both repeat a GET (RFC 9112 § 9.3.1). An answer would
        // send away a reader that this node has sent away before.
        count_refusal(state, "draining", stream.pass.as_deref());
        drop(req.conn_data::<Connection>().and_then(Connection::take));
        return Ok(unwritten());
    }
    let address = Client::from_request(req, &state.trusted_proxies).address;
    match state.limits.stream_permit(address).await {
        None => Ok(refuse(req, stream, BackoffReason::Full, state, worker)),
        Some(permit) => {
            if let Some(request) = take_connection(req, stream, permit, state) {
                worker.subscribe(request);
            }
            Ok(unwritten())
        }
    }
}

/// Refuses a stream with a `backoff`, late if the client's address was refused too often.
pub(super) fn refuse(
    req: &HttpRequest,
    stream: StreamRequest,
    reason: BackoffReason,
    state: &AppState,
    worker: &Rc<Worker>,
) -> HttpResponse {
    count_refusal(state, reason.as_str(), stream.pass.as_deref());
    let pause = state.limits.pause_refusal(Client::from_request(req, &state.trusted_proxies).address);
    let duration = pause.as_ref().map_or(Duration::ZERO, |pause| pause.duration);
    if let Some(request) = take_connection(req, stream, pause, state) {
        worker.refuse(request, reason, duration);
    }
    unwritten()
}

/// Takes the connection of a request from actix. Returns `None` if the client's place was given to another.
fn take_connection(
    req: &HttpRequest,
    stream: StreamRequest,
    permit: impl Send + 'static,
    state: &AppState,
) -> Option<SubscribeRequest> {
    let form = stream.form(req);
    let StreamRequest { rooms, start, presence, pass, guard, .. } = stream;
    let (socket, connection_permit) = req.conn_data::<Connection>().and_then(Connection::take)?;
    // A chunked stream does not say `close`: Node's fetch would take any end of it for the proper one.
    let end = if form.is_chunked {
        (header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"))
    } else {
        (header::CONNECTION, HeaderValue::from_static("close"))
    };
    // Written by the hub: middleware never sees the head of a stream, so it gets its CORS headers here.
    let (of_form, cors) = (stream_headers(form), state.origins.cors_headers(req));
    let headers = of_form.iter().chain(&cors).chain([&end]).map(|(name, value)| (name, value));
    let head = raw_response::encode_head(StatusCode::OK, headers).into();
    let permit = Box::new((permit, connection_permit, guard));
    Some(SubscribeRequest { rooms, start, presence, form, pass, socket, head, permit })
}

/// Returns what actix gets after the connection was taken from it. No byte of it is written.
fn unwritten() -> HttpResponse {
    HttpResponse::Ok().force_close().finish()
}

/// Returns the headers of every stream of this form. A stream is `200` even if it is refused: after any other status a
/// browser's `EventSource` would never reconnect.
fn stream_headers(form: Form) -> [(HeaderName, HeaderValue); 4] {
    [
        (header::CONTENT_TYPE, HeaderValue::from_static(form.syntax.content_type())),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform")),
        (header::VARY, HeaderValue::from_static("Accept")),
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")), // nginx would buffer the stream
    ]
}

fn count_refusal(state: &AppState, reason: &str, pass: Option<&Pass>) {
    state.metrics.streams_refused.with_label_values(&[reason]).inc();
    if let Some(pass) = pass {
        pass.usage.refused.inc();
    }
}

/// Reads where the stream starts: after a cursor, with the newest messages, or live.
fn start(req: &HttpRequest, rooms: &Rooms) -> Result<Start, Problem> {
    let cursor = requested_cursor(req, &["lastEventId", "last_event_id"]);
    let replay = query::number(req, "history", 1..=MAX_REPLAY_MESSAGES)?;
    Ok(match (cursor, replay) {
        (Some(cursor), _) => Start::after(&cursor, rooms.len()),
        (None, Some(count)) => Start::Newest(count),
        (None, None) => Start::Live,
    })
}

/// Reads the cursor after which a client continues, from the header or a query parameter with one of these names.
pub(super) fn requested_cursor(req: &HttpRequest, names: &[&str]) -> Option<String> {
    let header = req.headers().get("last-event-id");
    let header = header.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    // The header comes first: a browser that reconnects sends it along with the query of its first request.
    let mut cursors = header.into_iter().chain(query::all(req, names));
    let mut cursor = cursors.find(|cursor| !cursor.is_empty())?;
    if let Some((end, _)) = cursor.char_indices().nth(MAX_CURSOR_CHARS) {
        cursor.truncate(end);
    }
    Some(cursor)
}

/// Reads the name under which the subscriber is present (`name`), and in which of its rooms (`in`,
/// repeated or comma-separated): in all of them if `in` is absent, in none if it is empty.
fn presence(req: &HttpRequest, rooms: &Rooms) -> Result<PresenceRequest, Problem> {
    let name = Name::parse(&query::first(req, &["name"]).unwrap_or_default())?;
    let lists: Vec<String> = query::all(req, &["in"]).collect();
    let names = lists.iter().flat_map(|list| list.split(',')).filter(|name| !name.is_empty());
    let selected: Option<Vec<RoomName>> = names
        .take(MAX_ROOMS + 1)
        .map(|name| RoomName::parse(name).ok().filter(|room| rooms.contains(room)))
        .collect();
    let selected = selected.filter(|selected| selected.len() <= MAX_ROOMS);
    let selected = selected.ok_or_else(|| Problem::bad_request("in must name rooms of this stream."))?;
    let present_in = if lists.is_empty() { None } else { Some(selected) };
    Ok(PresenceRequest { present_as: name.map_or(PresentAs::Unnamed, PresentAs::Name), rooms: present_in })
}
