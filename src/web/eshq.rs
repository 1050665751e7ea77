//! The API of EventSource HQ (contract, section 10), which exists where apps have keys.
//!
//! - Calls of apps: `socket` and `event`; `users`. Each is a signed `call`: its `fields`, whose `credentials` name the app
//! - Requests of browsers, open to every origin: `eventsource`, and posts to a socket in `event`
//! - `about`: what the hub says of itself; `refusal`: the answers to what cannot be done

mod about;
mod call;
mod credentials;
mod event;
mod eventsource;
mod fields;
mod refusal;
mod socket;
mod users;

use actix_web::guard::{self, GuardContext};
use actix_web::http::Method;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, Resource, Route, web};

use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;

use super::error::Problem;
use super::origin;
use super::state::AppState;
pub(super) use credentials::app_of_basic;

/// The endpoints, for the OpenAPI document.
#[derive(OpenApi)]
#[openapi(paths(
    socket::create,
    event::send,
    event::send_to_socket,
    eventsource::stream,
    users::list,
    about::status,
    about::broker,
))]
struct Endpoints;

/// Describes the endpoints for the OpenAPI document.
pub(super) fn describe() -> Document {
    Endpoints::openapi()
}

/// Registers the routes. While there were never keys each address is what it would be without them.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(resource("/socket", "POST").route(web::post().to(socket::create)))
        .service(resource("/event", "POST").route(web::post().to(event::send)))
        .service(resource("/channel/{channel:[^/]*}/users", "GET, HEAD").route(get().to(users::list)))
        .service(resource("/broker", "GET, HEAD").route(get().to(about::broker)))
        // Only HEAD: to other methods the address is a room's reserved name, as ever.
        .service(resource("/status", "HEAD").guard(guard::Head()).route(web::head().to(about::status)))
        .service(open_resource("/eventsource", "GET, HEAD").route(get().to(eventsource::stream)))
        .service(open_resource("/socket/{socket}", "POST").route(web::post().to(event::send_to_socket)));
}

pub(super) fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// Returns a resource that exists where apps have keys, with a doubled slash at its beginning, too: clients add a path to
/// an address that ends in a slash.
fn keyed_resource(path: &str) -> Resource {
    web::resource([path.to_owned(), format!("/{path}")]).guard(guard::fn_guard(are_keys_enabled))
}

fn are_keys_enabled(context: &GuardContext<'_>) -> bool {
    context.app_data::<web::Data<AppState>>().is_some_and(|state| state.apps.are_enabled())
}

/// Returns a resource that answers any method without a route with 405. `allow` is the value of the `Allow` header.
pub(super) fn resource(path: &str, allow: &'static str) -> Resource {
    let other_method = move || async move { Err::<HttpResponse, _>(Problem::method_not_allowed(allow)) };
    keyed_resource(path).default_service(web::to(other_method))
}

/// Returns a resource whose answers pages of every origin may read, and which answers their preflights.
fn open_resource(path: &str, allow: &'static str) -> Resource {
    let other_method = move |req: HttpRequest| async move {
        origin::allow_all(&req);
        if req.method() != Method::OPTIONS {
            return Err(Problem::method_not_allowed(allow));
        }
        Ok(HttpResponse::NoContent()
            .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, allow))
            .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, "Last-Event-ID, Cache-Control, Content-Type"))
            .insert_header((header::ACCESS_CONTROL_MAX_AGE, "600"))
            .finish())
    };
    keyed_resource(path).default_service(web::to(other_method))
}
