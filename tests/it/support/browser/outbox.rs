//! What is still to be sent, as a person sees it.

use serde::Deserialize;

use super::{Browser, PATIENCE};

const PENDING: &str = "return [...document.querySelectorAll('[role=log].messages .message[data-key]')].map((line) => ({
    text: line.querySelector('p.text').textContent,
    failed: line.classList.contains('failed') && !line.classList.contains('pending'),
    says: line.querySelector('.note:not([hidden]) .says')?.textContent ?? '',
    offers: [...line.querySelectorAll('.note:not([hidden]) button')].map((button) => button.textContent),
}))";

/// A message that is pending or has failed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Pending {
    pub text: String,
    pub failed: bool,
    /// Nothing, as long as it takes no longer than it should.
    pub says: String,
    pub offers: Vec<String>,
}

impl Browser {
    pub async fn pending(&self) -> Vec<Pending> {
        serde_json::from_value(self.run(PENDING).await).expect("pending lines")
    }

    /// Waits until these messages, and no others, are pending.
    pub async fn pending_are(&self, texts: &[&str]) -> Vec<Pending> {
        self.pending_until(&format!("{texts:?}"), |pending| {
            pending.iter().map(|line| line.text.as_str()).eq(texts.iter().copied())
        })
        .await
    }

    /// Waits until the only pending line says this, and gives it.
    pub async fn pending_says(&self, part: &str) -> Pending {
        let only = |pending: &[Pending]| pending.len() == 1 && pending[0].says.contains(part);
        self.pending_until(&format!("{part:?}"), only).await.remove(0)
    }

    async fn pending_until(&self, what: &str, right: impl Fn(&[Pending]) -> bool) -> Vec<Pending> {
        let mut last = Vec::new();
        let asking = async {
            loop {
                last = self.pending().await;
                if right(&last) {
                    break;
                }
            }
        };
        let late = tokio::time::timeout(PATIENCE, asking).await.is_err();
        assert!(!late, "pending is not {what}, but {last:?}");
        last
    }

    /// Clicks on what the first pending line offers.
    pub async fn choose(&self, offer: &str) {
        let script = format!(
            "const offers = [...document.querySelectorAll('[data-key] .note button')];
            const button = offers.find((each) => each.textContent === '{offer}');
            button?.click();
            return Boolean(button)"
        );
        assert_eq!(self.run(&script).await, true, "nothing offers {offer:?}");
    }

    /// Types a message into the box, and sends it with Enter.
    pub async fn enter(&self, message: &str) {
        self.write("#message", &format!("{message}\n")).await;
    }
}
