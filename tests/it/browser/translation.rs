//! The page under a browser's translator, which wraps each text in elements of its own and changes it, whenever it changes.

use serde_json::json;

use super::badge;
use crate::support::{BrowserKind, Node, Stream, in_both_browsers, keyboard::ENTER};

in_both_browsers!(translated_page_works_as_before);

/// Translates as browsers do: what is to be left alone has `translate="no"`; all other texts are replaced, in two `font`
/// elements each, now and whenever one is added. Here the translation is in capitals, with a word before.
const TRANSLATE: &str = "const translate = (text) => {
        if (!text.data.trim() || !text.isConnected || text.parentElement.closest('font, [translate=no], code, script, style, textarea')) return;
        const outer = document.createElement('font');
        outer.setAttribute('style', 'vertical-align: inherit;');
        const inner = outer.cloneNode();
        text.replaceWith(outer);
        outer.append(inner);
        inner.append('zu ' + text.data.toUpperCase());
    };
    const translateAll = (root) => {
        const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
        const texts = [];
        if (root.nodeType === 3) texts.push(root);
        while (walker.nextNode()) texts.push(walker.currentNode);
        texts.forEach(translate);
    };
    translateAll(document.body);
    new MutationObserver((changes) => {
        for (const { addedNodes, target, type } of changes) {
            if (type === 'characterData') translate(target);
            addedNodes.forEach(translateAll);
        }
    }).observe(document.body, { childList: true, subtree: true, characterData: true })";

async fn translated_page_works_as_before(kind: BrowserKind) {
    let node = Node::start(&[("ROOMS", "lobby,garden,attic")]).await;
    node.post("lobby", "mason", "first `code` here").await;
    let browser = kind.start().await;
    for room in ["garden", "kitchen", "lobby"] {
        browser.open(&node.url(&format!("/{room}"))).await;
        browser.complete().await;
    }
    browser.run(TRANSLATE).await;
    let rooms = "return [...document.querySelectorAll('nav a')].map(({ textContent }) => textContent)";
    let names = json!(["lobby", "garden", "attic", "kitchen"]);
    browser.until("return document.querySelectorAll('nav a').length === 4").await;
    assert_eq!(browser.run(rooms).await, names);
    assert_eq!(browser.run("return document.querySelector('h1').textContent").await, "lobby");
    let untouched =
        "return [...document.querySelectorAll('.sender, .message code')].map(({ textContent }) => textContent)";
    assert_eq!(browser.run(untouched).await, json!(["mason", "code"]));

    // Messages arrive, here and elsewhere: no room is added, and each badge follows its count.
    let _reader = Stream::open(&node, "/subscribe/lobby?name=Grace", &[]).await;
    for number in 1..=3 {
        node.post("garden", "mason", "hi").await;
        browser
            .until(&format!(
                "return document.querySelector('[data-room=garden] .badge')?.textContent.includes('{number}')"
            ))
            .await;
    }
    assert_eq!(browser.run("return document.querySelectorAll('nav a').length").await, 4);
    node.post("lobby", "mason", "second").await;
    browser.until("return document.querySelectorAll('.message').length === 2").await;
    browser.until("return document.querySelectorAll('#here button').length === 1").await;
    browser.until("return document.querySelector('.people > button').textContent.includes('2')").await;

    // What is sent goes to the room of the address, as it was typed, and becomes one line.
    browser.send("ada", "a message of mine").await;
    browser
        .until("return document.querySelectorAll('.message.mine:not(.pending, .failed)').length === 1")
        .await;
    browser.until("return document.querySelectorAll('.message').length === 3").await;
    let history = node.get("/history/lobby").await.expect(200).json();
    let sent = history["messages"].as_array().unwrap().last().unwrap();
    assert_eq!((sent["sender"].as_str(), sent["message"].as_str()), (Some("ada"), Some("a message of mine")));
    browser.click("#message").await;
    browser.press('\u{e013}').await; // the arrow up recalls it as it was typed
    assert_eq!(browser.value("#message").await, "a message of mine");
    browser.run("document.querySelector('#message').select()").await;
    browser.press('\u{e003}').await;

    // A failure is told, its buttons work, and nothing is left of it.
    browser.refuse_posts_of("refused").await;
    browser.send("ada", "refused").await;
    browser.until("return document.querySelector('.failed .says')?.textContent.length > 10").await;
    browser.run("document.querySelector('.failed .note button:last-of-type').click()").await;
    browser.until("return !document.querySelector('.failed')").await;

    // A name is picked, and a room is opened.
    browser
        .run("document.querySelector('#here').showPopover(); document.querySelector('#here button').click()")
        .await;
    browser.until("return document.querySelector('#message').value.includes('@Grace')").await;
    browser.type_into("#room", "-").await;
    browser.press(ENTER).await;
    browser.until("return document.querySelector('#room-error').textContent.length > 10").await;
    browser.click("nav [data-room=garden]").await;
    browser.until("return location.pathname === '/garden'").await;
    browser.live().await;
    browser.run(TRANSLATE).await;
    assert_eq!(badge(&browser, "garden").await, "");
    browser.until("return document.querySelectorAll('.message').length === 3").await;
    browser.until("return !!document.querySelector('nav [data-room=kitchen]')").await; // added, since it was visited
    assert_eq!(browser.run("return document.querySelectorAll('nav a').length").await, 4);
}
