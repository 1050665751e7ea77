//! The status line, which shows the state of the connection, and the line in the log where messages are missing.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{HEARTBEAT, shown_texts};
use crate::support::{Browser, Node, Proxy, Redis, Stream, free_port, key};

/// Keeps every state that the status line shows, from the first.
const RECORDED: &str = "window.states = [];
    new MutationObserver(() => {
        const line = document.querySelector('p.status');
        const said = line && line.dataset.state && `${line.dataset.state}: ${line.textContent.replace(/ (\\d+ s|…) .*/, '')}`;
        if (said && window.states.at(-1) !== said) window.states.push(said);
    }).observe(document, { subtree: true, childList: true, attributes: true, characterData: true });";

async fn count(browser: &Browser, selector: &str) -> serde_json::Value {
    browser.run(&format!("return document.querySelectorAll('{selector}').length")).await
}

/// Seconds to the next attempt, as the page counts them.
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
    browser.before(RECORDED).await;
    browser.open(&node.url("/lobby")).await;
    assert_eq!(browser.status("live").await, "Live on chat-7");
    assert_eq!(
        browser.run("return window.states").await,
        json!(["connecting: Connecting…", "live: Live on chat-7"])
    );
    assert_eq!(count(&browser, "p.status button").await, 0, "nothing to do while all is well");
    assert_eq!(browser.console().await, [""; 0]);
}

/// The first failure may be over in a moment; from the second on the page is offline. It waits longer each time, and tells
/// how long; with chance out of the way 5, 10, 20 and 30 seconds.
#[tokio::test]
async fn offline_page_counts_down_and_reconnects_on_demand() {
    let node = Node::start(&[HEARTBEAT, ("NODE", "chat-1")]).await;
    let proxy = Proxy::to(node.address()).await;
    let browser = Browser::start().await;
    browser.open(&proxy.url("/lobby")).await;
    browser.whole().await;
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
    assert!(then.elapsed() < Duration::from_secs(left - 5), "the button did nothing, the time did");
    assert_eq!(count(&browser, "p.status button").await, 0);
    node.post("lobby", "mason", "welcome back").await;
    browser.lines_to("welcome back").await;
    let console = browser.console().await;
    assert!(console.iter().all(|line| line.contains("net::ERR_")), "{console:?}");
}

/// What the operating system says of the network is heard at once, both ways.
#[tokio::test]
async fn page_is_offline_while_the_browser_has_no_network() {
    let node = Node::start(&[]).await;
    let browser = Browser::start().await;
    browser.open(&node.url("/lobby")).await;
    browser.whole().await;
    browser.run("Math.random = () => 0.9999").await;
    browser.network(false).await;
    browser.status("offline").await;
    browser.say("ada", "into the blue").await;
    browser.pending_are(&["into the blue"]).await;
    browser
        .until(
            "document.querySelector('p.status button').click();
        return parseInt(document.querySelector('p.status .left').textContent) > 25",
        )
        .await; // a long way to the next attempt
    let then = Instant::now();
    browser.network(true).await;
    browser.live().await;
    assert!(then.elapsed() < Duration::from_secs(20), "it waited for its turn");
    browser.lines_to("into the blue").await;
}

/// A network that swallows everything closes nothing: only heartbeats that do not come tell of it.
#[tokio::test]
async fn missing_heartbeats_reveal_a_dead_stream() {
    let node = Node::start(&[HEARTBEAT]).await;
    let (proxy, browser) = Browser::cuttable(&node, "before").await;
    proxy.silence();
    let then = Instant::now();
    node.post("lobby", "mason", "meanwhile").await;
    browser.status("reconnecting").await;
    assert!(then.elapsed() < Duration::from_secs(40), "the interval that the node tells is not heeded");
    assert_eq!(shown_texts(&browser).await, ["before"]);
    proxy.restore();
    browser.live().await;
    node.post("lobby", "mason", "after").await;
    browser.lines_to("after").await;
    assert_eq!(shown_texts(&browser).await, ["before", "meanwhile", "after"]);
}

