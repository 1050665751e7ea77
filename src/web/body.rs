//! The body of a message, as `POST /{room}` and the rooms API take it: a form, `multipart/form-data` or JSON. Calls of apps
//! send forms, of either kind.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use percent_encoding::percent_decode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::error::Problem;
use crate::chat::{Fields, Name, Secret};

/// The largest body that is accepted.
const MAX_BODY_BYTES: usize = 64 << 10;

/// How much of a larger body is read and discarded: a client that is still writing when the
/// connection closes may never read the response.
const MAX_DISCARDED_BYTES: usize = 1 << 20;

/// Reads a body and parses it according to its `Content-Type`. Unknown fields are ignored.
///
/// # Errors
/// 400 for a body that cannot be parsed, 413 or 415; 422 for a JSON member of the wrong type.
pub async fn read(req: &HttpRequest, payload: web::Payload) -> Result<Fields, Problem> {
    read_as(Names::Message, req, payload).await
}

/// Reads the body of a change of a message as [`read`] does. An empty one has no fields.
///
/// # Errors
/// As [`read`].
pub(super) async fn read_change(req: &HttpRequest, payload: web::Payload) -> Result<Fields, Problem> {
    let body = receive(payload).await?;
    if body.is_empty() {
        return Ok(Fields::default());
    }
    parse_as(Names::Message, BodyFormat::from_headers(req.headers())?, body).await
}

/// Reads the body of a chat as [`read`] does. Its `userId` becomes the sender.
///
/// # Errors
/// Also 422 for a user id that breaks its rule.
pub async fn read_chat(req: &HttpRequest, payload: web::Payload) -> Result<Fields, Problem> {
    let fields = read_as(Names::Chat, req, payload).await?;
    let user_id = fields.sender.as_deref();
    if user_id.is_some_and(|user_id| user_id.is_empty() || Name::parse(user_id).is_err()) {
        return Err(invalid_user_id());
    }
    Ok(fields)
}

/// The names of the fields in a body.
#[derive(Clone, Copy)]
enum Names {
    /// `sender`, `message`, `key` and `secret`.
    Message,
    /// `userId`, `message` and `secret`.
    Chat,
}

async fn read_as(names: Names, req: &HttpRequest, payload: web::Payload) -> Result<Fields, Problem> {
    let format = BodyFormat::from_headers(req.headers());
    // Received even if the format is refused, for the same reason as a body that is too large.
    // How long it may take is the connection's concern.
    let body = receive(payload).await?;
    parse_as(names, format?, body).await
}

async fn parse_as(names: Names, format: BodyFormat, body: Bytes) -> Result<Fields, Problem> {
    match format {
        BodyFormat::Json => parse_json(names, without_mark(&body)),
        format => Ok(names.fields_of(parse_form(names.of_form(), format, body).await?)),
    }
}

/// Reads the fields with these names of a form. The body may be empty, whatever its `Content-Type` is.
///
/// # Errors
/// 400 for a body that cannot be parsed, 413 or 415.
pub(super) async fn read_form(
    req: &HttpRequest,
    payload: web::Payload,
    names: &[&'static str],
) -> Result<FormFields, Problem> {
    let body = receive(payload).await?;
    if body.is_empty() {
        return Ok(FormFields::default());
    }
    match BodyFormat::from_headers(req.headers()) {
        Ok(format @ (BodyFormat::UrlEncoded | BodyFormat::Multipart { .. })) => parse_form(names, format, body).await,
        Ok(BodyFormat::Json) | Err(Problem { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, .. }) => {
            Err(unsupported("the fields as application/x-www-form-urlencoded or multipart/form-data"))
        }
        Err(problem) => Err(problem),
    }
}

async fn parse_form(names: &[&'static str], format: BodyFormat, body: Bytes) -> Result<FormFields, Problem> {
    match format {
        BodyFormat::Multipart { boundary } => parse_multipart(names, body, boundary).await,
        BodyFormat::UrlEncoded | BodyFormat::Json => parse_url_encoded(names, without_mark(&body)),
    }
}

impl Names {
    /// Returns the names of the fields of a form.
    fn of_form(self) -> &'static [&'static str] {
        match self {
            Names::Message => &["sender", "message", "key", "secret"],
            Names::Chat => &["userId", "message", "secret"],
        }
    }

    /// Returns a message with the fields of a form.
    fn fields_of(self, mut form: FormFields) -> Fields {
        let sender = match self {
            Names::Message => "sender",
            Names::Chat => "userId",
        };
        Fields {
            sender: form.take(sender),
            message: form.take("message"),
            key: form.take("key"),
            secret: form.take("secret").map(Secret::new),
        }
    }
}

/// The fields of a form by name.
#[derive(Debug, Default)]
pub(super) struct FormFields(Vec<(&'static str, String)>);

impl FormFields {
    /// Removes a field, and returns its value.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let index = self.0.iter().position(|(set, _)| *set == name)?;
        Some(self.0.swap_remove(index).1)
    }

    /// Returns the value of a field.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(set, _)| *set == name).map(|(_, value)| value.as_str())
    }

    /// Sets a field unless it is set.
    pub(super) fn set_default(&mut self, name: &'static str, value: impl FnOnce() -> Option<String>) {
        if self.get(name).is_none() {
            self.0.extend(value().map(|value| (name, value)));
        }
    }

    /// Sets the field `name` if it is one of `names`; ignores an unknown one, without evaluating its value.
    ///
    /// # Errors
    /// 400 if the field is already set, or the error of `value`.
    fn set(
        &mut self,
        names: &[&'static str],
        name: &str,
        value: impl FnOnce() -> Result<String, Problem>,
    ) -> Result<(), Problem> {
        let Some(name) = names.iter().find(|known| **known == name) else {
            return Ok(());
        };
        if self.get(name).is_some() {
            return Err(malformed("a field occurs twice"));
        }
        self.0.push((name, value()?));
        Ok(())
    }
}

/// The media types that a body can have.
enum BodyFormat {
    UrlEncoded,
    Json,
    Multipart { boundary: String },
}

impl BodyFormat {
    /// Returns the format that `Content-Type` names.
    fn from_headers(headers: &HeaderMap) -> Result<Self, Problem> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let encoding = text(header::CONTENT_ENCODING);
        let content_type = text(header::CONTENT_TYPE);
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            _ if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") => Err(unsupported(MESSAGE_TYPES)),
            "application/x-www-form-urlencoded" => Ok(BodyFormat::UrlEncoded),
            "application/json" => Ok(BodyFormat::Json),
            "multipart/form-data" => multer::parse_boundary(content_type)
                .map(|boundary| BodyFormat::Multipart { boundary })
                .map_err(|_| malformed("multipart/form-data needs a boundary")),
            _ => Err(unsupported(MESSAGE_TYPES)),
        }
    }
}

