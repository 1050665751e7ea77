//! `POST /{room}`: checks a message and stores it.

use std::time::{Duration, Instant};

use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::body;
use super::client::Client;
use super::documented::{BodyProblems, KeyHeader, NewMessage, RoomPath, RoomProblems, StoreProblems};
use super::error::Problem;
use super::negotiation::prefers_html;
use super::state::AppState;
use crate::bus::Unavailable;
use crate::chat::{Draft, Fields, InvalidField, Mark, RoomName, Secret};

/// Handles `POST /{room}`: stores a message and returns its id, or redirects a form that was sent
/// without JavaScript to the room's page.
#[utoipa::path(
    post, path = "/{room}", operation_id = "publish", tag = "messages", summary = "Publishes a message",
    params(RoomPath, KeyHeader),
    request_body(content(
        (NewMessage = "application/json"), (NewMessage = "application/x-www-form-urlencoded"),
        (NewMessage = "multipart/form-data"),
    )),
    responses(
        (status = 200, description = "The message is stored", body = Stored),
        (status = 303, description = "It is stored, and came from a form without JavaScript: to the page"),
        RoomProblems, BodyProblems, StoreProblems,
    ),
)]
pub(super) async fn publish(
    req: HttpRequest,
    room: RoomName,
    payload: web::Payload,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let received = Instant::now();
    let client = Client::from_request(&req, &state.trusted_proxies);
    state.origins.refuse_cross_site(&req, client)?;
    let mut fields = body::read(&req, payload).await?;
    match store(&state, &room, &mut fields, req.headers(), client, received).await {
        Ok(_) if prefers_html(req.headers()) => Ok(see_other(&room)),
        Ok(stored) => Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(stored)),
        Err(problem) => Err(problem.with_submitted(fields, &room)),
    }
}

/// The response to a message that is stored.
#[derive(Serialize, ToSchema)]
pub(super) struct Stored {
    /// The id of the message.
    #[schema(example = "1361572294000-42")]
    id: String,
    /// Whether it was stored before, with the same key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
    /// The mark of the secret that came with the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    mark: Option<String>,
}

/// Checks the fields and the rate of the client's address, then stores the message.
pub(super) async fn store(
    state: &AppState,
    room: &RoomName,
    fields: &mut Fields,
    headers: &HeaderMap,
    client: Client,
    received: Instant,
) -> Result<Stored, Problem> {
    fields.key = idempotency_key(fields.key.take(), headers)?;
    // Before the rate limit: a message that breaks a rule uses up no token.
    let mut draft = Draft::new(fields)?;
    let charge = settle_rate(state, state.limits.begin_post(client.address).await)?;
    // No answer gives a secret back.
    let mark = match fields.secret.take() {
        Some(secret) => Some(mark_of(state, &secret).await?),
        None => None,
    };
    if let Some(mark) = &mark {
        draft = draft.with_mark(mark);
    }
    let receipt = state.hub.publish(room, &draft, charge.as_ref(), received).await?;
    Ok(Stored {
        id: receipt.id.to_string(),
        duplicate: receipt.duplicate,
        mark: mark.map(|mark| mark.to_string()),
    })
}

/// Returns the mark that a secret leaves.
///
/// # Errors
/// 503 if the message store does not say with which salt.
pub(super) async fn mark_of(state: &AppState, secret: &Secret) -> Result<Mark, Problem> {
    let salt = state.salt.salt().await.inspect_err(|Unavailable| {
        state.metrics.posts_refused.with_label_values(&["store_unavailable"]).inc();
    })?;
    Ok(Mark::new(&salt, secret))
}

/// Counts a post of the client's address.
///
/// # Errors
/// 429 if the address has sent too many.
pub(super) async fn check_rate(state: &AppState, client: Client) -> Result<(), Problem> {
    settle_rate(state, state.limits.check_post(client.address).await)
}

fn settle_rate<T>(state: &AppState, result: Result<T, Duration>) -> Result<T, Problem> {
    result.map_err(|wait| {
        state.metrics.posts_refused.with_label_values(&["rate_limit"]).inc();
        Problem::rate_limited(wait)
    })
}

/// Returns the idempotency key from the field `key` or the header `Idempotency-Key`, which may be
/// quoted.
///
/// # Errors
/// If both are present and differ.
pub(super) fn idempotency_key(field: Option<String>, headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(header) = headers.get("idempotency-key") else {
        return Ok(field);
    };
    let text = header.to_str().map_err(|_| InvalidField::Key)?.trim();
    let key = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    match field {
        Some(field) if field != key => Err(Problem::from(InvalidField::Key)),
        _ => Ok(Some(key.to_owned())),
    }
}

/// Returns a redirect to the room's page, so that reloading it does not send the form again.
fn see_other(room: &RoomName) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, room.path()))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}
