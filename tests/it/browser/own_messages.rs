//! Own messages are edited and deleted in their line, for all who read them; what is typed is never lost.

use serde_json::json;

use super::shown_texts;
use crate::support::{
    Browser, BrowserKind, Node, eventually, in_both_browsers,
    keyboard::{ENTER, ESCAPE},
};

in_both_browsers!(own_messages_are_edited_and_deleted_by_keyboard);

/// The editor's text, or nothing.
const EDITOR: &str = "return document.querySelector('.editor textarea')?.value ?? null";

/// Returns true if the editor is open and has the focus.
const EDITS: &str = "return document.activeElement.matches('.editor textarea')";

/// Focuses the last message.
const FOCUS: &str = "[...document.querySelectorAll('.message a.when')].at(-1).focus()";

/// Makes requests that change a message fail with this status, `0` for no connection, until it is called with nothing.
const FAIL: &str = "window.fetched ??= window.fetch;
    const answer = Number(arguments[0]);
    window.fetch = (url, init) => {
        if (!arguments[0] || !/PATCH|DELETE/.test(init?.method)) return window.fetched(url, init);
        if (!answer) return Promise.reject(new TypeError('network'));
        return Promise.resolve(new Response('{}', { status: answer, headers: { 'Retry-After': '1' } }));
    }";

async fn expect_texts(browser: &Browser, expected: &[&str]) {
    eventually("the messages", async || (shown_texts(browser).await == expected).then_some(())).await;
}

/// Opens the editor of the last message by key, and replaces its text.
async fn edit(browser: &Browser, text: &str) {
    browser.run(FOCUS).await;
    browser.press('e').await;
    browser.until(EDITS).await;
    browser.type_into(".editor textarea", text).await;
}

async fn own_messages_are_edited_and_deleted_by_keyboard(kind: BrowserKind) {
    let node = Node::start(&[]).await;
    let browser = kind.start().await;
    browser.open(&node.url("/lobby")).await;
    browser.live().await;
    node.post("lobby", "mason", "of another").await;
    browser.send("ada", "first").await;
    browser.messages_up_to("first").await;
    browser.until("return !!document.querySelector('link[href*=enhancements]')?.sheet").await;

    edit(&browser, "second <b>&amp;").await;
    browser.press(ENTER).await;
    expect_texts(&browser, &["of another", "second <b>&amp;"]).await;
    browser.until("return document.querySelector('.mine .edited')?.textContent === 'edited'").await;
    assert_eq!(browser.run(EDITOR).await, json!(null));
    assert_eq!(
        browser.run("return document.activeElement.className").await,
        "when",
        "the keyboard stays where it was"
    );
    browser.reload().await;
    browser.live().await;
    expect_texts(&browser, &["of another", "second <b>&amp;"]).await;
    browser.until("return document.querySelector('.mine .edited') !== null").await;

    // What cannot be saved is kept and explained, also over a reload.
    for (status, words) in [("403", "does not hold the key"), ("404", "no longer kept"), ("0", "cannot be reached")] {
        browser.run_with(FAIL, &[status]).await;
        edit(&browser, "third").await;
        browser.press(ENTER).await;
        browser
            .until(&format!("return document.querySelector('.editor .note')?.textContent.includes('{words}')"))
            .await;
        assert_eq!(browser.run(EDITOR).await, "third");
    }
    browser.reload().await;
    browser.until("return document.querySelector('.editor textarea')?.value === 'third'").await;
    browser.run_with(FAIL, &["429"]).await;
    browser.press(ENTER).await;
    browser
        .until("return /saved in 1 s/.test(document.querySelector('.editor .note')?.textContent)")
        .await;
    browser.run_with(FAIL, &[""]).await;
    expect_texts(&browser, &["of another", "third"]).await;
    edit(&browser, "given up").await;
    browser.press(ESCAPE).await;
    browser.until("return document.querySelector('.editor') === null").await;
    expect_texts(&browser, &["of another", "third"]).await;

    // The message of another client cannot be changed: the key is a letter for the box.
    browser.run("document.querySelector('.message a.when').focus()").await;
    browser.press('e').await;
    assert_eq!((browser.run(EDITOR).await, browser.value("#message").await), (json!(null), "e".to_owned()));

    browser.run(FOCUS).await;
    browser.press('\u{e017}').await; // Delete
    browser
        .until("return document.querySelector('dialog[open] .excerpt')?.textContent === 'third'")
        .await;
    browser.run_with(FAIL, &["0"]).await;
    browser.click("dialog[open] .danger").await;
    browser
        .until("return /It was not deleted/.test(document.querySelector('dialog[open] .error')?.textContent)")
        .await;
    browser.run_with(FAIL, &[""]).await;
    browser.click("dialog[open] .danger").await;
    expect_texts(&browser, &["of another"]).await;
    browser.reload().await;
    browser.live().await;
    expect_texts(&browser, &["of another"]).await;
}
