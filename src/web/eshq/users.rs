//! `GET /channel/{channel}/users`: who is present in a channel, under the ids that the app gave to its sockets.

use actix_web::{HttpRequest, HttpResponse, web};
use percent_encoding::percent_decode_str;

use super::call::{self, Call};
use super::fields::CallFields;
use super::refusal::{Refusal, json};
use crate::web::documented::CallRefusals;
use crate::web::error::Problem;
use crate::web::state::AppState;

/// Handles `GET /channel/{channel}/users`: returns the distinct presence ids, sorted.
#[utoipa::path(
    get, path = "/channel/{channel}/users", operation_id = "getChannelUsers", tag = "apps", summary = "Who is present in a channel",
    params(
        ("channel" = String, Path, description = "The channel", example = "news"),
        ("key" = Option<String>, Query, description = "The key of the app"),
        ("timestamp" = Option<String>, Query, description = "Unix seconds"),
        ("token" = Option<String>, Query, description = "The SHA-1 of `key:secret:timestamp`, in lower-case hex"),
    ),
    responses((status = 200, description = "The presence ids, sorted", body = [String]), CallRefusals),
    security((), ("app" = [])),
)]
pub async fn list(req: HttpRequest, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let list = async |call: Call| {
        let room = call::room(&call.app, &channel(&req)?)?;
        let ids = state.hub.presence_ids(&room).await?;
        Ok(json(serde_json::to_string(&ids).unwrap_or_default()))
    };
    call::handle(&req, &state, async { Ok(CallFields::of_query(&req)) }, list).await
}

/// Returns the channel that the path names. It is any text, an encoded slash included.
fn channel(req: &HttpRequest) -> Result<String, Refusal> {
    // Not from actix's match info, which leaves some characters encoded.
    let segment = req.uri().path().trim_start_matches('/').split('/').nth(1).unwrap_or_default();
    let channel = percent_decode_str(segment).decode_utf8();
    channel.map(|channel| channel.into_owned()).map_err(|_| Refusal::invalid("channel"))
}
