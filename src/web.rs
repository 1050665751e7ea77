//! HTTP: the whole route table, and what all answers have in common.

mod assets;
pub mod body;
mod client;
mod compression;
mod error;
mod finish;
mod handover;
mod health;
mod history;
mod negotiation;
mod origin;
mod pages;
mod path;
mod presence;
mod publish;
mod query;
mod state;
mod subscribe;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, Resource, guard, web};

use crate::chat::NotARoom;
pub use error::Problem;
pub use finish::finish;
pub use handover::{NOISE, keep};
pub use origin::Origins;
pub use state::AppState;

/// The whole route table.
pub fn routes(config: &mut web::ServiceConfig) {
    let get = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
    config
        .service(at("/", "GET, HEAD").route(get().to(pages::front)))
        .service(at("/healthz", "GET, HEAD").route(get().to(health::healthz)))
        .service(at("/readyz", "GET, HEAD").route(get().to(health::readyz)))
        .service(at("/metrics", "GET, HEAD").route(get().to(health::metrics)))
        .service(at("/robots.txt", "GET, HEAD").route(get().to(health::robots)))
        .service(at("/assets/{version}/{file}", "GET, HEAD").route(get().to(assets::file)))
        .service(at("/subscribe/{room}", "GET, HEAD").route(get().to(subscribe::subscribe)))
        .service(at("/history/{room}", "GET, HEAD").route(get().to(history::list)))
        .service(at("/history/{room}/{id}", "GET, HEAD").route(get().to(history::one)))
        .service(at("/presence/{room}", "GET, HEAD").route(get().to(presence::list)))
        .service(
            at("/{room}", "GET, HEAD, POST")
                .route(get().to(pages::room))
                .route(web::post().to(publish::publish)),
        )
        .service(web::resource("/{room}/").to(pages::without_slash))
        .default_service(web::to(nowhere));
}

/// A resource that takes a preflight from an allowed origin, and no other methods than its own.
fn at(path: &str, allow: &'static str) -> Resource {
    let other = move |req: HttpRequest, state: web::Data<AppState>| async move {
        let preflight = state.origins.preflight(req.headers()).filter(|_| req.method() == Method::OPTIONS);
        let headers = preflight.ok_or_else(|| Problem::method_not_allowed(allow))?;
        let mut answer = HttpResponse::NoContent();
        for header in headers {
            answer.insert_header(header);
        }
        Ok::<_, Problem>(answer.finish())
    };
    web::resource(path.to_owned()).default_service(web::to(other))
}

/// Every path that is none of ours could only be meant as a room.
async fn nowhere() -> Result<HttpResponse, Problem> {
    Err(NotARoom::Malformed.into())
}
