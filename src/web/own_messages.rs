//! `PATCH /history/{room}/{id}`, and `DELETE` without HTTP Basic: a sender edits or deletes its own message.
//!
//! The message has the mark of the sender's secret, which comes in the body and never in the address.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::body;
use super::client::Client;
use super::documented::{BodyProblems, EntryId, MessageChange, MessagePath, RoomProblems, StoreProblems};
use super::error::Problem;
use super::path;
use super::publish::{check_rate, mark_of};
use super::state::AppState;
use crate::bus::Deletion;
use crate::chat::{Fields, Id, Mark, MessageText, RoomName, Secret};

/// A request to change a message. What its sender may do is not checked yet.
struct ChangeRequest {
    room: RoomName,
    id: Id,
    fields: Fields,
    client: Client,
}

/// Handles `PATCH /history/{room}/{id}`: gives a message another text.
#[utoipa::path(
    patch, path = "/history/{room}/{id}", operation_id = "editMessage", tag = "messages", summary = "Gives one's own message another text",
    params(MessagePath),
    request_body(content(
        (MessageChange = "application/json"), (MessageChange = "application/x-www-form-urlencoded"),
        (MessageChange = "multipart/form-data"),
    )),
    responses(
        (status = 200, description = "It is edited", body = EntryId),
        RoomProblems, BodyProblems, StoreProblems,
    ),
)]
pub(super) async fn edit(
    req: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let request = ChangeRequest::read(&req, &path.1, payload, &state).await?;
    let text = MessageText::new(request.fields.message.as_deref().unwrap_or_default());
    if let (Some(_), Err(broken)) = (request.secret(), &text) {
        // It uses up no token, as a message that breaks a rule.
        return Err((*broken).into());
    }
    let mark = request.mark(&state).await?;
    let id = state.hub.edit(&request.room, request.id, &mark, &text?).await?;
    tracing::debug!(room = %request.room, id = %request.id, "edited by its sender");
    Ok(changed(id))
}

/// Deletes a message.
pub(super) async fn delete(
    req: &HttpRequest,
    id: &str,
    payload: web::Payload,
    state: &AppState,
) -> Result<HttpResponse, Problem> {
    let request = ChangeRequest::read(req, id, payload, state).await?;
    let mark = request.mark(state).await?;
    let id = state.hub.delete(&request.room, Deletion::Entry(request.id), Some(&mark)).await?;
    tracing::debug!(room = %request.room, id = %request.id, "deleted by its sender");
    Ok(changed(id))
}

/// Returns the answer to a change, with the id of the entry that tells of it.
pub(super) fn changed(id: Id) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(json!({ "id": id.to_string() }))
}

impl ChangeRequest {
    async fn read(req: &HttpRequest, id: &str, payload: web::Payload, state: &AppState) -> Result<Self, Problem> {
        let room = path::open_room(req)?;
        let client = Client::from_request(req, &state.trusted_proxies);
        state.origins.refuse_cross_site(req, client)?;
        let fields = body::read_change(req, payload).await?;
        let id = id.parse().map_err(|error| Problem::bad_request(format!("{error}.")))?;
        Ok(Self { room, id, fields, client })
    }

    /// Returns the secret, if it may be one.
    fn secret(&self) -> Option<&Secret> {
        self.fields.secret.as_ref().filter(|secret| secret.is_valid())
    }

    /// Returns the mark of the secret, after the request was counted, as a wrong one is as well.
    async fn mark(&self, state: &AppState) -> Result<Mark, Problem> {
        check_rate(state, self.client).await?;
        mark_of(state, self.secret().ok_or_else(Problem::secret_required)?).await
    }
}
