//! `GET /history/{room}` and `GET /history/{room}/{id}`: messages of a room's log as JSON, and events of apps.
//!
//! An answer that does not fit into one page of the log is read and encoded page by page while it is sent, so that the
//! node never holds it as a whole.

use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use serde::Serialize;
use utoipa::ToSchema;

use super::documented::{HistoryParameters, MessagePath, RoomPath, RoomProblems, StoreProblems, TextParameter};
use super::error::Problem;
use super::held_body::{held_bytes, held_stream};
use super::newest_messages::{MAX_MESSAGE_BYTES, MAX_READ, message_of};
use super::query;
use super::state::AppState;
use crate::bus::{Entry, LogPage, PageLimit, Span, Unavailable};
use crate::chat::{Id, Message, ParseIdError, RoomName};
use crate::hub::{Hub, LogReader};
use crate::sse::{Event, Text};

/// Messages per response without `limit`.
const DEFAULT_MESSAGES_PER_RESPONSE: usize = 50;
/// The highest value of `limit`.
const MAX_MESSAGES_PER_RESPONSE: usize = 200;
/// The bytes of a page that is read for a response.
const PAGE_BYTES: usize = 64 << 10;
/// How often a page is tried to be read after the response has begun.
const PAGE_ATTEMPTS: usize = 3;

/// A part of a room's history.
#[derive(Serialize, ToSchema)]
struct History {
    /// Oldest first.
    messages: Vec<Item>,
    /// The first id that was read: the messages before it are those before this part.
    first: String,
    /// The cursor after what was read: a stream that starts there misses and repeats nothing.
    last: String,
}

/// An entry of the history.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Item {
    Message {
        id: String,
        #[serde(flatten)]
        message: Message,
        /// The node that stored the message.
        #[serde(skip_serializing_if = "Option::is_none")]
        node: Option<String>,
    },
    Event {
        id: String,
        r#type: Option<String>,
        data: String,
        /// The node that stored the event.
        #[serde(skip_serializing_if = "Option::is_none")]
        node: Option<String>,
    },
}

/// What a request wants to see.
#[derive(Clone, Copy)]
struct Filter {
    /// Whether events of apps are listed beside the messages.
    all: bool,
    /// Whether messages and edits are escaped.
    text: Text,
}

impl Item {
    fn with_node(mut self, name: String) -> Self {
        let (Self::Message { node, .. } | Self::Event { node, .. }) = &mut self;
        *node = Some(name);
        self
    }
}

impl Filter {
    fn of(req: &HttpRequest) -> Result<Self, Problem> {
        Ok(Self { all: query::number(req, "all", 0..=1)? == Some(1), text: query::text(req)? })
    }

    /// Returns the entry as it is listed, if it is.
    fn item(self, entry: &Entry) -> Option<Item> {
        let id = entry.id.to_string();
        match message_of(entry) {
            Some(message) => {
                let message = if self.text == Text::Plain { message.decoded() } else { message };
                Some(Item::Message { id, message, node: None })
            }
            None if self.all && entry.has_data() => {
                let event = Event::entry(entry.id, &entry.kind, entry.data.clone());
                let (kind, data) = (event.kind.name().map(str::to_owned), event.data(self.text).into_owned());
                Some(Item::Event { id, r#type: kind, data, node: None })
            }
            None => None,
        }
    }

    /// Returns true if an entry whose data is not known is listed.
    fn lists(self, entry: &Entry) -> bool {
        entry.kind.is_empty() || self.all && entry.has_data()
    }
}

/// Handles `GET /history/{room}`: returns the newest messages, the newest before an id, or the
/// oldest after one.
#[utoipa::path(
    get, path = "/history/{room}", operation_id = "getHistory", tag = "messages", summary = "Messages of a room, oldest first",
    params(
        RoomPath,
        ("limit" = Option<u8>, Query, minimum = 1, maximum = 200, description = "How many, 50 without it"),
        ("before" = Option<String>, Query, description = "The newest ones before this id", example = "1361572294000-42"),
        ("after" = Option<String>, Query, description = "The oldest ones after this id; one of `before`, `after` and `at`"),
        ("at" = Option<String>, Query, description = "The oldest ones from this time on", example = "2026-11-25T14:00"),
        HistoryParameters, TextParameter,
    ),
    responses((status = 200, description = "A part of the history", body = History), RoomProblems, StoreProblems),
)]
pub(super) async fn list(
    req: HttpRequest,
    room: RoomName,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let limit = query::number(&req, "limit", 1..=MAX_MESSAGES_PER_RESPONSE)?.unwrap_or(DEFAULT_MESSAGES_PER_RESPONSE);
    let filter = Filter::of(&req)?;
    let logs = state.hub.logs();
    let span = match (id_parameter(&req, "before")?, id_parameter(&req, "after")?, query::time(&req, "at")?) {
        (Some(before), None, None) => Span::Before(before),
        (None, Some(after), None) => Span::After(after),
        (None, None, Some(ms)) => Span::After(last_before(logs, &room, ms).await?),
        (None, None, None) => Span::Newest,
        _ => return Err(Problem::bad_request("Use one of before, after and at.")),
    };
    let permit = logs.answer_permit(PAGE_BYTES).await?;
    let page = logs.answer_page(&room, span, PageLimit { entries: limit, bytes: PAGE_BYTES }).await?;
    let last = match span {
        Span::Before(_) if page.entries.is_empty() => cursor_before_first(&room, &state).await?,
        _ => cursor_after(span, &page),
    };
    let messages: Vec<_> = page.entries.iter().filter_map(|entry| filter.item(entry)).collect();
    if messages.len() == limit || !page.more {
        let history = History { messages, first: first_of(span, &page).to_string(), last: last.to_string() };
        let json = serde_json::to_vec(&history).unwrap_or_default();
        return Ok(json_response(held_bytes(json.into(), permit)));
    }
    let mut rest = Pages {
        hub: state.hub.clone(),
        room,
        next: Id::ZERO,
        first: first_of(span, &page),
        until: None,
        left: limit,
        read: PageLimit { entries: 0, bytes: 0 },
        filter,
        text: String::from("{\"messages\":["),
        ended: false,
    };
    match span {
        Span::After(id) | Span::From(id) => rest.next = id,
        Span::Newest | Span::Before(_) => {
            let bytes = MAX_READ.bytes + limit * MAX_MESSAGE_BYTES;
            let newest = logs.answer_sizes(&rest.room, span, PageLimit { bytes, ..MAX_READ }).await?;
            rest.until = page.entries.last().map(|until| (until.id, last));
            if let Some(oldest) = oldest_listed(&newest.entries, filter, limit) {
                (rest.first, rest.next) = (oldest.id, oldest.cursor_before());
            }
        }
    }
    Ok(json_response(held_stream(rest.into_stream(), permit)))
}

