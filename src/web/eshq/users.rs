//! `GET /channel/{channel}/users`: who is present in a channel, under the ids that the app gave to its sockets.

use actix_web::{HttpRequest, HttpResponse, web};
use percent_encoding::percent_decode_str;

use super::call::{self, Call};
use super::fields::CallFields;
use super::refusal::{Refusal, json};
use crate::web::error::Problem;
use crate::web::state::AppState;

/// Handles `GET /channel/{channel}/users`: returns the distinct presence ids, sorted.
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
