//! A headless Chromium, driven by chromedriver, with a profile that is deleted with it.

mod faults;
mod interaction;
mod outbox;
mod permit;
mod tabs;

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
    time::Duration,
};

use fantoccini::{Client, ClientBuilder, Locator, elements::Element};
use hyper_util::client::legacy::connect::HttpConnector;
use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use permit::{Permit, permit};

use super::{DEADLINE, Node, process::Process, within};

pub use interaction::key as keyboard;

/// What a headless browser needs, and what keeps it from sending requests of its own.
const CHROMIUM_FLAGS: [&str; 10] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1000,800",
];

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

pub struct Browser {
    client: Client,
    pid: Pid,
    /// The port of chromedriver.
    port: u16,
    session: String,
    capabilities: Value,
    _driver: Process,
    profile: TempDir,
    /// Held until the browser is gone: fields are dropped in order, so this is the last.
    _permit: Permit,
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
    /// Starts a browser.
    pub async fn start() -> Browser {
        Browser::with(&[], json!({})).await
    }

    /// Starts a browser with the complete page of the lobby.
    pub async fn in_lobby(node: &Node) -> Browser {
        let browser = Browser::start().await;
        browser.open(&node.url("/lobby")).await;
        browser.complete().await;
        browser
    }

    /// Starts a browser that runs no scripts.
    pub async fn without_javascript() -> Browser {
        Browser::with(&[], json!({ "profile.managed_default_content_settings.javascript": 2 })).await
    }

    /// Starts a browser with further command line flags and preferences.
    pub async fn with(flags: &[&str], preferences: Value) -> Browser {
        Browser::launch(flags, preferences, json!({ "browser": "ALL" })).await
    }

    async fn launch(flags: &[&str], preferences: Value, logs: Value) -> Browser {
        let permit = permit().await; // before anything that has a deadline
        let profile = tempfile::tempdir().expect("a directory for the browser");
        let (driver, port) = start_chromedriver(profile.path()).await;
        let data = format!("--user-data-dir={}", profile.path().join("profile").display());
        let arguments: Vec<&str> = CHROMIUM_FLAGS.iter().chain(flags).copied().chain([data.as_str()]).collect();
        let capabilities = json!({
            "goog:chromeOptions": { "args": arguments, "prefs": preferences },
            "goog:loggingPrefs": logs,
        });
        let (client, session, pid) = connect(port, &capabilities).await;
        Browser { client, pid, port, session, capabilities, _driver: driver, profile, _permit: permit }
    }

    /// Opens an address and waits for its `load`.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.expect("a page");
    }

    pub async fn reload(&self) {
        self.client.refresh().await.expect("a page");
    }

    /// Returns the path of the current address.
    pub async fn path(&self) -> String {
        self.client.current_url().await.expect("an address").path().to_owned()
    }

    /// Runs a script and returns what it returns.
    pub async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.expect("a script that runs")
    }

    /// Returns the first element that matches a selector.
    pub async fn find(&self, selector: &str) -> Element {
        self.client.find(Locator::Css(selector)).await.unwrap_or_else(|error| panic!("{selector}: {error}"))
    }

    /// Returns the text of an element as it is rendered.
    pub async fn text(&self, selector: &str) -> String {
        self.find(selector).await.text().await.expect("a text")
    }

    /// Returns the value of a form field.
    pub async fn value(&self, selector: &str) -> String {
        self.find(selector).await.prop("value").await.expect("a property").unwrap_or_default()
    }

    /// Replaces the value of a form field by typing.
    pub async fn type_into(&self, selector: &str, text: &str) {
        let element = self.find(selector).await;
        element.clear().await.expect("a box that can be emptied");
        element.send_keys(text).await.expect("a box to write in");
    }

    pub async fn click(&self, selector: &str) {
        self.find(selector).await.click().await.expect("something to click on");
    }

    /// Waits until the status line is `live`.
    pub async fn live(&self) {
        self.status("live").await;
    }

    /// Waits until the status line has this state, and returns its text.
    pub async fn status(&self, state: &str) -> String {
        let selector = format!("p.status[role=status][data-state={state}]");
        let client = &self.client;
        let found = client.wait().at_most(PAGE_TIMEOUT).for_element(Locator::Css(&selector)).await;
        let element = found.unwrap_or_else(|error| panic!("the status never became {state}: {error}"));
        element.text().await.expect("a sentence")
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

    /// Ends the session, and with it the browser.
    fn close(&self) -> io::Result<()> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port))?;
        socket.set_read_timeout(Some(DEADLINE))?;
        write!(socket, "DELETE /session/{} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", self.session)?;
        socket.read_exact(&mut [0; 12])
    }

    /// Returns the lines of the console since the last call: errors, violations of the CSP, failed requests.
    pub async fn console(&self) -> Vec<String> {
        self.log("browser").await.iter().map(Value::to_string).collect()
    }

    async fn log(&self, kind: &str) -> Vec<Value> {
        match self.command("se/log", json!({ "type": kind })).await {
            Value::Array(entries) => entries,
            other => panic!("{other} is no log"),
        }
    }

    /// Sends a command that is chromedriver's own, not WebDriver's.
    async fn command(&self, path: &str, parameters: Value) -> Value {
        let url = format!("http://127.0.0.1:{}/session/{}/{path}", self.port, self.session);
        let request = reqwest::Client::new().post(url).json(&parameters);
        let mut answer: Value = request.send().await.expect("an answer").json().await.expect("JSON");
        answer["value"].take()
    }
}

/// Starts chromedriver on a free port, and returns the port with it.
async fn start_chromedriver(home: &Path) -> (Process, u16) {
    loop {
        let mut driver =
            Process::spawn(Command::new("chromedriver").arg("--port=0").env("HOME", home).env("TMPDIR", home));
        let started = wait_for("chromedriver", async || {
            let port = driver.line_with("started successfully on port").and_then(|line| port_in(&line));
            (port.is_some() || driver.try_wait().is_some()).then_some(port)
        });
        if let Some(port) = started.await {
            return (driver, port);
        }
        // It takes a free port of IPv6 and needs the same one of IPv4, which another process may have.
        assert!(driver.line_with("Address already in use").is_some(), "chromedriver ended:\n{}", driver.output());
    }
}

async fn connect(port: u16, capabilities: &Value) -> (Client, String, Pid) {
    let client = ClientBuilder::new(HttpConnector::new())
        .capabilities(capabilities.as_object().expect("an object").clone())
        .connect(&format!("http://127.0.0.1:{port}"))
        .await
        .expect("chromium starts");
    let session = client.session_id().await.expect("an answer").expect("a session");
    let pid = client.capabilities().and_then(|all| all.get("goog:processID")?.as_i64()).expect("its pid");
    (client, session, Pid::from_raw(pid.try_into().expect("a pid fits")))
}

/// Closes the session first and kills the browser only if that fails: killing chromedriver would leave the browser behind,
/// and killing the browser would leave children that still write into the profile.
impl Drop for Browser {
    fn drop(&mut self) {
        if self.close().is_err() {
            let _ = signal::kill(self.pid, Signal::SIGKILL);
        }
    }
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

fn port_in(line: &str) -> Option<u16> {
    line.rsplit_once("port ")?.1.trim_end_matches('.').parse().ok()
}
