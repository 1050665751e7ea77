//! `HEAD /status` and `GET /broker`: what the hub says of itself.

use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::refusal::{json, plain_text};
use crate::web::state::AppState;

/// Handles `HEAD /status`: 200 while the store is reached.
pub async fn status(state: web::Data<AppState>) -> HttpResponse {
    if state.hub.is_connected() {
        plain_text(HttpResponse::Ok(), "OK")
    } else {
        plain_text(HttpResponse::InternalServerError(), "Database Connection Closed")
    }
}

/// Handles `GET /broker`: the name of this node, and how many streams it has.
pub async fn broker(state: web::Data<AppState>) -> HttpResponse {
    #[derive(Serialize)]
    struct Broker<'a> {
        broker_id: &'a str,
        connections: i64,
        master: bool,
    }
    // There is no master: every node does what that one did.
    let broker = Broker { broker_id: state.hub.node(), connections: state.metrics.streams.get(), master: true };
    json(serde_json::to_string(&broker).unwrap_or_default())
}
