//! The answers to what cannot be done: texts that clients show as they are, whatever they accept.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder};

use crate::bus::{CreateError, PublishError, Unavailable};
use crate::web::error::Problem;

/// Why a request is refused.
pub enum Refusal {
    /// With a text of EventSource HQ.
    Text {
        status: StatusCode,
        text: String,
        /// Seconds to wait before the request can succeed.
        retry_after: Option<u64>,
    },
    /// With what the contract says of all requests: a body that cannot be read, for example.
    Problem(Problem),
}

impl Refusal {
    /// 400, 401, 403 or 404: the request itself has to change.
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self::Text { status, text: text.into(), retry_after: None }
    }

    /// 400: a parameter is missing.
    pub fn missing(parameter: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, format!("Missing param: {parameter}"))
    }

    /// 400: a parameter breaks its rule.
    pub fn invalid(parameter: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, format!("Invalid param: {parameter}"))
    }

    /// 404: no socket with this id lives.
    pub fn socket_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Socket Not Found")
    }

    /// 429: the app's key has used up what it may use.
    pub fn too_many(what: &str, retry_after: u64) -> Self {
        let text = format!("Too Many {what}");
        Self::Text { status: StatusCode::TOO_MANY_REQUESTS, text, retry_after: Some(retry_after) }
    }

    /// Returns the response to a request.
    ///
    /// # Errors
    /// What the contract says of all requests, whose form depends on what the client accepts.
    pub fn answer(result: Result<HttpResponse, Self>) -> Result<HttpResponse, Problem> {
        match result {
            Ok(response) => Ok(response),
            Err(Refusal::Problem(problem)) => Err(problem),
            Err(Refusal::Text { status, text, retry_after }) => {
                let mut response = HttpResponse::build(status);
                if let Some(seconds) = retry_after {
                    response.insert_header((header::RETRY_AFTER, seconds));
                }
                Ok(plain_text(response, text))
            }
        }
    }
}

/// Completes a response with a text.
pub fn plain_text(mut response: HttpResponseBuilder, text: impl Into<String>) -> HttpResponse {
    response
        .content_type("text/plain; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(text.into())
}

/// Completes a response with JSON, whose type has no parameters: clients compare it.
pub fn json(body: impl Into<String>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(body.into())
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Refusal::Problem(problem)
    }
}

impl From<Unavailable> for Refusal {
    fn from(_: Unavailable) -> Self {
        Refusal::Text {
            status: StatusCode::SERVICE_UNAVAILABLE,
            text: "Database Connection Error".to_owned(),
            retry_after: Some(2),
        }
    }
}

impl From<PublishError> for Refusal {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Unavailable => Unavailable.into(),
            PublishError::KeyReused | PublishError::RateLimited(_) => Refusal::Problem(error.into()),
        }
    }
}

impl From<CreateError> for Refusal {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Unavailable => Unavailable.into(),
            // The oldest expires within the time that a socket lives, if it is not read.
            CreateError::TooMany => Refusal::too_many("Sockets", 30),
        }
    }
}
