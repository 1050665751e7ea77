//! A headless browser, with a profile that is deleted with it: Chromium or Firefox.

mod bare_page;
mod bidi;
mod chromium;
mod driver;
mod faults;
mod firefox;
mod interaction;
mod outbox;
mod permit;
mod tabs;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::{Value, json};

use chromium::Chromium;
use driver::Driver;
use firefox::Firefox;
use permit::{Permit, permit};

use super::{Node, within};

pub use bare_page::{BarePage, BareStream, Received};
pub use driver::Tab;
pub use interaction::key as keyboard;

/// How long a page may take: browsers start slowly on a busy machine, and pages wait for timers of their own.
const PAGE_TIMEOUT: Duration = Duration::from_secs(60);

/// Returns the messages in the log, without those that are pending.
const SHOWN_MESSAGES: &str =
    "return [...document.querySelectorAll('[role=log].messages .message:not([data-key])')].map((line) => ({
    id: line.dataset.id ?? '',
    sender: line.querySelector('bdi.sender').textContent,
    text: line.querySelector('p.text').textContent,
    time: line.querySelector('time').getAttribute('datetime'),
}))";

/// The browser that a rule is tested in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BrowserKind {
    Chromium,
    Firefox,
}

impl BrowserKind {
    /// Starts a browser of this kind.
    pub async fn start(self) -> Browser {
        self.start_with(&[], Value::Null).await
    }

    /// Starts a browser of this kind to which these hosts are this one, although plain HTTP from them is no secure context.
    pub async fn start_with_hosts(self, hosts: &[&str]) -> Browser {
        let rules: Vec<String> = hosts.iter().map(|host| format!("MAP {host} 127.0.0.1")).collect();
        let list = hosts.join(",");
        let preferences = json!({ "network.dns.localDomains": list, "network.proxy.no_proxies_on": list });
        self.start_with(&[&format!("--host-resolver-rules={}", rules.join(","))], preferences).await
    }

    /// Starts a Chromium with further flags, or a Firefox with further preferences.
    async fn start_with(self, flags: &[&str], preferences: Value) -> Browser {
        let permit = permit().await; // before anything that has a deadline
        match self {
            BrowserKind::Chromium => Browser::chromium(permit, flags, json!({}), console_only()).await,
            BrowserKind::Firefox => {
                let running = Running::Firefox(Box::new(Firefox::launch(preferences).await));
                Browser { running, _permit: permit }
            }
        }
    }
}