/// Returns the oldest entry that has to be read to list that many of the newest, or that may be read. Of the entries only
/// the sizes are known.
fn oldest_listed(entries: &[Entry], filter: Filter, limit: usize) -> Option<&Entry> {
    let (mut listed, mut bytes, mut oldest) = (0, 0, None);
    for entry in entries.iter().rev() {
        bytes += if entry.kind.is_empty() { 0 } else { entry.data.parse().unwrap_or(0) };
        if oldest.is_some() && bytes > MAX_READ.bytes {
            break;
        }
        oldest = Some(entry);
        listed += usize::from(filter.lists(entry));
        if listed == limit {
            break;
        }
    }
    oldest
}

/// A response that is read page by page, from the oldest entry on.
struct Pages {
    hub: Arc<Hub>,
    room: RoomName,
    /// The cursor after what was read.
    next: Id,
    /// The first id of the response.
    first: Id,
    /// The newest entry of the response and the cursor after it, if they are known.
    until: Option<(Id, Id)>,
    /// The entries that may still be listed.
    left: usize,
    /// The entries that were read, and the bytes of those that are no messages.
    read: PageLimit,
    filter: Filter,
    /// What was encoded and not sent.
    text: String,
    ended: bool,
}

impl Pages {
    fn into_stream(self) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
        stream::unfold(self, async |mut pages| {
            if pages.ended {
                return None;
            }
            // After an error the client sees that the body is incomplete.
            let chunk = pages.read_next().await.map_err(|Unavailable| std::io::Error::other("the log cannot be read"));
            pages.ended |= chunk.is_err();
            Some((chunk, pages))
        })
    }

    /// Reads a page and returns it in JSON, with the end of the response if it is the last page.
    async fn read_next(&mut self) -> Result<Bytes, Unavailable> {
        let page = self.read_page().await?;
        let is_included = |entry: &&Entry| self.until.is_none_or(|(until, _)| entry.id <= until);
        let included: Vec<_> = page.entries.iter().take_while(is_included).collect();
        let mut taken = 0;
        for entry in included {
            if self.left == 0 {
                break;
            }
            taken += 1;
            self.next = entry.id;
            self.read.bytes += if entry.kind.is_empty() { 0 } else { entry.data.len() };
            if let Some(item) = self.filter.item(entry) {
                self.text.push_str(&serde_json::to_string(&item).unwrap_or_default());
                self.text.push(',');
                self.left -= 1;
            }
        }
        self.read.entries += taken;
        let reaches_end = !page.more && taken == page.entries.len();
        let is_exhausted = self.read.entries >= MAX_READ.entries || self.read.bytes >= MAX_READ.bytes;
        let is_complete = match self.until {
            Some((until, _)) => self.next >= until || taken < page.entries.len(),
            None => is_exhausted,
        };
        if self.left == 0 || reaches_end || is_complete {
            let after = if reaches_end { page.last } else { self.next };
            let (first, last) = (self.first, self.until.map_or(after, |(_, last)| last));
            let text = self.text.trim_end_matches(',').to_owned();
            self.text = format!("{text}],\"first\":\"{first}\",\"last\":\"{last}\"}}");
            self.ended = true;
        }
        // The comma after the last message of a page is sent only if another message follows.
        let comma = if self.text.ends_with(',') { self.text.len() - 1 } else { self.text.len() };
        let rest = self.text.split_off(comma);
        Ok(std::mem::replace(&mut self.text, rest).into())
    }

    async fn read_page(&self) -> Result<LogPage, Unavailable> {
        // As many entries as all pages before, since these may have listed hardly any.
        let entries = self.left.max(self.read.entries).min(MAX_READ.entries - self.read.entries).max(1);
        let limit = PageLimit { entries, bytes: PAGE_BYTES };
        let mut page = Err(Unavailable);
        for _ in 0..PAGE_ATTEMPTS {
            page = self.hub.logs().answer_page(&self.room, Span::After(self.next), limit).await;
            if page.is_ok() {
                break;
            }
        }
        page
    }
}

