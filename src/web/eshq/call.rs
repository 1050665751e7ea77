//! A call of an app to the hub: who calls, and whether it may call once more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::{HttpRequest, HttpResponse};
use tokio::time::timeout;

use super::credentials::Credentials;
use super::fields::CallFields;
use super::refusal::Refusal;
use crate::apps::{App, ChannelError};
use crate::bus::Unavailable;
use crate::chat::RoomName;
use crate::metrics::AppUsage;
use crate::web::error::Problem;
use crate::web::state::AppState;

/// How long the store may take for all that a call needs: a little less than the 2 s that are promised.
const MAX_TIME: Duration = Duration::from_millis(1800);

/// A call whose credentials are good.
pub struct Call {
    /// The app that calls.
    pub app: Arc<App>,
    /// What the app uses.
    pub usage: AppUsage,
    /// The fields of the call.
    pub fields: CallFields,
    /// When the call was received.
    pub received: Instant,
}

/// Checks the credentials of a call, and how many calls the key has made, then handles it.
///
/// # Errors
/// If the body cannot be read. Any other failure is a response.
pub async fn handle(
    req: &HttpRequest,
    state: &AppState,
    fields: impl Future<Output = Result<CallFields, Problem>>,
    handler: impl AsyncFnOnce(Call) -> Result<HttpResponse, Refusal>,
) -> Result<HttpResponse, Problem> {
    let received = Instant::now();
    let answer = async {
        let fields = fields.await?;
        let credentials = Credentials::of(&fields, req.headers())?;
        let app = credentials.app(&state.apps)?;
        let usage = state.metrics.usage.of(app.key());
        let refused = usage.refused.clone();
        let answer = async {
            credentials.verify(&app)?;
            within_time(async {
                check_rate(state, &app).await?;
                handler(Call { app, usage, fields, received }).await
            })
            .await
        };
        answer.await.inspect_err(|_| refused.inc())
    };
    Refusal::answer(answer.await)
}

/// Awaits what needs the store, which may be asked more than once.
///
/// # Errors
/// 503 if it takes too long.
pub async fn within_time<T>(answer: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    timeout(MAX_TIME, answer).await.unwrap_or_else(|_| Err(Unavailable.into()))
}

/// Counts a call of the app.
async fn check_rate(state: &AppState, app: &App) -> Result<(), Refusal> {
    let refuse = |_: Duration| Refusal::too_many("Calls", 1);
    state.limits.check_call(app.key()).await.map_err(refuse)
}

/// Returns the room of a channel.
///
/// # Errors
/// 400 if the app has no such channel.
pub fn room(app: &App, channel: &str) -> Result<RoomName, Refusal> {
    app.room(channel).map_err(|error| match error {
        ChannelError::Missing => Refusal::missing("channel"),
        ChannelError::Invalid => Refusal::invalid("channel"),
    })
}
