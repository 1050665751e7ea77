//! The page by keyboard alone, read by a screen reader, and without motion. `axe.rs` has what axe-core checks.

use serde_json::json;

use crate::support::{
    Browser, Node, Proxy,
    keyboard::{ALT, DOWN, ENTER, ESCAPE, TAB, UP},
};

/// Names the element that has the focus.
const FOCUSED: &str =
    "return document.activeElement.id || document.activeElement.className || document.activeElement.localName";

/// Records what is added to the log while it is a live region, starting before any module runs.
const RECORD_ANNOUNCEMENTS: &str = "document.addEventListener('readystatechange', () => {
    window.read = [];
    const log = document.querySelector('[role=log]');
    new MutationObserver((changes) => {
        if (log.ariaLive === 'off') return;
        for (const { addedNodes } of changes) for (const node of addedNodes) window.read.push(node.textContent);
    }).observe(log.querySelector('.lines'), { childList: true, subtree: true });
}, { once: true })";

/// Returns true if screen readers announce what is added to the log.
const LOG_IS_POLITE: &str = "return document.querySelector('[role=log]').ariaLive === 'polite'";

#[tokio::test]
async fn first_tab_stop_skips_to_the_message_box() {
    let node = Node::start(&[]).await;
    let browser = Browser::in_lobby(&node).await;
    browser.run("document.activeElement.blur()").await;
    browser.press(TAB).await;
    assert_eq!(browser.run(FOCUSED).await, "skip");
    browser.until("return document.querySelector('.skip').getBoundingClientRect().top >= 0").await;
    browser.press(ENTER).await;
    browser.until("return document.activeElement.id === 'message'").await;
}

#[tokio::test]
async fn shortcuts_reach_box_rooms_and_help_and_escape_keeps_text() {
    let node = Node::start(&[("ROOMS", "lobby,garden,attic")]).await;
    let browser = Browser::in_lobby(&node).await;
    browser.run("document.querySelector('.messages').focus()").await;
    browser.press('/').await;
    assert_eq!(browser.run(FOCUSED).await, "message");
    assert_eq!(browser.value("#message").await, "", "the shortcut itself is not typed");
    browser.press("a/b?").await;
    assert_eq!(browser.value("#message").await, "a/b?", "in the box the shortcuts are letters");
    browser.press(ESCAPE).await;
    assert_eq!(browser.value("#message").await, "a/b?");
    browser.run("document.querySelector('.messages').focus()").await;
    browser.press('?').await;
    browser.until("return document.querySelector('dialog')?.open === true").await;
    browser.until("return document.querySelector('dialog').contains(document.activeElement)").await;
    assert_eq!(
        browser.run("return document.querySelector('dialog').scrollTop").await,
        0,
        "the dialog starts at its top"
    );
    browser.press(ESCAPE).await;
    browser.until("return document.querySelector('dialog[open]') === null").await;
    assert_eq!(browser.value("#message").await, "a/b?");
    for (key, path) in [(DOWN, "/garden"), (DOWN, "/attic"), (DOWN, "/lobby"), (UP, "/attic")] {
        browser.press(format!("{ALT}{key}")).await;
        browser.until(&format!("return location.pathname === '{path}'")).await;
        browser.live().await;
    }
    browser.open(&node.url("/lobby")).await;
    browser.until("return document.querySelector('#message').value === 'a/b?'").await; // the draft is kept in its room
}

