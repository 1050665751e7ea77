//! What calls do while a cluster moves the slot of their keys: a script with several keys is refused until all are at
//! one server again. It was not executed then.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::error::CallError;

/// How long a call of the bus may take in all: a little less than the 2 s that are promised.
pub const CALL_TIMEOUT: Duration = Duration::from_millis(1900);

/// The pause before a refused call is repeated.
pub const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// The error code of a script whose keys are at two servers.
const TRY_AGAIN: &str = "TRYAGAIN";

/// Returns true if a call was refused because the slot of its keys is being moved.
pub fn is_moving(error: &CallError) -> bool {
    matches!(error, CallError::Refused(code) if code == TRY_AGAIN)
}

/// Repeats a call for as long as it is refused because its slot is being moved, and a call may take.
pub async fn until_moved<T, F: Future<Output = Result<T, CallError>>>(call: impl Fn() -> F) -> Result<T, CallError> {
    let repeated = async {
        loop {
            match call().await {
                Err(error) if is_moving(&error) => sleep(RETRY_PAUSE).await,
                result => return result,
            }
        }
    };
    timeout(CALL_TIMEOUT, repeated)
        .await
        .unwrap_or_else(|_| Err(CallError::Refused(TRY_AGAIN.to_owned())))
}
