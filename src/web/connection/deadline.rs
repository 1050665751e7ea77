//! A deadline that is moved with every request, and seldom reached.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep_until};

/// A point in time. Moving it later costs no timer: that runs to the old time and is then set anew.
#[derive(Debug)]
pub struct Deadline {
    at: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    /// Returns a deadline so far from now.
    pub fn after(duration: Duration) -> Self {
        Self { at: Instant::now() + duration, timer: None }
    }

    /// Moves the deadline.
    pub fn set(&mut self, from_now: Duration) {
        self.at = Instant::now() + from_now;
    }

    /// Returns true if the deadline was reached.
    pub fn has_passed(&self) -> bool {
        Instant::now() >= self.at
    }

    /// Is ready when the deadline is reached.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let at = self.at;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at.into())));
        if timer.deadline().into_std() > at {
            timer.as_mut().reset(at.into());
        }
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= at {
                return Poll::Ready(());
            }
            timer.as_mut().reset(at.into());
        }
        Poll::Pending
    }
}
