//! `GET /dashboard`: what the nodes do, for who has the operator's password.

use actix_web::{HttpRequest, HttpResponse, web};

use super::admin::require_admin;
use super::error::Problem;
use super::pages;
use super::state::AppState;

/// Handles `GET /dashboard`: the page.
pub(super) async fn page(req: HttpRequest, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    require_admin(&req, &state)?;
    Ok(pages::dashboard())
}
