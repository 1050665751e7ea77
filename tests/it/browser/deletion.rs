//! What is deleted leaves the page, in all tabs and for good; events of apps move its cursor.

use reqwest::Method;

use super::{badge, shown_texts};
use crate::support::{Browser, BrowserKind, Node, eventually, in_both_browsers};

in_both_browsers! {
    deleted_message_leaves_the_page_without_a_jump,
    events_of_apps_move_the_cursor_and_show_only_untyped_ones,
}

const PASSWORD: &str = "correct horse battery staple";
const ENVIRONMENT: &[(&str, &str)] =
    &[("ADMIN_PASSWORD", PASSWORD), ("APP_KEYS", "app:0123456789abcdef:"), ("ROOMS", "lobby,garden")];

/// Opens the page of a room on a node with a password and an app.
async fn open(kind: BrowserKind) -> (Node, Browser) {
    let node = Node::start(ENVIRONMENT).await;
    let browser = kind.start().await;
    browser.open(&node.url("/lobby")).await;
    browser.live().await;
    (node, browser)
}

async fn delete(node: &Node, path: &str) {
    let request = node.request(Method::DELETE, &format!("/history/{path}")).basic_auth("me", Some(PASSWORD));
    node.send(request).await.expect(200);
}

async fn send(node: &Node, kind: &str, data: &str) {
    let form = [("channel", "lobby"), ("type", kind), ("data", data)];
    let request = node.request(Method::POST, "/event").basic_auth("app", Some("0123456789abcdef")).form(&form);
    node.send(request).await.expect(200);
}

async fn expect_texts(browser: &Browser, expected: &[&str]) {
    eventually("the messages", async || (shown_texts(browser).await == expected).then_some(())).await;
}

async fn deleted_message_leaves_the_page_without_a_jump(kind: BrowserKind) {
    let (node, browser) = open(kind).await;
    let ids = node.fill("lobby", 120).await;
    browser.until("return document.querySelectorAll('.message').length === 120").await;
    browser.until("return !!document.querySelector('link[href*=enhancements]')?.sheet").await;
    let up = "const log = document.querySelector('.messages'); log.scrollTop = log.scrollHeight / 2";
    browser.run(up).await;
    let keep = "const log = document.querySelector('.messages');
        const seen = [...document.querySelectorAll('.message')].find((line) =>
            line.getBoundingClientRect().top >= log.getBoundingClientRect().top);
        seen.classList.add('looked-at');
        return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() =>
            done(seen.getBoundingClientRect().top))))";
    let before = browser.run(keep).await.as_f64().expect("a number");
    delete(&node, &format!("lobby/{}", ids[2])).await;
    browser.until("return document.querySelectorAll('.message').length === 119").await;
    let after = browser.run("return document.querySelector('.looked-at').getBoundingClientRect().top").await;
    let moved = after.as_f64().expect("a number") - before;
    assert!(moved.abs() < 1.5, "what the user reads moved by {moved} px");
    assert!(!shown_texts(&browser).await.contains(&"message 3".to_owned()));
    delete(&node, "lobby").await;
    expect_texts(&browser, &[]).await;
    assert_eq!(browser.run("return document.querySelectorAll('.day').length").await, 0);
    node.post("lobby", "mason", "after it").await;
    expect_texts(&browser, &["after it"]).await;
    let elsewhere = node.post("garden", "mason", "hi").await;
    eventually("a badge", async || (badge(&browser, "garden").await == "1").then_some(())).await;
    delete(&node, &format!("garden/{elsewhere}")).await;
    eventually("no badge", async || badge(&browser, "garden").await.is_empty().then_some(())).await;
    browser.reload().await;
    expect_texts(&browser, &["after it"]).await;
    assert_eq!(browser.console().await, [""; 0]);
}

async fn events_of_apps_move_the_cursor_and_show_only_untyped_ones(kind: BrowserKind) {
    let (node, browser) = open(kind).await;
    node.post("lobby", "mason", "first").await;
    expect_texts(&browser, &["first"]).await;
    send(&node, "my-event", "{}").await;
    send(&node, "", "raw <b>text</b>").await;
    send(&node, "新着", "{}").await;
    node.post("lobby", "mason", "last").await;
    expect_texts(&browser, &["first", "raw <b>text</b>", "last"]).await;
    send(&node, "my-event", "{}").await;
    let end = node.history("lobby", "?all=1&limit=1").await["last"].as_str().expect("an id").to_owned();
    let saved = format!("return localStorage.getItem('tiny-chat:state')?.includes('{end}')");
    browser.until(&saved).await;
    assert_eq!(browser.console().await, [""; 0]);
}
