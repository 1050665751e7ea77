//! One stream per browser: of its tabs one leads and holds the stream for all, and another takes over when it goes.
//! Web Locks decide which tab leads; on plain HTTP there are none, and a lease in storage decides.

use std::time::Duration;

use tokio::{sync::watch, task::JoinHandle};

use super::{HEARTBEAT, shown_texts};
use crate::support::{Browser, Node, wait_for};

/// Starts a browser, and returns it with an address of the node that is a secure context there, or is not.
async fn browser_and_site(node: &Node, trusted: bool) -> (Browser, String) {
    let port = node.address().port();
    if trusted {
        return (Browser::start().await, format!("http://localhost:{port}"));
    }
    let rules = "--host-resolver-rules=MAP chat.test 127.0.0.1";
    (Browser::with(&[rules], serde_json::json!({})).await, format!("http://chat.test:{port}"))
}

/// Waits until the node holds one stream.
async fn wait_for_one_stream(node: &Node) {
    wait_for("one stream only", async || (node.open_streams().await == 1.0).then_some(())).await;
}

/// Returns the texts of the messages with these numbers.
fn numbered_texts(numbers: std::ops::RangeInclusive<usize>) -> Vec<String> {
    numbers.map(|number| format!("message {number}")).collect()
}

/// Opens eight tabs on three rooms, with Web Locks or without: they hold one stream, and each shows its messages.
async fn eight_tabs_share_a_stream(trusted: bool) {
    let node = Node::start(&[HEARTBEAT]).await;
    let (browser, site) = browser_and_site(&node, trusted).await;
    browser.open(&format!("{site}/lobby")).await;
    assert_eq!(browser.run("return isSecureContext && 'locks' in navigator").await, trusted);
    let mut tabs = vec![browser.current_tab().await];
    browser.live().await;
    for room in ["lobby", "garden", "lobby", "attic", "lobby", "garden", "lobby"] {
        tabs.push(browser.open_tab(&format!("{site}/{room}")).await);
        browser.live().await;
    }
    wait_for_one_stream(&node).await;
    for room in ["lobby", "garden", "attic"] {
        node.post(room, "mason", room).await;
    }
    for tab in &tabs {
        browser.switch_to(tab).await;
        let room = browser.text("h1").await;
        browser.messages_up_to(&room).await;
        assert_eq!(shown_texts(&browser).await, [room]);
    }
    browser.send("ada", "from the last tab").await;
    browser.messages_up_to("from the last tab").await;
    browser.switch_to(&tabs[1]).await;
    browser.messages_up_to("from the last tab").await;
    // On a busy machine the leading tab may just have opened its stream anew; any other tab would keep its own.
    wait_for_one_stream(&node).await;
    assert_eq!(browser.console().await, [""; 0]);
}

#[tokio::test]
async fn eight_tabs_share_one_stream() {
    eight_tabs_share_a_stream(true).await;
}

