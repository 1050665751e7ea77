//! Several tabs in one browser, and what it asks for.

use fantoccini::wd::WindowHandle;
use serde_json::{Value, json};

use super::Browser;

impl Browser {
    /// A browser that keeps account of its requests.
    pub async fn recording() -> Browser {
        Browser::launch(&[], json!({}), json!({ "browser": "ALL", "performance": "ALL" })).await
    }

    /// The address of everything its tabs have asked for since it was asked last.
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

    pub async fn here(&self) -> WindowHandle {
        self.client.window().await.expect("a tab")
    }

    /// Opens an address in a further tab, and goes there.
    pub async fn tab(&self, url: &str) -> WindowHandle {
        let tab = self.client.new_window(true).await.expect("a tab").handle;
        self.to(&tab).await;
        self.open(url).await;
        tab
    }

    /// The only tab besides this one.
    pub async fn other_than(&self, tab: &WindowHandle) -> WindowHandle {
        let tabs = self.client.windows().await.expect("tabs");
        tabs.into_iter().find(|each| each != tab).expect("another tab")
    }

    /// Looks at a tab from now on; in front or not, it is asked and written to.
    pub async fn to(&self, tab: &WindowHandle) {
        self.client.switch_to_window(tab.clone()).await.expect("a tab");
    }

    /// Closes this tab; look at another then.
    pub async fn close_tab(&self) {
        self.client.close_window().await.expect("a tab that closes");
    }

    pub async fn title(&self) -> String {
        self.client.title().await.expect("a title")
    }

    /// Runs a script in this tab before any of a page, from the next page on.
    pub async fn before(&self, script: &str) {
        self.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script })).await;
    }

    /// A command of the DevTools protocol for this tab.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.command("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }
}
