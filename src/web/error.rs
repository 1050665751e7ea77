//! The one place that turns a failure into a status code and a body.
//!
//! RFC 9457: every error is `application/problem+json`, or a page where the client prefers HTML.
//! Internals are logged where they happen and are never shown.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use serde::Serialize;

use super::negotiation::prefers_html;
use super::pages;
use crate::bus::{PublishError, Unavailable};
use crate::chat::{Fields, Invalid, NotARoom, NotRooms};

/// A failure, as the client gets to know it.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    /// Seconds after which it is worth trying again.
    retry_after: Option<u64>,
    allow: Option<&'static str>,
    /// What a person typed, so that a form can hold it.
    typed: Option<Box<Fields>>,
}

impl Problem {
    /// A failure with what there is to say about it.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), retry_after: None, allow: None, typed: None }
    }

    /// A request that cannot be understood.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// There is nothing here.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// Another method than those allowed.
    pub fn method_not_allowed(allow: &'static str) -> Self {
        let detail = format!("This address takes only {allow}.");
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, detail) }
    }

    /// A publish from another site.
    pub fn cross_site() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "Messages from pages of other sites are not taken, unless the operator allows their origin.",
        )
    }

    /// Too many messages from one address.
    pub fn too_fast(seconds: u64) -> Self {
        let detail = "Too many messages from this address in a short time. Wait a moment and send it again.";
        Self { retry_after: Some(seconds), ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    /// The store of messages is out of reach.
    pub fn unavailable() -> Self {
        let detail = "The message store is out of reach. Try again; with the same key a message appears only once.";
        Self { retry_after: Some(2), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// The same failure, with what was typed.
    pub fn with_typed(self, typed: Fields) -> Self {
        Self { typed: Some(Box::new(typed)), ..self }
    }

    /// The answer to this request.
    pub fn answer(&self, req: &HttpRequest) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status);
        answer.insert_header((header::CACHE_CONTROL, "no-store"));
        if let Some(seconds) = self.retry_after {
            answer.insert_header((header::RETRY_AFTER, seconds));
        }
        if let Some(allow) = self.allow {
            answer.insert_header((header::ALLOW, allow));
        }
        if prefers_html(req.headers()) {
            return pages::problem(
                answer,
                self.status.as_u16(),
                self.title(),
                &self.detail,
                req.path(),
                self.typed.as_deref(),
            );
        }
        answer.content_type("application/problem+json").body(self.json())
    }

    fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }

    fn json(&self) -> String {
        #[derive(Serialize)]
        struct Json<'a> {
            r#type: &'static str,
            title: &'static str,
            status: u16,
            detail: &'a str,
        }
        let json = Json {
            r#type: "about:blank",
            title: self.title(),
            status: self.status.as_u16(),
            detail: &self.detail,
        };
        serde_json::to_string(&json).unwrap_or_default()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

/// The body is made by [`Problem::answer`], which knows what the client prefers; the
/// [middleware](super::finish) calls it.
impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }
}

impl From<NotARoom> for Problem {
    fn from(why: NotARoom) -> Self {
        Problem::not_found(why.to_string())
    }
}

impl From<NotRooms> for Problem {
    fn from(why: NotRooms) -> Self {
        match why {
            NotRooms::NotARoom(why) => why.into(),
            NotRooms::Number => Problem::malformed(why.to_string()),
        }
    }
}

impl From<Invalid> for Problem {
    fn from(why: Invalid) -> Self {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{}: {why}", why.field()))
    }
}

impl From<Unavailable> for Problem {
    fn from(_: Unavailable) -> Self {
        Problem::unavailable()
    }
}

impl From<PublishError> for Problem {
    fn from(why: PublishError) -> Self {
        match why {
            PublishError::KeyReused => {
                let detail =
                    "key: This key stands for another message that was sent to this room in the last 10 minutes.";
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
            }
            PublishError::Unavailable => Problem::unavailable(),
        }
    }
}
