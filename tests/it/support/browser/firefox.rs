//! A headless Firefox, driven by WebDriver BiDi, with a profile that is deleted with it.

use std::{fs, path::Path, process::Command, sync::Mutex};

use async_trait::async_trait;
use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::{
    bidi::Connection,
    driver::{Driver, Tab},
    interaction::key,
    wait_for, zone_far_from_midnight,
};
use crate::support::process::Process;

/// What keeps it from sending requests of its own, and from what a first start does. Whatever it sends all the same
/// ends at a proxy that is not there: only this host is reached without it.
const PREFERENCES: &str = r#"{
    "network.proxy.type": 1,
    "network.proxy.http": "127.0.0.1", "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1", "network.proxy.ssl_port": 9,
    "network.captive-portal-service.enabled": false,
    "network.connectivity-service.enabled": false,
    "network.dns.disablePrefetch": true,
    "network.trr.mode": 5,
    "app.normandy.enabled": false,
    "app.update.disabledForTesting": true,
    "browser.aboutConfig.showWarning": false,
    "browser.cache.disk.enable": false,
    "browser.contentblocking.introCount": 99,
    "browser.newtabpage.enabled": false,
    "browser.pagethumbnails.capturing_disabled": true,
    "browser.region.network.url": "",
    "browser.safebrowsing.malware.enabled": false,
    "browser.safebrowsing.phishing.enabled": false,
    "browser.safebrowsing.downloads.remote.enabled": false,
    "browser.safebrowsing.update.enabled": false,
    "browser.search.update": false,
    "browser.sessionstore.resume_from_crash": false,
    "browser.shell.checkDefaultBrowser": false,
    "browser.startup.homepage_override.mstone": "ignore",
    "browser.startup.page": 0,
    "browser.topsites.contile.enabled": false,
    "browser.uitour.enabled": false,
    "datareporting.healthreport.uploadEnabled": false,
    "datareporting.policy.dataSubmissionEnabled": false,
    "dom.ipc.processPrelaunch.enabled": false,
    "extensions.getAddons.cache.enabled": false,
    "extensions.systemAddon.update.enabled": false,
    "extensions.update.enabled": false,
    "geo.provider.testing": true,
    "media.gmp-manager.updateEnabled": false,
    "messaging-system.rsexperimentloader.enabled": false,
    "privacy.trackingprotection.enabled": false,
    "security.certerrors.mitm.priming.enabled": false,
    "security.remote_settings.intermediates.enabled": false,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "signon.autofillForms": false,
    "toolkit.cosmeticAnimations.enabled": false,
    "toolkit.startup.max_resumed_crashes": -1,
    "toolkit.telemetry.server": "",
    "toolkit.telemetry.unified": false
}"#;

/// The events that are collected.
const CONSOLE_LINE: &str = "log.entryAdded";
const REQUEST: &str = "network.beforeRequestSent";

pub struct Firefox {
    connection: Connection,
    current: Mutex<Tab>,
    process: Process,
    /// Deleted after the processes that write into it have ended: fields are dropped in order.
    _profile: TempDir,
}

impl Firefox {
    /// Starts a Firefox with further preferences, an object; `null` is none.
    pub async fn launch(preferences: Value) -> Firefox {
        let profile = tempfile::tempdir().expect("a directory for the browser");
        write_preferences(profile.path(), preferences);
        let mut process = Process::spawn(
            Command::new("firefox")
                .args(["--headless", "--no-remote", "--remote-debugging-port=0", "--width=1000", "--height=800"])
                .arg("--profile")
                .arg(profile.path())
                .env("HOME", profile.path())
                .env("TMPDIR", profile.path())
                .env("TZ", zone_far_from_midnight())
                .env("MOZ_CRASHREPORTER_DISABLE", "1"), // would start a process that outlives the browser
        );
        let url = wait_for("Firefox", async || {
            assert!(process.try_wait().is_none(), "Firefox ended:\n{}", process.output());
            Some(process.line_with("WebDriver BiDi listening on ")?.rsplit_once(' ')?.1.to_owned())
        })
        .await;
        let connection = Connection::open(&format!("{url}/session")).await;
        let capabilities = json!({ "capabilities": { "alwaysMatch": { "acceptInsecureCerts": true } } });
        connection.send("session.new", capabilities).await;
        connection.send("session.subscribe", json!({ "events": [CONSOLE_LINE, REQUEST] })).await;
        let tabs = tabs(&connection).await;
        let current = Mutex::new(tabs.into_iter().next().expect("a tab"));
        Firefox { connection, current, process, _profile: profile }
    }

