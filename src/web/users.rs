//! `POST /users` and `GET /users/{id}`: the users of the chat article's API, which are numbers and nothing else.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::body;
use super::client::Client;
use super::documented::{NotFound, StoreProblems, UserProblems};
use super::error::Problem;
use super::publish::check_rate;
use super::state::AppState;
use crate::chat::parse_canonical;

/// A user of the article's API.
#[derive(Serialize, ToSchema)]
struct User {
    id: u64,
}

/// Handles `POST /users`: gives out an id, whatever the body is. It is limited like a message.
#[utoipa::path(
    post, path = "/users", operation_id = "createUser", tag = "rooms API", summary = "Gives out an id, whatever the body is",
    responses(
        (status = 200, description = "An id that was never given out before", body = User),
        UserProblems, StoreProblems,
    ),
)]
pub(super) async fn create(
    req: HttpRequest,
    payload: web::Payload,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let client = Client::from_request(&req, &state.trusted_proxies);
    state.origins.refuse_cross_site(&req, client)?;
    body::receive(payload).await?;
    check_rate(&state, client).await?;
    Ok(response(&User { id: state.user_ids.next().await? }))
}

/// Handles `GET /users/{id}`: returns the user if its id was given out.
#[utoipa::path(
    get, path = "/users/{id}", operation_id = "getUser", tag = "rooms API", summary = "A user, if its id was given out",
    params(("id" = u64, Path, description = "The id", example = 1)),
    responses((status = 200, description = "It was", body = User), NotFound, StoreProblems),
)]
pub(super) async fn one(id: web::Path<String>, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let unknown = || Problem::not_found("No user has this id.");
    let id = parse_canonical(&id).ok_or_else(unknown)?;
    if state.user_ids.was_given_out(id).await? {
        Ok(response(&User { id }))
    } else {
        Err(unknown())
    }
}

fn response(user: &User) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(user)
}
