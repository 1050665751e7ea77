//! Bodies of posts are refused, or make drafts that keep every rule. The first line of the input is the content type,
//! the second the sizes of the chunks in which the body arrives, one byte each; the rest is the body.

use std::collections::BTreeMap;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::test::TestRequest;
use actix_web::{FromRequest, ResponseError, web};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::iter;
use serde_json::Value;
use tiny_chat::chat::{Draft, Fields, Message};
use tiny_chat::web::body;
use tokio::runtime::{Builder, Runtime};

/// The boundary of the multipart bodies made here.
const BOUNDARY: &str = "7f3c";

/// The longest body that is accepted, in bytes.
const MAX_BODY_BYTES: usize = 64 << 10;

thread_local! {
    static RUNTIME: Runtime =
        Builder::new_current_thread().enable_time().build().unwrap_or_else(|error| panic!("{error}"));
}

/// Panics if a body is parsed differently in chunks, if it is refused with a status other than those for invalid
/// bodies, if a draft breaks a rule, or if the same fields make different drafts in different encodings.
pub fn check(bytes: &[u8]) {
    let mut lines = bytes.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (content_type, sizes, body) = (line(), line(), line());
    for route in [Route::Message, Route::Chat] {
        let whole = parse(route, content_type, &[], body);
        assert_eq!(whole, parse(route, content_type, sizes, body), "the same in chunks as in one piece");
        match whole {
            Ok(fields) => check_rules(route, &fields),
            Err(status) => assert!(matches!(status.as_u16(), 400 | 413 | 415 | 422), "{status}"),
        }
    }
    check_encodings(&fields_of(&String::from_utf8_lossy(body)));
}

/// What a body is posted to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Route {
    /// A room.
    Message,
    /// The chats of a room.
    Chat,
}

/// Parses a body that arrives in chunks of these sizes.
fn parse(route: Route, content_type: &[u8], sizes: &[u8], body: &[u8]) -> Result<Fields, StatusCode> {
    let Ok(content_type) = HeaderValue::from_bytes(content_type) else {
        return Err(StatusCode::BAD_REQUEST); // the server never gets such a header
    };
    let request = TestRequest::post().insert_header((CONTENT_TYPE, content_type)).to_http_request();
    let mut payload = Payload::Stream { payload: iter(chunks(sizes, body).into_iter().map(Ok)).boxed_local() };
    let reading = async {
        let payload = web::Payload::from_request(&request, &mut payload).await;
        let payload = payload.unwrap_or_else(|error| panic!("{error}"));
        match route {
            Route::Message => body::read(&request, payload).await,
            Route::Chat => body::read_chat(&request, payload).await,
        }
    };
    RUNTIME.with(|runtime| runtime.block_on(reading)).map_err(|problem| problem.status_code())
}

fn chunks(sizes: &[u8], mut body: &[u8]) -> Vec<Bytes> {
    let mut chunks = Vec::new();
    for size in sizes {
        let (chunk, rest) = body.split_at(usize::from(*size).min(body.len()));
        chunks.push(Bytes::copy_from_slice(chunk));
        body = rest;
    }
    chunks.push(Bytes::copy_from_slice(body));
    chunks
}

/// Checks that a draft made of these fields keeps the rules of the contract.
fn check_rules(route: Route, fields: &Fields) {
    let Ok(draft) = Draft::new(fields) else {
        let has_valid_sender =
            Draft::new(&Fields { message: Some("x".into()), key: None, secret: None, ..fields.clone() }).is_ok();
        return assert!(route == Route::Message || has_valid_sender, "a user id is checked at once: {fields:?}");
    };
    assert!(
        route == Route::Message || fields.key.is_none() && fields.sender.as_deref() != Some(""),
        "{fields:?}"
    );
    assert!(!draft.data().bytes().any(|b| b < b' '), "one line: {draft:?}");
    let members: BTreeMap<String, Value> =
        serde_json::from_str(draft.data()).unwrap_or_else(|error| panic!("{error}: {draft:?}"));
    let is_ours = |name: &String| ["sender", "message", "key"].contains(&name.as_str());
    assert!(members.keys().all(is_ours) && members.values().all(Value::is_string), "{draft:?}");
    let message = Message::parse(draft.data()).unwrap_or_else(|| panic!("no message: {draft:?}"));
    let (text, sender) = (decoded(&message.message), decoded(&message.sender));
    assert!((1..=4000).contains(&text.chars().count()) && !text.trim().is_empty(), "{text:?}");
    assert!((1..=64).contains(&sender.chars().count()) && !sender.chars().any(char::is_control), "{sender:?}");
    assert_eq!(Some(&text), fields.message.as_ref(), "as it was typed");
    let typed = fields.sender.as_deref().filter(|sender| !sender.trim().is_empty());
    assert_eq!(sender, typed.unwrap_or("Anonymous"));
    assert_eq!((message.key.as_deref(), draft.key()), (fields.key.as_deref(), fields.key.as_deref()));
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._~-".contains(&b);
    assert!(draft.key().is_none_or(|key| (1..=64).contains(&key.len()) && key.bytes().all(plain)), "{draft:?}");
}

/// Decodes the entities; panics if anything is left that could be markup.
fn decoded(text: &str) -> String {
    assert!(!text.contains(['<', '>', '"', '\'', '/']), "{text:?}");
    let mut parts = text.split('&');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (entity, rest) = part.split_once(';').unwrap_or_else(|| panic!("a bare & in {text:?}"));
        plain.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "#x27" => '\'',
            "#x2F" => '/',
            _ => panic!("&{entity}; in {text:?}"),
        });
        plain.push_str(rest);
    }
    plain
}

/// Returns the fields of a text: the first two lines are sender and key, the rest is the message.
fn fields_of(text: &str) -> Fields {
    let mut lines = text.splitn(3, '\n').map(str::to_owned);
    Fields { sender: lines.next(), key: lines.next(), message: lines.next(), secret: None }
}

/// Checks that fields are parsed from each encoding of a form as they were given.
fn check_encodings(fields: &Fields) {
    let given = [("sender", &fields.sender), ("key", &fields.key), ("message", &fields.message)];
    let given: Vec<(&str, &str)> = given.iter().filter_map(|(name, text)| Some((*name, text.as_deref()?))).collect();
    let json = Value::from_iter(given.iter().copied()).to_string();
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(&given).finish();
    let part = |(name, text): &(&str, &str)| {
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
    };
    let multipart = given.iter().map(part).collect::<String>() + &format!("--{BOUNDARY}--\r\n");
    let fits_multipart = !given.iter().any(|(_, text)| text.contains(BOUNDARY));
    check_parsed(fields, "application/x-www-form-urlencoded", &form);
    check_parsed(fields, "application/json; charset=utf-8", &json);
    if fits_multipart {
        check_parsed(fields, &format!("multipart/form-data; boundary={BOUNDARY}"), &multipart);
    }
}

fn check_parsed(fields: &Fields, content_type: &str, body: &str) {
    let expected = if body.len() > MAX_BODY_BYTES {
        Err(StatusCode::PAYLOAD_TOO_LARGE)
    } else {
        Ok(fields.clone())
    };
    assert_eq!(
        parse(Route::Message, content_type.as_bytes(), &[9, 1], body.as_bytes()),
        expected,
        "{content_type}: {body:?}"
    );
}
