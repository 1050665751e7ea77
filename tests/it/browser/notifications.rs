//! What the page shows outside the log: unread counts, the title, the icon and desktop notifications.

use serde_json::json;

use super::{ROOMS, badge, badge_is};
use crate::support::{Browser, Node, patiently};

async fn title_is(browser: &Browser, expected: &str) {
    patiently(&format!("the title {expected:?}"), async || (browser.title().await == expected).then_some(())).await;
}

async fn icon_is(browser: &Browser, expected: &str) {
    browser
        .until(&format!("return document.querySelector('link[rel=icon]').href.endsWith('/{expected}.svg')"))
        .await;
}

/// Puts the page in front, or something else: without a screen every tab is in front, so it is told otherwise.
async fn hidden(browser: &Browser, hidden: bool) {
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
    browser.write("#sender", "Ada").await;
    browser.whole().await;
    let streamed =
        "return performance.getEntriesByType('resource').some(({ name }) => name.includes('/history/garden'))";
    browser.until(streamed).await;
    patiently("a stream of three rooms", async || {
        node.post("attic", "mason", "are you there?").await;
        (!badge(&browser, "attic").await.is_empty()).then_some(())
    })
    .await;
    assert_eq!(badge(&browser, "garden").await, "", "what was said before the first visit is not news");
    for text in ["one", "adamant"] {
        node.post("garden", "mason", text).await;
    }
    badge_is(&browser, "garden", "2").await;
    node.post("garden", "mason", "where is @ada?").await;
    badge_is(&browser, "garden", "@3").await;
    node.post("garden", "mason", "well").await;
    badge_is(&browser, "garden", "@4").await;
    icon_is(&browser, "icon-mention").await;
    assert_eq!(browser.title().await, "lobby · tiny-chat", "the title is about this room");
    browser.reload().await;
    badge_is(&browser, "garden", "@4").await;
    browser.click("nav[aria-label=Rooms] a[href='/garden']").await;
    browser.until("return location.pathname === '/garden'").await;
    browser.lines_to("well").await;
    browser.live().await;
    browser.open(&node.url("/lobby")).await;
    browser.whole().await;
    badge_is(&browser, "garden", "").await;
    assert_ne!(badge(&browser, "attic").await, "");
    assert_eq!(browser.console().await, [""; 0]);
}

/// A room that is read in one tab is read in all.
#[tokio::test]
async fn reading_a_room_in_one_tab_marks_it_read_in_all_tabs() {
    let node = Node::start(&[ROOMS]).await;
    let browser = Browser::start().await;
    browser.open(&node.url("/garden")).await;
    browser.live().await;
    browser.open(&node.url("/lobby")).await;
    browser.whole().await;
    let lobby = browser.here().await;
    patiently("a badge", async || {
        node.post("garden", "mason", "news").await;
        (!badge(&browser, "garden").await.is_empty()).then_some(())
    })
    .await;
    browser.tab(&node.url("/garden")).await;
    browser.live().await;
    browser.to(&lobby).await;
    badge_is(&browser, "garden", "").await;
}

/// Something else is in front: what is said here is counted until somebody looks.
#[tokio::test]
async fn hidden_tab_counts_unread_in_its_title_and_icon() {
    let node = Node::start(&[ROOMS]).await;
    let browser = Browser::start().await;
    browser.open(&node.url("/lobby")).await;
    browser.write("#sender", "ada").await;
    browser.whole().await;
    hidden(&browser, true).await;
    node.post("lobby", "mason", "one").await;
    title_is(&browser, "(1) lobby · tiny-chat").await;
    icon_is(&browser, "icon-unread").await;
    node.post("lobby", "mason", "ada, look!").await;
    title_is(&browser, "(2) lobby · tiny-chat").await;
    icon_is(&browser, "icon-mention").await;
    hidden(&browser, false).await;
    title_is(&browser, "lobby · tiny-chat").await;
    icon_is(&browser, "icon").await;
    node.post("lobby", "mason", "in sight").await;
    browser.lines_to("in sight").await;
    assert_eq!(browser.title().await, "lobby · tiny-chat");
    assert_eq!(browser.console().await, [""; 0]);
}

/// A stand-in for the browser's own, which has nobody to show anything to.
const NOTIFICATION: &str = "window.shown = []; window.asked = 0;
    window.Notification = class {
        static permission = 'default';
        static async requestPermission() { window.asked += 1; return this.permission = window.answer ?? 'granted'; }
        constructor(title, { body }) { window.shown.push(`${title}: ${body}`); }
        close() {}
    }";

async fn choose(browser: &Browser, choice: &str) -> serde_json::Value {
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
    browser.before(NOTIFICATION).await;
    browser.open(&format!("http://localhost:{}/lobby", node.address().port())).await;
    browser.write("#sender", "ada").await;
    browser.whole().await;
    browser.click("button.ask").await;
    browser.until("return Boolean(document.querySelector('dialog.help[open] .notices select'))").await;
    assert_eq!(
        browser.run("return [window.asked, document.querySelector('.notices select').value]").await,
        json!([0, ""])
    );
    hidden(&browser, true).await;
    node.post("lobby", "mason", "ada: not asked for").await;
    browser.lines_to("ada: not asked for").await;
    title_is(&browser, "(1) lobby · tiny-chat").await;
    browser.run("window.answer = 'denied'").await;
    assert_eq!(choose(&browser, "all").await, "", "the browser does not permit it");
    browser.run("window.answer = 'granted'").await;
    assert_eq!(choose(&browser, "mentions").await, "mentions");
    node.post("lobby", "mason", "nobody is called").await;
    node.post("lobby", "mason", "Ada, come").await;
    browser.until("return window.shown.length > 0").await;
    assert_eq!(choose(&browser, "all").await, "all");
    node.post("garden", "mason", "roses").await;
    browser.until("return window.shown.length > 1").await;
    browser.run("document.querySelector('dialog.help').close()").await;
    hidden(&browser, false).await;
    node.post("lobby", "mason", "ada, in sight").await;
    browser.lines_to("ada, in sight").await;
    browser.run("document.querySelector('.messages').scrollTop = 0").await;
    browser.until("return !document.querySelector('.messages').classList.contains('following')").await;
    node.post("lobby", "mason", "ada, below").await;
    browser.lines_to("ada, below").await;
    hidden(&browser, true).await;
    browser.run("document.querySelector('#message').value = 'ada, by myself'; document.querySelector('form.composer').requestSubmit()").await;
    browser.lines_to("ada, by myself").await;
    node.post("lobby", "mason", "the last").await;
    browser.until("return window.shown.at(-1).endsWith('the last')").await;
    let expected = ["mason in lobby: Ada, come", "mason in garden: roses", "mason in lobby: the last"];
    assert_eq!(browser.run("return window.shown").await, json!(expected));
    assert_eq!(browser.console().await, [""; 0]);
}
