//! A headless Chromium, driven by chromedriver, with a profile that is deleted with it.

use std::{
    fs,
    io::{self, Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
};

use async_trait::async_trait;
use fantoccini::{Client, ClientBuilder, Locator, elements::Element, wd::WindowHandle};
use hyper_util::client::legacy::connect::HttpConnector;
use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Mutex;

use super::{
    driver::{Driver, Tab},
    wait_for, zone_far_from_midnight,
};
use crate::support::{DEADLINE, process::Process};

/// What a headless browser needs, and what keeps it from sending requests of its own.
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

pub struct Chromium {
    client: Client,
    pid: Pid,
    /// The port of chromedriver.
    port: u16,
    session: String,
    capabilities: Value,
    /// Held while a new tab is opened or a script is run in a certain tab: each makes it the current one first.
    switching: Mutex<()>,
    _driver: Process,
    profile: TempDir,
}

impl Chromium {
    /// Starts a Chromium with further command line flags and preferences, which keeps these logs.
    pub async fn launch(flags: &[&str], preferences: Value, logs: Value) -> Chromium {
        let profile = tempfile::tempdir().expect("a directory for the browser");
        let (driver, port) = start_chromedriver(profile.path()).await;
        let data = format!("--user-data-dir={}", profile.path().join("profile").display());
        let arguments: Vec<&str> = FLAGS.iter().chain(flags).copied().chain([data.as_str()]).collect();
        let capabilities = json!({
            "acceptInsecureCerts": true,
            "goog:chromeOptions": { "args": arguments, "prefs": preferences },
            "goog:loggingPrefs": logs,
        });
        let (client, session, pid) = connect(port, &capabilities).await;
        let switching = Mutex::default();
        Chromium { client, pid, port, session, capabilities, switching, _driver: driver, profile }
    }

    /// Kills the browser, as a power cut would, and starts it again with what it had on disk.
    pub async fn crash(&mut self) {
        signal::kill(self.pid, Signal::SIGKILL).expect("a browser to kill");
        let line = format!("/proc/{}/cmdline", self.pid); // empty when it is only to be reaped
        let ended = async || fs::read(&line).unwrap_or_default().is_empty().then_some(());
        wait_for("the end of the browser", ended).await;
        let _ = self.close();
        (self.client, self.session, self.pid) = connect(self.port, &self.capabilities).await;
    }

    pub fn profile(&self) -> &Path {
        self.profile.path()
    }

    /// Sends a command of the DevTools protocol to the current tab.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.command("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }

    async fn find(&self, selector: &str) -> Element {
        self.client.find(Locator::Css(selector)).await.unwrap_or_else(|error| panic!("{selector}: {error}"))
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

    /// Ends the session, and with it the browser.
    fn close(&self) -> io::Result<()> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port))?;
        socket.set_read_timeout(Some(DEADLINE))?;
        write!(socket, "DELETE /session/{} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", self.session)?;
        socket.read_exact(&mut [0; 12])
    }
}

#[async_trait]
impl Driver for Chromium {
    async fn open(&self, url: &str) {
        self.client.goto(url).await.expect("a page");
    }

    async fn reload(&self) {
        self.client.refresh().await.expect("a page");
    }

    async fn run(&self, script: &str, arguments: &[&str]) -> Value {
        let arguments = arguments.iter().map(|argument| json!(argument)).collect();
        self.client.execute(script, arguments).await.expect("a script that runs")
    }

    async fn run_in(&self, tab: &Tab, script: &str) -> Value {
        let _held = self.switching.lock().await;
        self.switch_to(tab).await;
        self.run(script, &[]).await
    }

    async fn run_on_new_pages(&self, script: &str) {
        self.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script })).await;
    }

    async fn text(&self, selector: &str) -> String {
        self.find(selector).await.text().await.expect("a text")
    }

    async fn click(&self, selector: &str) {
        self.find(selector).await.click().await.expect("something to click on");
    }

    async fn click_at(&self, x: u32, y: u32) {
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.devtools("Input.dispatchMouseEvent", event).await;
        }
    }

    async fn clear(&self, selector: &str) {
        self.find(selector).await.clear().await.expect("a box that can be emptied");
    }

    async fn type_into(&self, selector: &str, keys: &str) {
        self.find(selector).await.send_keys(keys).await.expect("a box to write in");
    }

    async fn press(&self, keys: &str) {
        let active = self.client.active_element().await.expect("a focus");
        active.send_keys(keys).await.expect("somewhere to type");
    }

    async fn console(&self) -> Vec<String> {
        self.log("browser").await.iter().map(Value::to_string).collect()
    }

    async fn requests(&self) -> Vec<String> {
        let events = self.log("performance").await;
        let sent = events.iter().filter_map(|event| {
            let event: Value = serde_json::from_str(event["message"].as_str()?).expect("JSON");
            let message = &event["message"];
            let url = message["params"]["request"]["url"].as_str()?;
            (message["method"] == "Network.requestWillBeSent").then(|| url.to_owned())
        });
        sent.collect()
    }

    async fn set_screen(&self, width: u32, height: u32, phone: bool) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
        self.devtools("Emulation.setTouchEmulationEnabled", json!({ "enabled": phone })).await;
    }

    async fn current_tab(&self) -> Tab {
        Tab(self.client.window().await.expect("a tab").into())
    }

    async fn tabs(&self) -> Vec<Tab> {
        let handles = self.client.windows().await.expect("tabs");
        handles.into_iter().map(|handle| Tab(handle.into())).collect()
    }

    async fn open_tab(&self, url: &str) -> Tab {
        let _held = self.switching.lock().await;
        let tab = Tab(self.client.new_window(true).await.expect("a tab").handle.into());
        self.switch_to(&tab).await;
        self.open(url).await;
        tab
    }

    async fn switch_to(&self, tab: &Tab) {
        let handle = WindowHandle::try_from(tab.0.clone()).expect("a handle");
        self.client.switch_to_window(handle).await.expect("a tab");
    }

    async fn close_tab(&self) {
        self.client.close_window().await.expect("a tab that closes");
    }
}

/// Closes the session first and kills the browser only if that fails: killing chromedriver would leave the browser behind,
/// and killing the browser would leave children that still write into the profile.
impl Drop for Chromium {
    fn drop(&mut self) {
        if self.close().is_err() {
            let _ = signal::kill(self.pid, Signal::SIGKILL);
        }
    }
}

/// Starts chromedriver on a free port, and returns the port with it.
async fn start_chromedriver(home: &Path) -> (Process, u16) {
    loop {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").env("HOME", home).env("TMPDIR", home).env("TZ", zone_far_from_midnight());
        let mut driver = Process::spawn(&mut command);
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

fn port_in(line: &str) -> Option<u16> {
    line.rsplit_once("port ")?.1.trim_end_matches('.').parse().ok()
}
