//! The body of a publish, in the three forms that clients write it.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use percent_encoding::percent_decode;
use serde::Deserialize;
use serde_json::Value;

use super::error::Problem;
use crate::chat::Fields;

/// The most bytes of a body.
const LIMIT: usize = 64 << 10;

/// What goes beyond the limit is read and thrown away up to here, so that a client that still
/// writes gets to read the answer.
const DISCARDED: usize = 1 << 20;

/// How long a body may take to arrive.
const DEADLINE: Duration = Duration::from_secs(10);

/// Reads and understands a body. Unknown fields are ignored.
pub async fn read(req: &HttpRequest, payload: web::Payload) -> Result<Fields, Problem> {
    let form = Form::of(req.headers());
    let body = tokio::time::timeout(DEADLINE, receive(payload)).await;
    let body = body.map_err(|_| Problem::new(StatusCode::REQUEST_TIMEOUT, "The body took too long to arrive."))??;
    match form? {
        Form::UrlEncoded => url_encoded(&body),
        Form::Json => json(&body),
        Form::Multipart(boundary) => multipart(body, boundary).await,
    }
}

enum Form {
    UrlEncoded,
    Json,
    Multipart(String),
}

impl Form {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let encoding = text(header::CONTENT_ENCODING);
        let content_type = text(header::CONTENT_TYPE);
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            _ if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") => Err(unsupported()),
            "application/x-www-form-urlencoded" => Ok(Form::UrlEncoded),
            "application/json" => Ok(Form::Json),
            "multipart/form-data" => multer::parse_boundary(content_type)
                .map(Form::Multipart)
                .map_err(|_| malformed("multipart/form-data without a boundary")),
            _ => Err(unsupported()),
        }
    }
}

fn unsupported() -> Problem {
    let detail = "A message is sent as application/x-www-form-urlencoded, application/json or multipart/form-data, not compressed.";
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
}

fn malformed(why: &str) -> Problem {
    Problem::bad_request(format!("The body cannot be understood: {why}."))
}

async fn receive(mut payload: web::Payload) -> Result<Bytes, Problem> {
    let mut body = BytesMut::new();
    let mut received = 0;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| malformed("it broke off"))?;
        received += chunk.len();
        if received > DISCARDED {
            break;
        }
        if received <= LIMIT {
            body.extend_from_slice(&chunk);
        }
    }
    match received > LIMIT {
        true => Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "A body has at most 64 KiB.")),
        false => Ok(body.freeze()),
    }
}

fn url_encoded(body: &[u8]) -> Result<Fields, Problem> {
    // The parser would put U+FFFD for bytes that are not UTF-8; what was sent would be lost.
    percent_decode(body).decode_utf8().map_err(|_| malformed("it is not UTF-8"))?;
    let mut fields = Fields::default();
    for (name, value) in form_urlencoded::parse(body) {
        set(&mut fields, &name, || Ok(value.into_owned()))?;
    }
    Ok(fields)
}

fn json(body: &[u8]) -> Result<Fields, Problem> {
    /// Members that are not ours are passed over, and none of ours may come twice.
    #[derive(Deserialize)]
    struct Members {
        sender: Option<Value>,
        message: Option<Value>,
        key: Option<Value>,
    }
    // The parser would take an array for the members in turn.
    let object = body.trim_ascii_start().starts_with(b"{");
    let members = serde_json::from_slice(body).ok().filter(|_: &Members| object);
    let members = members.ok_or_else(|| malformed("it is no JSON object, or one with a member twice"))?;
    let text = |name, member| match member {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{name}: This has to be a text."))),
    };
    Ok(Fields {
        sender: text("sender", members.sender)?,
        message: text("message", members.message)?,
        key: text("key", members.key)?,
    })
}

async fn multipart(body: Bytes, boundary: String) -> Result<Fields, Problem> {
    let whole = futures_util::stream::iter([Ok::<_, std::io::Error>(body)]);
    let mut parts = multer::Multipart::new(whole, boundary);
    let mut fields = Fields::default();
    while let Some(part) = parts.next_field().await.map_err(|_| malformed("it is no multipart/form-data"))? {
        let name = part.name().unwrap_or_default().to_owned();
        let content = part.bytes().await.map_err(|_| malformed("a part breaks off"))?;
        set(&mut fields, &name, || String::from_utf8(content.into()).map_err(|_| malformed("it is not UTF-8")))?;
    }
    Ok(fields)
}

/// Sets one of our fields; others are passed over, and none may come twice.
fn set(fields: &mut Fields, name: &str, value: impl FnOnce() -> Result<String, Problem>) -> Result<(), Problem> {
    let field = match name {
        "message" => &mut fields.message,
        "sender" => &mut fields.sender,
        "key" => &mut fields.key,
        _ => return Ok(()),
    };
    match field.replace(value()?) {
        None => Ok(()),
        Some(_) => Err(malformed("a field stands in it twice")),
    }
}
