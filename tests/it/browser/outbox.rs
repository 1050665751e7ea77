//! Drafts and the outbox: a text survives reloads, crashes and outages, and a message that is sent appears once.

use serde_json::json;

use super::{HEARTBEAT, shown_texts};
use crate::support::{Browser, BrowserKind, Node, Proxy, Redis, eventually, in_both_browsers, key};

in_both_browsers!(tabs_have_drafts_and_names_of_their_own, lost_answer_is_settled_when_its_key_is_forgotten);

/// Returns the texts of the messages that the node stores of a room, in order.
async fn stored(node: &Node, room: &str) -> Vec<String> {
    node.stored(room)
        .await
        .iter()
        .map(|message| message["message"].as_str().expect("a text").to_owned())
        .collect()
}

/// Starts a node, a proxy before it, and a browser with the complete page of the lobby.
async fn page_behind_proxy() -> (Node, Proxy, Browser) {
    let node = Node::start(&[HEARTBEAT]).await;
    let proxy = Proxy::to(node.address()).await;
    let browser = Browser::start().await;
    browser.open(&proxy.url("/lobby")).await;
    browser.type_into("#sender", "ada").await;
    browser.complete().await;
    (node, proxy, browser)
}

#[tokio::test]
async fn draft_survives_a_reload_and_a_visit_to_another_room() {
    let node = Node::start(&[("ROOMS", "lobby,garden")]).await;
    let browser = Browser::start().await;
    browser.open(&node.url("/lobby")).await;
    browser.live().await;
    browser.type_into("#message", "half a sent").await;
    browser.reload().await;
    browser.until("return document.querySelector('#message').value === 'half a sent'").await;
    browser.click("nav[aria-label=Rooms] a[href='/garden']").await;
    browser.until("return location.pathname === '/garden'").await;
    browser.live().await;
    assert_eq!(browser.value("#message").await, "", "a draft belongs to its room");
    browser.type_into("#message", "roses").await;
    browser.open(&node.url("/lobby")).await;
    browser.until("return document.querySelector('#message').value === 'half a sent'").await;
    browser.live().await;
    browser.send("ada", "half a sentence").await;
    browser.messages_up_to("half a sentence").await;
    browser.reload().await;
    browser.live().await;
    assert_eq!(browser.value("#message").await, "", "a sent text is no longer a draft");
    browser.open(&node.url("/garden")).await;
    browser.until("return document.querySelector('#message').value === 'roses'").await;
}

#[tokio::test]
async fn draft_and_unsent_message_survive_a_browser_crash() {
    let (node, proxy, mut browser) = page_behind_proxy().await;
    proxy.cut();
    browser.status("reconnecting").await;
    browser.send_by_enter("sent in the dark").await;
    browser.type_into("#message", "half a sent").await;
    browser.written_to_disk("sent in the dark").await;
    browser.written_to_disk("half a sent").await;
    browser.crash().await;
    proxy.restore();
    browser.open(&proxy.url("/lobby")).await;
    browser.live().await;
    browser.messages_up_to("sent in the dark").await;
    browser.until("return document.querySelector('#message').value === 'half a sent'").await;
    assert_eq!(stored(&node, "lobby").await, ["sent in the dark"]);
}

/// The line of the pending message becomes that of the stored one, so nothing jumps.
#[tokio::test]
async fn pending_line_becomes_the_message_in_place() {
    let (_node, proxy, browser) = page_behind_proxy().await;
    proxy.cut();
    browser.status("reconnecting").await;
    browser.send_by_enter("in place").await;
    browser.open_waiting("1 waiting to be sent").await;
    let pending = browser.pending_says("Waits to be sent").await;
    assert_eq!((pending.failed, pending.offers), (false, vec!["Edit".to_owned(), "Discard".to_owned()]));
    browser.run("document.querySelector('[data-key]').marked = true").await;
    proxy.restore();
    let lines = browser.messages_up_to("in place").await;
    assert_eq!(lines.len(), 1);
    assert_eq!((lines[0].sender.as_str(), lines[0].id.is_empty()), ("ada", false));
    let same = "const line = document.querySelector('.message[data-id]');
        return line.marked && line.matches('.mine:not(.pending, [data-key])') && !line.querySelector('.note')";
    browser.until(same).await;
}

