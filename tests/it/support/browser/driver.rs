//! What a browser can be told to do: the few things that Chromium and Firefox are told in different protocols.

use async_trait::async_trait;
use serde_json::Value;

/// A tab of a browser, named by the browser.
#[derive(Debug, Clone, PartialEq)]
pub struct Tab(pub String);

/// A running browser. What has no tab among its parameters acts on the current tab.
#[async_trait]
pub trait Driver {
    /// Opens an address and waits for its `load`.
    async fn open(&self, url: &str);

    /// Loads the page anew and waits for its `load`.
    async fn reload(&self);

    /// Runs a script with these `arguments` and returns what it returns, awaited if it is a promise.
    async fn run(&self, script: &str, arguments: &[&str]) -> Value;

    /// Runs a script in a tab, which may be the current one from then on.
    async fn run_in(&self, tab: &Tab, script: &str) -> Value;

    /// Runs a script on each page that this tab opens from now on, before those of the page.
    async fn run_on_new_pages(&self, script: &str);

    /// Returns the text of an element as it is rendered.
    async fn text(&self, selector: &str) -> String;

    /// Clicks into the middle of an element.
    async fn click(&self, selector: &str);

    /// Clicks at a place of the screen.
    async fn click_at(&self, x: u32, y: u32);

    /// Empties a form field.
    async fn clear(&self, selector: &str);

    /// Focuses an element and types into it.
    async fn type_into(&self, selector: &str, keys: &str);

    /// Types into the focused element. Modifier keys are held until the end.
    async fn press(&self, keys: &str);

    /// Sets the size of the screen; a `phone` has touch input, if the browser can have it.
    async fn set_screen(&self, width: u32, height: u32, phone: bool);

    /// Returns the lines of the console since the last call.
    async fn console(&self) -> Vec<String>;

    /// Returns the address of every request since the last call, if the browser records them.
    async fn requests(&self) -> Vec<String>;

    async fn current_tab(&self) -> Tab;

    async fn tabs(&self) -> Vec<Tab>;

    /// Opens an address in a new tab, which becomes the current one, and waits for its `load`.
    async fn open_tab(&self, url: &str) -> Tab;

    /// Makes a tab the current one.
    async fn switch_to(&self, tab: &Tab);

    /// Closes the current tab.
    async fn close_tab(&self);
}
