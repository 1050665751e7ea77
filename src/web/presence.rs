//! `GET /presence/{room}`: the subscribers in a room.

use actix_web::http::header;
use actix_web::{HttpResponse, web};

use super::documented::{RoomPath, RoomProblems, StoreProblems};
use super::error::Problem;
use super::state::AppState;
use crate::chat::RoomName;
use crate::hub::PresenceSnapshot;

/// Handles `GET /presence/{room}`: returns the number and names of a room's subscribers on all nodes,
/// in the form of the event `presence`.
#[utoipa::path(
    get, path = "/presence/{room}", operation_id = "getPresence", tag = "streams", summary = "Who is present in a room",
    params(RoomPath),
    responses((status = 200, description = "The readers on all nodes", body = PresenceSnapshot), RoomProblems, StoreProblems),
)]
pub(super) async fn list(room: RoomName, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let snapshot = state.hub.presence(&room).await?;
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(snapshot))
}