#[tokio::test]
async fn offline_messages_survive_a_reload_and_go_out_once_in_order() {
    let (node, proxy, browser) = page_behind_proxy().await;
    proxy.cut();
    browser.status("offline").await;
    for text in ["one", "two", "three"] {
        browser.send_by_enter(text).await;
    }
    browser.pending_are(&["one", "two", "three"]).await;
    browser.leave().await;
    proxy.restore();
    browser.open(&proxy.url("/lobby")).await;
    browser.messages_up_to("three").await;
    browser.pending_are(&[]).await;
    assert_eq!(shown_texts(&browser).await, ["one", "two", "three"]);
    assert_eq!(stored(&node, "lobby").await, ["one", "two", "three"]);
    browser.reload().await;
    browser.complete().await;
    assert_eq!(shown_texts(&browser).await, ["one", "two", "three"]);
    assert_eq!(stored(&node, "lobby").await.len(), 3, "nothing is sent again");
}

/// The message was stored, but the connection was lost before the response and the event of the stream.
#[tokio::test]
async fn message_with_a_lost_response_appears_once() {
    let (node, proxy, browser) = page_behind_proxy().await;
    proxy.cut_at_the_next_post();
    browser.send_by_enter("did you hear?").await;
    browser.status("reconnecting").await;
    browser.pending_are(&["did you hear?"]).await;
    assert_eq!(stored(&node, "lobby").await, ["did you hear?"]);
    proxy.restore();
    browser.live().await;
    browser.messages_up_to("did you hear?").await;
    browser.pending_are(&[]).await;
    browser.send_by_enter("and this?").await;
    browser.messages_up_to("and this?").await;
    assert_eq!(shown_texts(&browser).await, ["did you hear?", "and this?"]);
    assert_eq!(stored(&node, "lobby").await, ["did you hear?", "and this?"]);
}

#[tokio::test]
async fn message_with_a_lost_response_appears_once_after_a_reload() {
    let (node, proxy, browser) = page_behind_proxy().await;
    proxy.cut_at_the_next_post();
    browser.send_by_enter("did you hear?").await;
    browser.status("reconnecting").await;
    browser.pending_are(&["did you hear?"]).await;
    browser.leave().await;
    proxy.restore();
    browser.open(&proxy.url("/lobby")).await;
    browser.complete().await;
    browser.pending_are(&[]).await;
    browser.send_by_enter("and this?").await;
    browser.messages_up_to("and this?").await;
    assert_eq!(shown_texts(&browser).await, ["did you hear?", "and this?"]);
    assert_eq!(stored(&node, "lobby").await, ["did you hear?", "and this?"]);
    browser.until("return document.querySelectorAll('.message.mine').length === 2").await;
}

/// As after ten minutes: the server has forgotten the key, and the page comes with newer messages only.
async fn lost_answer_is_settled_when_its_key_is_forgotten(kind: BrowserKind) {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[HEARTBEAT]).await;
    let proxy = Proxy::to(node.address()).await;
    let browser = kind.start().await;
    browser.open(&proxy.url("/lobby")).await;
    browser.type_into("#sender", "ada").await;
    browser.complete().await;
    proxy.cut_at_the_next_post();
    browser.send_by_enter("did you hear?").await;
    browser.status("reconnecting").await;
    browser.leave().await;
    let keys: Vec<String> = redis.cmd(&["KEYS", &format!("{}:key:*", key("lobby"))]).await;
    assert_eq!(redis.cmd::<u64>(&["DEL", keys.first().expect("a key")]).await, 1);
    node.fill("lobby", 55).await;
    proxy.restore();
    browser.open(&proxy.url("/-elsewhere")).await;
    browser.run("localStorage.removeItem('tiny-chat:state')").await; // the stream does not begin where it ended
    browser.open(&proxy.url("/lobby")).await;
    browser
        .until("return !Object.keys(localStorage).some((key) => key.startsWith('tiny-chat:out:'))")
        .await;
    browser.complete().await;
    browser.pending_are(&[]).await;
    let sent = stored(&node, "lobby").await;
    assert_eq!(sent.iter().filter(|text| *text == "did you hear?").count(), 1, "{sent:?}");
}

