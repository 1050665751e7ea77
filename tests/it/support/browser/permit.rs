//! Limits how many tests run browsers at once: with more of them than cores, each would be too slow for its deadlines.

use std::{
    num::NonZero,
    sync::{Arc, LazyLock, Weak},
    thread,
};

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

/// The permit of a test, shared by its browsers.
pub type Permit = Arc<OwnedSemaphorePermit>;

/// One permit for each core.
static PERMITS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    Arc::new(Semaphore::new(cores))
});

thread_local! {
    /// The permit of the test that runs on this thread, if it has a browser.
    static HELD: Arc<Mutex<Weak<OwnedSemaphorePermit>>> = Arc::default();
}

/// Returns the permit of this test; waits for one if the test has none.
///
/// All browsers of a test share one permit: if each needed its own, two tests with two browsers each could wait for each
/// other forever.
pub async fn permit() -> Permit {
    let held = HELD.with(Arc::clone);
    let mut held = held.lock().await;
    if let Some(permit) = held.upgrade() {
        return permit;
    }
    let permit = Arc::clone(&PERMITS).acquire_owned().await.expect("a semaphore that is never closed");
    let permit = Arc::new(permit);
    *held = Arc::downgrade(&permit);
    permit
}
