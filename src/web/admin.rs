//! Who may see the dashboard and delete messages: the operator.

use actix_web::HttpRequest;

use super::basic_auth::BasicAuth;
use super::client::Client;
use super::error::Problem;
use super::state::AppState;
use crate::chat::RoomNameError;

/// Checks that a request has the operator's password (HTTP Basic, with any user). A browser attaches it by itself, so what
/// changes something has to refuse other sites first.
///
/// # Errors
/// 404 if there is no such password, 401 without the right password, 429 if its client has tried too many.
pub(super) fn require_admin(req: &HttpRequest, state: &AppState) -> Result<(), Problem> {
    if !state.admin_password.is_set() {
        return Err(RoomNameError::Reserved.into());
    }
    let look = |auth: &BasicAuth| state.admin_password.is_right(&auth.password).then_some(());
    authenticate(req, state, Problem::password_required, look)
}

/// Looks at the credentials of a request (HTTP Basic), and returns whose they are.
///
/// # Errors
/// The refusal if they are missing or wrong, 429 if too many wrong ones came from the client.
pub(super) fn authenticate<T>(
    req: &HttpRequest,
    state: &AppState,
    refusal: fn() -> Problem,
    look: impl FnOnce(&BasicAuth) -> Option<T>,
) -> Result<T, Problem> {
    let auth = BasicAuth::of(req.headers()).ok_or_else(refusal)?;
    let client = Client::from_request(req, &state.trusted_proxies);
    match state.admin_password.try_once(client.address, || look(&auth)) {
        Ok(found) => found.ok_or_else(refusal),
        Err(wait) => Err(Problem::too_many_tries(wait)),
    }
}
