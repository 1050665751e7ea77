//! HTTP: the route table, and a file for each endpoint or concern.
//!
//! - Endpoints: `pages`, `publish`, `subscribe`, `history`, `presence`, `assets`, `health`; of the rooms API `rooms_api`,
//!   `users`, `tutorial`; behind the operator's password (`admin`, `admin_password`, `basic_auth`) `dashboard`.
//!   `deletion` and `own_messages` change what is in a log.
//!   `openapi` describes all of them from what stands beside each handler, with what is in `documented`.
//!   `eshq` is the API of EventSource HQ, for apps and their sockets, and `eshq_scripts` what pages load.
//! - Reading a request: `path`, `query`, `body`, `client`, `negotiation`, `origin` with
//!   `refused_origins`.
//! - Answering it: `error` turns failures into problem details; `finish` wraps every handler;
//!   `compression`; `guarded_body` lets a body hold something until it was sent, as `held_body` does what it counts for;
//!   `raw_response` is for what actix does not write.
//! - Below that: `connection` lies between a client's socket and actix, and gives the sockets of subscribers away;
//!   `serve` runs actix's server over it.
//! - `state` is what all handlers share.

mod admin;
mod admin_password;
mod assets;
mod basic_auth;
pub mod body; // public for the fuzz targets
mod client;
mod compression;
mod connection;
mod dashboard;
mod deletion;
mod documented;
mod error;
mod eshq;
mod eshq_scripts;
mod faces;
mod finish;
mod guarded_body;
mod health;
mod held_body;
mod history;
mod negotiation;
mod newest_messages;
mod openapi;
mod origin;
mod own_messages;
mod page_lines;
mod pages;
mod path;
mod presence;
mod publish;
mod query;
mod raw_response;
mod refused_origins;
mod rooms_api;
mod serve;
mod state;
mod subscribe;
mod tutorial;
mod users;

use actix_web::guard::{Guard, GuardContext};
use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, Resource, Route, Scope, guard, web};

use crate::chat::{RoomName, RoomNameError};
pub(crate) use admin_password::AdminPassword;
pub(crate) use connection::ConnectionLimiter;
pub use error::Problem;
pub(crate) use finish::finish;
pub(crate) use origin::AllowedOrigins;
pub use serve::ACTIX_DISPATCHER_TARGET;
pub(crate) use serve::serve;
pub(crate) use state::AppState;

/// Registers all routes, those of the rooms API only if it is wanted.
pub(crate) fn routes(config: &mut web::ServiceConfig, with_rooms_api: bool) {
    // First, since most requests are for them, and the pattern of each route is tried in order.
    config
        .service(matching(guard::Post(), is_of_room).default_service(web::to(publish::publish)))
        .service(matching(get_or_head(), is_of_room).default_service(web::to(subscribe::room)))
        .service(matching(get_or_head(), is_of_stream).default_service(web::to(subscribe::subscribe)));
    if with_rooms_api {
        config.configure(rooms_api_routes);
    }
    config.configure(eshq::routes).configure(eshq_scripts::routes);
    config
        .service(resource("/", "GET, HEAD").route(get().to(pages::front)))
        .service(resource("/healthz", "GET, HEAD").route(get().to(health::healthz)))
        .service(resource("/readyz", "GET, HEAD").route(get().to(health::readyz)))
        .service(resource("/metrics", "GET, HEAD").route(get().to(health::metrics)))
        .service(resource("/robots.txt", "GET, HEAD").route(get().to(health::robots)))
        .service(resource("/dashboard", "GET, HEAD").route(get().to(dashboard::page)))
        .service(resource("/dashboard/data", "GET, HEAD").route(get().to(dashboard::data)))
        .service(resource("/dashboard/events", "GET, HEAD").route(get().to(dashboard::events)))
        .service(resource("/dashboard/wire/{room}", "GET, HEAD").route(get().to(dashboard::wire)))
        .service(web::scope("/dashboard").default_service(web::to(dashboard::below)))
        .service(resource("/assets/{version}/{file:.+}", "GET, HEAD").route(get().to(assets::file)))
        .service(
            deletable_resource("/history/{room}", "GET, HEAD")
                .route(get().to(history::list))
                .route(web::delete().guard(guard::fn_guard(deletion::guard)).to(deletion::all)),
        )
        .service(
            resource("/history/{room}/{id}", "GET, HEAD, PATCH, DELETE")
                .route(get().to(history::one))
                .route(web::patch().to(own_messages::edit))
                .route(web::delete().to(deletion::one)),
        )
        .service(resource("/presence/{room}", "GET, HEAD").route(get().to(presence::list)))
        .service(resource("/openapi.json", "GET, HEAD").route(get().to(openapi::document)))
        // Names that no room can have, other methods, and spellings of these paths that only actix decodes.
        .service(room_resource())
        .service(resource("/subscribe/{rooms}", "GET, HEAD").route(get().to(subscribe::subscribe)))
        .service(web::resource("/{room}/").to(pages::redirect_without_slash))
        .default_service(web::to(unknown_path));
}

