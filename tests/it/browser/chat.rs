//! Conversations on the page, in real browsers: two people on two nodes, reloads, rooms and presence.

use serde_json::json;

use super::assert_once;
use crate::support::{Browser, BrowserKind, Node, Redis, in_both_browsers};

in_both_browsers! {
    two_people_chat_through_two_nodes,
    reload_keeps_the_name_and_shows_every_message_once,
}

async fn two_people_chat_through_two_nodes(kind: BrowserKind) {
    let redis = Redis::start().await;
    let one = Node::on(&redis, &[("NODE", "chat-1")]).await;
    let two = Node::on(&redis, &[("NODE", "chat-2")]).await;
    let (ada, bob) = tokio::join!(kind.start(), kind.start());
    ada.open(&one.url("/lobby")).await;
    bob.open(&two.url("/lobby")).await;
    assert_eq!(ada.status("live").await, "Live on chat-1");
    assert_eq!(bob.status("live").await, "Live on chat-2");
    ada.send("ada", "hello, bob").await;
    bob.messages_up_to("hello, bob").await;
    bob.send("bob", "hello, ada").await;
    let seen = ada.messages_up_to("hello, ada").await;
    assert_once(&seen, &["hello, bob", "hello, ada"]);
    assert_eq!(bob.messages_up_to("hello, ada").await, seen);
    assert_eq!((seen[0].sender.as_str(), seen[1].sender.as_str()), ("ada", "bob"));
    assert!(seen.iter().all(|line| line.time.ends_with('Z')), "{seen:?}");
    assert_eq!(ada.value("#message").await, "", "a sent message is removed from the box");
    for browser in [ada, bob] {
        assert_eq!(browser.console().await, [""; 0]);
    }
}

async fn reload_keeps_the_name_and_shows_every_message_once(kind: BrowserKind) {
    let node = Node::start(&[]).await;
    let browser = kind.start().await;
    browser.open(&node.url("/lobby")).await;
    browser.live().await;
    browser.send("Zoë", "one").await;
    browser.messages_up_to("one").await;
    browser.send("Zoë", "two").await;
    let before = browser.messages_up_to("two").await;
    browser.reload().await;
    browser.live().await;
    assert_eq!(browser.value("#sender").await, "Zoë");
    assert_eq!(browser.messages().await, before);
    browser.send("Zoë", "three").await;
    assert_once(&browser.messages_up_to("three").await, &["one", "two", "three"]);
    assert_eq!(browser.console().await, [""; 0]);
}

#[tokio::test]
async fn a_link_or_a_typed_name_opens_another_room() {
    let node = Node::start(&[("ROOMS", "everyone,garden")]).await;
    let browser = Browser::start().await;
    browser.open(&node.url("/")).await;
    browser.live().await;
    let current = "nav[aria-label=Rooms] a[aria-current=page]";
    assert_eq!(browser.text(current).await, "everyone");
    browser.click("nav[aria-label=Rooms] a[href='/garden']").await;
    browser.until("return location.pathname === '/garden'").await;
    browser.live().await;
    assert_eq!((browser.path().await.as_str(), browser.text(current).await.as_str()), ("/garden", "garden"));
    browser.type_into("#room", "café-ночь\n").await;
    browser.until("return document.querySelector('h1').textContent === 'café-ночь'").await;
    browser.live().await;
    browser.send("ada", "only here").await;
    browser.messages_up_to("only here").await;
    assert_eq!(node.newest("caf%C3%A9-%D0%BD%D0%BE%D1%87%D1%8C").await["message"], "only here");
    assert_eq!(browser.console().await, [""; 0]);
}

/// Plain HTTP under a host name is no secure context: `crypto.randomUUID` is missing there, and nothing may need it.
#[tokio::test]
async fn page_works_on_plain_http_under_any_host_name() {
    let node = Node::start(&[]).await;
    let rules = "--host-resolver-rules=MAP chat.test 127.0.0.1";
    let browser = Browser::with(&[rules], serde_json::json!({})).await;
    browser.open(&format!("http://chat.test:{}/lobby", node.address().port())).await;
    browser.live().await;
    assert_eq!(browser.run("return isSecureContext").await, false);
    browser.send("ada", "no secrets here").await;
    browser.messages_up_to("no secrets here").await;
    let details = browser.open_details("no secrets here").await;
    assert!(details[0].starts_with("Taken by") && details[1].contains("from Send"), "{details:?}");
    assert_eq!(browser.console().await, [""; 0]);
}

#[tokio::test]
async fn presence_is_shown_across_nodes() {
    let redis = Redis::start().await;
    let environment = [("HEARTBEAT", "1")];
    let (one, two) = (Node::on(&redis, &environment).await, Node::on(&redis, &environment).await);
    let (ada, bob) = tokio::join!(Browser::start(), Browser::start());
    for (browser, node, name) in [(&ada, &one, "ada"), (&bob, &two, "<bob> & co")] {
        browser.open(&node.url("/lobby")).await;
        browser.type_into("#sender", name).await;
        browser.complete().await;
    }
    let says = |count: usize, names: &[&str]| {
        let names = json!(names);
        format!(
            "const people = document.querySelector('.people');
            const names = [...people.querySelectorAll('li')].map((each) => each.textContent);
            return !people.hidden && people.querySelector('button').textContent === '{count} here'
                && JSON.stringify(names) === JSON.stringify({names})"
        )
    };
    for browser in [&ada, &bob] {
        browser.until(&says(2, &["<bob> & co", "ada"])).await;
    }
    let lobby = bob.current_tab().await;
    bob.open_tab(&two.url("/lobby")).await;
    bob.complete().await;
    bob.until(&says(2, &["<bob> & co", "ada"])).await;
    bob.close_tab().await;
    bob.switch_to(&lobby).await;
    bob.leave().await;
    ada.until(&says(1, &["ada"])).await;
    assert_eq!(ada.console().await, [""; 0]);
}
