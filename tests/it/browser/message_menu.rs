//! What the menu of a message does, on plain HTTP as well; and what is typed anywhere goes to the message box.

use serde_json::json;

use super::{ROOMS, badge, wait_for_badge};
use crate::support::{
    Browser, BrowserKind, Node, in_both_browsers,
    keyboard::{ENTER, ESCAPE},
    wait_for,
};

in_both_browsers!(menu_replies_copies_shares_and_mutes_without_a_secure_context);

/// Records what is copied.
const RECORD_COPIES: &str = "window.copied = [];
    document.addEventListener('copy', () => window.copied.push(document.activeElement.value))";

/// Opens the menu of the message whose text contains `text`, and clicks on the item with this label, since browsers copy
/// only what a user asks for.
async fn choose(browser: &Browser, text: &str, label: &str) {
    let focus = "document.querySelectorAll('.chosen').forEach((each) => each.classList.remove('chosen'));
        const line = [...document.querySelectorAll('.message')].find((each) => each.querySelector('.text').textContent.includes(arguments[0]));
        line.querySelector('a.when').focus();
        line.dispatchEvent(new PointerEvent('pointerover', { bubbles: true })); // a window without focus has no focusin
        line.querySelector('.more').click()";
    browser.run_with(focus, &[text]).await;
    let item = "const item = [...document.querySelectorAll('[role=menuitem]')].find(({ textContent }) => textContent === arguments[0]);
        item?.classList.add('chosen');
        return !!item";
    wait_for(label, async || (browser.run_with(item, &[label]).await == true).then_some(())).await;
    browser.click("[role=menuitem].chosen").await;
}

async fn menu_replies_copies_shares_and_mutes_without_a_secure_context(kind: BrowserKind) {
    let node = Node::start(&[ROOMS]).await;
    let browser = kind.start_with_hosts(&["chat.test"]).await;
    let address = format!("http://chat.test:{}", node.address().port());
    browser.open(&format!("{address}/attic")).await;
    browser.live().await;

    // An empty room offers its link.
    browser.until("return !!document.querySelector('.empty .share-room')").await;
    browser.run(RECORD_COPIES).await;
    browser.click(".share-room").await;
    browser.until("return !!document.querySelector('dialog[open] .qr path')?.getAttribute('d')").await;
    browser.click("dialog[open] .link-card button").await;
    browser
        .until("return document.querySelector('dialog[open] .result').textContent === 'Copied.'")
        .await;
    assert_eq!(
        browser.run("return [isSecureContext, ...window.copied]").await,
        json!([false, format!("{address}/attic")])
    );

    let id = node.post("lobby", "mason", "one `code`\n> two").await;
    browser.open(&format!("{address}/lobby")).await;
    browser.live().await;
    browser.run(RECORD_COPIES).await;
    browser.until("return !!document.querySelector('link[href*=enhancements]')?.sheet").await;
    let link = format!("{address}/lobby#{id}");
    for (label, expected) in [("Copy text", "one `code`\n> two"), ("Copy link", &link)] {
        choose(&browser, "one", label).await;
        browser.until("return [...document.querySelectorAll('[role=menuitem]')].some(({ textContent }) => textContent === 'Copied')").await;
        assert_eq!(browser.run("return window.copied.at(-1)").await, expected);
        browser.press(ESCAPE).await;
    }

    // A reply quotes the message, and leads back to it.
    choose(&browser, "one", "Reply").await;
    browser.until("return document.activeElement.id === 'message'").await;
    assert_eq!(browser.value("#message").await, format!("> mason: one `code`\n> {link}\n"));
    browser.press("so be it").await;
    browser.press(ENTER).await;
    browser
        .until("return document.querySelector('.mine blockquote') !== null && !document.querySelector('.pending')")
        .await;
    let rendered = "const text = document.querySelector('.mine blockquote').parentElement;
        return [...text.childNodes].map(({ nodeName, textContent }) => `${nodeName}: ${textContent}`)";
    let expected = json!(["BLOCKQUOTE: mason: one code\nShow the message", "#text: so be it"]);
    assert_eq!(browser.run(rendered).await, expected);
    browser.run("document.querySelector('.mine blockquote a').click()").await;
    browser.until(&format!("return document.querySelector('.message:target')?.id === '{id}'")).await;

    // What is typed anywhere goes to the message box.
    browser.run("document.querySelector('.messages').focus()").await;
    browser.press("hé/?").await;
    assert_eq!(browser.value("#message").await, "hé/?");
    browser.run("document.querySelector('#message').value = ''").await;

    // A muted name's messages take one line, and count nowhere.
    choose(&browser, "one", "Mute this name").await;
    let shown = "return [...document.querySelectorAll('.message:not(.mine)')].map((line) =>
        [line.matches('.muted'), line.querySelector('.text').checkVisibility(), line.querySelector('.reveal')?.textContent ?? ''])";
    let muted = json!([[true, false, "muted · show"]]);
    assert_eq!(browser.run(shown).await, muted);
    node.post("garden", "mason", "unheard").await;
    node.post("garden", "zoe", "heard").await;
    wait_for_badge(&browser, "garden", "1").await;
    node.post("lobby", "mason", "more").await;
    browser.messages_up_to("more").await;
    browser.run("document.querySelector('.reveal').click()").await;
    assert_eq!(browser.run(shown).await, json!([[false, true, ""], [true, false, "muted · show"]]));
    browser.reload().await;
    browser.live().await;
    browser.until("return document.querySelectorAll('.muted').length === 2").await;
    browser.run("document.querySelector('.ask').click()").await;
    browser.until("return !!document.querySelector('dialog[open] .earlier button')").await;
    browser.run("document.querySelector('dialog[open] .earlier button').click()").await;
    browser.until("return document.querySelectorAll('.muted').length === 0").await;
    assert_eq!(badge(&browser, "garden").await, "1");
    assert_eq!(browser.console().await, [""; 0]);
}
