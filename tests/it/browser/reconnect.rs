//! The page reconnects when its connection, its node or the message store was lost, and misses no message.

use super::{HEARTBEAT, assert_once, texts};
use crate::support::{Browser, BrowserKind, Node, Proxy, Redis, free_port, in_both_browsers, key};

in_both_browsers!(page_reconnects_to_a_restarted_node);

#[tokio::test]
async fn page_reconnects_after_a_cut_and_misses_nothing() {
    let node = Node::start(&[HEARTBEAT]).await;
    let (proxy, browser) = Browser::behind_proxy(&node, "before").await;
    proxy.cut();
    browser.status("reconnecting").await;
    node.post("lobby", "mason", "meanwhile").await;
    browser.send("ada", "is anybody there?").await;
    browser.open_waiting("1 waiting to be sent").await;
    let waiting = browser.pending_says("Waits to be sent").await;
    assert_eq!(waiting.text, "is anybody there?", "an unsent message stays visible");
    assert_eq!(texts(&browser.messages().await), ["before"]);
    browser.status("offline").await;
    proxy.restore();
    browser.live().await;
    let lines = browser.messages_up_to("is anybody there?").await;
    assert_once(&lines, &["before", "meanwhile", "is anybody there?"]);
    browser.pending_are(&[]).await;
}

/// An `EventSource` does not reconnect after a 503 (WHATWG HTML § 9.2), so the page makes another. It resumes after the
/// last id: the cursor that the page was loaded with is trimmed by then, and would lead to a gap.
#[tokio::test]
async fn page_replaces_an_event_source_that_gave_up_after_a_503() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let proxy = Proxy::to(node.address()).await;
    let browser = Browser::start().await;
    browser.open(&proxy.url("/lobby")).await;
    browser.live().await;
    for text in ["one", "two"] {
        node.post("lobby", "mason", text).await;
    }
    browser.messages_up_to("two").await;
    let trimmed: u64 = redis.cmd(&["XTRIM", &key("lobby"), "MAXLEN", "1"]).await;
    assert_eq!(trimmed, 1);
    proxy.unavailable();
    browser.status("reconnecting").await;
    node.post("lobby", "mason", "meanwhile").await;
    browser.console_has("503").await;
    proxy.restore();
    browser.live().await;
    node.post("lobby", "mason", "after").await;
    assert_once(&browser.messages_up_to("after").await, &["one", "two", "meanwhile", "after"]);
    assert_eq!(browser.run("return document.querySelectorAll('p.gap').length").await, 0);
}

async fn page_reconnects_to_a_restarted_node(kind: BrowserKind) {
    let redis = Redis::start().await;
    let bind = format!("127.0.0.1:{}", free_port());
    let environment = [("BIND", bind.as_str())];
    let mut node = Node::on(&redis, &environment).await;
    let other = Node::on(&redis, &[]).await;
    let browser = kind.start().await;
    browser.open(&node.url("/lobby")).await;
    browser.live().await;
    node.post("lobby", "mason", "before").await;
    browser.messages_up_to("before").await;
    node.kill();
    browser.status("reconnecting").await;
    other.post("lobby", "mason", "meanwhile").await;
    let node = Node::on(&redis, &environment).await;
    browser.live().await;
    node.post("lobby", "mason", "after").await;
    assert_once(&browser.messages_up_to("after").await, &["before", "meanwhile", "after"]);
}

/// The node runs but has lost Redis: the page names the cause, and marks the gap.
#[tokio::test]
async fn page_reports_a_lost_store_and_marks_the_gap() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[HEARTBEAT, ("NODE", "chat-1"), ("HEAL", "off")]).await;
    let browser = Browser::start().await;
    browser.open(&node.url("/lobby")).await;
    browser.live().await;
    browser.send("ada", "before").await;
    browser.messages_up_to("before").await;
    redis.kill();
    assert!(browser.status("storeless").await.contains("chat-1"));
    redis.restart().await;
    browser.live().await;
    browser.send("ada", "after").await;
    browser.messages_up_to("after").await;
    assert_eq!(browser.run("return document.querySelectorAll('p.gap[data-reason=reset]').length").await, 1);
    let order = "const gap = document.querySelector('p.gap');
        return [gap.previousElementSibling, gap.nextElementSibling].map((line) => line.querySelector('.text').textContent)";
    assert_eq!(browser.run(order).await, serde_json::json!(["before", "after"]));
}