/// What may be sent, and as what.
const MESSAGE_TYPES: &str = "a message as application/x-www-form-urlencoded, application/json or multipart/form-data";

fn unsupported(supported: &str) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("Send {supported}, uncompressed."))
}

fn malformed(reason: &str) -> Problem {
    Problem::bad_request(format!("The body cannot be parsed: {reason}."))
}

/// Receives a whole body into memory, at most [`MAX_BODY_BYTES`] of it.
pub(super) async fn receive(mut payload: web::Payload) -> Result<Bytes, Problem> {
    let mut body = BytesMut::new();
    let mut received = 0;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| malformed("it is incomplete"))?;
        received += chunk.len();
        if received > MAX_DISCARDED_BYTES {
            break;
        }
        if received <= MAX_BODY_BYTES {
            body.extend_from_slice(&chunk);
        }
    }
    if received > MAX_BODY_BYTES {
        let detail = format!("The body is larger than {} KiB.", MAX_BODY_BYTES >> 10);
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    Ok(body.freeze())
}

/// Removes a byte order mark, which some programs begin a text with.
fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body)
}

fn parse_url_encoded(names: &[&'static str], body: &[u8]) -> Result<FormFields, Problem> {
    // The parser below replaces bytes that are not UTF-8 by U+FFFD; they are an error instead.
    percent_decode(body).decode_utf8().map_err(|_| malformed("it is not valid UTF-8"))?;
    let mut fields = FormFields::default();
    for (name, value) in form_urlencoded::parse(body) {
        fields.set(names, &name, || Ok(value.into_owned()))?;
    }
    Ok(fields)
}

/// Parses an object. Unknown members are ignored; serde refuses a known one that occurs twice.
fn parse_json(names: Names, body: &[u8]) -> Result<Fields, Problem> {
    #[derive(Deserialize)]
    struct Message {
        sender: Option<Value>,
        message: Option<Value>,
        key: Option<Value>,
        secret: Option<Value>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Chat {
        message: Option<Value>,
        user_id: Option<Box<RawValue>>,
        secret: Option<Value>,
    }
    Ok(match names {
        Names::Message => {
            let Message { sender, message, key, secret } = parse_object(body)?;
            Fields {
                sender: string("sender", sender)?,
                message: string("message", message)?,
                key: string("key", key)?,
                secret: string("secret", secret)?.map(Secret::new),
            }
        }
        Names::Chat => {
            let Chat { message, user_id: id, secret } = parse_object(body)?;
            let sender = id.map(|id| user_id(id.get())).transpose()?;
            Fields {
                sender,
                message: string("message", message)?,
                key: None,
                secret: string("secret", secret)?.map(Secret::new),
            }
        }
    })
}

fn parse_object<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // serde would also accept an array with the members' values in order.
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let members = serde_json::from_slice(body).ok().filter(|_| is_object);
    members.ok_or_else(|| malformed("it is not a JSON object, or one of its members occurs twice"))
}

/// Returns the text of a member.
fn string(name: &str, member: Option<Value>) -> Result<Option<String>, Problem> {
    match member {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{name}: This must be a string."))),
    }
}

/// Returns a user id as text; `json` is a text, or a number as it was written.
fn user_id(json: &str) -> Result<String, Problem> {
    let is_integer = json.strip_prefix('-').unwrap_or(json).bytes().all(|b| b.is_ascii_digit());
    match json {
        _ if json.starts_with('"') => serde_json::from_str(json).map_err(|_| malformed("it is not a JSON object")),
        _ if is_integer => Ok(json.to_owned()),
        _ => Err(invalid_user_id()),
    }
}

fn invalid_user_id() -> Problem {
    let rule = "userId: A user id must be a whole number, or a text of 1 to 64 characters that are no control or format characters.";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, rule)
}

async fn parse_multipart(names: &[&'static str], body: Bytes, boundary: String) -> Result<FormFields, Problem> {
    let stream = futures_util::stream::iter([Ok::<_, std::io::Error>(body)]);
    let mut parts = multer::Multipart::new(stream, boundary);
    let mut fields = FormFields::default();
    while let Some(part) = parts.next_field().await.map_err(|_| malformed("it is not valid multipart/form-data"))? {
        let name = part.name().unwrap_or_default().to_owned();
        let content = part.bytes().await.map_err(|_| malformed("a part is incomplete"))?;
        fields
            .set(names, &name, || String::from_utf8(content.into()).map_err(|_| malformed("it is not valid UTF-8")))?;
    }
    Ok(fields)
}