async fn tabs_have_drafts_and_names_of_their_own(kind: BrowserKind) {
    let node = Node::start(&[]).await;
    let browser = kind.start().await;
    browser.open(&node.url("/lobby")).await;
    browser.live().await;
    let ada = browser.current_tab().await;
    browser.type_into("#sender", "ada").await;
    browser.type_into("#message", "of ada").await;
    let eve = browser.open_tab(&node.url("/lobby")).await;
    browser.live().await;
    assert_eq!((browser.value("#sender").await.as_str(), browser.value("#message").await.as_str()), ("ada", ""));
    browser.type_into("#sender", "eve").await;
    browser.type_into("#message", "of eve").await;
    browser.switch_to(&ada).await;
    browser.reload().await;
    browser.until("return document.querySelector('#message').value === 'of ada'").await;
    assert_eq!(browser.value("#sender").await, "ada");
    browser.switch_to(&eve).await;
    browser.send("eve", "sent").await;
    browser.messages_up_to("sent").await;
    browser.switch_to(&ada).await;
    browser.reload().await;
    browser.until("return document.querySelector('#message').value === 'of ada'").await; // another draft was sent
    browser.close_tab().await;
    browser.switch_to(&eve).await;
    assert_eq!(browser.value("#message").await, "");
    browser.open_tab(&node.url("/lobby")).await;
    browser.until("return document.querySelector('#message').value === 'of ada'").await;
    assert_eq!(browser.value("#sender").await, "eve", "a new tab has the last name that was typed");
}

#[tokio::test]
async fn refused_message_can_be_retried_edited_and_discarded() {
    let node = Node::start(&[]).await;
    let browser = Browser::in_lobby(&node).await;
    browser.send(&"x".repeat(65), "from a long name").await;
    assert!(
        browser.non_empty_text("#send-error").await.contains("too long"),
        "nothing is sent that will be refused"
    );
    browser.refuse_posts_of("spoiled").await;
    browser.send("ada", "spoiled").await;
    let failed = browser.pending_says("Not sent.").await;
    assert!(failed.failed && failed.says.contains("takes no such message"), "{failed:?}");
    assert_eq!(failed.offers, ["Retry", "Edit", "Discard"]);
    browser.click_offer("Retry").await;
    browser.pending_says("Not sent.").await;
    browser.reload().await;
    assert_eq!(browser.pending_says("Not sent.").await, failed, "the failed message is kept");
    browser.type_into("#message", "next").await;
    browser.click_offer("Edit").await;
    browser.pending_are(&[]).await;
    assert_eq!(browser.value("#message").await, "spoiled\nnext");
    browser.send("ada", "fresh").await;
    browser.messages_up_to("fresh").await;
    browser.refuse_posts_of("spoiled").await;
    browser.send("ada", "spoiled again").await;
    browser.pending_says("Not sent.").await;
    browser.send("ada", "others are not held up").await;
    browser.messages_up_to("others are not held up").await;
    browser.click_offer("Discard").await;
    browser.pending_are(&[]).await;
    browser.reload().await;
    browser.complete().await;
    browser.pending_are(&[]).await;
    assert_eq!(shown_texts(&browser).await, ["fresh", "others are not held up"]);
    assert_eq!(stored(&node, "lobby").await.len(), 2);
    assert_eq!(browser.console().await, [""; 0]);
}

#[tokio::test]
async fn rate_limited_messages_wait_visibly_and_go_out_later() {
    let node = Node::start(&[("RATE_LIMIT", "1"), ("RATE_BURST", "1")]).await;
    let browser = Browser::start().await;
    browser.open(&node.url("/lobby")).await;
    browser.type_into("#sender", "ada").await;
    browser.complete().await;
    let notes = "window.notes = [];
        new MutationObserver(() => {
            const shown = document.querySelectorAll('[data-key] .note:not([hidden]) .says, .waiting:not([hidden])');
            window.notes.push(...[...shown].map(({ textContent }) => textContent));
            document.querySelector('.waiting:not([hidden]) button[aria-expanded=false]')?.click();
        }).observe(document.querySelector('main'), { subtree: true, childList: true, attributes: true });";
    browser.run(notes).await;
    let words = ["one", "two", "three", "four"];
    for text in words {
        browser.send_by_enter(text).await;
    }
    browser.messages_up_to("four").await;
    browser.pending_are(&[]).await;
    assert_eq!(shown_texts(&browser).await, words);
    assert_eq!(stored(&node, "lobby").await, words);
    let notes = browser.run("return window.notes.join()").await;
    for said in [" waiting to be sent in 1 s", "too fast; goes out in "] {
        assert!(notes.as_str().is_some_and(|notes| notes.contains(said)), "{notes}");
    }
    let console = browser.console().await;
    assert!(!console.is_empty() && console.iter().all(|line| line.contains("429")), "{console:?}");
}

