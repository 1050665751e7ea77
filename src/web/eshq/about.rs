//! `HEAD /status` and `GET /broker`: what the hub says of itself.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::refusal::{json, plain_text};
use crate::web::documented::NotFound;
use crate::web::state::AppState;

/// Handles `HEAD /status`: 200 while the store is reached.
#[utoipa::path(
    head, path = "/status", operation_id = "headStatus", tag = "apps", summary = "Whether the message store is reached",
    responses((status = 200, description = "It is"), (status = 500, description = "It is not"), NotFound),
)]
pub async fn status(state: web::Data<AppState>) -> HttpResponse {
    if state.hub.is_connected() {
        plain_text(HttpResponse::Ok(), "OK")
    } else {
        plain_text(HttpResponse::InternalServerError(), "Database Connection Closed")
    }
}

/// A node, as EventSource HQ calls it.
#[derive(Serialize, ToSchema)]
struct Broker<'a> {
    broker_id: &'a str,
    connections: i64,
    master: bool,
}

/// Handles `GET /broker`: the name of this node, and how many streams it has.
#[utoipa::path(
    get, path = "/broker", operation_id = "getBroker", tag = "apps", summary = "The name of the node, and how many streams it has",
    responses((status = 200, description = "The node", body = Broker), NotFound),
)]
pub async fn broker(state: web::Data<AppState>) -> HttpResponse {
    // There is no master: every node does what that one did.
    let broker = Broker { broker_id: state.hub.node(), connections: state.metrics.streams.get(), master: true };
    json(serde_json::to_string(&broker).unwrap_or_default())
}
