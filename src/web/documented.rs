//! What the descriptions of several endpoints have in common in the OpenAPI document (`openapi.rs`): bodies, parameters of
//! streams, and the problems that requests can meet. None of this runs when a request is handled.

// The fields are read by the macros only.
#![allow(dead_code)]

use std::collections::BTreeMap;

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Content, ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoParams, IntoResponses, ToSchema};

/// The fields of a message. Unknown ones are ignored.
#[derive(ToSchema)]
pub(super) struct NewMessage {
    /// Who says it, without control and format characters; `Anonymous` if it is missing or blank
    #[schema(max_length = 64, example = "mason")]
    sender: Option<String>,
    /// The text, not all of it white space
    #[schema(min_length = 1, max_length = 4000, example = "hi there")]
    message: String,
    /// With the same key within 10 minutes, the message is stored once; the header `Idempotency-Key` does the same
    #[schema(pattern = "^[A-Za-z0-9._~-]{1,64}$", example = "7f3c")]
    key: Option<String>,
    /// Leaves a mark in the message, and permits to edit and delete it
    #[schema(pattern = "^[ -~]{16,128}$", write_only, example = "5dd8be2c-3f0a-4f5e")]
    secret: Option<String>,
}

/// The fields of a chat. Unknown ones are ignored.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewChat {
    /// The text, not all of it white space
    #[schema(min_length = 1, max_length = 4000)]
    message: String,
    /// Who says it: a whole number, or a text of 1 to 64 characters
    user_id: Option<ChatUser>,
    /// Leaves a mark in the message, and permits to edit and delete it
    #[schema(pattern = "^[ -~]{16,128}$", write_only)]
    secret: Option<String>,
}

/// The sender of a chat.
#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum ChatUser {
    /// A number
    Number(u64),
    /// Any other sender, 1 to 64 characters
    Text(String),
}

/// What changes one's own message.
#[derive(ToSchema)]
pub(super) struct MessageChange {
    /// The secret with which the message was posted
    #[schema(pattern = "^[ -~]{16,128}$", write_only)]
    secret: String,
    /// The new text; without a meaning when the message is deleted
    #[schema(min_length = 1, max_length = 4000)]
    message: Option<String>,
}

/// The fields of a call of an app, in the body or in the query. HTTP Basic with the key and its secret may replace the first
/// three.
#[derive(ToSchema)]
pub(super) struct AppCall {
    /// The key of the app
    key: Option<String>,
    /// Unix seconds, 300 s from now at the most
    timestamp: Option<String>,
    /// The SHA-1 of `key:secret:timestamp`, in lower-case hex
    token: Option<String>,
    /// The channel
    #[schema(min_length = 1, max_length = 1024)]
    channel: Option<String>,
    /// Under what the reader of the socket is present, for `POST /socket`
    presence_id: Option<String>,
    /// The data of the event, for `POST /event`
    data: Option<String>,
    /// The type of the event, for `POST /event`
    #[schema(max_length = 64)]
    r#type: Option<String>,
    /// The same as `type`
    name: Option<String>,
}

/// An event that the reader of a socket sends.
#[derive(ToSchema)]
pub(super) struct SocketEvent {
    /// The data of the event
    data: String,
    /// The type of the event
    #[schema(max_length = 64)]
    r#type: Option<String>,
    /// The same as `type`
    name: Option<String>,
}

/// An event of a stream, as its fields. Streams are made of these.
#[derive(ToSchema)]
pub(super) struct StreamEvent {
    /// The cursor after the event; without it the cursor stays
    id: Option<String>,
    /// Its name, such as `status`, `gap` or `heartbeat`; none for a message
    event: Option<String>,
    /// JSON for a message and for the server's own events but `heartbeat`; any text for events of apps
    data: String,
    /// Milliseconds before the client connects again
    retry: Option<u64>,
}

