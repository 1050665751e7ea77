//! Faults: lost connections, crashes, frozen tabs.

use std::fs;

use serde_json::{Value, json};

use super::{Browser, Running, wait_for};
use crate::support::{Node, Proxy};

impl Browser {
    /// Starts a proxy before the node, and a browser with the complete page of the lobby and this message in it.
    pub async fn behind_proxy(node: &Node, message: &str) -> (Proxy, Browser) {
        let proxy = Proxy::to(node.address()).await;
        let browser = Browser::start().await;
        browser.open(&proxy.url("/lobby")).await;
        browser.complete().await;
        node.post("lobby", "mason", message).await;
        browser.messages_up_to(message).await;
        (proxy, browser)
    }

    /// Kills the browser, as a power cut would, and starts it again with what it had on disk.
    pub async fn crash(&mut self) {
        match &mut self.running {
            Running::Chromium(chromium) => chromium.crash().await,
            Running::Firefox(_) => panic!("Firefox cannot do this"),
        }
    }

    /// Waits until the browser has written a `localStorage` that contains `part` to disk.
    pub async fn written_to_disk(&self, part: &str) {
        let folder = self.as_chromium().profile().join("profile/Default/Local Storage/leveldb");
        wait_for(&format!("{part:?} on disk"), async || {
            let files = fs::read_dir(&folder).ok()?.filter_map(|file| fs::read(file.ok()?.path()).ok());
            let holds = |bytes: Vec<u8>| bytes.windows(part.len()).any(|window| window == part.as_bytes());
            files.into_iter().any(holds).then_some(())
        })
        .await;
    }

    /// Crashes this tab. Switch to another one afterwards.
    pub async fn crash_tab(&self) {
        let crash = self.devtools("Page.crash", json!({}));
        let _ = tokio::time::timeout(std::time::Duration::from_secs(1), crash).await; // a crashed tab sends no response
    }

    /// Freezes this tab, as the browser does with hidden ones to save power and memory.
    pub async fn freeze(&self) {
        self.devtools("Page.setWebLifecycleState", json!({ "state": "frozen" })).await;
    }

    /// Takes the network from this tab or gives it back, with the `offline` and `online` events.
    pub async fn set_network(&self, there: bool) {
        let conditions: Value =
            json!({ "offline": !there, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
        self.devtools("Network.enable", json!({})).await;
        self.devtools("Network.emulateNetworkConditions", conditions).await;
    }

    /// Waits until the page is live and complete: all modules are loaded, so it works without a network from then on.
    pub async fn complete(&self) {
        self.live().await;
        let loaded =
            "dispatchEvent(new Event('pointermove')); return document.querySelector('link[href*=touch]') !== null";
        self.until(loaded).await;
    }

    /// Refuses posts that contain a text, as a server with other limits would: the page itself sends nothing that is refused.
    pub async fn refuse_posts_of(&self, part: &str) {
        let script = "const { fetch } = window;
            const [part] = arguments;
            const refusal = JSON.stringify({ status: 422, detail: 'message: This server takes no such message.' });
            window.fetch = (url, options) => options?.body?.includes?.(part)
                ? Promise.resolve(new Response(refusal, { status: 422 }))
                : fetch(url, options)";
        self.run_with(script, &[part]).await;
    }

    /// Leaves the page for a blank one.
    pub async fn leave(&self) {
        self.open("about:blank").await;
    }
}
