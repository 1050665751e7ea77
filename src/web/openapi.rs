//! `GET /openapi.json`: the description of all endpoints (OpenAPI 3.1), put together from what stands beside each handler.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header;
use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, OpenApi as Document, PathItem};

use super::error::ProblemDetails;
use super::{
    assets, dashboard, deletion, documented, eshq, eshq_scripts, health, history, own_messages, pages, presence,
};
use super::{publish, rooms_api, subscribe, tutorial, users};

/// The names and the meanings of the groups of endpoints.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "tiny-chat",
        description = "A chat server over Server-Sent Events. A room is a URL: messages come in as POSTs and go out as event \
            streams. docs/contract.md states what all of this promises; this document is made from the code.\n\nWherever GET \
            works, HEAD works too; on a stream it gets the head of the answer. Any other method is 405 with `Allow`.",
    ),
    tags(
        (name = "messages", description = "Messages of a room: publishing, history, changing one's own"),
        (name = "streams", description = "Event streams. Each is 200 even if it is refused: then it has a `backoff` event, and ends"),
        (name = "pages", description = "What browsers open"),
        (name = "operations", description = "For operators, machines and tools"),
        (name = "dashboard", description = "For who has the operator's password; 404 on a node without one"),
        (name = "rooms API", description = "The API of a chat article, and of a tutorial; 404 with `ROOMS_API=off`"),
        (name = "apps", description = "The API of EventSource HQ; 404 on a node without keys of apps"),
    ),
    components(schemas(ProblemDetails)),
    paths(
        pages::front, subscribe::room, pages::redirect_without_slash, publish::publish,
        subscribe::subscribe, presence::list,
        history::list, history::one, deletion::all, deletion::one, own_messages::edit,
        rooms_api::events, rooms_api::list, rooms_api::post, users::create, users::one,
        tutorial::my_events, tutorial::heartbeat,
        eshq_scripts::library, eshq_scripts::frame, eshq_scripts::frame_script,
        dashboard::page, dashboard::data, dashboard::events, dashboard::wire,
        health::healthz, health::readyz, health::metrics, health::robots, assets::file, document,
    ),
)]
struct Endpoints;

/// The document, as it is served.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| serde_json::to_string(&describe()).unwrap_or_default());

/// Handles `GET /openapi.json`.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "getDocument", tag = "operations", summary = "This document",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)),
)]
pub(super) async fn document() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .content_type(header::ContentType::json())
        .body(DOCUMENT.as_str())
}

fn describe() -> Document {
    let mut document = Endpoints::openapi();
    document.merge(eshq::describe());
    let components = document.components.get_or_insert_with(Components::new);
    components
        .responses
        .extend(documented::components().map(|(name, response)| (name, response.into())));
    for (name, description) in [
        ("operator", "Any user, and the password in `ADMIN_PASSWORD`"),
        ("app", "The key of an app as user, and its secret"),
    ] {
        let basic = Http::builder().scheme(HttpAuthScheme::Basic).description(Some(description)).build();
        components.security_schemes.insert(name.to_owned(), SecurityScheme::Http(basic));
    }
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        for (status, problem) in documented::connection_problems() {
            operation.responses.responses.entry(status).or_insert(problem);
        }
    }
    document
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, head, post, patch, delete, .. } = path;
    [get, head, post, patch, delete].into_iter().flatten()
}
