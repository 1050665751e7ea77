//! The menu of a message and, in it, its details: which node stored it, and for own messages how long it took from Send to
//! the screen.

use serde_json::json;

use crate::support::{
    Browser, Node, Redis, key,
    keyboard::{DOWN, ENTER, ESCAPE, TAB, UP},
};

/// Counts the messages with open details.
const DETAILS_COUNT: &str = "return document.querySelectorAll('.details').length";

/// Returns every position that opening details could change: those of the lines, and how far the log is scrolled.
const POSITIONS: &str = "const log = document.querySelector('.messages');
    const tops = [...document.querySelectorAll('.lines > *, .text, time')].map((each) => each.getBoundingClientRect());
    return JSON.stringify([log.scrollTop, log.scrollHeight, log.scrollWidth, tops])";

/// Returns true if the details are entirely visible, within the log, and nothing covers them.
const IN_SIGHT: &str = "const inner = document.querySelector('.details').getBoundingClientRect();
    const view = document.querySelector('.messages').getBoundingClientRect();
    const there = document.elementFromPoint(inner.left + 20, inner.top + 20).closest('.details');
    return inner.top >= view.top && inner.bottom <= view.bottom && inner.left >= 0 && inner.right <= innerWidth && there !== null";

/// Returns true if the row tells a delay in milliseconds or seconds.
fn is_a_delay(row: &str) -> bool {
    let number = row.strip_suffix(" ms from Send to screen").or(row.strip_suffix(" s from Send to screen"));
    number.is_some_and(|number| number.parse::<f64>().is_ok_and(|number| number > 0.0))
}

#[tokio::test]
async fn details_name_the_node_and_the_delay_of_own_messages() {
    let redis = Redis::start().await;
    let one = Node::on(&redis, &[("NODE", "chat-1")]).await;
    let two = Node::on(&redis, &[("NODE", "chat-2")]).await;
    let browser = Browser::in_lobby(&one).await;
    let foreign = two.post("lobby", "mason", "by the other").await;
    browser.messages_up_to("by the other").await;
    browser.send("ada", "by mine").await;
    let own = browser.messages_up_to("by mine").await.pop().expect("a line").id;
    let rows = browser.open_details("by the other").await;
    assert_eq!((rows.len(), rows[0].as_str(), rows[2].as_str()), (3, "Taken by chat-2", foreign.as_str()));
    let rows = browser.open_details("by mine").await;
    assert_eq!((rows.len(), rows[0].as_str(), rows[3].as_str()), (4, "Taken by chat-1", own.as_str()));
    assert!(is_a_delay(&rows[1]), "{rows:?}");
    browser.reload().await;
    browser.complete().await;
    let rows = browser.open_details("by mine").await;
    assert_eq!((rows.len(), rows[0].as_str()), (3, "Taken by chat-1"), "the delay is not kept over a reload");
    assert_eq!(browser.console().await, [""; 0]);
}

/// The delay is counted from Send, also when the first attempt did not reach the server.
#[tokio::test]
async fn delay_includes_waiting_for_the_server() {
    let node = Node::start(&[]).await;
    let (proxy, browser) = Browser::behind_proxy(&node, "before").await;
    proxy.silence();
    browser.send("ada", "at last").await;
    browser.open_waiting("Sending").await; // shown after a second
    browser.pending_says("Sending").await;
    proxy.restore();
    browser.messages_up_to("at last").await;
    let rows = browser.open_details("at last").await;
    assert!(rows[1].ends_with(" s from Send to screen"), "{rows:?}");
}

#[tokio::test]
async fn details_open_and_close_one_at_a_time_by_keyboard() {
    let node = Node::start(&[]).await;
    node.fill("lobby", 5).await;
    let browser = Browser::in_lobby(&node).await;
    browser.run("document.querySelector('.messages').focus()").await;
    let expanded = "return [...document.querySelectorAll('.more')].map(({ ariaExpanded }) => ariaExpanded)";
    for key in [TAB, UP, TAB] {
        browser.press(key).await;
    }
    assert_eq!(browser.run("return document.activeElement.ariaLabel").await, "More");
    let ring = browser.run("return parseFloat(getComputedStyle(document.activeElement).outlineWidth) >= 2").await;
    assert_eq!(ring, true, "the focus is visible");
    browser.press(ENTER).await;
    browser.shown_details().await;
    let of = "return document.querySelector('.details').closest('.message').querySelector('.text').textContent";
    assert_eq!(browser.run(of).await, "message 4");
    assert_eq!(browser.run(expanded).await, json!(["true", "false"]));
    let item =
        "return document.activeElement.getAttribute('role') === 'menuitem' && document.activeElement.textContent";
    assert_eq!(browser.run(item).await, "Reply");
    browser.press(DOWN).await;
    assert_eq!(browser.run(item).await, "Copy text");
    browser.press(UP).await;
    browser.press(UP).await;
    assert_eq!(browser.run(item).await, "Mute this name", "the keys go round");
    browser.press(ESCAPE).await;
    assert_eq!(browser.run(DETAILS_COUNT).await, 0);
    assert_eq!(browser.run("return document.activeElement.ariaExpanded").await, "false", "the button has the focus");
    browser.press(ENTER).await;
    browser.shown_details().await;
    browser.press(TAB).await;
    assert_eq!(browser.run(DETAILS_COUNT).await, 0, "the menu closes when the focus leaves it");
    browser.run("[...document.querySelectorAll('a.when')].at(-1).focus()").await;
    browser.press(TAB).await;
    browser.press(ENTER).await;
    browser.shown_details().await;
    assert_eq!((browser.run(of).await, browser.run(DETAILS_COUNT).await), (json!("message 5"), json!(1)));
    assert_eq!(browser.run("return location.hash").await, "", "Enter does not follow the link");
}

