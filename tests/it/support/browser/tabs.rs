//! The tabs of a browser, and the requests it sends.

use serde_json::{Value, json};

use super::{Browser, driver::Tab, permit::permit};

impl Browser {
    /// Starts a Chromium that records its requests.
    pub async fn recording_requests() -> Browser {
        let logs = json!({ "browser": "ALL", "performance": "ALL" });
        Browser::chromium(permit().await, &[], json!({}), logs).await
    }

    /// Returns the address of every request since the last call.
    pub async fn requests(&self) -> Vec<String> {
        self.driver().requests().await
    }

    /// Returns the current tab.
    pub async fn current_tab(&self) -> Tab {
        self.driver().current_tab().await
    }

    /// Opens an address in a new tab and switches to it.
    pub async fn open_tab(&self, url: &str) -> Tab {
        self.driver().open_tab(url).await
    }

    /// Returns the tab that is not this one, where there are two.
    pub async fn tab_other_than(&self, tab: &Tab) -> Tab {
        let tabs = self.driver().tabs().await;
        tabs.into_iter().find(|each| each != tab).expect("another tab")
    }

    /// Switches to a tab: everything else acts on it from now on.
    pub async fn switch_to(&self, tab: &Tab) {
        self.driver().switch_to(tab).await;
    }

    /// Closes this tab. Switch to another one afterwards.
    pub async fn close_tab(&self) {
        self.driver().close_tab().await;
    }

    /// Runs a script in a tab, which may be the current one from then on, and returns what it returns.
    pub async fn run_in(&self, tab: &Tab, script: &str) -> Value {
        self.driver().run_in(tab, script).await
    }

    pub async fn title(&self) -> String {
        self.run("return document.title").await.as_str().expect("a title").to_owned()
    }

    /// Runs a script on each page that this tab opens from now on, before those of the page.
    pub async fn run_on_new_pages(&self, script: &str) {
        self.driver().run_on_new_pages(script).await;
    }

    /// Sends a command of the DevTools protocol to this tab.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.as_chromium().devtools(command, parameters).await
    }
}
