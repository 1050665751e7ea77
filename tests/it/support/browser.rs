//! A real Chromium, driven by chromedriver, with a profile of its own that goes with it.

mod faults;
mod looks;
mod outbox;
mod permit;
mod tabs;

use std::{
    io::{self, Read, Write},
    net::TcpStream,
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

use super::{DEADLINE, process::Process, within};

pub use looks::key as keyboard;

/// What a browser without a screen needs, and what keeps it from talking to anybody else.
const FLAGS: [&str; 10] = [
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

/// How long a page may take: browsers are slow starters on a busy machine, and pages wait for timers of their own.
const PATIENCE: Duration = Duration::from_secs(60);

/// The lines of the log as a person sees them, with the ids that programs see; not those that are still to be sent.
const LINES: &str =
    "return [...document.querySelectorAll('[role=log].messages .message:not([data-key])')].map((line) => ({
    id: line.dataset.id ?? '',
    sender: line.querySelector('bdi.sender').textContent,
    text: line.querySelector('p.text').textContent,
    time: line.querySelector('time').getAttribute('datetime'),
}))";

pub struct Browser {
    client: Client,
    pid: Pid,
    /// Chromedriver's port.
    port: u16,
    session: String,
    capabilities: Value,
    _driver: Process,
    profile: TempDir,
    /// The last field, since fields are dropped in order: the next test may begin when this browser is gone.
    _permit: Permit,
}

/// A message on the page.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Line {
    pub id: String,
    pub sender: String,
    pub text: String,
    pub time: String,
}

impl Browser {
    pub async fn start() -> Browser {
        Browser::with(&[], json!({})).await
    }

    /// A browser where no page may run scripts.
    pub async fn without_javascript() -> Browser {
        Browser::with(&[], json!({ "profile.managed_default_content_settings.javascript": 2 })).await
    }

    /// A browser with further command line flags and preferences.
    pub async fn with(flags: &[&str], preferences: Value) -> Browser {
        Browser::launch(flags, preferences, json!({ "browser": "ALL" })).await
    }

    async fn launch(flags: &[&str], preferences: Value, logs: Value) -> Browser {
        let permit = permit().await; // first, so that no deadline runs meanwhile
        let profile = tempfile::tempdir().expect("a directory for the browser");
        let driver = Process::spawn(
            Command::new("chromedriver")
                .arg("--port=0")
                .env("HOME", profile.path())
                .env("TMPDIR", profile.path()),
        );
        let port =
            patiently("chromedriver", async || port_in(&driver.line_with("started successfully on port")?)).await;
        let data = format!("--user-data-dir={}", profile.path().join("profile").display());
        let arguments: Vec<&str> = FLAGS.iter().chain(flags).copied().chain([data.as_str()]).collect();
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

    pub async fn path(&self) -> String {
        self.client.current_url().await.expect("an address").path().to_owned()
    }

    /// The value of a script's `return`.
    pub async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.expect("a script that runs")
    }

    pub async fn find(&self, selector: &str) -> Element {
        self.client.find(Locator::Css(selector)).await.unwrap_or_else(|error| panic!("{selector}: {error}"))
    }

    /// The text of an element, as it is rendered.
    pub async fn text(&self, selector: &str) -> String {
        self.find(selector).await.text().await.expect("a text")
    }

    /// The value in a box of a form.
    pub async fn value(&self, selector: &str) -> String {
        self.find(selector).await.prop("value").await.expect("a property").unwrap_or_default()
    }

    /// Types into a box, over what stood there.
    pub async fn write(&self, selector: &str, text: &str) {
        let element = self.find(selector).await;
        element.clear().await.expect("a box that can be emptied");
        element.send_keys(text).await.expect("a box to write in");
    }

    pub async fn click(&self, selector: &str) {
        self.find(selector).await.click().await.expect("something to click on");
    }

    /// Waits until the page is in a room and its status line says so.
    pub async fn live(&self) {
        self.status("live").await;
    }

    /// Waits until the status line has this state, and gives its sentence.
    pub async fn status(&self, state: &str) -> String {
        let selector = format!("p.status[role=status][data-state={state}]");
        let client = &self.client;
        let found = client.wait().at_most(PATIENCE).for_element(Locator::Css(&selector)).await;
        let element = found.unwrap_or_else(|error| panic!("the status never became {state}: {error}"));
        element.text().await.expect("a sentence")
    }

    /// Waits until a script returns true.
    pub async fn until(&self, script: &str) {
        patiently(script, async || (self.run(script).await == true).then_some(())).await;
    }

    /// Waits until an element has a text, and gives it.
    pub async fn said(&self, selector: &str) -> String {
        patiently(&format!("a text in {selector}"), async || {
            let text = self.text(selector).await;
            (!text.is_empty()).then_some(text)
        })
        .await
    }

    /// Waits until the console says something with `part` in it.
    pub async fn logged(&self, part: &str) {
        let said = async || self.console().await.iter().any(|line| line.contains(part)).then_some(());
        patiently(&format!("{part:?} on the console"), said).await;
    }

    /// Sends a message as a person does, with the button; whether it was stored is another question.
    pub async fn say(&self, sender: &str, message: &str) {
        self.write("#sender", sender).await;
        self.write("#message", message).await;
        self.click("form.composer button").await;
    }

    pub async fn lines(&self) -> Vec<Line> {
        serde_json::from_value(self.run(LINES).await).expect("lines")
    }

    /// Waits until the last line has this text, and gives all lines.
    pub async fn lines_to(&self, text: &str) -> Vec<Line> {
        patiently(&format!("the line {text:?}"), async || {
            let lines = self.lines().await;
            (lines.last()?.text == text).then_some(lines)
        })
        .await
    }

    fn close(&self) -> io::Result<()> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port))?;
        socket.set_read_timeout(Some(DEADLINE))?;
        write!(socket, "DELETE /session/{} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", self.session)?;
        socket.read_exact(&mut [0; 12])
    }

    /// What the console says since it was asked last: errors, violations of the policy, failed requests.
    pub async fn console(&self) -> Vec<String> {
        self.log("browser").await.iter().map(Value::to_string).collect()
    }

    async fn log(&self, kind: &str) -> Vec<Value> {
        match self.command("se/log", json!({ "type": kind })).await {
            Value::Array(entries) => entries,
            other => panic!("{other} is no log"),
        }
    }

    /// A command that only chromedriver knows.
    async fn command(&self, path: &str, parameters: Value) -> Value {
        let url = format!("http://127.0.0.1:{}/session/{}/{path}", self.port, self.session);
        let request = reqwest::Client::new().post(url).json(&parameters);
        let mut answer: Value = request.send().await.expect("an answer").json().await.expect("JSON");
        answer["value"].take()
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

/// A chromedriver that is killed leaves its browser behind, and a browser that is killed leaves children that go on
/// writing into the profile. So the session is closed first; only where that fails is the browser killed.
impl Drop for Browser {
    fn drop(&mut self) {
        if self.close().is_err() {
            let _ = signal::kill(self.pid, Signal::SIGKILL);
        }
    }
}

/// As `eventually`, for what a browser does.
pub async fn patiently<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within(PATIENCE, what, asking).await
}

fn port_in(line: &str) -> Option<u16> {
    line.rsplit_once("port ")?.1.trim_end_matches('.').parse().ok()
}
