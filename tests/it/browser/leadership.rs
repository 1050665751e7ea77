//! One stream per browser: of its tabs one leads and holds the stream for all, and another takes over when it goes.
//! Web Locks decide which tab leads; on plain HTTP there are none, and a lease in storage decides.

use std::time::Duration;

use tokio::{sync::watch, task::JoinHandle};

use super::{HEARTBEAT, shown_texts};
use crate::support::{Browser, Node, patiently};

/// A browser, and the address of a node as it knows it: one where the page is trusted, or one where it is not.
async fn visitor(node: &Node, trusted: bool) -> (Browser, String) {
    let port = node.address().port();
    if trusted {
        return (Browser::start().await, format!("http://localhost:{port}"));
    }
    let rules = "--host-resolver-rules=MAP chat.test 127.0.0.1";
    (Browser::with(&[rules], serde_json::json!({})).await, format!("http://chat.test:{port}"))
}

/// Waits until the node holds one stream.
async fn one_stream(node: &Node) {
    patiently("one stream only", async || (streams(node).await == 1.0).then_some(())).await;
}

async fn streams(node: &Node) -> f64 {
    node.metric("tiny_chat_streams_open").await.expect("a number")
}

/// A text for each message, told apart by its number.
fn numbered(numbers: std::ops::RangeInclusive<usize>) -> Vec<String> {
    numbers.map(|number| format!("message {number}")).collect()
}

async fn eight_tabs(trusted: bool) {
    let node = Node::start(&[HEARTBEAT]).await;
    let (browser, site) = visitor(&node, trusted).await;
    browser.open(&format!("{site}/lobby")).await;
    assert_eq!(browser.run("return isSecureContext && 'locks' in navigator").await, trusted);
    let mut tabs = vec![browser.here().await];
    browser.live().await;
    for room in ["lobby", "garden", "lobby", "attic", "lobby", "garden", "lobby"] {
        tabs.push(browser.tab(&format!("{site}/{room}")).await);
        browser.live().await;
    }
    one_stream(&node).await;
    for room in ["lobby", "garden", "attic"] {
        node.post(room, "mason", room).await;
    }
    for tab in &tabs {
        browser.to(tab).await;
        let room = browser.text("h1").await;
        browser.lines_to(&room).await;
        assert_eq!(shown_texts(&browser).await, [room]);
    }
    browser.say("ada", "from the last tab").await;
    browser.lines_to("from the last tab").await;
    browser.to(&tabs[1]).await;
    browser.lines_to("from the last tab").await;
    assert_eq!(streams(&node).await, 1.0, "no tab opened another");
    assert_eq!(browser.console().await, [""; 0]);
}

#[tokio::test]
async fn eight_tabs_share_one_stream() {
    eight_tabs(true).await;
}

#[tokio::test]
async fn eight_tabs_share_one_stream_without_web_locks() {
    eight_tabs(false).await;
}

/// Fewer messages than the lines a page keeps (500), so that each of them stays on the page, however slow the machine is.
const MAX_CHATTER: usize = 400;

/// Ten messages a second, until it is stopped or has sent `MAX_CHATTER`.
struct Chatter {
    stop: watch::Sender<bool>,
    task: JoinHandle<usize>,
}

impl Chatter {
    fn start(node: &Node) -> Chatter {
        let (client, url) = (reqwest::Client::new(), node.url("/lobby"));
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let mut number = 0;
            while !*stopped.borrow() && number < MAX_CHATTER {
                number += 1;
                let message = serde_json::json!({ "sender": "mason", "message": format!("message {number}") });
                client.post(&url).json(&message).send().await.expect("an answer");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            number
        });
        Chatter { stop, task }
    }

    /// Sends no more, and returns how many messages it has sent.
    async fn end(self) -> usize {
        self.stop.send_replace(true);
        self.task.await.expect("only what was stored is counted")
    }
}

/// What may befall the tab that leads.
enum End {
    Closed,
    Gone,
    Crashed,
    Frozen,
    Stalled,
}

/// Gives the page a `stall()`: from then on its timers and its stream stand still, but it still answers messages, as
/// a tab does that Chromium froze.
const STALLABLE: &str = "let stalled = false;
    window.stall = () => void (stalled = true);
    const unlessStalled = (act) => (...given) => stalled || act(...given);
    for (const name of ['setTimeout', 'setInterval']) {
        const set = window[name];
        window[name] = (act, ...rest) => set(unlessStalled(act), ...rest);
    }
    window.EventSource = class extends EventSource {
        addEventListener(type, act) {
            super.addEventListener(type, unlessStalled(act));
        }
    };";

