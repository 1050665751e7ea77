//! The tabs of a browser, and the requests it sends.

use fantoccini::wd::WindowHandle;
use serde_json::{Value, json};

use super::Browser;

impl Browser {
    /// Starts a browser that records its requests.
    pub async fn recording_requests() -> Browser {
        Browser::launch(&[], json!({}), json!({ "browser": "ALL", "performance": "ALL" })).await
    }

    /// Returns the address of every request since the last call.
    pub async fn requests(&self) -> Vec<String> {
        let events = self.log("performance").await;
        let sent = events.iter().filter_map(|event| {
            let event: Value = serde_json::from_str(event["message"].as_str()?).expect("JSON");
            let message = &event["message"];
            let url = message["params"]["request"]["url"].as_str()?;
            (message["method"] == "Network.requestWillBeSent").then(|| url.to_owned())
        });
        sent.collect()
    }

    /// Returns the current tab.
    pub async fn current_tab(&self) -> WindowHandle {
        self.client.window().await.expect("a tab")
    }

    /// Opens an address in a new tab and switches to it.
    pub async fn open_tab(&self, url: &str) -> WindowHandle {
        let tab = self.client.new_window(true).await.expect("a tab").handle;
        self.switch_to(&tab).await;
        self.open(url).await;
        tab
    }

    /// Returns the tab that is not this one, where there are two.
    pub async fn tab_other_than(&self, tab: &WindowHandle) -> WindowHandle {
        let tabs = self.client.windows().await.expect("tabs");
        tabs.into_iter().find(|each| each != tab).expect("another tab")
    }

    /// Switches to a tab: everything else acts on it from now on.
    pub async fn switch_to(&self, tab: &WindowHandle) {
        self.client.switch_to_window(tab.clone()).await.expect("a tab");
    }

    /// Closes this tab. Switch to another one afterwards.
    pub async fn close_tab(&self) {
        self.client.close_window().await.expect("a tab that closes");
    }

    pub async fn title(&self) -> String {
        self.client.title().await.expect("a title")
    }

    /// Runs a script on each page that this tab opens from now on, before those of the page.
    pub async fn run_on_new_pages(&self, script: &str) {
        self.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script })).await;
    }

    /// Sends a command of the DevTools protocol to this tab.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.command("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }
}