    /// Sends a command with the current tab as its `context`, and returns its result.
    async fn send(&self, method: &str, mut parameters: Value) -> Value {
        parameters["context"] = json!(self.current().0);
        self.connection.send(method, parameters).await
    }

    async fn navigate(&self, tab: &Tab, url: &str) {
        let parameters = json!({ "context": tab.0, "url": url, "wait": "complete" });
        self.connection.send("browsingContext.navigate", parameters).await;
    }

    fn current(&self) -> Tab {
        self.current.lock().unwrap().clone()
    }

    /// Runs a script in a tab, once its page has loaded, as chromedriver does. The result comes as JSON, because the
    /// protocol has a notation of its own for values.
    async fn call(&self, tab: &Tab, script: &str, arguments: &[&str]) -> Value {
        let function = format!(
            "async (...given) => {{
                if (document.readyState !== 'complete')
                    await new Promise((loaded) => addEventListener('load', loaded, {{ once: true }}));
                return JSON.stringify(await (function () {{ {script}\n }}).apply(window, given)) ?? 'null';
            }}"
        );
        let arguments: Vec<Value> =
            arguments.iter().map(|argument| json!({ "type": "string", "value": argument })).collect();
        let parameters = json!({
            "functionDeclaration": function,
            "arguments": arguments,
            "awaitPromise": true,
            "target": { "context": tab.0 },
        });
        let evaluated = self.connection.send("script.callFunction", parameters).await;
        let text = evaluated["result"]["value"].as_str();
        let text = text.unwrap_or_else(|| panic!("{}: {script}", evaluated["exceptionDetails"]["text"]));
        serde_json::from_str(text).expect("JSON")
    }

    /// Runs a script that finds the element as `element`.
    async fn with_element(&self, selector: &str, script: &str) -> Value {
        let script = format!(
            "const element = document.querySelector(arguments[0]);
            if (!element) throw new Error(`no ${{arguments[0]}}`);
            {script}"
        );
        self.run(&script, &[selector]).await
    }

    async fn perform(&self, source: Value) {
        self.send("input.performActions", json!({ "actions": [source] })).await;
    }
}

#[async_trait]
impl Driver for Firefox {
    async fn open(&self, url: &str) {
        self.navigate(&self.current(), url).await;
    }

    async fn reload(&self) {
        self.send("browsingContext.reload", json!({ "wait": "complete" })).await;
    }

    async fn run(&self, script: &str, arguments: &[&str]) -> Value {
        self.call(&self.current(), script, arguments).await
    }

    async fn run_in(&self, tab: &Tab, script: &str) -> Value {
        self.call(tab, script, &[]).await
    }

    async fn run_on_new_pages(&self, script: &str) {
        let parameters =
            json!({ "functionDeclaration": format!("() => {{ {script}\n }}"), "contexts": [self.current().0] });
        self.connection.send("script.addPreloadScript", parameters).await;
    }

    async fn text(&self, selector: &str) -> String {
        let text = self.with_element(selector, "return element.innerText.trim()").await;
        text.as_str().expect("a text").to_owned()
    }

    async fn click(&self, selector: &str) {
        self.with_element(
            selector,
            "element.scrollIntoView({ block: 'nearest', inline: 'nearest', behavior: 'instant' })",
        )
        .await;
        let located = self
            .send(
                "browsingContext.locateNodes",
                json!({ "locator": { "type": "css", "value": selector }, "maxNodeCount": 1 }),
            )
            .await;
        let element = json!({ "type": "element", "element": { "sharedId": located["nodes"][0]["sharedId"] } });
        let actions = json!([
            { "type": "pointerMove", "x": 0, "y": 0, "origin": element },
            { "type": "pointerDown", "button": 0 },
            { "type": "pointerUp", "button": 0 },
        ]);
        self.perform(json!({ "type": "pointer", "id": "mouse", "actions": actions })).await;
    }

    async fn click_at(&self, x: u32, y: u32) {
        let actions = json!([
            { "type": "pointerMove", "x": x, "y": y },
            { "type": "pointerDown", "button": 0 },
            { "type": "pointerUp", "button": 0 },
        ]);
        self.perform(json!({ "type": "pointer", "id": "mouse", "actions": actions })).await;
    }

    async fn clear(&self, selector: &str) {
        let empty = "element.focus();
            element.value = '';
            for (const type of ['input', 'change']) element.dispatchEvent(new Event(type, { bubbles: true }));
            element.blur();";
        self.with_element(selector, empty).await;
    }