/// Asks the leader twice a second, as many tabs would, so that each of its answers comes before a tab gives it up.
const PINGS: &str = "const channel = new BroadcastChannel('tiny-chat');
    setInterval(() => channel.postMessage({ ask: 'ping', tab: 'another', room: 'lobby', name: '' }), 500);";

/// While messages come, the tab that leads ends; the other two show each message once, in order, and hold one stream.
async fn takes_over(trusted: bool, end: End) {
    let node = Node::start(&[HEARTBEAT]).await;
    let (browser, site) = visitor(&node, trusted).await;
    let room = format!("{site}/lobby");
    if matches!(end, End::Stalled) {
        browser.before(STALLABLE).await;
    }
    browser.open(&room).await;
    browser.live().await;
    let second = browser.tab(&room).await;
    let first = browser.other_than(&second).await;
    let third = browser.tab(&room).await;
    browser.live().await;
    one_stream(&node).await;
    let chatter = Chatter::start(&node);
    browser.until("return document.querySelectorAll('.message').length > 5").await;
    if matches!(end, End::Stalled) {
        browser.run(PINGS).await;
    }
    browser.to(&first).await;
    match end {
        End::Closed => browser.close_tab().await,
        End::Gone => browser.leave().await,
        End::Crashed => browser.crash_tab().await,
        End::Frozen => browser.freeze().await,
        End::Stalled => drop(browser.run("stall()").await),
    }
    let newest = node.newest("lobby").await["message"].as_str().expect("a text").replace("message ", "");
    let newest: usize = newest.parse().expect("a number");
    browser.to(&third).await;
    let shown = "[...document.querySelectorAll('.message .text')].at(-1).textContent.replace('message ', '')";
    let further = MAX_CHATTER.min(newest + 21); // there may be no more of them, if the machine is slow
    browser.until(&format!("return Number({shown}) >= {further}")).await;
    let said = chatter.end().await;
    assert!(said <= MAX_CHATTER, "{said} messages are too many for a page");
    node.post("lobby", "mason", "the last").await;
    for tab in [&second, &third] {
        browser.to(tab).await;
        browser.lines_to("the last").await;
        let mut expected = numbered(1..=said);
        expected.push("the last".to_owned());
        assert_eq!(shown_texts(&browser).await, expected);
        assert_eq!(browser.run("return document.querySelectorAll('p.gap').length").await, 0);
    }
    if !matches!(end, End::Frozen) {
        one_stream(&node).await;
    }
    browser.say("ada", "who takes this?").await;
    browser.to(&second).await;
    browser.lines_to("who takes this?").await;
}

#[tokio::test]
async fn another_tab_takes_over_from_a_closed_leader() {
    takes_over(true, End::Closed).await;
}

#[tokio::test]
async fn another_tab_takes_over_from_a_closed_leader_without_locks() {
    takes_over(false, End::Closed).await;
}

#[tokio::test]
async fn another_tab_takes_over_from_a_leader_that_navigates_away() {
    takes_over(false, End::Gone).await;
}

#[tokio::test]
async fn another_tab_takes_over_from_a_crashed_leader() {
    takes_over(true, End::Crashed).await;
}

#[tokio::test]
async fn another_tab_takes_over_from_a_crashed_leader_without_locks() {
    takes_over(false, End::Crashed).await;
}

#[tokio::test]
async fn another_tab_takes_over_from_a_frozen_leader() {
    takes_over(true, End::Frozen).await;
}

#[tokio::test]
async fn another_tab_takes_over_from_a_stalled_leader_that_answers() {
    takes_over(true, End::Stalled).await;
}

/// A tab that opens while messages come fills what it misses between its page and the stream.
#[tokio::test]
async fn joining_tab_neither_misses_nor_repeats_messages() {
    let node = Node::start(&[HEARTBEAT]).await;
    let (browser, site) = visitor(&node, true).await;
    let room = format!("{site}/lobby");
    browser.open(&room).await;
    browser.live().await;
    let chatter = Chatter::start(&node);
    for _ in 0..4 {
        browser.tab(&room).await;
        browser.live().await;
        let now = node.newest("lobby").await["message"].clone();
        browser.until(&format!("return document.querySelector('.lines').textContent.includes({now})")).await;
        let texts = shown_texts(&browser).await;
        let numbers = texts.iter().map(|text| text.trim_start_matches("message ").parse::<usize>().expect("a number"));
        let numbers: Vec<usize> = numbers.collect();
        let first = numbers[0];
        assert!(numbers.iter().copied().eq(first..first + numbers.len()), "{numbers:?}");
    }
    chatter.end().await;
}
