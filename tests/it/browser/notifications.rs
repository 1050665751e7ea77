//! What the page shows outside the log: unread counts, the title, the icon and desktop notifications.

use serde_json::json;

use super::{ROOMS, badge, wait_for_badge};
use crate::support::{Browser, Node, wait_for};

/// Waits until the tab has this title.
async fn wait_for_title(browser: &Browser, expected: &str) {
    wait_for(&format!("the title {expected:?}"), async || (browser.title().await == expected).then_some(())).await;
}

/// Waits until the tab has this icon.
async fn wait_for_icon(browser: &Browser, expected: &str) {
    browser
        .until(&format!("return document.querySelector('link[rel=icon]').href.endsWith('/{expected}.svg')"))
        .await;
}

/// Hides the page or shows it again. A headless browser shows every tab, so the page is made to see it otherwise.
async fn set_hidden(browser: &Browser, hidden: bool) {
    let script = format!(
        "Object.defineProperty(document, 'hidden', {{ configurable: true, get: () => {hidden} }});
        document.dispatchEvent(new Event('visibilitychange'))"
    );
    browser.run(&script).await;
}

#[tokio::test]
async fn other_rooms_show_unread_counts_and_mentions() {
    let node = Node::start(&[ROOMS]).await;
    node.post("garden", "mason", "long ago").await;
    let browser = Browser::start().await;
    browser.open(&node.url("/lobby")).await;
    browser.type_into("#sender", "Ada").await;
    browser.complete().await;
    let streamed =
        "return performance.getEntriesByType('resource').some(({ name }) => name.includes('/history/garden'))";
    browser.until(streamed).await;
    wait_for("a stream of three rooms", async || {
        node.post("attic", "mason", "are you there?").await;
        (!badge(&browser, "attic").await.is_empty()).then_some(())
    })
    .await;
    assert_eq!(badge(&browser, "garden").await, "", "messages from before the first visit are not unread");
    for text in ["one", "adamant"] {
        node.post("garden", "mason", text).await;
    }
    wait_for_badge(&browser, "garden", "2").await;
    node.post("garden", "mason", "where is @ada?").await;
    wait_for_badge(&browser, "garden", "@3").await;
    node.post("garden", "mason", "well").await;
    wait_for_badge(&browser, "garden", "@4").await;
    wait_for_icon(&browser, "icon-mention").await;
    browser.until("return /^\\(([5-9]|[1-9]\\d)\\) lobby · tiny-chat$/.test(document.title)").await; // 4, and those of the attic
    browser.reload().await;
    wait_for_badge(&browser, "garden", "@4").await;
    browser.click("nav[aria-label=Rooms] a[href='/garden']").await;
    browser.until("return location.pathname === '/garden'").await;
    browser.messages_up_to("well").await;
    browser.live().await;
    browser.open(&node.url("/lobby")).await;
    browser.complete().await;
    wait_for_badge(&browser, "garden", "").await;
    assert_ne!(badge(&browser, "attic").await, "");
    assert_eq!(browser.console().await, [""; 0]);
}

#[tokio::test]
async fn reading_a_room_in_one_tab_marks_it_read_in_all_tabs() {
    let node = Node::start(&[ROOMS]).await;
    let browser = Browser::start().await;
    browser.open(&node.url("/garden")).await;
    browser.live().await;
    browser.open(&node.url("/lobby")).await;
    browser.complete().await;
    let lobby = browser.current_tab().await;
    wait_for("a badge", async || {
        node.post("garden", "mason", "news").await;
        (!badge(&browser, "garden").await.is_empty()).then_some(())
    })
    .await;
    browser.open_tab(&node.url("/garden")).await;
    browser.live().await;
    browser.switch_to(&lobby).await;
    wait_for_badge(&browser, "garden", "").await;
}

