use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, web};

use super::Site;
use super::error::Problem;

/// `GET /healthz`: the process lives.
pub async fn healthz() -> HttpResponse {
    plain("ok\n")
}

/// `GET /readyz`: whether this node should get requests. An outage of the bus does not change the
/// code, since readers and their places are safe here; it stands in the body.
pub async fn readyz(site: web::Data<Site>) -> Result<HttpResponse, Problem> {
    if site.hub.is_draining() {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "This node is draining."));
    }
    if !site.hub.is_ready() {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The bus has not been reached since the start."));
    }
    Ok(plain(if site.hub.is_connected() { "ready\n" } else { "ready, but the bus is lost\n" }))
}

/// `GET /metrics`: Prometheus' text format.
pub async fn metrics(site: web::Data<Site>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(site.metrics.render())
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
