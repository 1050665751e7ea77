//! HTML pages: a room with its newest messages, and the dashboard.

mod problem;
mod rendering;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

pub(super) use problem::problem_page;
use rendering::render;

use super::assets;
use super::documented::{RoomPath, RoomProblems};
use super::newest_messages::NewestMessages;
use super::page_lines::{PageLine, page_lines};
use super::state::AppState;
use crate::bus::{PageLimit, Retention};
use crate::chat::RoomName;

/// How many of a room's newest messages its page contains at most.
const MESSAGES_PER_PAGE: PageLimit = PageLimit { entries: 50, bytes: 256 << 10 };

#[derive(Template)]
#[template(path = "page.html")]
struct RoomPage<'a> {
    room: &'a str,
    room_path: String,
    rooms: Vec<RoomLink>,
    lines: Vec<PageLine>,
    /// The cursor after the messages; empty if the message store is unavailable.
    cursor: String,
    /// Whether the message store is available.
    live: bool,
    node: &'a str,
    /// How many messages the room keeps at least, and for how long.
    retention: &'a Retention,
    /// The same in words.
    kept: String,
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

/// Handles `GET /`: the page of the first configured room.
#[utoipa::path(
    get, path = "/", operation_id = "getFrontPage", tag = "pages", summary = "The page of the first configured room",
    responses((status = 200, description = "The page", body = String, content_type = "text/html")),
)]
pub(super) async fn front(state: web::Data<AppState>) -> HttpResponse {
    room(&state, &state.rooms[0]).await
}

/// Handles `/{room}/`: redirects to the path without the slash.
#[utoipa::path(
    get, path = "/{room}/", operation_id = "redirectToPage", tag = "pages", summary = "The address of a page with a slash too many",
    params(RoomPath),
    responses((status = 308, description = "To the address without it"), RoomProblems),
)]
pub(super) async fn redirect_without_slash(req: HttpRequest, room: RoomName) -> HttpResponse {
    redirect(&req, room.path())
}

/// Redirects to another path, with the same query.
pub(super) fn redirect(req: &HttpRequest, path: String) -> HttpResponse {
    let query = req.uri().query().map_or(String::new(), |query| format!("?{query}"));
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, path + &query)).finish()
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
        lines: page_lines(newest.iter().flat_map(|newest| newest.messages.iter().rev())),
        node: state.hub.node(),
        retention: &state.retention,
        kept: retention_sentence(&state.retention),
        assets: assets::folder(),
    };
    let mut response = render(HttpResponse::Ok(), &page);
    if let Some(permit) = permit {
        response.extensions_mut().insert(permit);
    }
    response
}

/// Returns links to the configured rooms and, if it is another one, to the current room.
fn room_links(configured: &[RoomName], current: &RoomName) -> Vec<RoomLink> {
    let other = (!configured.contains(current)).then_some(current);
    let rooms = configured.iter().chain(other);
    rooms
        .map(|room| RoomLink { name: room.to_string(), path: room.path(), current: room == current })
        .collect()
}

/// Says how many messages a room keeps, and for how long.
fn retention_sentence(retention: &Retention) -> String {
    let (messages, plural) = (with_separators(retention.messages), if retention.messages == 1 { "" } else { "s" });
    format!("Keeps {messages} message{plural}, until {} of silence", in_words(retention.seconds))
}

/// Formats a number with a comma before each group of three digits.
fn with_separators(number: usize) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}

/// Formats a duration in the largest unit that divides it.
fn in_words(seconds: u64) -> String {
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    let (count, unit) = units
        .iter()
        .find(|(size, _)| seconds.is_multiple_of(*size))
        .map_or((seconds, "second"), |(size, unit)| (seconds / size, unit));
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_is_told_in_round_words() {
        let sentence = |messages, seconds| retention_sentence(&Retention { messages, seconds });
        assert_eq!(sentence(1000, 604_800), "Keeps 1,000 messages, until 7 days of silence");
        assert_eq!(sentence(1_234_567, 3600), "Keeps 1,234,567 messages, until 1 hour of silence");
        assert_eq!(sentence(1, 5400), "Keeps 1 message, until 90 minutes of silence");
        assert_eq!(sentence(50, 7), "Keeps 50 messages, until 7 seconds of silence");
    }
}
