//! What pages of other sites load: the library of EventSource HQ, and the frame in which the original one reads a stream.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};

use super::documented::NotFound;
use super::error::Problem;
use super::eshq::{get, resource};
use super::{assets, origin};

/// The page of the frame.
const FRAME: &str = include_str!("../../templates/iframe.html");

/// Lets pages of every site show the frame, and the frame run nothing but its script.
const FRAME_POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; frame-ancestors *";

/// Registers the routes. They exist where apps have keys.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(resource("/es.js", "GET, HEAD").route(get().to(library)))
        .service(resource("/iframe", "GET, HEAD").route(get().to(frame)))
        .service(resource("/iframe.js", "GET, HEAD").route(get().to(frame_script)));
}

/// Handles `GET /es.js`.
#[utoipa::path(
    get, path = "/es.js", operation_id = "getLibrary", tag = "apps", summary = "The library of EventSource HQ",
    responses(
        (status = 200, description = "The script", body = String, content_type = "text/javascript"),
        (status = 304, description = "The client has it"),
        NotFound,
    ),
)]
pub(super) async fn library(req: HttpRequest) -> Result<HttpResponse, Problem> {
    origin::allow_all(&req);
    let mut response = assets::script(&req, "eshq/es.js")?;
    response
        .headers_mut()
        .insert(header::CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    Ok(response)
}

/// Handles `GET /iframe`.
#[utoipa::path(
    get, path = "/iframe", operation_id = "getFrame", tag = "apps", summary = "The frame in which the original library reads a stream",
    responses((status = 200, description = "The page", body = String, content_type = "text/html"), NotFound),
)]
pub(super) async fn frame() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::CONTENT_SECURITY_POLICY, FRAME_POLICY))
        .body(FRAME)
}

/// Handles `GET /iframe.js`.
#[utoipa::path(
    get, path = "/iframe.js", operation_id = "getFrameScript", tag = "apps", summary = "The script of the frame",
    responses(
        (status = 200, description = "The script", body = String, content_type = "text/javascript"),
        (status = 304, description = "The client has it"),
        NotFound,
    ),
)]
pub(super) async fn frame_script(req: HttpRequest) -> Result<HttpResponse, Problem> {
    assets::script(&req, "eshq/iframe.js")
}
