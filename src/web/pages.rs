//! HTML pages: a room with its newest messages, and a problem.

use std::sync::LazyLock;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use askama::Template;
use base64::prelude::{BASE64_STANDARD, Engine};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::assets;
use super::error::Problem;
use super::newest_messages::NewestMessages;
use super::state::AppState;
use crate::bus::PageLimit;
use crate::chat::{Id, Message, RoomName};

/// How many of a room's newest messages its page contains at most.
const MESSAGES_PER_PAGE: PageLimit = PageLimit { entries: 50, bytes: 256 << 10 };

/// Allows nothing from other origins and nothing inline but one script, by its hash, so that a message that got into the
/// markup could not run anything.
static CONTENT_SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    let theme = BASE64_STANDARD.encode(Sha256::digest(ThemeScript.render().unwrap_or_default()));
    format!(
        "default-src 'none'; script-src 'self' 'sha256-{theme}'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    )
});

const ISO_8601: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
const TIME_OF_DAY: &[BorrowedFormatItem<'_>] = format_description!("[hour]:[minute] UTC");

/// The script that all pages contain.
#[derive(Template)]
#[template(path = "theme.js", escape = "html")]
struct ThemeScript;

#[derive(Template)]
#[template(path = "page.html")]
struct RoomPage<'a> {
    room: &'a str,
    room_path: String,
    rooms: Vec<RoomLink>,
    messages: Vec<PageMessage>,
    /// The cursor after the messages; empty if the message store is unavailable.
    cursor: String,
    /// Whether the message store is available.
    live: bool,
    node: &'a str,
    /// The path of the assets' folder.
    assets: String,
}

#[derive(Template)]
#[template(path = "dashboard.html")]
struct DashboardPage<'a> {
    node: &'a str,
    /// The path of the assets' folder.
    assets: String,
}

struct RoomLink {
    name: String,
    path: String,
    current: bool,
}

/// A message whose text is not escaped: the template escapes it.
struct PageMessage {
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
    /// The path of the assets' folder.
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

/// Handles `GET /`: the page of the first configured room.
pub(super) async fn front(state: web::Data<AppState>) -> HttpResponse {
    room(&state, &state.rooms[0]).await
}

/// Handles `/{room}/`: redirects to the path without the slash.
pub(super) async fn redirect_without_slash(req: HttpRequest, room: RoomName) -> HttpResponse {
    let query = req.uri().query().map_or(String::new(), |query| format!("?{query}"));
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, room.path() + &query)).finish()
}

/// Renders the page of a problem. If a message was submitted, the page has a form to send it again.
pub(super) fn problem(problem: &Problem) -> HttpResponse {
    let draft = problem.submitted.as_deref().map(|(fields, room_path)| SubmittedMessage {
        action: room_path,
        sender: fields.sender.as_deref().unwrap_or_default(),
        message: fields.message.as_deref().unwrap_or_default(),
    });
    let page = ProblemPage {
        status: problem.status.as_u16(),
        title: problem.title(),
        detail: &problem.detail,
        assets: assets::folder(),
        back: draft.as_ref().map_or("/", |draft| draft.action),
        draft,
    };
    render(problem.response(), &page)
}

/// Renders the page of the dashboard.
pub(super) fn dashboard(node: &str) -> HttpResponse {
    render(HttpResponse::Ok(), &DashboardPage { node, assets: assets::folder() })
}

pub(super) async fn room(state: &AppState, room: &RoomName) -> HttpResponse {
    // During an outage the page comes without messages: its form and stream work once the store is back.
    let (logs, mut newest) = (state.hub.logs(), None);
    let permit = logs.answer_permit(MESSAGES_PER_PAGE.bytes).await.ok();
    if permit.is_some() {
        newest = NewestMessages::read(logs, room, MESSAGES_PER_PAGE).await.ok();
    }
    let page = RoomPage {
        room: room.as_str(),
        room_path: room.path(),
        rooms: room_links(&state.rooms, room),
        live: newest.is_some(),
        cursor: newest.as_ref().map_or(String::new(), |newest| newest.last.to_string()),
        messages: newest.iter().flat_map(|newest| newest.messages.iter().rev()).map(page_message).collect(),
        node: state.hub.node(),
        assets: assets::folder(),
    };
    let mut response = render(HttpResponse::Ok(), &page);
    if let Some(permit) = permit {
        response.extensions_mut().insert(permit);
    }
    response
}

fn render(mut response: HttpResponseBuilder, page: &impl Template) -> HttpResponse {
    match page.render() {
        Ok(html) => response
            .content_type("text/html; charset=utf-8")
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY.as_str()))
            .body(html),
        Err(error) => {
            tracing::error!(%error, "failed to render a page");
            HttpResponse::InternalServerError().finish()
        }
    }
}

/// Returns links to the configured rooms and, if it is another one, to the current room.
fn room_links(configured: &[RoomName], current: &RoomName) -> Vec<RoomLink> {
    let other = (!configured.contains(current)).then_some(current);
    let rooms = configured.iter().chain(other);
    rooms
        .map(|room| RoomLink { name: room.to_string(), path: room.path(), current: room == current })
        .collect()
}

fn page_message((id, message): &(Id, Message)) -> PageMessage {
    let message = message.decoded();
    PageMessage {
        id: id.to_string(),
        sender: message.sender,
        text: message.message,
        iso: format_time(*id, ISO_8601),
        clock: format_time(*id, TIME_OF_DAY),
    }
}

/// Formats the time of an id; returns an empty string if it is too far in the future for a calendar.
fn format_time(id: Id, format: &[BorrowedFormatItem<'_>]) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(id.ms) * 1_000_000).ok();
    time.and_then(|time| time.format(format).ok()).unwrap_or_default()
}
