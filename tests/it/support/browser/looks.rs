//! How a page is looked at: on what screen, in which colours, with which keys, and by what checks it.

use serde_json::{Value, json};

use super::Browser;

/// Looks for what would shut people out: <https://github.com/dequelabs/axe-core>.
const AXE: &str = include_str!("../../../axe/axe.min.js");

/// What stands in the way of somebody, each with where it is.
const VIOLATIONS: &str = "const { violations } = await axe.run();
    return violations.flatMap(({ id, nodes }) => nodes.map(({ target, html, failureSummary }) =>
        `${id}: ${target} ${html}\n${failureSummary}`));";

/// Keys without a letter, for `press`.
pub mod key {
    pub const BACKSPACE: char = '\u{e003}';
    pub const TAB: char = '\u{e004}';
    pub const ENTER: char = '\u{e007}';
    pub const SHIFT: char = '\u{e008}';
    pub const ALT: char = '\u{e00a}';
    pub const ESCAPE: char = '\u{e00c}';
    pub const UP: char = '\u{e013}';
    pub const DOWN: char = '\u{e015}';
}

impl Browser {
    /// A screen of this size from now on; a small one is a phone's, under fingers.
    pub async fn screen(&self, width: u32, height: u32) {
        let phone = width < 500;
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
        self.devtools("Emulation.setTouchEmulationEnabled", json!({ "enabled": phone })).await;
    }

    /// What the user has told the operating system to prefer: `("color-scheme", "dark")`.
    pub async fn prefers(&self, what: &str, value: &str) {
        let features = json!([{ "name": format!("prefers-{what}"), "value": value }]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Puts the browser where it is about noon, so that a test of days does not run through midnight.
    pub async fn where_it_is_noon(&self) {
        let script = "const late = new Date().getUTCHours() - 12; return `Etc/GMT${late < 0 ? late : `+${late}`}`";
        let zone = self.run(script).await;
        self.devtools("Emulation.setTimezoneOverride", json!({ "timezoneId": zone })).await;
    }

    /// Types where the focus is. Keys that modify are held until the end.
    pub async fn press(&self, keys: impl ToString) {
        let active = self.client.active_element().await.expect("a focus");
        active.send_keys(&keys.to_string()).await.expect("somewhere to type");
    }

    /// Enters a text in one go where the focus is, as pasting does.
    pub async fn paste(&self, text: &str) {
        self.devtools("Input.insertText", json!({ "text": text })).await;
    }

    /// Opens the details of the message with this text, with keys, and gives what they say, row by row.
    pub async fn details(&self, text: &str) -> Vec<String> {
        let focus = "[...document.querySelectorAll('.message')]
            .find((line) => line.querySelector('.text').textContent === arguments[0])
            .querySelector('a.when').focus()";
        self.ask(focus, &[text]).await;
        self.press(key::TAB).await;
        self.press(key::ENTER).await;
        self.told().await
    }

    /// Waits until details are shown, and gives what they say, row by row.
    pub async fn told(&self) -> Vec<String> {
        let rows = "[...document.querySelectorAll('.details p')].map(({ textContent }) => textContent)";
        self.until(&format!("const [first] = {rows}; return first !== undefined && !first.startsWith('Asking')"))
            .await;
        serde_json::from_value(self.run(&format!("return {rows}")).await).expect("rows")
    }

    /// Taps with a finger on the message with this text, or on a part of it.
    pub async fn tap(&self, text: &str, part: &str) {
        let place = "const line = [...document.querySelectorAll('.message')]
                .find((line) => line.querySelector('.text').textContent === arguments[0]);
            const { x, y, width, height } = line.querySelector(arguments[1]).getBoundingClientRect();
            return { x: Math.round(x + width / 2), y: Math.round(y + Math.min(10, height / 2)) }";
        let at = self.ask(place, &[text, part]).await;
        for (kind, points) in [("touchStart", json!([at])), ("touchEnd", json!([]))] {
            self.devtools("Input.dispatchTouchEvent", json!({ "type": kind, "touchPoints": points })).await;
        }
    }

    /// What axe-core finds on the page as it is now.
    pub async fn barriers(&self) -> Vec<String> {
        self.run(&format!("if (!window.axe) {{ {AXE} }}")).await;
        let found = self.run(&format!("return (async () => {{ {VIOLATIONS} }})()")).await;
        serde_json::from_value(found).expect("sentences")
    }

    /// What an element's style is computed to.
    pub async fn style(&self, selector: &str, property: &str) -> String {
        let script = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]";
        let value = self.ask(script, &[selector, property]).await;
        value.as_str().expect("a style").to_owned()
    }

    /// The value of a script's `return`; its `arguments` are given.
    pub async fn ask(&self, script: &str, arguments: &[&str]) -> Value {
        let arguments = arguments.iter().map(|argument| json!(argument)).collect();
        self.client.execute(script, arguments).await.expect("a script that runs")
    }
}