#[tokio::test]
async fn double_submit_sends_once() {
    let node = Node::start(&[]).await;
    let browser = Browser::start().await;
    browser.open(&node.url("/lobby")).await;
    browser.live().await;
    browser.type_into("#message", "only once").await;
    let twice = "const form = document.querySelector('form.composer');
        const button = form.querySelector('button');
        button.click(); button.click(); form.requestSubmit(); form.requestSubmit();";
    browser.run(twice).await;
    browser.messages_up_to("only once").await;
    browser.send_by_enter("the end").await;
    browser.messages_up_to("the end").await;
    assert_eq!(shown_texts(&browser).await, ["only once", "the end"]);
    assert_eq!(stored(&node, "lobby").await, ["only once", "the end"]);
}

/// Both the response and the log were lost, so the page cannot know whether the message was stored, and asks.
#[tokio::test]
async fn unconfirmed_message_asks_what_to_do_after_a_gap() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[HEARTBEAT, ("HEAL", "off")]).await;
    let proxy = Proxy::to(node.address()).await;
    let browser = Browser::start().await;
    browser.open(&proxy.url("/lobby")).await;
    browser.complete().await;
    browser.send("ada", "before").await;
    browser.messages_up_to("before").await;
    proxy.cut_at_the_next_post();
    browser.send_by_enter("did you hear?").await;
    browser.status("reconnecting").await;
    assert_eq!(stored(&node, "lobby").await, ["before", "did you hear?"]);
    redis.restart().await;
    eventually("a node with an empty log", async || {
        node.get("/history/lobby").await.json()["messages"].as_array()?.is_empty().then_some(())
    })
    .await;
    proxy.restore();
    let asks = browser.pending_says("Not sure it was sent: messages are missing where it may have been.").await;
    assert_eq!(asks.offers, ["Send again", "Edit", "Discard"]);
    assert!(stored(&node, "lobby").await.is_empty(), "it was sent without asking");
    browser.click_offer("Send again").await;
    browser.messages_up_to("did you hear?").await;
    assert_eq!(shown_texts(&browser).await, ["before", "did you hear?"]);
    assert_eq!(stored(&node, "lobby").await, ["did you hear?"]);
    assert_eq!(browser.run("return document.querySelectorAll('p.gap').length").await, 1);
}

/// The leading tab sends for all, so a message goes out although its tab was closed at once.
#[tokio::test]
async fn another_tab_sends_what_a_closed_tab_left_behind() {
    let (node, proxy, browser) = page_behind_proxy().await;
    let first = browser.current_tab().await;
    browser.open_tab(&proxy.url("/lobby")).await;
    browser.live().await;
    proxy.cut();
    browser.status("reconnecting").await;
    browser.send_by_enter("from the other tab").await;
    browser.close_tab().await;
    browser.switch_to(&first).await;
    browser.pending_are(&["from the other tab"]).await;
    proxy.restore();
    browser.messages_up_to("from the other tab").await;
    assert_eq!(stored(&node, "lobby").await, ["from the other tab"]);
}

/// The connection is lost before the page is complete: the module that shows pending messages is not loaded.
#[tokio::test]
async fn message_sent_before_the_page_is_complete_is_kept() {
    let node = Node::start(&[HEARTBEAT]).await;
    let proxy = Proxy::to(node.address()).await;
    let browser = Browser::start().await;
    browser.devtools("Network.enable", json!({})).await;
    browser.devtools("Network.setBlockedURLs", json!({ "urls": ["*/enhancements.js"] })).await;
    browser.open(&proxy.url("/lobby")).await;
    browser.live().await;
    proxy.cut();
    browser.status("reconnecting").await;
    browser.send_by_enter("too early").await;
    assert!(browser.non_empty_text("#send-error").await.contains("Your message is kept"));
    browser.devtools("Network.setBlockedURLs", json!({ "urls": [] })).await;
    proxy.restore();
    browser.messages_up_to("too early").await;
    browser.until("return document.querySelector('#send-error').textContent === ''").await;
    assert_eq!(stored(&node, "lobby").await, ["too early"]);
}