/// The id of an entry of a log.
#[derive(ToSchema)]
pub(super) struct EntryId {
    /// The id of the entry that tells of the change
    #[schema(pattern = "^(0|[1-9][0-9]*)-(0|[1-9][0-9]*)$", example = "1361572299000-50")]
    id: String,
}

/// The parameters of every stream of a room.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct StreamParameters {
    /// The cursor after which the stream continues. The header `Last-Event-ID`, which browsers send when they reconnect, goes
    /// before it
    #[param(rename = "lastEventId", example = "1361572294000-42")]
    last_event_id: Option<String>,
    /// How many of the newest messages come first, if there is no cursor
    #[param(minimum = 1, maximum = 1000)]
    history: Option<u32>,
    /// The name under which the reader is present
    #[param(max_length = 64)]
    name: Option<String>,
    /// The rooms of this stream in which the reader is present, separated by commas; empty for none of them
    r#in: Option<String>,
}

/// The parameters that choose a form of the text in streams and histories.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TextParameter {
    /// `plain` for senders and texts as they were posted; `escaped`, the default, for HTML
    #[param(inline)]
    text: Option<TextForm>,
}

/// How senders and texts are written.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
enum TextForm {
    Plain,
    Escaped,
}

/// The channel of an app that deletes.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ChannelParameter {
    /// The channel, if an app deletes in it
    channel: Option<String>,
}

/// Which entries a history lists.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryParameters {
    /// 1: events of apps, edits and deletions as well
    #[param(minimum = 0, maximum = 1)]
    all: Option<u8>,
}

/// The parameters of `/subscribe` alone.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct FormParameters {
    /// The time zone of lines of text: an IANA name, or an offset such as `+02:00`
    #[param(example = "Europe/Berlin")]
    tz: Option<String>,
    /// `brief`: events of apps come as `event: typed` with empty data
    #[param(pattern = "^brief$")]
    typed: Option<String>,
}

/// The room that a path names.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct RoomPath {
    /// The name of the room: letters, marks and digits of Unicode, `-`, `_`, `.` and `~`; the first is a letter or a digit
    #[param(min_length = 1, max_length = 64, example = "everyone")]
    room: String,
}

/// A message of a room that a path names.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct MessagePath {
    /// The name of the room
    #[param(min_length = 1, max_length = 64, example = "everyone")]
    room: String,
    /// The id of the message
    #[param(pattern = "^(0|[1-9][0-9]*)-(0|[1-9][0-9]*)$", example = "1361572294000-42")]
    id: String,
}

/// The headers of requests that store something.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct KeyHeader {
    /// With the same key within 10 minutes, it is stored once
    #[param(rename = "Idempotency-Key", pattern = "^\"?[A-Za-z0-9._~-]{1,64}\"?$")]
    idempotency_key: Option<String>,
}

/// The problems of every request, which its connection finds before anything looks at its address.
const CONNECTION_PROBLEMS: [(u16, &str); 4] = [
    (400, "The request cannot be parsed, or a parameter breaks its rule"),
    (408, "The head or the body of the request did not come in time"),
    (414, "The request line has more than 65,534 bytes"),
    (431, "The head of the request has more than 80 KiB"),
];

/// The problems of requests, by status. Responses of operations refer to them as components.
const PROBLEMS: [(u16, &str); 9] = [
    (401, "The room is private, or a password or a key is missing or wrong"),
    (403, "The request comes from another site, or may not change this"),
    (404, "There is no such room, message or address"),
    (405, "The address has no such method"),
    (413, "The body or the event is too large"),
    (415, "The body has a type that is not accepted, or is compressed"),
    (422, "A field breaks its rule"),
    (429, "The address of the client, or the key of the app, was too fast"),
    (503, "The message store is out of reach, and the outcome unknown"),
];

