//! Endpoints for operators and machines: health checks, metrics, `robots.txt`.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::client::Client;
use super::documented::StoreProblems;
use super::error::Problem;
use super::negotiation::prefers_json;
use super::state::AppState;

/// Handles `GET /healthz`: 200 as long as the process lives. As JSON, the response also has the
/// address that limits count for this client.
#[utoipa::path(
    get, path = "/healthz", operation_id = "getHealth", tag = "operations", summary = "Whether the process lives",
    responses((status = 200, description = "It does; as JSON, also how the node sees the client", content(
        (String = "text/plain"), (Health = "application/json"),
    ))),
)]
pub(super) async fn healthz(req: HttpRequest, state: web::Data<AppState>) -> HttpResponse {
    if !prefers_json(req.headers()) {
        return plain_text("ok\n");
    }
    let Client { address, proxied, forwarded } = Client::from_request(&req, &state.trusted_proxies);
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(Health {
        status: "ok",
        client: address.to_string(),
        proxied,
        forwarded,
    })
}

/// The response of `/healthz` as JSON: that the process lives, and how it sees the client.
#[derive(Serialize, ToSchema)]
struct Health {
    status: &'static str,
    /// The address that limits count.
    client: String,
    /// Whether the request came through a trusted proxy.
    proxied: bool,
    /// Whether it had an `X-Forwarded-For`, believed or not.
    forwarded: bool,
}

/// Handles `GET /readyz`: 200 if this node should receive requests, else 503.
#[utoipa::path(
    get, path = "/readyz", operation_id = "getReadiness", tag = "operations", summary = "Whether the node should receive requests",
    responses(
        (status = 200, description = "It should", body = String, content_type = "text/plain"),
        StoreProblems,
    ),
)]
pub(super) async fn readyz(state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    if state.hub.is_leaving() {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "This node is draining."));
    }
    if !state.hub.is_ready() {
        let detail = "The message store has not been reached since this node started.";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    }
    // A later outage leaves the status at 200: another node would not reach the store either, and
    // subscribers keep their streams and cursors here. So does a panic.
    let mut text = "ready".to_owned();
    if !state.hub.is_connected() {
        text += ", but the message store is unreachable";
    }
    let failing = state.metrics.failing_tasks();
    if !failing.is_empty() {
        text += &format!(", but these parts failed and were started again: {}", failing.join(", "));
    }
    Ok(plain_text(text + "\n"))
}

/// Handles `GET /metrics`: Prometheus' text format.
#[utoipa::path(
    get, path = "/metrics", operation_id = "getMetrics", tag = "operations", summary = "The metrics of the node",
    responses((status = 200, description = "Prometheus' text format", body = String, content_type = "text/plain")),
)]
pub(super) async fn metrics(state: web::Data<AppState>) -> HttpResponse {
    for app in state.apps.all() {
        state.metrics.usage.of(app.key()); // an app that has not called yet is listed, too
    }
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(state.metrics.render())
}

/// Handles `GET /robots.txt`: excludes search engines from all rooms.
#[utoipa::path(
    get, path = "/robots.txt", operation_id = "getRobots", tag = "operations", summary = "Keeps search engines out",
    responses((status = 200, description = "Forbids everything", body = String, content_type = "text/plain")),
)]
pub(super) async fn robots() -> HttpResponse {
    plain_text("User-agent: *\nDisallow: /\n")
}

fn plain_text(text: impl Into<String>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(text.into())
}
