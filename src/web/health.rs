use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::client::Client;
use super::error::Problem;
use super::negotiation::prefers_json;
use super::state::AppState;

/// `GET /healthz`: the process lives. Who asks for JSON learns for whom the node takes them.
pub async fn healthz(req: HttpRequest, state: web::Data<AppState>) -> HttpResponse {
    if !prefers_json(req.headers()) {
        return plain("ok\n");
    }
    let Client { address, proxied, forwarded } = Client::of(&req, &state.trusted_proxies);
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(Health {
        status: "ok",
        client: address.to_string(),
        proxied,
        forwarded,
    })
}

/// What the node says of itself and of who asks.
#[derive(Serialize)]
struct Health {
    status: &'static str,
    client: String,
    proxied: bool,
    forwarded: bool,
}

/// `GET /readyz`: whether this node should get requests. An outage of the bus does not change the
/// code, since readers and their places are safe here; it stands in the body.
pub async fn readyz(state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    if state.hub.is_draining() {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "This node is draining."));
    }
    if !state.hub.is_ready() {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The bus has not been reached since the start."));
    }
    Ok(plain(if state.hub.is_connected() {
        "ready\n"
    } else {
        "ready, but the bus is lost\n"
    }))
}

/// `GET /metrics`: Prometheus' text format.
pub async fn metrics(state: web::Data<AppState>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(state.metrics.render())
}

/// `GET /robots.txt`: rooms are not for search engines.
pub async fn robots() -> HttpResponse {
    plain("User-agent: *\nDisallow: /\n")
}

fn plain(text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(text)
}
