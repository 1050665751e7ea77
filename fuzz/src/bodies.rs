//! Bodies of publishes. The input's first line is the content type, its second the sizes of the chunks in which the
//! body arrives, a byte each; the rest is the body.

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

/// What stands around the parts of a body made here.
const BOUNDARY: &str = "7f3c";

/// The most bytes of a body.
const LIMIT: usize = 64 << 10;

thread_local! {
    static RUNTIME: Runtime =
        Builder::new_current_thread().enable_time().build().unwrap_or_else(|error| panic!("{error}"));
}

/// Panics where a body is read differently in pieces, where a refusal is not the sender's fault, where a draft breaks
/// a rule, or where the same fields are not the same in every form.
pub fn hold(bytes: &[u8]) {
    let mut lines = bytes.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (content_type, sizes, body) = (line(), line(), line());
    let whole = taken(content_type, &[], body);
    assert_eq!(whole, taken(content_type, sizes, body), "in pieces as in one");
    match whole {
        Ok(fields) => keeps_the_rules(&fields),
        Err(status) => assert!(matches!(status.as_u16(), 400 | 413 | 415 | 422), "{status}"),
    }
    is_the_same_in_every_form(&typed(&String::from_utf8_lossy(body)));
}

fn taken(content_type: &[u8], sizes: &[u8], body: &[u8]) -> Result<Fields, StatusCode> {
    let Ok(content_type) = HeaderValue::from_bytes(content_type) else {
        return Err(StatusCode::BAD_REQUEST); // no such request arrives
    };
    let request = TestRequest::post().insert_header((CONTENT_TYPE, content_type)).to_http_request();
    let mut payload = Payload::Stream { payload: iter(chunks(sizes, body).into_iter().map(Ok)).boxed_local() };
    let reading = async {
        let payload = web::Payload::from_request(&request, &mut payload).await;
        body::read(&request, payload.unwrap_or_else(|error| panic!("{error}"))).await
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

fn keeps_the_rules(fields: &Fields) {
    let Ok(draft) = Draft::new(fields) else { return };
    assert!(!draft.data().bytes().any(|b| b < b' '), "one line: {draft:?}");
    let members: BTreeMap<String, Value> =
        serde_json::from_str(draft.data()).unwrap_or_else(|error| panic!("{error}: {draft:?}"));
    let is_ours = |name: &String| ["sender", "message", "key"].contains(&name.as_str());
    assert!(members.keys().all(is_ours) && members.values().all(Value::is_string), "{draft:?}");
    let message = Message::parse(draft.data()).unwrap_or_else(|| panic!("no message: {draft:?}"));
    let (text, sender) = (unescaped(&message.message), unescaped(&message.sender));
    assert!((1..=4000).contains(&text.chars().count()) && !text.trim().is_empty(), "{text:?}");
    assert!((1..=64).contains(&sender.chars().count()) && !sender.chars().any(char::is_control), "{sender:?}");
    assert_eq!(Some(&text), fields.message.as_ref(), "as it was typed");
    let typed = fields.sender.as_deref().filter(|sender| !sender.trim().is_empty());
    assert_eq!(sender, typed.unwrap_or("Anonymous"));
    assert_eq!((message.key.as_deref(), draft.key()), (fields.key.as_deref(), fields.key.as_deref()));
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._~-".contains(&b);
    assert!(draft.key().is_none_or(|key| (1..=64).contains(&key.len()) && key.bytes().all(plain)), "{draft:?}");
}

/// Undoes the escaping by hand; panics where something is left that could be markup.
fn unescaped(text: &str) -> String {
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

/// The first two lines are sender and key, the rest is the message.
fn typed(text: &str) -> Fields {
    let mut lines = text.splitn(3, '\n').map(str::to_owned);
    Fields { sender: lines.next(), key: lines.next(), message: lines.next() }
}

fn is_the_same_in_every_form(fields: &Fields) {
    let given = [("sender", &fields.sender), ("key", &fields.key), ("message", &fields.message)];
    let given: Vec<(&str, &str)> = given.iter().filter_map(|(name, text)| Some((*name, text.as_deref()?))).collect();
    let json = Value::from_iter(given.iter().copied()).to_string();
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(&given).finish();
    let part = |(name, text): &(&str, &str)| {
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
    };
    let multipart = given.iter().map(part).collect::<String>() + &format!("--{BOUNDARY}--\r\n");
    let can_be_parts = !given.iter().any(|(_, text)| text.contains(BOUNDARY));
    is_read(fields, "application/x-www-form-urlencoded", &form);
    is_read(fields, "application/json; charset=utf-8", &json);
    if can_be_parts {
        is_read(fields, &format!("multipart/form-data; boundary={BOUNDARY}"), &multipart);
    }
}

fn is_read(fields: &Fields, content_type: &str, body: &str) {
    let expected = if body.len() > LIMIT {
        Err(StatusCode::PAYLOAD_TOO_LARGE)
    } else {
        Ok(fields.clone())
    };
    assert_eq!(taken(content_type.as_bytes(), &[9, 1], body.as_bytes()), expected, "{content_type}: {body:?}");
}
