//! The page in a real Chromium.

mod accessibility;
mod axe;
mod chat;
mod composer;
mod details;
mod history;
mod layout;
mod leadership;
mod markup;
mod no_javascript;
mod notifications;
mod outbox;
mod reading;
mod reconnect;
mod safety;
mod status_line;
mod weight;

use std::collections::BTreeSet;

use crate::support::{Browser, Line, patiently};

/// The shortest interval of heartbeats: a dead stream is noticed within seconds.
const HEARTBEAT: (&str, &str) = ("HEARTBEAT", "1");

const ROOMS: (&str, &str) = ("ROOMS", "lobby,garden,attic");

fn texts(lines: &[Line]) -> Vec<&str> {
    lines.iter().map(|line| line.text.as_str()).collect()
}

/// Every line stands there once, in the order of the log.
#[track_caller]
fn assert_once(lines: &[Line], expected: &[&str]) {
    assert_eq!(texts(lines), expected);
    let ids: BTreeSet<&str> = lines.iter().map(|line| line.id.as_str()).collect();
    assert_eq!(ids.len(), lines.len(), "{lines:?}");
}

/// Returns the texts of the messages on the page.
async fn shown_texts(browser: &Browser) -> Vec<String> {
    browser.lines().await.into_iter().map(|line| line.text).collect()
}

/// What stands beside the link to a room: `2`, or `@2` where somebody is called.
async fn badge(browser: &Browser, room: &str) -> String {
    let script = format!(
        "const badge = document.querySelector('nav[aria-label=Rooms] a[href=\"/{room}\"] .badge');
        return badge ? badge.firstChild.textContent : ''"
    );
    browser.run(&script).await.as_str().expect("a text").to_owned()
}

async fn badge_is(browser: &Browser, room: &str, expected: &str) {
    patiently(&format!("{expected:?} at {room}"), async || (badge(browser, room).await == expected).then_some(()))
        .await;
}