/// Details are announced by a live region of their own. They are added to the log, which must not announce them too.
#[tokio::test]
async fn details_are_announced_once_and_not_by_the_log() {
    let node = Node::start(&[("NODE", "chat-1")]).await;
    node.fill("lobby", 3).await;
    let browser = Browser::in_lobby(&node).await;
    browser.until("return document.querySelector('[role=log]').ariaLive === 'polite'").await;
    let recorded = "window.read = [];
        new MutationObserver((changes) => {
            for (const { addedNodes } of changes) for (const node of addedNodes) {
                if (node.closest?.('[aria-live]')?.ariaLive !== 'off') window.read.push(node.textContent || node.className);
            }
        }).observe(document.querySelector('.lines'), { childList: true, subtree: true })";
    browser.run(recorded).await;
    let rows = browser.open_details("message 2").await;
    assert_eq!(rows[0], "Taken by chat-1");
    assert_eq!(browser.run("return document.querySelector('#said').textContent").await, "Taken by chat-1");
    assert_eq!(browser.run("return window.read").await, json!([]));
}

#[tokio::test]
async fn opening_details_moves_nothing_on_the_page() {
    let node = Node::start(&[]).await;
    node.fill("lobby", 40).await;
    node.post("lobby", "mason", &"tall\n".repeat(40)).await;
    node.post("lobby", "mason", "the last").await;
    let browser = Browser::in_lobby(&node).await;
    for (width, height) in [(1280, 800), (760, 600), (360, 640)] {
        browser.set_screen(width, height).await;
        for text in ["the last", "message 20", &"tall\n".repeat(40)] {
            let look = "document.querySelector('.messages').scrollTop -= 1; // stops following the end
                const line = [...document.querySelectorAll('.message')]
                    .find((each) => each.querySelector('.text').textContent === arguments[0]);
                line.querySelector('.when').scrollIntoView({ block: 'center' });
                line.querySelector('.when').focus({ preventScroll: true })";
            browser.run_with(look, &[text]).await;
            two_frames(&browser).await;
            let before = browser.run(POSITIONS).await;
            if width < 500 {
                browser.tap(text, ".text").await;
            } else {
                browser.press(TAB).await;
                browser.press(ENTER).await;
            }
            browser.shown_details().await;
            assert!(browser.run(POSITIONS).await == before, "{width} x {height}, {text:.12}: something moved");
            assert_eq!(browser.run(IN_SIGHT).await, true, "{width} x {height}, {text:.12}");
            browser.press(ESCAPE).await;
            assert_eq!(browser.run(DETAILS_COUNT).await, 0);
            assert!(browser.run(POSITIONS).await == before, "{width} x {height}, {text:.12}: something moved back");
        }
    }
}

/// Waits for two frames, after which everything is drawn and scrolled.
async fn two_frames(browser: &Browser) {
    let frames = "return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))";
    browser.until(frames).await;
}

#[tokio::test]
async fn details_open_and_close_by_tapping_the_message() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[("NODE", "chat-1")]).await;
    for text in ["first", "second", "see #garden"] {
        node.post("lobby", "mason", text).await;
    }
    let browser = Browser::in_lobby(&node).await;
    redis.publish("lobby", r#"{"sender":"cron","message":"backup done"}"#).await;
    browser.messages_up_to("backup done").await;
    browser.set_screen(360, 640).await;
    two_frames(&browser).await;
    for text in ["first", "second"] {
        browser.tap(text, ".text").await;
        let of = "[...document.querySelectorAll('.details')].map((box) => box.closest('.message').querySelector('.text').textContent)";
        browser.until(&format!("return {of}.join() === '{text}'")).await;
        assert_eq!(browser.shown_details().await[0], "Taken by chat-1");
    }
    browser.tap("second", ".text").await;
    browser.until("return document.querySelector('.details') === null").await;
    browser.tap("second", ".text").await;
    browser.shown_details().await;
    browser.tap("backup done", ".text").await;
    browser.until("return document.querySelector('.details') === null").await;
    assert_eq!(browser.run("return document.querySelectorAll('.message:not([data-id]) .more').length").await, 0);
    browser.tap("see #garden", ".text a").await;
    browser.until("return location.pathname === '/garden'").await;
}

#[tokio::test]
async fn details_are_fetched_once_and_again_after_a_failure() {
    let mut redis = Redis::durable().await;
    let node = Node::on(&redis, &[("NODE", "chat-1"), ("HEARTBEAT", "1")]).await;
    let (proxy, browser) = Browser::behind_proxy(&node, "kept").await;
    let gone = node.post("lobby", "mason", "gone").await;
    browser.messages_up_to("gone").await;
    let deleted: u64 = redis.cmd(&["XDEL", &key("lobby"), &gone]).await;
    assert_eq!(deleted, 1);
    assert_eq!(browser.open_details("gone").await[0], "No longer kept, nor which node took it.");
    proxy.cut();
    assert_eq!(browser.open_details("kept").await[0], "Offline: the node that took it cannot be looked up.");
    browser.press(ESCAPE).await;
    proxy.restore();
    redis.kill();
    browser.status("storeless").await;
    assert_eq!(browser.open_details("kept").await[0], "The server cannot say now which node took it.");
    browser.press(ESCAPE).await;
    redis.restart().await;
    node.ready().await;
    browser.live().await;
    for _ in 0..2 {
        assert_eq!(browser.open_details("kept").await[0], "Taken by chat-1");
        browser.press(ESCAPE).await;
    }
    let asked = "return performance.getEntriesByType('resource').filter(({ name, responseStatus }) =>
        responseStatus === 200 && name.includes(document.querySelector('.message').id)).length";
    assert_eq!(browser.run(asked).await, 1);
}