/// Handles `GET /history/{room}/{id}`: returns one message, or event, and the node that stored it.
#[utoipa::path(
    get, path = "/history/{room}/{id}", operation_id = "getMessage", tag = "messages", summary = "One message, and the node that stored it",
    params(MessagePath, HistoryParameters, TextParameter),
    responses((status = 200, description = "The message", body = Item), RoomProblems, StoreProblems),
)]
pub(super) async fn one(
    req: HttpRequest,
    room: RoomName,
    path: web::Path<(String, String)>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let id: Id = path.1.parse().map_err(|error| Problem::bad_request(format!("{error}.")))?;
    let filter = Filter::of(&req)?;
    let logs = state.hub.logs();
    let permit = logs.answer_permit(PAGE_BYTES).await?;
    let until = Span::Before(Id { n: id.n + 1, ..id });
    let page = logs.answer_page(&room, until, PageLimit { entries: 1, bytes: PAGE_BYTES }).await?;
    let entry = page.entries.iter().find(|entry| entry.id == id);
    let message = entry.and_then(|entry| Some(filter.item(entry)?.with_node(entry.node.clone().unwrap_or_default())));
    let message = message.ok_or_else(|| Problem::not_found("No retained message has this id."))?;
    let json = serde_json::to_vec(&message).unwrap_or_default();
    Ok(json_response(held_bytes(json.into(), permit)))
}

fn json_response(body: BoxBody) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type(header::ContentType::json())
        .body(body)
}

/// Returns the cursor after the messages of a page: the id of the last one or, if the page reaches
/// the end of the log, the last id that the log ever gave out.
fn cursor_after(span: Span, page: &LogPage) -> Id {
    let last_entry = page.entries.last().map(|entry| entry.id);
    match (span, last_entry) {
        (Span::Before(_), Some(last)) => last,
        (_, Some(last)) if page.more && span != Span::Newest => last,
        // Not the last entry's id: later messages may have been deleted.
        _ => page.last,
    }
}

/// Returns the cursor before the first retained message, or the last id that the log ever gave out if there is none.
async fn cursor_before_first(room: &RoomName, state: &AppState) -> Result<Id, Problem> {
    let limit = PageLimit { entries: 1, bytes: PAGE_BYTES };
    let oldest = state.hub.logs().answer_page(room, Span::After(Id::ZERO), limit).await?;
    Ok(oldest.entries.first().map_or(oldest.last, Entry::cursor_before))
}

/// Returns the last retained id before a time, in Unix milliseconds.
async fn last_before(logs: &LogReader, room: &RoomName, ms: u64) -> Result<Id, Problem> {
    let limit = PageLimit { entries: 1, bytes: PAGE_BYTES };
    let page = logs.answer_sizes(room, Span::Before(Id { ms, n: 0 }), limit).await?;
    Ok(page.entries.last().map_or(Id::ZERO, |entry| entry.id))
}

/// Returns the first id of a page; if it has no entries, one that what is before the page comes before.
fn first_of(span: Span, page: &LogPage) -> Id {
    match (page.entries.first(), span) {
        (Some(first), _) => first.id,
        (None, Span::Before(id)) => id,
        (None, Span::After(id) | Span::From(id)) => Id { n: id.n + 1, ..id },
        (None, Span::Newest) => page.last,
    }
}

/// Reads a query parameter that is an id.
fn id_parameter(req: &HttpRequest, name: &str) -> Result<Option<Id>, Problem> {
    let id = query::first(req, &[name]).map(|text| text.parse()).transpose();
    id.map_err(|error: ParseIdError| Problem::bad_request(format!("{name}: {error}.")))
}