/// After sleep no timer has run, and the clock has moved on: a page that is looked at again does not wait for a timer.
#[tokio::test]
async fn waking_page_replaces_an_overdue_stream() {
    let node = Node::start(&[("HEARTBEAT", "60")]).await;
    let browser = Browser::start().await;
    let counted = "window.EventSource = class extends EventSource {
        constructor(...about) { super(...about); window.opened = 1 + (window.opened ?? 0); }
    }";
    browser.before(counted).await;
    browser.open(&node.url("/lobby")).await;
    browser.whole().await;
    let wakes = |event: &str| format!("const before = opened; {event}; return opened - before");
    let looked_at = "document.dispatchEvent(new Event('visibilitychange'))";
    assert_eq!(browser.run(&wakes(looked_at)).await, 0, "all was well");
    browser.run("const now = Date.now; let slept = 0; Date.now = () => now() + slept; window.sleep = () => (slept += 3_600_000)").await;
    for event in [looked_at, "window.dispatchEvent(new Event('online'))"] {
        // In one step: awake, the page finds out by itself, too.
        assert_eq!(browser.run(&wakes(&format!("sleep(); {event}"))).await, 1, "{event}");
        browser.live().await;
        let text = format!("good morning {}", event.len());
        node.post("lobby", "mason", &text).await;
        browser.lines_to(&text).await;
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
    browser.lines_to("message 3").await;
    node.post("lobby", "mason", "message 4").await;
    browser.lines_to("message 4").await;
    assert_eq!(shown_texts(&browser).await, ["message 1", "message 2", "message 3", "message 4"]);
    assert_eq!(count(&browser, "p.gap").await, 0);
}

#[tokio::test]
async fn missing_messages_are_marked_once_in_the_log() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[HEARTBEAT]).await;
    let (proxy, browser) = Browser::cuttable(&node, "before").await;
    proxy.cut();
    browser.status("reconnecting").await;
    for text in ["lost", "lost too", "kept"] {
        node.post("lobby", "mason", text).await;
    }
    let _: u64 = redis.cmd(&["XTRIM", &key("lobby"), "MAXLEN", "1"]).await;
    proxy.restore();
    browser.live().await;
    browser.lines_to("kept").await;
    let log = "return [...document.querySelectorAll('.lines > :is(.message, .gap)')].map((line) =>
        line.matches('.gap') ? `gap: ${line.dataset.reason}` : line.querySelector('.text').textContent)";
    assert_eq!(browser.run(log).await, json!(["before", "gap: trimmed", "kept"]));
    assert!(browser.text("p.gap").await.starts_with("Messages are missing here"));
    assert_eq!(browser.status("live").await, browser.text("p.status").await, "the line of the log is no state");
}

/// `backoff`: a node without room for another reader says so, and is asked again later.
#[tokio::test]
async fn page_reports_a_full_node_and_connects_when_there_is_room() {
    let node = Node::start(&[("MAX_STREAMS", "1"), ("NODE", "chat-1")]).await;
    let reader = Stream::live(&node, "lobby").await;
    let browser = Browser::start().await;
    browser.before("Math.random = () => 0").await;
    browser.open(&node.url("/lobby")).await;
    let says = browser.status("reconnecting").await;
    assert!(says.starts_with("chat-1 is full; trying again soon…") && says.contains("Reconnect now"), "{says}");
    drop(reader);
    assert_eq!(browser.status("live").await, "Live on chat-1");
}

/// A deploy: the node sends its readers away, and the page names the one that takes its place.
#[tokio::test]
async fn page_moves_on_from_a_node_that_shuts_down() {
    let redis = Redis::start().await;
    let bind = format!("127.0.0.1:{}", free_port());
    let mut old = Node::on(&redis, &[("BIND", &bind), ("NODE", "chat-1"), ("DRAIN", "1")]).await;
    let browser = Browser::start().await;
    browser.before(RECORDED).await;
    browser.open(&old.url("/lobby")).await;
    browser.whole().await;
    browser.say("ada", "before").await;
    browser.lines_to("before").await;
    old.terminate();
    old.exit().await;
    let new = Node::on(&redis, &[("BIND", &bind), ("NODE", "chat-2")]).await;
    browser.until("return document.querySelector('p.status').textContent === 'Live on chat-2'").await;
    let states = browser.run("return window.states.join('; ')").await;
    assert!(states.as_str().is_some_and(|all| all.contains("chat-1 is closing; moving on…")), "{states}");
    new.post("lobby", "mason", "after").await;
    browser.lines_to("after").await;
    assert_eq!(shown_texts(&browser).await, ["before", "after"]);
}
