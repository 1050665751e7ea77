//! `DELETE /history/{room}` and `DELETE /history/{room}/{id}`: takes entries out of a room's log.
//!
//! The operator may do so in every room, an app in its channels. Who comes without HTTP Basic may delete a message of its
//! own (`own_messages`).

use std::sync::Arc;

use actix_web::guard::GuardContext;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::admin::authenticate;
use super::basic_auth::{BasicAuth, is_basic};
use super::client::Client;
use super::documented::{
    BodyProblems, ChannelParameter, DeletionProblems, EntryId, MessageChange, MessagePath, RoomPath, RoomProblems,
    StoreProblems,
};
use super::error::Problem;
use super::eshq::app_of_basic;
use super::own_messages;
use super::path;
use super::query;
use super::state::AppState;
use crate::apps::App;
use crate::bus::Deletion;
use crate::chat::{Id, RoomName};

/// Who deletes.
enum Deleter {
    Operator,
    App(Arc<App>),
}

/// Lets requests to delete through if the node has a password or keys.
pub(super) fn guard(context: &GuardContext<'_>) -> bool {
    context.app_data::<web::Data<AppState>>().is_some_and(|state| is_enabled(state))
}

/// Returns true if there is a password or a key that permits to delete.
pub(super) fn is_enabled(state: &AppState) -> bool {
    state.admin_password.is_set() || state.apps.are_enabled()
}

/// Handles `DELETE /history/{room}`: deletes everything.
#[utoipa::path(
    delete, path = "/history/{room}", operation_id = "emptyRoom", tag = "messages", summary = "Deletes all that a room has",
    params(RoomPath, ChannelParameter),
    responses(
        (status = 200, description = "It is deleted", body = EntryId),
        RoomProblems, DeletionProblems, StoreProblems,
    ),
    security(("operator" = []), ("app" = [])),
)]
pub(super) async fn all(req: HttpRequest, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    delete(&req, &state, Ok(Deletion::All)).await
}

/// Handles `DELETE /history/{room}/{id}`: deletes one message or event.
#[utoipa::path(
    delete, path = "/history/{room}/{id}", operation_id = "deleteMessage", tag = "messages",
    summary = "Deletes a message: its sender with the secret, the operator and apps with HTTP Basic",
    params(MessagePath, ChannelParameter),
    request_body(content(
        (MessageChange = "application/json"), (MessageChange = "application/x-www-form-urlencoded"),
        (MessageChange = "multipart/form-data"),
    )),
    responses(
        (status = 200, description = "It is deleted", body = EntryId),
        RoomProblems, BodyProblems, StoreProblems,
    ),
    security((), ("operator" = []), ("app" = [])),
)]
pub(super) async fn one(
    req: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    if !(is_enabled(&state) && is_basic(req.headers())) {
        return own_messages::delete(&req, &path.1, payload, &state).await;
    }
    let id = path.1.parse::<Id>().map_err(|error| Problem::bad_request(format!("{error}.")));
    delete(&req, &state, id.map(Deletion::Entry)).await
}

/// Deletes. Credentials are checked before what is asked for.
async fn delete(
    req: &HttpRequest,
    state: &AppState,
    deletion: Result<Deletion, Problem>,
) -> Result<HttpResponse, Problem> {
    let client = Client::from_request(req, &state.trusted_proxies);
    state.origins.refuse_cross_site(req, client)?;
    let deleter = authenticate(req, state, Problem::credentials_required, |auth| deleter_of(auth, state))?;
    let (room, by) = match deleter {
        Deleter::App(app) => (room_of_channel(req, &app)?, app.key().clone()),
        Deleter::Operator => (path::any_room(req)?, "the operator".into()),
    };
    let deletion = deletion?;
    let id = state.hub.delete(&room, deletion, None).await?;
    tracing::info!(%room, ?deletion, %by, "deleted from a log");
    Ok(own_messages::changed(id))
}

/// Returns whose credentials these are. Wrong secrets of apps count like wrong passwords.
fn deleter_of(auth: &BasicAuth, state: &AppState) -> Option<Deleter> {
    let operator = || state.admin_password.is_right(&auth.password).then_some(Deleter::Operator);
    app_of_basic(auth, &state.apps).map(Deleter::App).or_else(operator)
}

/// Returns the room of the channel in the query, which the path has to name as well.
fn room_of_channel(req: &HttpRequest, app: &App) -> Result<RoomName, Problem> {
    let channel = query::first(req, &["channel"]).unwrap_or_default();
    let room = app.room(&channel).map_err(|_| Problem::bad_request("channel: it names no channel of this key."))?;
    let is_named = path::room_text(req) == channel || path::any_room(req).is_ok_and(|named| named == room);
    if is_named {
        return Ok(room);
    }
    let detail = "An app may delete in its own channels: the path has to name the channel in the query, or its room.";
    Err(Problem::new(StatusCode::FORBIDDEN, detail))
}
