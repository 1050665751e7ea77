//! Calls to the limit store, which requests wait for.

use std::time::Duration;

use tokio::time::timeout;

use crate::bus::Unavailable;

/// How long a request waits for the count of the other nodes. After that, this process decides alone. It exceeds the
/// longest round trip to the store that nodes work with, 400 ms.
const STORE_TIMEOUT: Duration = Duration::from_millis(450);

/// Waits for a call to the store.
///
/// # Errors
/// If the store is unavailable, or does not respond within [`STORE_TIMEOUT`].
pub async fn wait_for_store<T>(call: impl Future<Output = Result<T, Unavailable>>) -> Result<T, Unavailable> {
    timeout(STORE_TIMEOUT, call).await.map_err(|_| Unavailable)?
}