/// Turns each `async fn rule(kind: BrowserKind)` into two tests, `rule::chromium` and `rule::firefox`. Where there is no
/// Firefox, scripts/test leaves out the second by its name.
macro_rules! in_both_browsers {
    ($($(#[$attribute:meta])* $rule:ident),+ $(,)?) => {$(
        mod $rule {
            use crate::support::BrowserKind;

            #[tokio::test]
            $(#[$attribute])*
            async fn chromium() {
                super::$rule(BrowserKind::Chromium).await;
            }

            #[tokio::test]
            $(#[$attribute])*
            async fn firefox() {
                super::$rule(BrowserKind::Firefox).await;
            }
        }
    )+};
}
pub(crate) use in_both_browsers;

pub struct Browser {
    running: Running,
    /// Held until the browser is gone: fields are dropped in order, so this is the last.
    _permit: Permit,
}

enum Running {
    Chromium(Box<Chromium>),
    Firefox(Box<Firefox>),
}

/// A message on the page.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ShownMessage {
    pub id: String,
    pub sender: String,
    pub text: String,
    pub time: String,
}

impl Browser {
    /// Starts a Chromium.
    pub async fn start() -> Browser {
        BrowserKind::Chromium.start().await
    }

    /// Starts a Chromium with the complete page of the lobby.
    pub async fn in_lobby(node: &Node) -> Browser {
        let browser = Browser::start().await;
        browser.open(&node.url("/lobby")).await;
        browser.complete().await;
        browser
    }

    /// Starts a Chromium that runs no scripts.
    pub async fn without_javascript() -> Browser {
        Browser::with(&[], json!({ "profile.managed_default_content_settings.javascript": 2 })).await
    }

    /// Starts a Chromium with further command line flags and preferences.
    pub async fn with(flags: &[&str], preferences: Value) -> Browser {
        Browser::chromium(permit().await, flags, preferences, console_only()).await
    }

    async fn chromium(permit: Permit, flags: &[&str], preferences: Value, logs: Value) -> Browser {
        let running = Running::Chromium(Box::new(Chromium::launch(flags, preferences, logs).await));
        Browser { running, _permit: permit }
    }

    fn driver(&self) -> &dyn Driver {
        match &self.running {
            Running::Chromium(chromium) => chromium.as_ref(),
            Running::Firefox(firefox) => firefox.as_ref(),
        }
    }

    /// Returns the browser for what only Chromium can do.
    fn as_chromium(&self) -> &Chromium {
        match &self.running {
            Running::Chromium(chromium) => chromium,
            Running::Firefox(_) => panic!("Firefox cannot do this"),
        }
    }

    /// Opens an address and waits for its `load`.
    pub async fn open(&self, url: &str) {
        self.driver().open(url).await;
    }

    pub async fn reload(&self) {
        self.driver().reload().await;
    }

    /// Returns the path of the current address.
    pub async fn path(&self) -> String {
        self.run("return location.pathname").await.as_str().expect("a path").to_owned()
    }

    /// Runs a script and returns what it returns, awaited if it is a promise.
    pub async fn run(&self, script: &str) -> Value {
        self.run_with(script, &[]).await
    }

    /// Runs a script with `arguments` and returns what it returns.
    pub async fn run_with(&self, script: &str, arguments: &[&str]) -> Value {
        self.driver().run(script, arguments).await
    }

    /// Returns the text of an element as it is rendered.
    pub async fn text(&self, selector: &str) -> String {
        self.driver().text(selector).await
    }

    /// Returns the value of a form field.
    pub async fn value(&self, selector: &str) -> String {
        let value = self.run_with("return document.querySelector(arguments[0]).value", &[selector]).await;
        value.as_str().expect("a form field").to_owned()
    }

    /// Replaces the value of a form field by typing.
    pub async fn type_into(&self, selector: &str, text: &str) {
        self.driver().clear(selector).await;
        self.driver().type_into(selector, text).await;
    }

    /// Clicks at a place of the screen.
    pub async fn click_at(&self, x: u32, y: u32) {
        self.driver().click_at(x, y).await;
    }

    pub async fn click(&self, selector: &str) {
        self.driver().click(selector).await;
    }

    /// Waits until the status line is `live`.
    pub async fn live(&self) {
        self.status("live").await;
    }

    /// Waits until the status line has this state, and returns its text.
    pub async fn status(&self, state: &str) -> String {
        let selector = format!("p.status[role=status][data-state={state}]");
        // In one script: between two, the page may be on its way to another.
        let text = "return document.querySelector(arguments[0])?.innerText.trim() ?? null";
        let reached = async || self.run_with(text, &[&selector]).await.as_str().map(str::to_owned);
        wait_for(&format!("the status {state}"), reached).await
    }

    /// Waits until a script returns true.
    pub async fn until(&self, script: &str) {
        wait_for(script, async || (self.run(script).await == true).then_some(())).await;
    }

    /// Waits until an element has a text, and returns it.
    pub async fn non_empty_text(&self, selector: &str) -> String {
        wait_for(&format!("a text in {selector}"), async || {
            let text = self.text(selector).await;
            (!text.is_empty()).then_some(text)
        })
        .await
    }

    /// Waits until the console has a line that contains `part`.
    pub async fn console_has(&self, part: &str) {
        let said = async || self.console().await.iter().any(|line| line.contains(part)).then_some(());
        wait_for(&format!("{part:?} on the console"), said).await;
    }

    /// Types a name and a message and clicks on Send. Does not wait until the message is stored.
    pub async fn send(&self, sender: &str, message: &str) {
        self.type_into("#sender", sender).await;
        self.type_into("#message", message).await;
        self.click("form.composer button").await;
    }

    /// Returns the messages in the log, without those that are pending.
    pub async fn messages(&self) -> Vec<ShownMessage> {
        serde_json::from_value(self.run(SHOWN_MESSAGES).await).expect("lines")
    }

    /// Waits until the last message has this text, and returns all of them.
    pub async fn messages_up_to(&self, text: &str) -> Vec<ShownMessage> {
        wait_for(&format!("the line {text:?}"), async || {
            let lines = self.messages().await;
            (lines.last()?.text == text).then_some(lines)
        })
        .await
    }

    /// Returns the lines of the console since the last call: errors of scripts and what they logged; from Chromium also
    /// failed requests and violations of the CSP.
    pub async fn console(&self) -> Vec<String> {
        self.driver().console().await
    }
}

/// The logs that a Chromium keeps unless a test asks for more.
fn console_only() -> Value {
    json!({ "browser": "ALL" })
}

/// Returns the time zone in which it is about noon, so that no new day begins on a page during a test.
fn zone_far_from_midnight() -> String {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    let hours_to_noon = 12 - (since_epoch.as_secs() / 3600 % 24) as i64;
    // POSIX counts hours west of Greenwich.
    format!("Etc/GMT{:+}", -hours_to_noon)
}

/// Waits like `eventually`, but as long as a page may take.
pub async fn wait_for<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within(PAGE_TIMEOUT, what, asking).await
}

in_both_browsers!(no_day_begins_on_a_page_during_a_test);

async fn no_day_begins_on_a_page_during_a_test(kind: BrowserKind) {
    let hour = kind.start().await.run("return new Date().getHours()").await;
    assert!((11..=13).contains(&hour.as_u64().expect("an hour")), "it is {hour} o'clock");
}
