use actix_web::http::header;
use actix_web::{HttpResponse, web};

use super::error::Problem;
use super::state::AppState;
use crate::chat::RoomName;

/// `GET /presence/{room}`: who is in the room on all nodes, as the event `presence` tells it.
pub async fn list(room: RoomName, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let roster = state.hub.presence(&room).await?;
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(roster))
}
