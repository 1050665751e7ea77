use std::time::{Duration, Instant};

use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::body;
use super::client::Client;
use super::error::Problem;
use super::negotiation::prefers_html;
use super::state::AppState;
use crate::chat::{Draft, Fields, Invalid, RoomName};

/// `POST /{room}`: stores a message and tells its id; a browser without scripts is sent back to the
/// room's page.
pub async fn publish(
    req: HttpRequest,
    room: RoomName,
    payload: web::Payload,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let since = Instant::now();
    let client = Client::of(&req, &state.trusted_proxies);
    state.origins.refuse_cross_site(&req, client)?;
    let mut fields = body::read(&req, payload).await?;
    match store(&state, &room, &mut fields, req.headers(), client, since).await {
        Ok(_) if prefers_html(req.headers()) => Ok(see_other(&room)),
        Ok(answer) => Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(answer)),
        Err(problem) => Err(problem.with_submitted(fields)),
    }
}

/// The answer to a message that is stored.
#[derive(Serialize)]
struct Stored {
    id: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

async fn store(
    state: &AppState,
    room: &RoomName,
    fields: &mut Fields,
    headers: &HeaderMap,
    client: Client,
    since: Instant,
) -> Result<Stored, Problem> {
    fields.key = one_key(fields.key.take(), headers)?;
    let draft = Draft::new(fields)?;
    state.limits.check_post(client.address).await.map_err(|wait| {
        state.metrics.posts_refused.with_label_values(&["rate_limit"]).inc();
        Problem::rate_limited(whole_seconds(wait))
    })?;
    let receipt = state.hub.publish(room, &draft, since).await?;
    Ok(Stored { id: receipt.id.to_string(), duplicate: receipt.duplicate })
}

/// The idempotency key: a field or a header, and where both are there they are the same.
fn one_key(field: Option<String>, headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(header) = headers.get("idempotency-key") else {
        return Ok(field);
    };
    let text = header.to_str().map_err(|_| Invalid::Key)?.trim();
    let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    match field {
        Some(field) if field != bare => Err(Problem::from(Invalid::Key)),
        _ => Ok(Some(bare.to_owned())),
    }
}

fn see_other(room: &RoomName) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, room.path()))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}

/// `Retry-After` counts whole seconds.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}