/// The answers to calls of apps that are refused, by status: with a text, or with a problem as elsewhere.
const REFUSALS: [(u16, &str); 6] = [
    (400, "A parameter is missing or breaks its rule, or the request cannot be parsed"),
    (401, "The credentials are missing or wrong"),
    (403, "The channels of the socket are open rooms"),
    (404, "There is no such key or socket"),
    (429, "The key has made too many calls or sockets, or the address of the client was too fast"),
    (503, "The message store is out of reach, and the outcome unknown"),
];

/// Defines sets of answers, each with the statuses of problems or refusals, to which operations refer.
macro_rules! answers {
    ($($(#[$meta:meta])* $name:ident = $references:ident $statuses:expr;)*) => {$(
        $(#[$meta])*
        pub(super) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                $references(&$statuses)
            }
        }
    )*};
}

answers! {
    /// The problems of requests that name a room.
    RoomProblems = references [401, 404];
    /// The problems of requests that need the message store.
    StoreProblems = references [503];
    /// The problems of requests that bring a body.
    BodyProblems = references [403, 413, 415, 422, 429];
    /// The problems of requests for a user.
    UserProblems = references [403, 404, 413, 429];
    /// The problem of requests for what does not exist.
    NotFound = references [404];
    /// The problems of requests to delete all that a room has.
    DeletionProblems = references [403, 405, 429];
    /// The problems of requests for a stream.
    StreamProblems = references [422];
    /// The problems of requests with the operator's password.
    PasswordProblems = references [401, 404, 429];
    /// The refusals of calls of an app.
    CallRefusals = refusal_references [400, 401, 404, 429, 503];
    /// The refusals of requests with a socket.
    SocketRefusals = refusal_references [400, 404];
    /// The refusals of posts to a socket.
    SenderRefusals = refusal_references [400, 403, 404, 429, 503];
    /// The problems of the bodies of calls.
    CallBodyProblems = references [413, 415, 422];
}

/// Returns references to the problems that every request can meet.
pub(super) fn connection_problems() -> BTreeMap<String, RefOr<Response>> {
    references(&CONNECTION_PROBLEMS.map(|(status, _)| status))
}

/// Returns all problems and refusals as components of the document.
pub(super) fn components() -> impl Iterator<Item = (String, Response)> {
    let problems = CONNECTION_PROBLEMS.into_iter().chain(PROBLEMS);
    let problems = problems.map(|(status, description)| (problem_name(status), problem(status, description).build()));
    let refusals = REFUSALS.into_iter().map(|(status, description)| {
        (refusal_name(status), problem(status, description).content("text/plain", text()).build())
    });
    problems.chain(refusals)
}

/// Returns references to the problems with these statuses, which are components of the document.
fn references(statuses: &[u16]) -> BTreeMap<String, RefOr<Response>> {
    by_status(statuses, problem_name)
}

fn refusal_references(statuses: &[u16]) -> BTreeMap<String, RefOr<Response>> {
    by_status(statuses, refusal_name)
}

fn by_status(statuses: &[u16], name: impl Fn(u16) -> String) -> BTreeMap<String, RefOr<Response>> {
    let reference = |status: &u16| (status.to_string(), Ref::from_response_name(name(*status)).into());
    statuses.iter().map(reference).collect()
}

fn problem_name(status: u16) -> String {
    format!("Problem{status}")
}

fn refusal_name(status: u16) -> String {
    format!("Refusal{status}")
}

fn text() -> Content {
    ContentBuilder::new().schema(Some(ObjectBuilder::new().schema_type(Type::String))).build()
}

fn problem(status: u16, description: &str) -> ResponseBuilder {
    let json = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let response = ResponseBuilder::new().description(description).content("application/problem+json", json);
    // Clients that prefer it get a page.
    let response = response.content("text/html", text());
    let header = |description: &str| HeaderBuilder::new().description(Some(description)).build();
    match status {
        429 | 503 => response.header("Retry-After", header("Seconds to wait")),
        401 => response.header("WWW-Authenticate", header("What lets a client in")),
        405 => response.header("Allow", header("The methods of the address")),
        _ => response,
    }
}
