//! The middleware around every handler: the form of an error, compression, and security and CORS headers.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::compression::compress_page;
use super::connection::{Connection, OwedAnswer};
use super::error::Problem;
use super::guarded_body::GuardedBody;
use super::held_body::held_bytes;
use super::negotiation::prefers_html;
use super::pages::problem_page;
use super::state::AppState;
use crate::hub::AnswerPermit;
use crate::supervise::catch;

/// The body of a response, which holds the answer that its connection owes.
pub(crate) type AnswerBody = GuardedBody<BoxBody, Option<OwedAnswer>>;

/// Calls the next service and completes its response.
pub(crate) async fn finish(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<AnswerBody>, actix_web::Error> {
    let owed = req.conn_data::<Connection>().map(Connection::owe_answer);
    let metrics = req.app_data::<Data<AppState>>().map(|state| state.metrics.clone());
    let response = next.call(req);
    let response = match &metrics {
        Some(metrics) => catch(&**metrics, "request", response).await.ok_or_else(Problem::internal)?,
        None => response.await,
    };
    let mut response = response?.map_into_boxed_body();
    let problem = response.response().error().and_then(|error| error.as_error::<Problem>());
    if let Some(problem) = problem {
        let with_body = problem_response(problem, response.request());
        response = response.into_response(with_body);
    }
    let mut response = hold_until_sent(compress_page(response));
    let state = response.request().app_data::<Data<AppState>>();
    let cors = state.map(|state| state.origins.answer_headers(response.request(), &state.trusted_proxies));
    let is_leaving = state.is_some_and(|state| state.hub.is_leaving());
    if is_leaving {
        // The next request comes on another connection, and so to another node.
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    for (name, value) in cors.unwrap_or_default() {
        match name {
            header::VARY => headers.append(name, value), // there may be one already
            _ => drop(headers.insert(name, value)),
        }
    }
    if let Some(owed) = &owed {
        owed.begin();
    }
    Ok(response.map_body(|_, body| GuardedBody::new(body, owed)))
}

/// Lets the body of a response hold the permit that its handler attached, if there is one.
fn hold_until_sent(mut response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let permit = response.response_mut().extensions_mut().remove::<AnswerPermit>();
    let Some(permit) = permit else { return response };
    response.map_body(|_, body| match body.try_into_bytes() {
        Ok(bytes) => held_bytes(bytes, permit),
        Err(body) => body,
    })
}

/// Returns a problem as a page or as JSON, whichever the client prefers.
fn problem_response(problem: &Problem, req: &HttpRequest) -> HttpResponse {
    if prefers_html(req.headers()) {
        problem_page(problem, req)
    } else {
        problem.json_response()
    }
}
