//! axe-core finds no violation in any state of the page, on a desktop and on a phone.

use reqwest::Method;
use serde_json::json;

use crate::support::{
    BROWSER, Browser, BrowserKind, Node, Proxy, Redis, Stream, in_both_browsers,
    keyboard::{CONTROL, ENTER, ESCAPE},
};

in_both_browsers!(axe_finds_no_violation_in_an_empty_room_or_on_error_pages);

/// Asserts that axe-core finds no violation on the page in its present state, on a light desktop and on a dark phone.
/// tests/js/contrast.test.js has all colours.
async fn assert_no_violations(browser: &Browser, state: &str) {
    for (width, height, colours) in [(1280, 800, "light"), (390, 844, "dark")] {
        browser.set_screen(width, height).await;
        browser.run_with("document.documentElement.dataset.theme = arguments[0]", &[colours]).await;
        let barriers = browser.axe_violations().await;
        assert!(barriers.is_empty(), "{state}, {width} x {height}, {colours}:\n{}", barriers.join("\n\n"));
    }
    browser.set_screen(1280, 800).await;
}

#[tokio::test]
async fn axe_finds_no_violation_in_a_room_its_lists_and_dialogs() {
    let node = Node::start(&[("ROOMS", "lobby,garden,attic")]).await;
    for text in ["hello", "again", "see http://a.example, #garden and `code`\n```\nfence\n```", "مرحبا"] {
        node.post("lobby", "mason", text).await;
    }
    let browser = Browser::start().await;
    browser.set_screen(1280, 800).await;
    browser.open(&node.url("/garden")).await;
    browser.type_into("#sender", "ada").await;
    browser.complete().await;
    browser.open(&node.url("/lobby")).await;
    browser.complete().await;
    let mut readers = Vec::new();
    for name in ["mason", "maria"] {
        readers.push(Stream::open(&node, &format!("/subscribe/lobby?name={name}"), &[]).await);
    }
    browser.until("return document.querySelector('.people > button').textContent === '3 here'").await;
    browser.send("ada", "mine").await;
    browser.messages_up_to("mine").await;
    node.post("lobby", "mason", "@ada, look").await;
    node.post("garden", "mason", "ada?").await;
    browser.until("return document.querySelector('.badge.call') !== null").await;
    assert_no_violations(&browser, "a room").await;
    browser.open_details("mine").await;
    assert_no_violations(&browser, "the menu of a message").await;
    browser.press(ESCAPE).await;
    let choose = "[...document.querySelectorAll('[role=menuitem]')].find(({ textContent }) => textContent === arguments[0]).click()";
    for (item, shown) in [("Share…", "dialog .qr path"), ("Edit", ".editor"), ("Delete", "dialog .danger")] {
        browser.open_details("mine").await;
        browser.run_with(choose, &[item]).await;
        browser.until(&format!("return document.querySelector('{shown}') !== null")).await;
        assert_no_violations(&browser, item).await;
        browser.press(ESCAPE).await;
        browser.until(&format!("return document.querySelector('{shown}') === null")).await;
    }
    browser.open_details("hello").await;
    browser.run_with(choose, &["Mute this name"]).await;
    browser.until("return document.querySelector('.muted') !== null").await;
    browser.run("location.hash = '#me=AbCdEfGhIjKlMnOpQrSt-_'").await;
    browser.until("return document.querySelector('dialog .warning') !== null").await;
    assert_no_violations(&browser, "an identity of a link, and muted names").await;
    browser.press(ESCAPE).await;
    browser.until("return document.querySelector('dialog') === null").await;
    for (id, state) in [("here", "who is here"), ("menu", "the menu")] {
        browser.run(&format!("document.querySelector('#{id}').showPopover()")).await;
        browser.until(&format!("return document.querySelector('#{id} button') !== null")).await;
        assert_no_violations(&browser, state).await;
        browser.run(&format!("document.querySelector('#{id}').hidePopover()")).await;
    }
    browser.set_screen(390, 844).await;
    browser.click(".drawer").await;
    assert_eq!(browser.axe_violations().await, [""; 0], "the drawer");
    browser.run("document.querySelector('.side').hidePopover()").await;
    browser.set_screen(1280, 800).await;
    browser.press(format!("{CONTROL}k")).await;
    browser.until("return document.querySelector('dialog.jump[open]') !== null").await;
    assert_no_violations(&browser, "rooms to jump to").await;
    browser.run("document.querySelector('dialog.jump').close()").await;
    browser.click("#message").await;
    browser.press("@m").await;
    browser.until("return document.querySelector('#names:not([hidden])') !== null").await;
    assert_no_violations(&browser, "names to choose from").await;
    browser.press(ENTER).await;
    browser.run("document.querySelector('#message').value = 'x'.repeat(4001)").await;
    browser.press(ENTER).await;
    browser.non_empty_text("#send-error").await;
    assert_no_violations(&browser, "too long a text").await;
    browser.click(".ask").await;
    browser.until("return document.querySelector('dialog[open]') !== null").await;
    assert_no_violations(&browser, "help").await;
}