fn room_resource() -> Resource {
    resource("/{room}", "GET, HEAD, POST")
        .route(get().to(subscribe::room))
        .route(web::post().to(publish::publish))
}

/// Returns a scope of the paths for which `is_one` is true. It has no pattern: that would be a regular expression, which takes
/// longer than what a post's handler does before it waits for the store.
fn matching(method: impl Guard + 'static, is_one: fn(&str) -> bool) -> Scope {
    let guard = move |context: &GuardContext<'_>| is_one(context.head().uri.path());
    web::scope("").guard(method).guard(guard::fn_guard(guard))
}

/// Returns true if the path is that of a room, and so of no other resource.
fn is_of_room(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|name| RoomName::from_path(name).is_ok())
}

/// Returns true if the path is that of the stream of a room, or of several.
fn is_of_stream(path: &str) -> bool {
    path.strip_prefix("/subscribe/").is_some_and(|rooms| !rooms.is_empty() && !rooms.contains('/'))
}

/// Registers the routes of the chat article's API, and those of a tutorial.
fn rooms_api_routes(config: &mut web::ServiceConfig) {
    config
        .service(resource("/rooms/{room}/events", "GET, HEAD").route(get().to(rooms_api::events)))
        .service(
            resource("/rooms/{room}/chats", "GET, HEAD, POST")
                .route(get().to(rooms_api::list))
                .route(web::post().to(rooms_api::post)),
        )
        .service(resource("/users", "POST").route(web::post().to(users::create)))
        .service(resource("/users/{id}", "GET, HEAD").route(get().to(users::one)))
        .service(resource("/api/my-events", "GET, HEAD").route(get().to(tutorial::my_events)))
        .service(resource("/api/heartbeat", "GET, HEAD").route(get().to(tutorial::heartbeat)));
}

fn get() -> Route {
    web::route().guard(get_or_head())
}

fn get_or_head() -> impl Guard {
    guard::Any(guard::Get()).or(guard::Head())
}

/// Returns a resource that answers CORS preflights from allowed origins, and any method that has no
/// route with 405. `allow` is the value of the `Allow` header.
fn resource(path: &str, allow: &'static str) -> Resource {
    resource_of(path, move |_| allow)
}

/// Returns a resource that has a route for DELETE as well, if the node has a password or keys.
fn deletable_resource(path: &str, allow: &'static str) -> Resource {
    resource_of(path, move |state| if deletion::is_enabled(state) { "GET, HEAD, DELETE" } else { allow })
}

fn resource_of(path: &str, allow: impl Fn(&AppState) -> &'static str + Copy + 'static) -> Resource {
    let other_method = move |req: HttpRequest, state: web::Data<AppState>| async move {
        let preflight = state.origins.preflight_headers(req.headers()).filter(|_| req.method() == Method::OPTIONS);
        let headers = preflight.ok_or_else(|| Problem::method_not_allowed(allow(&state)))?;
        let mut response = HttpResponse::NoContent();
        for header in headers {
            response.insert_header(header);
        }
        Ok::<_, Problem>(response.finish())
    };
    web::resource(path.to_owned()).default_service(web::to(other_method))
}

/// Answers any other path with the 404 that states the rule for room names.
async fn unknown_path() -> Result<HttpResponse, Problem> {
    Err(RoomNameError::Malformed.into())
}
