use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use askama::Template;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::assets;
use super::error::Problem;
use super::state::AppState;
use crate::bus::{Entry, LogPage, Span};
use crate::chat::{Id, Message, RoomName};

/// Messages in the HTML.
const LATEST: usize = 50;

/// Nothing from elsewhere, nothing inline, nothing that a message could smuggle in.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

const ISO: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
const CLOCK: &[BorrowedFormatItem<'_>] = format_description!("[hour]:[minute] UTC");

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    room: &'a str,
    room_path: String,
    rooms: Vec<RoomLink>,
    messages: Vec<Line>,
    /// The place after the messages; empty where it is not known.
    cursor: String,
    live: bool,
    node: &'a str,
    assets: String,
}

struct RoomLink {
    name: String,
    path: String,
    current: bool,
}

struct Line {
    id: String,
    sender: String,
    text: String,
    iso: String,
    clock: String,
}

#[derive(Template)]
#[template(path = "error.html")]
struct ProblemPage<'a> {
    status: u16,
    title: &'a str,
    detail: &'a str,
    assets: String,
    draft: Option<SubmittedMessage<'a>>,
    /// The path of the link back to the chat.
    back: &'a str,
}

/// A message that was refused, to be filled into a form.
struct SubmittedMessage<'a> {
    /// The path that the form posts to.
    action: &'a str,
    sender: &'a str,
    message: &'a str,
}

/// `GET /`: the page of the first configured room.
pub async fn front(state: web::Data<AppState>) -> HttpResponse {
    page(&state, &state.rooms[0]).await
}

/// `GET /{room}`: a room's page.
pub async fn room(room: RoomName, state: web::Data<AppState>) -> HttpResponse {
    page(&state, &room).await
}

/// `/{room}/`: the same room, by its one address.
pub async fn without_slash(req: HttpRequest, room: RoomName) -> HttpResponse {
    let query = req.uri().query().map_or(String::new(), |query| format!("?{query}"));
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, room.path() + &query)).finish()
}

/// Renders the page of a problem with the request to `path`; a submitted message is in it, ready to
/// be sent again.
pub fn problem(problem: &Problem, path: &str) -> HttpResponse {
    let draft = problem.submitted.as_deref().map(|fields| SubmittedMessage {
        action: path,
        sender: fields.sender.as_deref().unwrap_or_default(),
        message: fields.message.as_deref().unwrap_or_default(),
    });
    let page = ProblemPage {
        status: problem.status.as_u16(),
        title: problem.title(),
        detail: &problem.detail,
        assets: assets::folder(),
        back: if draft.is_some() { path } else { "/" },
        draft,
    };
    html(problem.response(), &page)
}

/// Without the bus a page comes without history, and says so: people can still write, and the
/// stream brings the rest when the bus is back.
async fn page(state: &AppState, room: &RoomName) -> HttpResponse {
    let reading = state.hub.history(room, Span::Newest, LATEST).await.ok();
    let page = Page {
        room: room.as_str(),
        room_path: room.path(),
        rooms: links(&state.rooms, room),
        live: reading.is_some(),
        cursor: reading.as_ref().map_or(String::new(), |reading: &LogPage| reading.last.to_string()),
        messages: reading.iter().flat_map(|reading| &reading.entries).filter_map(line).collect(),
        node: state.hub.node(),
        assets: assets::folder(),
    };
    html(HttpResponse::Ok(), &page)
}

fn html(mut answer: HttpResponseBuilder, page: &impl Template) -> HttpResponse {
    match page.render() {
        Ok(html) => answer
            .content_type("text/html; charset=utf-8")
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
            .body(html),
        Err(error) => {
            tracing::error!(%error, "a page cannot be rendered");
            HttpResponse::InternalServerError().finish()
        }
    }
}

/// The configured rooms, and the one that is open.
fn links(configured: &[RoomName], open: &RoomName) -> Vec<RoomLink> {
    let other = (!configured.contains(open)).then_some(open);
    let all = configured.iter().chain(other);
    all.map(|room| RoomLink { name: room.to_string(), path: room.path(), current: room == open })
        .collect()
}

fn line(entry: &Entry) -> Option<Line> {
    let message = Message::parse(&entry.data).filter(|_| entry.kind.is_empty())?.decoded();
    let (iso, clock) = (at(entry.id, ISO), at(entry.id, CLOCK));
    Some(Line { id: entry.id.to_string(), sender: message.sender, text: message.message, iso, clock })
}

/// The time of an id; empty for one that no calendar holds.
fn at(id: Id, format: &[BorrowedFormatItem<'_>]) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(id.ms) * 1_000_000).ok();
    time.and_then(|time| time.format(format).ok()).unwrap_or_default()
}
