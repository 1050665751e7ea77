//! What the page makes of a text: links to addresses and rooms, code, mentions, and the direction of writing.

use serde_json::{Value, json};

use crate::support::{Browser, Node};

/// Returns the parts of the last message: plain text as a string, elements as `[tag, text, href]`.
const PARTS: &str = "return [...[...document.querySelectorAll('.message .text')].at(-1).childNodes].map((part) =>
    part.nodeType === Node.TEXT_NODE ? part.data : [part.localName, part.textContent, part.getAttribute('href') ?? ''])";

/// Posts a message and returns its parts when it has arrived on the page.
async fn live_parts(node: &Node, browser: &Browser, message: &str) -> Value {
    node.post("lobby", "mason", message).await;
    browser.messages_up_to(&message.replace('`', "")).await;
    browser.run(PARTS).await
}

#[tokio::test]
async fn addresses_and_rooms_become_links_without_punctuation() {
    let node = Node::start(&[]).await;
    let browser = Browser::in_lobby(&node).await;
    let text = "See (https://a.example/x_(y)), http://b.example/?q=1&r=<2>. Or mailto:me@c.example! #café, a#b #1";
    let expected = json!([
        "See (",
        ["a", "https://a.example/x_(y)", "https://a.example/x_(y)"],
        "), ",
        ["a", "http://b.example/?q=1&r=", "http://b.example/?q=1&r="],
        "<2>. Or ",
        ["a", "mailto:me@c.example", "mailto:me@c.example"],
        "! ",
        ["a", "#café", "/caf%C3%A9"],
        ", a#b #1",
    ]);
    node.post("lobby", "mason", text).await;
    browser.messages_up_to(text).await;
    assert_eq!(browser.run(PARTS).await, expected);
    browser.reload().await;
    browser.until("return document.querySelector('.text a') !== null").await;
    assert_eq!(browser.run(PARTS).await, expected, "in the HTML of the page");
    let links = "return [...document.querySelectorAll('.text a')].map(({ rel, target }) => [rel, target])";
    let away = json!(["noopener noreferrer nofollow ugc", "_blank"]);
    assert_eq!(browser.run(links).await, json!([away, away, away, ["", ""]]));
    browser.click(".text a[href='/caf%C3%A9']").await;
    browser.until("return location.pathname === '/caf%C3%A9'").await;
    browser.live().await;
    assert_eq!(browser.text("h1").await, "café");
    assert_eq!(browser.console().await, [""; 0]);
}

#[tokio::test]
async fn other_schemes_do_not_become_links() {
    let node = Node::start(&[]).await;
    let browser = Browser::in_lobby(&node).await;
    let text = "javascript:alert(1) JAVASCRIPT:alert(1) data:text/html,<b> vbscript:x file:///etc/passwd ftp://a.example \
        blob:null/1 //a.example www.a.example xhttp://a.example view-source:http:// java\u{200b}script:alert(1)";
    assert_eq!(live_parts(&node, &browser, text).await, json!([text]));
}

#[tokio::test]
async fn code_fences_and_line_breaks_are_kept_as_typed() {
    let node = Node::start(&[]).await;
    let browser = Browser::in_lobby(&node).await;
    node.post("lobby", "mason", "run `ls  <b> #x`:\n```sh\n  a\n\n\tb `c` http://a.example\n```\none\n\n  two")
        .await;
    browser.until("return document.querySelector('.text code.fence') !== null").await;
    let expected = json!([
        "run ",
        ["code", "ls  <b> #x", ""],
        ":",
        ["code", "  a\n\n\tb `c` http://a.example", ""],
        "one\n\n  two",
    ]);
    assert_eq!(browser.run(PARTS).await, expected);
    for selector in [".text", ".text .fence"] {
        assert!(browser.style(selector, "whiteSpace").await.starts_with("pre"), "{selector}");
    }
    let heights = "const [text, fence] = ['.text', '.fence'].map((name) => document.querySelector(name));
        return fence.offsetHeight > 60 && text.offsetHeight - fence.offsetHeight > 80";
    assert_eq!(browser.run(heights).await, true, "every line is as high as it should be");
}

#[tokio::test]
async fn own_name_is_marked_in_messages_of_others_as_it_changes() {
    let node = Node::start(&[]).await;
    let browser = Browser::in_lobby(&node).await;
    browser.type_into("#sender", "ada").await;
    let text = "@Ada, ada! adamant zada `ada` grace";
    let expected =
        json!([["mark", "@Ada", ""], ", ", ["mark", "ada", ""], "! adamant zada ", ["code", "ada", ""], " grace"]);
    assert_eq!(live_parts(&node, &browser, text).await, expected);
    assert_eq!(browser.run("return document.querySelectorAll('.message.mention').length").await, 1);
    browser.send("ada", "ada is my name").await;
    browser.messages_up_to("ada is my name").await;
    assert_eq!(browser.run("return document.querySelectorAll('mark').length").await, 2, "not in own messages");
    browser.type_into("#sender", "grace\t").await;
    browser
        .until("return [...document.querySelectorAll('mark')].map((mark) => mark.textContent).join() === 'grace'")
        .await;
}

#[tokio::test]
async fn names_of_the_server_are_no_rooms_and_hidden_hosts_are_told() {
    let node = Node::start(&[]).await;
    let browser = Browser::in_lobby(&node).await;
    let text = "#admin #Status #fff #include https://bank.example@a.example/ #admins";
    let expected = json!([
        "#admin #Status #fff #include ",
        ["a", "https://bank.example@a.example/", "https://bank.example@a.example/"],
        " ",
        ["a", "#admins", "/admins"],
    ]);
    assert_eq!(live_parts(&node, &browser, text).await, expected);
    let shown = "return getComputedStyle(document.querySelector('.text .link'), '::after').content";
    assert!(browser.run(shown).await.as_str().unwrap().contains("a.example"));
    browser.type_into("#room", "Admin\n").await;
    browser
        .until("return document.querySelector('#room-error').textContent.includes('uses this name')")
        .await;
    browser.type_into("#sender", "the").await;
    let text = "the end, @the";
    node.post("lobby", "mason", text).await;
    browser.messages_up_to(text).await;
    browser
        .until("return [...document.querySelectorAll('mark')].map(({ textContent }) => textContent).join() === '@the'")
        .await;
}

/// A name in a right-to-left script, or with brackets, does not reorder what stands beside it.
#[tokio::test]
async fn names_are_isolated_and_texts_have_their_own_direction() {
    let node = Node::start(&[]).await;
    node.post("lobby", "ليلى (1)", "مرحبا 1, 2").await;
    let browser = Browser::in_lobby(&node).await;
    node.post("lobby", "ليلى (1)", "مرحبا 3").await;
    browser.messages_up_to("مرحبا 3").await;
    for message in [".message", ".message ~ .message"] {
        assert_eq!(browser.style(&format!("{message} bdi.sender"), "unicodeBidi").await, "isolate");
        assert_eq!(browser.style(&format!("{message} .text"), "direction").await, "rtl");
    }
}
