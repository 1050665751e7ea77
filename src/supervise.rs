//! Keeps a panic from ending more than what it happened in: it is logged and counted, and a task is started anew.

use std::any::Any;
use std::future::Future;
use std::ops::Deref;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::backoff::Backoff;
use crate::metrics::Metrics;
use futures_util::FutureExt;
use pin_project_lite::pin_project;

/// The pause after the first panic of a task. It doubles with each that follows.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The longest pause, and how long a task has to run for its next pause to be the first again.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// Runs a task until it returns, and starts it anew after a panic. `on_panic` is called before the pause: it passes on
/// what waits for the task, and prepares what the panic may have left unfinished.
///
/// `task` is one of [`TASKS`](crate::metrics::TASKS).
pub async fn supervise(
    metrics: Arc<Metrics>,
    task: &'static str,
    mut run: impl AsyncFnMut(),
    mut on_panic: impl FnMut(),
) {
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE);
    loop {
        backoff.on_success();
        if catch(&*metrics, task, run()).await.is_some() {
            return;
        }
        let _ = panic::catch_unwind(AssertUnwindSafe(&mut on_panic)).map_err(|_| count(&metrics, task));
        backoff.wait().await;
    }
}

/// Awaits a future. Returns `None` if it panicked.
///
/// It is no `async fn`: that would take twice the memory of the future, which each stream and each room has.
pub fn catch<T>(
    metrics: impl Deref<Target = Metrics>,
    task: &'static str,
    future: impl Future<Output = T>,
) -> impl Future<Output = Option<T>> {
    let checked = Checked { task, future };
    AssertUnwindSafe(checked)
        .catch_unwind()
        .map(move |result| result.map_err(|_| count(&metrics, task)).ok())
}

pin_project! {
    /// A future that panics on demand.
    struct Checked<F> {
        task: &'static str,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Checked<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        fault::check(this.task);
        this.future.poll(context)
    }
}

/// Calls a function. Returns `None` if it panicked.
pub fn catch_now<T>(metrics: &Metrics, task: &'static str, function: impl FnOnce() -> T) -> Option<T> {
    let function = || {
        fault::check(task);
        function()
    };
    panic::catch_unwind(AssertUnwindSafe(function)).map_err(|_| count(metrics, task)).ok()
}

fn count(metrics: &Metrics, task: &'static str) {
    metrics.count_panic(task);
    tracing::error!(task, "a task of this node panicked and ended; please report it with the line before");
}

/// Logs each panic with its place in the source, instead of writing it to standard error.
pub fn log_panics() {
    panic::set_hook(Box::new(|info: &PanicHookInfo<'_>| {
        let at = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(at, "panicked: {}", constant_text(info.payload()));
    }));
}

/// Returns the text of a panic if it is a constant. Any other may contain that of a message.
fn constant_text(payload: &dyn Any) -> &'static str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .unwrap_or("(the text may contain that of a message)")
}

/// Panics on demand, in debug builds alone: with `TINY_CHAT_PANIC=TASK:FILE` a task panics while the file exists.
#[cfg(debug_assertions)]
mod fault {
    use std::env;
    use std::path::Path;
    use std::sync::LazyLock;

    static FAULT: LazyLock<Option<(String, String)>> = LazyLock::new(|| {
        let fault = env::var("TINY_CHAT_PANIC").ok()?;
        fault.split_once(':').map(|(task, file)| (task.to_owned(), file.to_owned()))
    });

    pub fn check(task: &str) {
        if let Some((failing, file)) = &*FAULT
            && failing == task
        {
            assert!(!Path::new(file).exists(), "TINY_CHAT_PANIC");
        }
    }
}

#[cfg(not(debug_assertions))]
mod fault {
    pub fn check(_: &str) {}
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_started_anew_until_it_returns() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let (mut runs, mut recoveries) = (0, 0);
        let run = async || {
            runs += 1;
            assert!(runs > 2, "on purpose");
        };
        supervise(metrics.clone(), "ticks", run, || recoveries += 1).await;
        assert_eq!((runs, recoveries), (3, 2));
        assert!(metrics.render().contains("tiny_chat_task_panics_total{task=\"ticks\"} 2"));
    }

    #[tokio::test]
    async fn a_task_that_keeps_panicking_pauses_longer_and_is_reported() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let (mut starts, begun) = (0, Instant::now());
        let run = async || {
            starts += 1;
            assert!(starts > 3, "on purpose");
        };
        supervise(metrics.clone(), "ticks", run, || panic!("on purpose, too")).await;
        let least = FIRST_PAUSE.mul_f64(0.5 * (1.0 + 2.0 + 4.0));
        assert!(begun.elapsed() >= least, "{:?} for three pauses", begun.elapsed());
        assert_eq!(metrics.failing_tasks(), ["ticks"]);
    }
}
