//! The status line, which shows the state of the connection, and the line in the log where messages are missing.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{HEARTBEAT, shown_texts};
use crate::support::{Browser, LoadBalancer, Node, Proxy, Redis, Stream, free_port, key, wait_for};

/// Records every state that the status line shows, from the first.
const RECORD_STATES: &str = "window.states = [];
    new MutationObserver(() => {
        const line = document.querySelector('p.status');
        const said = line && line.dataset.state && `${line.dataset.state}: ${line.textContent.replace(/ (\\d+ s|…) .*/, '')}`;
        if (said && window.states.at(-1) !== said) window.states.push(said);
    }).observe(document, { subtree: true, childList: true, attributes: true, characterData: true });";

/// Counts the elements that match a selector.
async fn count(browser: &Browser, selector: &str) -> serde_json::Value {
    browser.run(&format!("return document.querySelectorAll('{selector}').length")).await
}

/// Returns the seconds to the next attempt that the page shows.
async fn countdown(browser: &Browser) -> u64 {
    let text = browser.text("p.status .left").await;
    text.strip_suffix(" s")
        .and_then(|seconds| seconds.parse().ok())
        .unwrap_or_else(|| panic!("{text:?} counts nothing"))
}

#[tokio::test]
async fn status_goes_from_connecting_to_live_on_the_named_node() {
    let node = Node::start(&[("NODE", "chat-7")]).await;
    let browser = Browser::start().await;
    browser.run_on_new_pages(RECORD_STATES).await;
    browser.open(&node.url("/lobby")).await;
    assert_eq!(browser.status("live").await, "Live on chat-7");
    assert_eq!(
        browser.run("return window.states").await,
        json!(["connecting: Connecting…", "live: Live on chat-7"])
    );
    assert_eq!(count(&browser, "p.status button").await, 0, "a live page offers no button");
    assert_eq!(browser.console().await, [""; 0]);
}

/// The page does not say that its node closes, since it is live on another one at once.
#[tokio::test]
async fn page_moves_to_another_node_at_a_drain_without_a_flicker() {
    let redis = Redis::start().await;
    let node = async |name| Node::on(&redis, &[("NODE", name), ("DRAIN", "1"), ("DRAIN_GRACE", "0")]).await;
    let nodes = [node("chat-1").await, node("chat-2").await];
    let balancer = LoadBalancer::start(nodes.iter().map(Node::address).collect()).await;
    let browser = Browser::start().await;
    browser.run_on_new_pages(RECORD_STATES).await;
    browser.open(&balancer.url("/lobby")).await;
    let before = browser.status("live").await;
    let (leaving, after) = if before == "Live on chat-1" {
        (&nodes[0], "Live on chat-2")
    } else {
        (&nodes[1], "Live on chat-1")
    };
    leaving.terminate();
    wait_for("the other node", async || (browser.status("live").await == after).then_some(())).await;
    browser.send("ada", "still there").await;
    browser.messages_up_to("still there").await;
    let states = browser.run("return window.states.slice(1)").await; // without "Connecting…"
    let mut states = states.as_array().expect("a list").iter().filter_map(|state| state.as_str());
    assert!(states.all(|state| state.starts_with("live: Live on chat-")), "{states:?}");
}