#[tokio::test]
async fn eight_tabs_share_one_stream_without_web_locks() {
    eight_tabs_share_a_stream(false).await;
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

/// How the leading tab ends.
enum LeaderEnd {
    Closed,
    NavigatedAway,
    Crashed,
    Frozen,
    Stalled,
}

/// Defines `stall()`, which stops the timers and the stream of the page, but not its BroadcastChannel. Chromium leaves a
/// frozen tab in this state.
const ALLOW_STALLING: &str = "let stalled = false;
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

/// Pings the leader twice a second, as many tabs would, so that its answers reach each tab before that gives it up.
const PING_OFTEN: &str = "const channel = new BroadcastChannel('tiny-chat');
    setInterval(() => channel.postMessage({ request: 'ping', tab: 'another', room: 'lobby', name: '' }), 500);";

/// Ends the leading tab while messages arrive: the other two show each message once, in order, and hold one stream.
async fn another_tab_takes_over(trusted: bool, end: LeaderEnd) {
    let node = Node::start(&[HEARTBEAT]).await;
    let (browser, site) = browser_and_site(&node, trusted).await;
    let room = format!("{site}/lobby");
    if matches!(end, LeaderEnd::Stalled) {
        browser.run_on_new_pages(ALLOW_STALLING).await;
    }
    browser.open(&room).await;
    browser.live().await;
    let second = browser.open_tab(&room).await;
    let first = browser.tab_other_than(&second).await;
    let third = browser.open_tab(&room).await;
    browser.live().await;
    wait_for_one_stream(&node).await;
    let chatter = Chatter::start(&node);
    browser.until("return document.querySelectorAll('.message').length > 5").await;
    if matches!(end, LeaderEnd::Stalled) {
        browser.run(PING_OFTEN).await;
    }
    browser.switch_to(&first).await;
    match end {
        LeaderEnd::Closed => browser.close_tab().await,
        LeaderEnd::NavigatedAway => browser.leave().await,
        LeaderEnd::Crashed => browser.crash_tab().await,
        LeaderEnd::Frozen => browser.freeze().await,
        LeaderEnd::Stalled => drop(browser.run("stall()").await),
    }
    let newest = node.newest("lobby").await["message"].as_str().expect("a text").replace("message ", "");
    let newest: usize = newest.parse().expect("a number");
    browser.switch_to(&third).await;
    let shown = "[...document.querySelectorAll('.message .text')].at(-1).textContent.replace('message ', '')";
    let further = MAX_CHATTER.min(newest + 21); // there may be no more of them, if the machine is slow
    browser.until(&format!("return Number({shown}) >= {further}")).await;
    let said = chatter.end().await;
    assert!(said <= MAX_CHATTER, "{said} messages are too many for a page");
    node.post("lobby", "mason", "the last").await;
    for tab in [&second, &third] {
        browser.switch_to(tab).await;
        browser.messages_up_to("the last").await;
        let mut expected = numbered_texts(1..=said);
        expected.push("the last".to_owned());
        assert_eq!(shown_texts(&browser).await, expected);
        assert_eq!(browser.run("return document.querySelectorAll('p.gap').length").await, 0);
    }
    if !matches!(end, LeaderEnd::Frozen) {
        wait_for_one_stream(&node).await;
    }
    browser.send("ada", "who takes this?").await;
    browser.switch_to(&second).await;
    browser.messages_up_to("who takes this?").await;
}

#[tokio::test]
async fn another_tab_takes_over_from_a_closed_leader() {
    another_tab_takes_over(true, LeaderEnd::Closed).await;
}

#[tokio::test]
async fn another_tab_takes_over_from_a_closed_leader_without_locks() {
    another_tab_takes_over(false, LeaderEnd::Closed).await;
}

#[tokio::test]
async fn another_tab_takes_over_from_a_leader_that_navigates_away() {
    another_tab_takes_over(false, LeaderEnd::NavigatedAway).await;
}

#[tokio::test]
async fn another_tab_takes_over_from_a_crashed_leader() {
    another_tab_takes_over(true, LeaderEnd::Crashed).await;
}

#[tokio::test]
async fn another_tab_takes_over_from_a_crashed_leader_without_locks() {
    another_tab_takes_over(false, LeaderEnd::Crashed).await;
}

#[tokio::test]
async fn another_tab_takes_over_from_a_frozen_leader() {
    another_tab_takes_over(true, LeaderEnd::Frozen).await;
}

#[tokio::test]
async fn another_tab_takes_over_from_a_stalled_leader_that_answers() {
    another_tab_takes_over(true, LeaderEnd::Stalled).await;
}

/// A tab that opens while messages arrive loads those between its page and the stream of the leader.
#[tokio::test]
async fn joining_tab_neither_misses_nor_repeats_messages() {
    let node = Node::start(&[HEARTBEAT]).await;
    let (browser, site) = browser_and_site(&node, true).await;
    let room = format!("{site}/lobby");
    browser.open(&room).await;
    browser.live().await;
    let chatter = Chatter::start(&node);
    for _ in 0..4 {
        browser.open_tab(&room).await;
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
