//! The screen and the preferences of the user, keys and taps, and what axe-core finds.

use serde_json::json;

use super::Browser;

/// Checks accessibility: <https://github.com/dequelabs/axe-core>.
const AXE: &str = include_str!("../../../axe/axe.min.js");

/// Returns the violations, each with its element and a summary.
const VIOLATIONS: &str = "const { violations } = await axe.run();
    return violations.flatMap(({ id, nodes }) => nodes.map(({ target, html, failureSummary }) =>
        `${id}: ${target} ${html}\n${failureSummary}`));";

/// Keys without a character, for `press`.
pub mod key {
    pub const BACKSPACE: char = '\u{e003}';
    pub const TAB: char = '\u{e004}';
    pub const ENTER: char = '\u{e007}';
    pub const SHIFT: char = '\u{e008}';
    pub const CONTROL: char = '\u{e009}';
    pub const ALT: char = '\u{e00a}';
    pub const ESCAPE: char = '\u{e00c}';
    pub const UP: char = '\u{e013}';
    pub const DOWN: char = '\u{e015}';
}

impl Browser {
    /// Sets the size of the screen. One below 500 px is a phone's, with touch input.
    pub async fn set_screen(&self, width: u32, height: u32) {
        self.driver().set_screen(width, height, width < 500).await;
    }

    /// Sets a preference of the user, such as `("color-scheme", "dark")`.
    pub async fn set_preference(&self, what: &str, value: &str) {
        let features = json!([{ "name": format!("prefers-{what}"), "value": value }]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Sets the time zone to one where it is about noon, so that a test of days does not cross midnight.
    pub async fn set_time_zone_to_noon(&self) {
        let script = "const late = new Date().getUTCHours() - 12; return `Etc/GMT${late < 0 ? late : `+${late}`}`";
        let zone = self.run(script).await;
        self.devtools("Emulation.setTimezoneOverride", json!({ "timezoneId": zone })).await;
    }

    /// Types into the focused element. Modifier keys are held until the end.
    pub async fn press(&self, keys: impl ToString) {
        self.driver().press(&keys.to_string()).await;
    }

    /// Inserts a text at once into the focused element, as pasting does.
    pub async fn paste(&self, text: &str) {
        self.devtools("Input.insertText", json!({ "text": text })).await;
    }

    /// Opens the details of the message with this text by keyboard, and returns their rows.
    pub async fn open_details(&self, text: &str) -> Vec<String> {
        let focus = "[...document.querySelectorAll('.message')]
            .find((line) => line.querySelector('.text').textContent === arguments[0])
            .querySelector('a.when').focus()";
        self.run_with(focus, &[text]).await;
        self.press(key::TAB).await;
        self.press(key::ENTER).await;
        self.shown_details().await
    }

    /// Waits until details are shown, and returns their rows.
    pub async fn shown_details(&self) -> Vec<String> {
        let rows = "[...document.querySelectorAll('.details p')].map(({ textContent }) => textContent)";
        self.until(&format!("const [first] = {rows}; return first !== undefined && !first.startsWith('Asking')"))
            .await;
        serde_json::from_value(self.run(&format!("return {rows}")).await).expect("rows")
    }

    /// Taps on an element of the message with this text.
    pub async fn tap(&self, text: &str, part: &str) {
        let place = "const line = [...document.querySelectorAll('.message')]
                .find((line) => line.querySelector('.text').textContent === arguments[0]);
            const { x, y, width, height } = line.querySelector(arguments[1]).getBoundingClientRect();
            return { x: Math.round(x + width / 2), y: Math.round(y + Math.min(10, height / 2)) }";
        let at = self.run_with(place, &[text, part]).await;
        for (kind, points) in [("touchStart", json!([at])), ("touchEnd", json!([]))] {
            self.devtools("Input.dispatchTouchEvent", json!({ "type": kind, "touchPoints": points })).await;
        }
    }

    /// Returns what axe-core finds on the page in its present state.
    pub async fn axe_violations(&self) -> Vec<String> {
        self.run(&format!("if (!window.axe) {{ {AXE} }}")).await;
        let found = self.run(&format!("return (async () => {{ {VIOLATIONS} }})()")).await;
        serde_json::from_value(found).expect("sentences")
    }

    /// Returns a property of the computed style of an element.
    pub async fn style(&self, selector: &str, property: &str) -> String {
        let script = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]";
        let value = self.run_with(script, &[selector, property]).await;
        value.as_str().expect("a style").to_owned()
    }
}