async fn axe_finds_no_violation_in_an_empty_room_or_on_error_pages(kind: BrowserKind) {
    let node = Node::start(&[]).await;
    let browser = kind.start().await;
    browser.set_screen(1280, 800).await;
    browser.open(&node.url("/lobby")).await;
    browser.complete().await;
    assert_no_violations(&browser, "an empty room").await;
    browser.type_into("#room", "-\n").await;
    browser.non_empty_text("#room-error").await;
    assert_no_violations(&browser, "a room that cannot be").await;
    browser.open(&node.url("/-no-room")).await;
    assert_no_violations(&browser, "no such room").await;
    let form = node
        .request(Method::POST, "/lobby")
        .header("Accept", BROWSER)
        .form(&[("message", "x".repeat(4_001))]);
    node.send(form).await.html(422);
    browser.open(&node.url("/lobby")).await;
    let refused = "const form = document.createElement('form');
        form.method = 'post';
        const message = document.createElement('textarea');
        message.name = 'message';
        message.value = 'x'.repeat(4001);
        form.append(message);
        document.body.append(form);
        form.submit()";
    browser.run(refused).await;
    browser.until("return document.querySelector('.draft textarea')?.value.length === 4001").await;
    assert_no_violations(&browser, "a form that was refused").await;
}

#[tokio::test]
async fn axe_finds_no_violation_when_sending_fails_or_offline() {
    let node = Node::start(&[]).await;
    node.fill("lobby", 3).await;
    let proxy = Proxy::to(node.address()).await;
    let browser = Browser::start().await;
    browser.set_screen(1280, 800).await;
    browser.open(&proxy.url("/lobby")).await;
    browser.complete().await;
    browser.refuse_posts_of("refused").await;
    browser.send("ada", "refused").await;
    assert!(browser.pending_says("Not sent").await.failed);
    assert_no_violations(&browser, "a message that failed").await;
    browser.click_offer("Discard").await;
    proxy.cut();
    browser.status("offline").await;
    browser.send("ada", "waits").await;
    browser.open_waiting("1 waiting").await;
    browser.pending_says("Waits").await;
    assert_no_violations(&browser, "offline").await;
}

#[tokio::test]
async fn axe_finds_no_violation_at_a_gap_unread_or_without_a_store() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[("HEARTBEAT", "1"), ("HEAL", "off")]).await;
    let browser = Browser::start().await;
    browser.set_screen(1280, 800).await;
    let read = node.post("lobby", "mason", "read").await;
    browser.open(&node.url("/lobby")).await;
    browser.complete().await;
    browser.until(&format!("return localStorage.getItem('tiny-chat:read:lobby') === '{read}'")).await;
    browser.open(&node.url("/-elsewhere")).await;
    node.post("lobby", "mason", "unread").await;
    browser.open(&node.url(&format!("/lobby#{read}"))).await;
    browser.complete().await;
    browser.until("return document.querySelector('.lines .unread') !== null").await;
    browser.until("return document.querySelector('.message:target') !== null").await;
    assert_no_violations(&browser, "unread messages, and one that a link led to").await;
    redis.kill();
    browser.status("storeless").await;
    assert_no_violations(&browser, "the store is lost").await;
    browser.open(&node.url("/lobby")).await;
    browser.status("storeless").await;
    browser.until("return document.querySelector('link[href*=enhancements]') !== null").await;
    assert_no_violations(&browser, "a page without a store").await;
    browser.open(&node.url("/-elsewhere")).await;
    redis.restart().await;
    node.ready().await;
    browser.open(&node.url("/lobby")).await;
    browser.complete().await;
    browser.send("ada", "before").await;
    browser.messages_up_to("before").await;
    redis.kill();
    browser.status("storeless").await;
    redis.restart().await;
    browser.live().await;
    browser.until("return document.querySelector('.gap') !== null").await;
    let newer = json!({ "sender": "mason", "message": "after" });
    node.publish("lobby", newer).await.expect(200);
    browser.messages_up_to("after").await;
    assert_no_violations(&browser, "a gap").await;
}