/// After the first failure the page is reconnecting, from the second on it is offline. It shows how long it waits: without
/// jitter 5, 10, 20, and then 30 seconds.
#[tokio::test]
async fn offline_page_counts_down_and_reconnects_on_demand() {
    let node = Node::start(&[HEARTBEAT, ("NODE", "chat-1")]).await;
    let proxy = Proxy::to(node.address()).await;
    let browser = Browser::start().await;
    browser.open(&proxy.url("/lobby")).await;
    browser.complete().await;
    browser.run("Math.random = () => 0.9999").await;
    proxy.cut();
    assert!(browser.status("reconnecting").await.starts_with("Lost chat-1; reconnecting…"));
    assert!(countdown(&browser).await <= 5);
    for longest in [10, 20, 30] {
        let before = browser.run("return document.querySelector('p.status .left').textContent").await;
        browser.click("p.status button").await;
        let changed = format!(
            "const [left] = document.querySelector('p.status .left').textContent.split(' ');
            return left !== '{before}' && left > {}",
            longest / 2
        );
        browser.until(&changed).await;
        assert!(countdown(&browser).await <= longest);
        assert!(browser.status("offline").await.starts_with("Offline: chat-1 cannot be reached."));
    }
    let (then, left) = (Instant::now(), countdown(&browser).await);
    browser
        .until(&format!("return document.querySelector('p.status .left').textContent === '{} s'", left - 2))
        .await;
    proxy.restore();
    assert_eq!(browser.text("p.status button").await, "Reconnect now");
    browser.click("p.status button").await;
    assert_eq!(browser.status("live").await, "Live on chat-1");
    assert!(
        then.elapsed() < Duration::from_secs(left - 5),
        "the page waited for its timer instead of the button"
    );
    assert_eq!(count(&browser, "p.status button").await, 0);
    node.post("lobby", "mason", "welcome back").await;
    browser.messages_up_to("welcome back").await;
    let console = browser.console().await;
    assert!(console.iter().all(|line| line.contains("net::ERR_")), "{console:?}");
}

/// The page reacts at once to the `offline` and `online` events of the browser.
#[tokio::test]
async fn page_is_offline_while_the_browser_has_no_network() {
    let node = Node::start(&[]).await;
    let browser = Browser::in_lobby(&node).await;
    browser.run("Math.random = () => 0.9999").await;
    browser.set_network(false).await;
    browser.status("offline").await;
    browser.send("ada", "into the blue").await;
    browser.pending_are(&["into the blue"]).await;
    browser
        .until(
            "document.querySelector('p.status button').click();
        return parseInt(document.querySelector('p.status .left').textContent) > 25",
        )
        .await; // the next attempt is far away
    let then = Instant::now();
    browser.set_network(true).await;
    browser.live().await;
    assert!(then.elapsed() < Duration::from_secs(20), "the page waited for its next attempt");
    browser.messages_up_to("into the blue").await;
}

/// A network that drops every packet closes no connection; only the missing heartbeats reveal it.
#[tokio::test]
async fn missing_heartbeats_reveal_a_dead_stream() {
    let node = Node::start(&[HEARTBEAT]).await;
    let (proxy, browser) = Browser::behind_proxy(&node, "before").await;
    proxy.silence();
    let then = Instant::now();
    node.post("lobby", "mason", "meanwhile").await;
    browser.status("reconnecting").await;
    assert!(then.elapsed() < Duration::from_secs(40), "the page ignores the heartbeat interval of the node");
    assert_eq!(shown_texts(&browser).await, ["before"]);
    proxy.restore();
    browser.live().await;
    node.post("lobby", "mason", "after").await;
    browser.messages_up_to("after").await;
    assert_eq!(shown_texts(&browser).await, ["before", "meanwhile", "after"]);
}

/// After sleep the clock has moved on, but no timer has run: a page that becomes visible does not wait for one.
#[tokio::test]
async fn waking_page_replaces_an_overdue_stream() {
    let node = Node::start(&[("HEARTBEAT", "60")]).await;
    let browser = Browser::start().await;
    let counted = "window.EventSource = class extends EventSource {
        constructor(...about) { super(...about); window.opened = 1 + (window.opened ?? 0); }
    }";
    browser.run_on_new_pages(counted).await;
    browser.open(&node.url("/lobby")).await;
    browser.complete().await;
    let wakes = |event: &str| format!("const before = opened; {event}; return opened - before");
    let looked_at = "document.dispatchEvent(new Event('visibilitychange'))";
    assert_eq!(browser.run(&wakes(looked_at)).await, 0, "the stream was not overdue");
    browser.run("const now = Date.now; let slept = 0; Date.now = () => now() + slept; window.sleep = () => (slept += 3_600_000)").await;
    for event in [looked_at, "window.dispatchEvent(new Event('online'))"] {
        // In one step, since the timer of the page would notice it soon.
        assert_eq!(browser.run(&wakes(&format!("sleep(); {event}"))).await, 1, "{event}");
        browser.live().await;
        let text = format!("good morning {}", event.len());
        node.post("lobby", "mason", &text).await;
        browser.messages_up_to(&text).await;
    }
}

