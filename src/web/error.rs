//! The one place that turns a failure into a status code and problem details (RFC 9457).
//!
//! Internals are logged where they happen and never reach a client.

use std::time::Duration;

use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::bus::{ChangeError, PublishError, Unavailable};
use crate::chat::{Fields, InvalidField, RoomName, RoomNameError, RoomsError};

/// What makes a browser ask for a password (RFC 7617 § 2).
const PASSWORD_CHALLENGE: &str = "Basic realm=\"tiny-chat\", charset=\"UTF-8\"";

/// A failed request, as its client sees it. The `finish` middleware chooses between JSON and a page.
#[derive(Clone, Debug)]
pub struct Problem {
    pub(super) status: StatusCode,
    /// An explanation for the client.
    pub(super) detail: String,
    /// Seconds to wait before the request can succeed.
    retry_after: Option<u64>,
    /// The value of `Allow`.
    allow: Option<&'static str>,
    /// The value of `WWW-Authenticate`.
    challenge: Option<&'static str>,
    /// The submitted message and the path of its room, so that a page can offer to send it again.
    pub(super) submitted: Option<Box<(Fields, String)>>,
}

/// A problem as JSON (RFC 9457 § 3.1).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemDetails<'a> {
    r#type: &'static str,
    /// The status in words.
    title: &'static str,
    status: u16,
    /// An explanation for people.
    detail: &'a str,
}

impl Problem {
    /// Returns a problem with a status and an explanation for the client.
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            retry_after: None,
            allow: None,
            challenge: None,
            submitted: None,
        }
    }

    /// 400: the request cannot be parsed.
    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401: the room is private. It is the same for every such room, whether it is in use or not.
    pub(super) fn private_room() -> Self {
        let detail = "Rooms whose names begin with private- are open only to those whom an app lets in.";
        // A challenge is due with a 401 (RFC 9110 § 15.5.2), and no browser asks for a password because of this one.
        Self { challenge: Some("Bearer"), ..Self::new(StatusCode::UNAUTHORIZED, detail) }
    }

    /// 404: nothing has this address.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 405: the resource has only the methods in `allow`.
    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        let detail = format!("This address only supports {allow}.");
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, detail) }
    }

    /// 403: the message was posted from another site.
    pub(super) fn cross_site() -> Self {
        let detail = "Messages from other sites are refused unless the operator has allowed their origin.";
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 429: the client's address has sent too many messages; it may send one in `retry_after` seconds.
    pub(super) fn rate_limited(wait: Duration) -> Self {
        // `Retry-After` is in whole seconds.
        let retry_after = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let detail = "Too many messages from your address in a short time. Wait a moment, then send it again.";
        Self { retry_after: Some(retry_after), ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    /// 401: the operator's password is missing or wrong.
    pub(super) fn password_required() -> Self {
        let detail = "This address needs the operator's password, with any user name.";
        Self { challenge: Some(PASSWORD_CHALLENGE), ..Self::new(StatusCode::UNAUTHORIZED, detail) }
    }

    /// 401: neither the operator's password nor a key and its secret came with the request.
    pub(super) fn credentials_required() -> Self {
        let detail = "This needs the operator's password, with any user name, or the key of an app and its secret.";
        Self { challenge: Some(PASSWORD_CHALLENGE), ..Self::new(StatusCode::UNAUTHORIZED, detail) }
    }

    /// 403: the secret with which the message was posted did not come with the request.
    pub(super) fn secret_required() -> Self {
        let detail = "This takes the secret with which the message was posted.";
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 429: too many wrong passwords came from the client's address.
    pub(super) fn too_many_tries(wait: Duration) -> Self {
        let detail = "Too many wrong passwords from your address. Wait a moment, then try again.";
        Self { retry_after: Some(wait.as_secs() + 1), ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    /// 503: the message store did not answer; whether it stored the message is unknown.
    pub(super) fn store_unavailable() -> Self {
        let detail =
            "The message store is unavailable. Try again; a message sent again with the same key is stored only once.";
        Self { retry_after: Some(2), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// 500: the handler panicked.
    pub(super) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "This node failed to handle the request. Try again.")
    }

    /// Attaches the message that was submitted to a room.
    pub(super) fn with_submitted(self, fields: Fields, room: &RoomName) -> Self {
        Self { submitted: Some(Box::new((fields, room.path()))), ..self }
    }

    /// Returns the status in words.
    pub(super) fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }

    /// Returns a response with the status and headers of this problem and no body yet.
    pub(super) fn response(&self) -> HttpResponseBuilder {
        let mut response = HttpResponse::build(self.status);
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        if let Some(seconds) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if let Some(allow) = self.allow {
            response.insert_header((header::ALLOW, allow));
        }
        if let Some(challenge) = self.challenge {
            response.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        response
    }

    /// Returns the response as `application/problem+json` (RFC 9457 § 3).
    pub(super) fn json_response(&self) -> HttpResponse {
        let json = ProblemDetails {
            r#type: "about:blank",
            title: self.title(),
            status: self.status.as_u16(),
            detail: &self.detail,
        };
        let body = serde_json::to_string(&json).unwrap_or_default();
        self.response().content_type("application/problem+json").body(body)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        self.json_response()
    }
}

impl From<RoomNameError> for Problem {
    fn from(error: RoomNameError) -> Self {
        Problem::not_found(error.to_string())
    }
}

impl From<RoomsError> for Problem {
    fn from(error: RoomsError) -> Self {
        match error {
            RoomsError::Name(error) => error.into(),
            RoomsError::Count => Problem::bad_request(error.to_string()),
        }
    }
}

impl From<InvalidField> for Problem {
    fn from(error: InvalidField) -> Self {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{}: {error}", error.field()))
    }
}

impl From<Unavailable> for Problem {
    fn from(_: Unavailable) -> Self {
        Problem::store_unavailable()
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::NotRetained => Problem::not_found("Nothing that can be changed is retained here."),
            ChangeError::OfOther => Problem::secret_required(),
            ChangeError::Forbidden => {
                let detail = "The message store does not permit its nodes to do this; the operator has to grant it.";
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
            }
            ChangeError::Unavailable => Unavailable.into(),
        }
    }
}

impl From<PublishError> for Problem {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::KeyReused => {
                let detail = "key: Another message in this room used this key within the last 10 minutes.";
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
            }
            PublishError::RateLimited(wait) => Problem::rate_limited(wait),
            PublishError::Unavailable => Problem::store_unavailable(),
        }
    }
}
