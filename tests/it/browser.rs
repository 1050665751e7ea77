//! The page in a real Chromium, and part of it in Firefox as well.

mod accessibility;
mod axe;
mod chat;
mod composer;
mod deletion;
mod details;
mod event_source;
mod history;
mod identity;
mod jquery_page;
mod layout;
mod leadership;
mod markup;
mod message_menu;
mod no_javascript;
mod notifications;
mod outbox;
mod own_messages;
mod proxies;
mod reading;
mod reconnect;
mod safety;
mod status_line;
mod texts;
mod translation;
mod weight;

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::time::sleep;

use crate::support::{Browser, Node, ShownMessage, wait_for};

/// The shortest heartbeat interval, one second: a dead stream is noticed within seconds.
const HEARTBEAT: (&str, &str) = ("HEARTBEAT", "1");

/// Three rooms that the page offers.
const ROOMS: (&str, &str) = ("ROOMS", "lobby,garden,attic");

/// Returns the texts of messages.
fn texts(lines: &[ShownMessage]) -> Vec<&str> {
    lines.iter().map(|line| line.text.as_str()).collect()
}

/// Asserts that the page shows these messages once each, in the order of the log.
#[track_caller]
fn assert_once(lines: &[ShownMessage], expected: &[&str]) {
    assert_eq!(texts(lines), expected);
    let ids: BTreeSet<&str> = lines.iter().map(|line| line.id.as_str()).collect();
    assert_eq!(ids.len(), lines.len(), "{lines:?}");
}

/// Returns the texts of the messages on the page.
async fn shown_texts(browser: &Browser) -> Vec<String> {
    browser.messages().await.into_iter().map(|line| line.text).collect()
}

/// Returns the badge at the link to a room: `2` for two unread messages, `@2` if one of them mentions the user.
async fn badge(browser: &Browser, room: &str) -> String {
    let script = format!(
        "const badge = document.querySelector('nav[aria-label=Rooms] a[href=\"/{room}\"] .badge');
        return badge ? badge.firstChild.textContent : ''"
    );
    browser.run(&script).await.as_str().expect("a text").to_owned()
}

/// Waits until the badge at the link to a room is `expected`.
async fn wait_for_badge(browser: &Browser, room: &str, expected: &str) {
    wait_for(&format!("{expected:?} at {room}"), async || (badge(browser, room).await == expected).then_some(())).await;
}

/// Posts one message after the other into a room of a node until it is told to stop. Returns the ids.
async fn post_until(node: &Node, room: &str, stop: &AtomicBool) -> Vec<String> {
    let mut ids = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        ids.push(node.post(room, "mason", "hi").await);
        sleep(Duration::from_millis(10)).await; // or the log, which holds 1000, would lose what a page still has to read
    }
    ids
}
