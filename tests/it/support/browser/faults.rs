//! What befalls a browser.

use std::fs;

use nix::sys::signal::{self, Signal};
use serde_json::{Value, json};

use super::{Browser, connect, patiently};
use crate::support::{Node, Proxy};

impl Browser {
    /// A whole page in the lobby, where a message stands, and the way to its node, which can be cut.
    pub async fn cuttable(node: &Node, message: &str) -> (Proxy, Browser) {
        let proxy = Proxy::to(node.address()).await;
        let browser = Browser::start().await;
        browser.open(&proxy.url("/lobby")).await;
        browser.whole().await;
        node.post("lobby", "mason", message).await;
        browser.lines_to(message).await;
        (proxy, browser)
    }

    /// Kills it, as a power cut would, and starts it again with what it had on disk.
    pub async fn crash(&mut self) {
        signal::kill(self.pid, Signal::SIGKILL).expect("a browser to kill");
        let line = format!("/proc/{}/cmdline", self.pid); // empty when all that is left is to be reaped
        let ended = async || fs::read(&line).unwrap_or_default().is_empty().then_some(());
        patiently("the end of the browser", ended).await;
        let _ = self.close();
        (self.client, self.session, self.pid) = connect(self.port, &self.capabilities).await;
    }

    /// Waits until the browser has written its pages' storage, with this in it, to disk.
    pub async fn on_disk(&self, part: &str) {
        let folder = self.profile.path().join("profile/Default/Local Storage/leveldb");
        patiently(&format!("{part:?} on disk"), async || {
            let files = fs::read_dir(&folder).ok()?.filter_map(|file| fs::read(file.ok()?.path()).ok());
            let holds = |bytes: Vec<u8>| bytes.windows(part.len()).any(|window| window == part.as_bytes());
            files.into_iter().any(holds).then_some(())
        })
        .await;
    }

    /// Ends what runs this tab, as a crash would; look at another tab then.
    pub async fn crash_tab(&self) {
        let crash = self.devtools("Page.crash", json!({}));
        let _ = tokio::time::timeout(std::time::Duration::from_secs(1), crash).await; // nobody is left to answer
    }

    /// Stops this tab, with everything it holds, as an operating system does that needs its memory.
    pub async fn freeze(&self) {
        self.devtools("Page.setWebLifecycleState", json!({ "state": "frozen" })).await;
    }

    /// Takes the network from this tab, or gives it back; the operating system tells the browser of it.
    pub async fn network(&self, there: bool) {
        let conditions: Value =
            json!({ "offline": !there, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
        self.devtools("Network.enable", json!({})).await;
        self.devtools("Network.emulateNetworkConditions", conditions).await;
    }

    /// Waits until the page is live and whole: what comes after the first view is there too. From then on the network may go.
    pub async fn whole(&self) {
        self.live().await;
        let loaded = "return performance.getEntriesByType('resource').some(({ name }) => name.endsWith('/outbox.js'))
            && document.querySelector('link[href*=rest]') !== null";
        self.until(loaded).await;
    }

    /// The same for a tab that does not lead, and needs no more.
    pub async fn whole_in_the_shade(&self) {
        self.live().await;
        self.until("return document.querySelector('link[href*=rest]') !== null").await;
    }

    /// Leaves the page, for one that needs no network.
    pub async fn leave(&self) {
        self.open("about:blank").await;
    }
}