#[tokio::test]
async fn page_loaded_without_a_store_fills_up_when_it_is_back() {
    let mut redis = Redis::durable().await;
    let node = Node::on(&redis, &[HEARTBEAT, ("NODE", "chat-1")]).await;
    node.fill("lobby", 3).await;
    redis.kill();
    let browser = Browser::start().await;
    browser.open(&node.url("/lobby")).await;
    let says = "return document.querySelector('p.status').textContent === 'chat-1 has lost its message store; waiting for it…'";
    browser.until(says).await;
    assert_eq!(browser.status("storeless").await, browser.text("p.status").await);
    assert_eq!(shown_texts(&browser).await, [""; 0]);
    redis.restart().await;
    browser.live().await;
    browser.messages_up_to("message 3").await;
    node.post("lobby", "mason", "message 4").await;
    browser.messages_up_to("message 4").await;
    assert_eq!(shown_texts(&browser).await, ["message 1", "message 2", "message 3", "message 4"]);
    assert_eq!(count(&browser, "p.gap").await, 0);
}

#[tokio::test]
async fn missing_messages_are_marked_once_in_the_log() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[HEARTBEAT]).await;
    let (proxy, browser) = Browser::behind_proxy(&node, "before").await;
    proxy.cut();
    browser.status("reconnecting").await;
    for text in ["lost", "lost too", "kept"] {
        node.post("lobby", "mason", text).await;
    }
    let _: u64 = redis.cmd(&["XTRIM", &key("lobby"), "MAXLEN", "1"]).await;
    proxy.restore();
    browser.live().await;
    browser.messages_up_to("kept").await;
    let log = "return [...document.querySelectorAll('.lines > :is(.message, .gap)')].map((line) =>
        line.matches('.gap') ? `gap: ${line.dataset.reason}` : line.querySelector('.text').textContent)";
    assert_eq!(browser.run(log).await, json!(["before", "gap: trimmed", "kept"]));
    assert!(browser.text("p.gap").await.starts_with("Messages are missing here"));
    assert_eq!(
        browser.status("live").await,
        browser.text("p.status").await,
        "the line in the log is not the status line"
    );
}

/// A full node sends `backoff`, and the page tries again later.
#[tokio::test]
async fn page_reports_a_full_node_and_connects_when_there_is_room() {
    let node = Node::start(&[("MAX_STREAMS", "1"), ("NODE", "chat-1")]).await;
    let reader = Stream::live(&node, "lobby").await;
    let browser = Browser::start().await;
    browser.run_on_new_pages("Math.random = () => 0").await;
    browser.open(&node.url("/lobby")).await;
    let says = browser.status("reconnecting").await;
    assert!(says.starts_with("chat-1 is full; trying again soon…") && says.contains("Reconnect now"), "{says}");
    drop(reader);
    assert_eq!(browser.status("live").await, "Live on chat-1");
}

/// On a deploy the node closes its streams, and the page names the node that replaces it.
#[tokio::test]
async fn page_moves_on_from_a_node_that_shuts_down() {
    let redis = Redis::start().await;
    let bind = format!("127.0.0.1:{}", free_port());
    let mut old = Node::on(&redis, &[("BIND", &bind), ("NODE", "chat-1"), ("DRAIN", "1")]).await;
    let browser = Browser::start().await;
    browser.open(&old.url("/lobby")).await;
    browser.complete().await;
    browser.send("ada", "before").await;
    browser.messages_up_to("before").await;
    old.terminate();
    old.exit().await;
    let new = Node::on(&redis, &[("BIND", &bind), ("NODE", "chat-2")]).await;
    browser.until("return document.querySelector('p.status').textContent === 'Live on chat-2'").await;
    new.post("lobby", "mason", "after").await;
    browser.messages_up_to("after").await;
    assert_eq!(shown_texts(&browser).await, ["before", "after"]);
}
