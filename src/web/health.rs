//! Endpoints for operators and machines: health checks, metrics, `robots.txt`.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::client::Client;
use super::error::Problem;
use super::negotiation::prefers_json;
use super::state::AppState;

/// Handles `GET /healthz`: 200 as long as the process lives. As JSON, the response also has the
/// address that limits count for this client.
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

/// The response of `/healthz` as JSON; the last three members are those of [`Client`].
#[derive(Serialize)]
struct Health {
    status: &'static str,
    client: String,
    proxied: bool,
    forwarded: bool,
}

/// Handles `GET /readyz`: 200 if this node should receive requests, else 503.
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
pub(super) async fn robots() -> HttpResponse {
    plain_text("User-agent: *\nDisallow: /\n")
}

fn plain_text(text: impl Into<String>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(text.into())
}