    async fn type_into(&self, selector: &str, keys: &str) {
        let focus = "if (element !== document.activeElement) {
            element.focus();
            element.setSelectionRange?.(element.value.length, element.value.length);
        }";
        self.with_element(selector, focus).await;
        self.press(keys).await;
    }

    async fn press(&self, keys: &str) {
        let mut held = Vec::new();
        let mut actions = Vec::new();
        for key in keys.chars() {
            let value = if key == '\n' { key::ENTER } else { key };
            actions.push(json!({ "type": "keyDown", "value": value }));
            if [key::SHIFT, key::CONTROL, key::ALT].contains(&value) {
                held.push(value);
            } else {
                actions.push(json!({ "type": "keyUp", "value": value }));
            }
        }
        actions.extend(held.iter().rev().map(|key| json!({ "type": "keyUp", "value": key })));
        self.perform(json!({ "type": "key", "id": "keyboard", "actions": actions })).await;
    }

    async fn set_screen(&self, width: u32, height: u32, _phone: bool) {
        let viewport = json!({ "viewport": { "width": width, "height": height }, "devicePixelRatio": 1 });
        self.send("browsingContext.setViewport", viewport).await;
    }

    /// Returns what scripts have logged and thrown. Failed requests and violations of the CSP are not part of the protocol.
    async fn console(&self) -> Vec<String> {
        let entries = self.connection.take_events(CONSOLE_LINE);
        entries.iter().map(|entry| format!("{}: {}", entry["level"], entry["text"])).collect()
    }

    async fn requests(&self) -> Vec<String> {
        let sent = self.connection.take_events(REQUEST);
        sent.iter().map(|event| event["request"]["url"].as_str().expect("an address").to_owned()).collect()
    }

    async fn current_tab(&self) -> Tab {
        self.current()
    }

    async fn tabs(&self) -> Vec<Tab> {
        tabs(&self.connection).await
    }

    async fn open_tab(&self, url: &str) -> Tab {
        let created = self.connection.send("browsingContext.create", json!({ "type": "tab" })).await;
        let tab = tab_of(&created);
        *self.current.lock().unwrap() = tab.clone();
        self.navigate(&tab, url).await;
        tab
    }

    async fn switch_to(&self, tab: &Tab) {
        *self.current.lock().unwrap() = tab.clone();
        self.send("browsingContext.activate", json!({})).await;
    }

    async fn close_tab(&self) {
        self.send("browsingContext.close", json!({})).await;
    }
}

/// Kills the browser, and then its children: they end by themselves, but only after the test has deleted the profile.
impl Drop for Firefox {
    fn drop(&mut self) {
        let children = descendants(self.process.pid());
        self.process.kill();
        for child in children {
            let _ = signal::kill(child, Signal::SIGKILL);
        }
    }
}

fn write_preferences(profile: &Path, further: Value) {
    let mut preferences: Map<String, Value> = serde_json::from_str(PREFERENCES).expect("an object");
    if let Value::Object(further) = further {
        preferences.extend(further);
    }
    let lines: String =
        preferences.iter().map(|(name, value)| format!("user_pref({}, {value});\n", json!(name))).collect();
    fs::write(profile.join("user.js"), lines).expect("a file for Firefox");
}

async fn tabs(connection: &Connection) -> Vec<Tab> {
    let tree = connection.send("browsingContext.getTree", json!({ "maxDepth": 0 })).await;
    tree["contexts"].as_array().expect("tabs").iter().map(tab_of).collect()
}

fn tab_of(context: &Value) -> Tab {
    Tab(context["context"].as_str().expect("the id of a tab").to_owned())
}

/// Returns the children of a process, and theirs.
fn descendants(ancestor: u32) -> Vec<Pid> {
    let processes: Vec<(i32, i32)> = fs::read_dir("/proc").into_iter().flatten().filter_map(with_parent).collect();
    let mut found = vec![ancestor as i32];
    let mut looked_at = 0;
    while looked_at < found.len() {
        let parent = found[looked_at];
        found.extend(processes.iter().filter(|process| process.1 == parent).map(|process| process.0));
        looked_at += 1;
    }
    found.into_iter().skip(1).map(Pid::from_raw).collect()
}

/// Returns the id of the process that a folder of /proc is about, and that of its parent.
fn with_parent(folder: std::io::Result<fs::DirEntry>) -> Option<(i32, i32)> {
    let folder = folder.ok()?;
    let pid = folder.file_name().to_str()?.parse().ok()?;
    let stat = fs::read_to_string(folder.path().join("stat")).ok()?;
    // After the name, which is in parentheses and may hold anything: the state and the parent.
    let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
    Some((pid, parent))
}