/// Messages count as unread while the tab is hidden, also those of its own room.
#[tokio::test]
async fn hidden_tab_counts_unread_in_its_title_and_icon() {
    let node = Node::start(&[ROOMS]).await;
    let browser = Browser::start().await;
    browser.open(&node.url("/lobby")).await;
    browser.type_into("#sender", "ada").await;
    browser.complete().await;
    set_hidden(&browser, true).await;
    node.post("lobby", "mason", "one").await;
    wait_for_title(&browser, "(1) lobby · tiny-chat").await;
    wait_for_icon(&browser, "icon-unread").await;
    node.post("lobby", "mason", "ada, look!").await;
    wait_for_title(&browser, "(2) lobby · tiny-chat").await;
    wait_for_icon(&browser, "icon-mention").await;
    set_hidden(&browser, false).await;
    wait_for_title(&browser, "lobby · tiny-chat").await;
    wait_for_icon(&browser, "icon").await;
    node.post("lobby", "mason", "in sight").await;
    browser.messages_up_to("in sight").await;
    assert_eq!(browser.title().await, "lobby · tiny-chat");
    assert_eq!(browser.console().await, [""; 0]);
}

/// Replaces `Notification`, which shows nothing in a headless browser, and records what it is asked for.
const NOTIFICATION: &str = "window.shown = []; window.asked = 0;
    window.Notification = class {
        static permission = 'default';
        static async requestPermission() { window.asked += 1; return this.permission = window.answer ?? 'granted'; }
        constructor(title, { body }) { window.shown.push(`${title}: ${body}`); }
        close() {}
    }";

/// Chooses which notifications to show, and returns the choice that the page made of it.
async fn choose_notifications(browser: &Browser, choice: &str) -> serde_json::Value {
    let script = format!(
        "const select = document.querySelector('dialog.help .notices select');
        select.value = '{choice}';
        select.dispatchEvent(new Event('change'))"
    );
    browser.run(&script).await;
    browser
        .run("return new Promise((tell) => setTimeout(() => tell(document.querySelector('.notices select').value)))")
        .await
}

#[tokio::test]
async fn notifications_are_opt_in_and_never_for_visible_messages() {
    let node = Node::start(&[ROOMS]).await;
    node.fill("lobby", 40).await;
    let browser = Browser::start().await;
    browser.run_on_new_pages(NOTIFICATION).await;
    browser.open(&format!("http://localhost:{}/lobby", node.address().port())).await;
    browser.type_into("#sender", "ada").await;
    browser.complete().await;
    browser.click("button.ask").await;
    browser.until("return Boolean(document.querySelector('dialog.help[open] .notices select'))").await;
    assert_eq!(
        browser.run("return [window.asked, document.querySelector('.notices select').value]").await,
        json!([0, ""])
    );
    set_hidden(&browser, true).await;
    node.post("lobby", "mason", "ada: not asked for").await;
    browser.messages_up_to("ada: not asked for").await;
    wait_for_title(&browser, "(1) lobby · tiny-chat").await;
    browser.run("window.answer = 'denied'").await;
    assert_eq!(choose_notifications(&browser, "all").await, "", "the browser denied permission");
    browser.run("window.answer = 'granted'").await;
    assert_eq!(choose_notifications(&browser, "mentions").await, "mentions");
    node.post("lobby", "mason", "nobody is called").await;
    node.post("lobby", "mason", "Ada, come").await;
    browser.until("return window.shown.length > 0").await;
    assert_eq!(choose_notifications(&browser, "all").await, "all");
    node.post("garden", "mason", "roses").await;
    browser.until("return window.shown.length > 1").await;
    browser.run("document.querySelector('dialog.help').close()").await;
    set_hidden(&browser, false).await;
    node.post("lobby", "mason", "ada, in sight").await;
    browser.messages_up_to("ada, in sight").await;
    browser.run("document.querySelector('.messages').scrollTop = 0").await;
    browser.until("return !document.querySelector('.messages').classList.contains('following')").await;
    node.post("lobby", "mason", "ada, below").await;
    browser.messages_up_to("ada, below").await;
    set_hidden(&browser, true).await;
    browser.run("document.querySelector('#message').value = 'ada, by myself'; document.querySelector('form.composer').requestSubmit()").await;
    browser.messages_up_to("ada, by myself").await;
    node.post("lobby", "mason", "the last").await;
    browser.until("return window.shown.at(-1).endsWith('the last')").await;
    let expected = ["mason in lobby: Ada, come", "mason in garden: roses", "mason in lobby: the last"];
    assert_eq!(browser.run("return window.shown").await, json!(expected));
    assert_eq!(browser.console().await, [""; 0]);
}
