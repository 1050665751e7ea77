//! Pending messages, as the page shows them.

use serde::Deserialize;

use super::{Browser, PAGE_TIMEOUT};
use crate::support::in_time;

/// Returns the messages that are pending or have failed.
const PENDING: &str = "return [...document.querySelectorAll('[role=log].messages .message[data-key]')].map((line) => ({
    text: line.querySelector('p.text').textContent,
    failed: line.classList.contains('failed') && !line.classList.contains('pending'),
    says: line.querySelector('.note:not([hidden]) .says')?.textContent ?? '',
    offers: [...line.querySelectorAll('.note:not([hidden]) button')].map((button) => button.textContent),
}))";

/// A message that is pending or has failed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PendingMessage {
    pub text: String,
    pub failed: bool,
    /// The note at the message; empty for the first second.
    pub says: String,
    pub offers: Vec<String>,
}

impl Browser {
    /// Returns the messages that are pending or have failed.
    pub async fn pending(&self) -> Vec<PendingMessage> {
        serde_json::from_value(self.run(PENDING).await).expect("pending lines")
    }

    /// Waits until these messages, and no others, are pending.
    pub async fn pending_are(&self, texts: &[&str]) -> Vec<PendingMessage> {
        self.pending_until(&format!("{texts:?}"), |pending| {
            pending.iter().map(|line| line.text.as_str()).eq(texts.iter().copied())
        })
        .await
    }

    /// Waits until one message is pending and its note contains `part`, and returns it.
    pub async fn pending_says(&self, part: &str) -> PendingMessage {
        let only = |pending: &[PendingMessage]| pending.len() == 1 && pending[0].says.contains(part);
        self.pending_until(&format!("{part:?}"), only).await.remove(0)
    }

    /// Waits until the summary of what waits contains `part`, and shows its details.
    pub async fn open_waiting(&self, part: &str) {
        let script = format!(
            "const summary = document.querySelector('.waiting:not([hidden])');
            if (!summary?.textContent.includes('{part}')) return false;
            const toggle = summary.querySelector('button');
            if (toggle.ariaExpanded === 'false') toggle.click();
            return true"
        );
        self.until(&script).await;
    }

    async fn pending_until(&self, what: &str, right: impl Fn(&[PendingMessage]) -> bool) -> Vec<PendingMessage> {
        let mut last = Vec::new();
        let asking = async {
            loop {
                last = self.pending().await;
                if right(&last) {
                    break;
                }
            }
        };
        let late = in_time(PAGE_TIMEOUT, asking).await.is_none();
        assert!(!late, "pending is not {what}, but {last:?}");
        last
    }

    /// Clicks on a button at a pending message.
    pub async fn click_offer(&self, offer: &str) {
        let script = format!(
            "const offers = [...document.querySelectorAll('[data-key] .note button')];
            const button = offers.find((each) => each.textContent === '{offer}');
            button?.click();
            return Boolean(button)"
        );
        assert_eq!(self.run(&script).await, true, "nothing offers {offer:?}");
    }

    /// Types a message and sends it with Enter.
    pub async fn send_by_enter(&self, message: &str) {
        self.type_into("#message", &format!("{message}\n")).await;
    }
}