/// Every control can be reached. A log of fifty messages is one tab stop; the arrow keys move through it.
#[tokio::test]
async fn tab_order_follows_the_page_and_focus_is_visible() {
    let node = Node::start(&[("ROOMS", "lobby,garden")]).await;
    node.fill("lobby", 50).await;
    let browser = Browser::in_lobby(&node).await;
    browser.until("return document.querySelector('.people:not([hidden])') !== null").await;
    browser.run("document.activeElement.blur()").await;
    let mut stops = Vec::new();
    for _ in 0..15 {
        browser.press(TAB).await;
        stops.push(browser.run(FOCUSED).await.as_str().unwrap().to_owned());
        if stops.last().unwrap() == "a" {
            continue; // links have another focus style
        }
        let ring = "const focused = document.activeElement;
            const { outlineStyle, outlineWidth } = getComputedStyle(focused.id === 'message' ? focused.form : focused);
            return outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2";
        assert_eq!(browser.run(ring).await, true, "{stops:?}");
        if stops.last().unwrap() == "message" {
            break;
        }
    }
    let expected = [
        "skip",
        "brand",
        "a",
        "leave",
        "a",
        "leave",
        "room",
        "button",
        "theme",
        "ask",
        "dots",
        "messages following",
        "when",
        "more",
        "message",
    ];
    assert_eq!(stops, expected);
    browser.run("[...document.querySelectorAll('a.when')].at(-1).focus()").await;
    browser.press(UP).await;
    let text = "return document.activeElement.closest('.message').querySelector('.text').textContent";
    assert_eq!(browser.run(text).await, "message 49");
}

#[tokio::test]
async fn live_messages_are_announced_and_bursts_are_counted() {
    let node = Node::start(&[]).await;
    node.fill("lobby", 10).await;
    let browser = Browser::start().await;
    browser.run_on_new_pages(RECORD_ANNOUNCEMENTS).await;
    browser.open(&node.url("/lobby")).await;
    browser.complete().await;
    browser.until(LOG_IS_POLITE).await;
    browser.type_into("#sender", "ada\t").await;
    browser.until(LOG_IS_POLITE).await;
    assert_eq!(
        browser.run("return window.read").await,
        json!([]),
        "nothing is announced on load or when the name changes"
    );
    node.post("lobby", "mason", "good morning").await;
    browser.messages_up_to("good morning").await;
    let read = browser.run("return window.read").await;
    assert!(
        read.as_array().unwrap().iter().any(|text| text.as_str().unwrap().contains("good morning")),
        "{read}"
    );
    browser.run("window.read = []").await;
    browser.until("return document.querySelector('#said').textContent === ''").await;
    node.fill("lobby", 40).await;
    browser
        .until("return /^\\d+ new messages$/.test(document.querySelector('#said').textContent)")
        .await;
    let read = browser.run("return window.read.length").await.as_u64().unwrap();
    assert!(read < 20, "{read} messages of a burst were announced");
    browser.until(LOG_IS_POLITE).await;
}

/// A page opened by a link to a message loads the messages around it later, and does not announce them either.
#[tokio::test]
async fn older_messages_are_not_announced() {
    let node = Node::start(&[]).await;
    let ids = node.fill("lobby", 200).await;
    let browser = Browser::start().await;
    browser.run_on_new_pages(RECORD_ANNOUNCEMENTS).await;
    browser.open(&node.url(&format!("/lobby#{}", ids[20]))).await;
    browser.complete().await;
    browser.until("return document.querySelector('.message:target') !== null").await;
    browser.until(LOG_IS_POLITE).await;
    assert_eq!(browser.run("return window.read").await, json!([]));
}

#[tokio::test]
async fn reduced_motion_stops_every_animation() {
    let node = Node::start(&[]).await;
    let proxy = Proxy::to(node.address()).await;
    let browser = Browser::start().await;
    browser.open(&proxy.url("/lobby")).await;
    browser.complete().await;
    proxy.cut();
    browser.status("reconnecting").await;
    // The next attempt to connect may end the state at any time, so each check sets it again.
    let moving = "document.querySelector('.status').dataset.state = 'reconnecting';
        const { animationName } = getComputedStyle(document.querySelector('.status'), '::before');
        const all = [...document.querySelectorAll('*')].map((each) => getComputedStyle(each));
        return [animationName === 'breathe', all.some(({ transitionDuration, scrollBehavior }) =>
            transitionDuration !== '0s' || scrollBehavior === 'smooth')]";
    browser.set_preference("reduced-motion", "no-preference").await;
    assert_eq!(browser.run(moving).await, json!([true, true]));
    browser.set_preference("reduced-motion", "reduce").await;
    assert_eq!(browser.run(moving).await, json!([false, false]));
}
