//! The recipes that are pages, in Chromium.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Chat, Recipe, Served};
use crate::support::{Browser, Node, Tab, wait_for};

/// A text that would run a script if it were taken for markup.
const MARKUP: &str = "<img src=x onerror=hacked=1> & 'more'";

const SECRET: &str = "0123456789abcdef";

/// Waits until a page shows as many lines as expected, which have to be these.
async fn assert_shown(browser: &Browser, expected: &[String]) {
    const LINES: &str = "return [...document.querySelectorAll('.message')].map((line) => line.textContent)";
    let shown = wait_for(&format!("{} messages", expected.len()), async || {
        let shown = browser.run(LINES).await;
        (shown.as_array()?.len() >= expected.len()).then_some(shown)
    })
    .await;
    assert_eq!(shown, json!(expected));
    let markup = "return [window.hacked ?? null, document.querySelectorAll('.message *').length]";
    assert_eq!(browser.run(markup).await, json!([Value::Null, 0]));
}

/// A page of a recipe that is open.
struct Page {
    browser: Browser,
    chat: Chat,
    _site: Served,
    lines: Vec<String>,
}

/// A page shows what was said before and since, sends, and goes on at another node when its own is killed.
async fn page_of(recipe: &str) -> Page {
    let recipe = Recipe::new(recipe).await;
    let mut chat = Chat::start(&recipe.chat_environment()).await;
    let site = recipe.serve(&chat.url()).await;
    let browser = Browser::start().await;
    chat.node().post("everyone", "ada", MARKUP).await;
    let mut lines = vec![format!("ada: {MARKUP}")];
    browser.open(&format!("{}/", site.url)).await;
    assert_shown(&browser, &lines).await;
    browser.type_into("input[name=sender]", "O'Neil").await;
    browser.type_into("input[name=message]", MARKUP).await;
    browser.click("form button").await;
    lines.push(format!("O'Neil: {MARKUP}"));
    assert_shown(&browser, &lines).await;
    chat.kill_a_node_with_streams().await;
    for number in 1..=20 {
        chat.node().post("everyone", "mason", &number.to_string()).await;
        lines.push(format!("mason: {number}"));
    }
    assert_shown(&browser, &lines).await;
    browser.type_into("input[name=message]", "afterwards").await;
    browser.click("form button").await;
    lines.push("O'Neil: afterwards".to_owned());
    assert_shown(&browser, &lines).await;
    Page { browser, chat, _site: site, lines }
}

/// Posts a message with a secret, and returns its id.
async fn post_own(node: &Node, text: &str) -> String {
    node.publish("everyone", json!({ "sender": "ada", "message": text, "secret": SECRET })).await.id()
}

/// The page shows edits and deletions, too.
async fn page_with_edits_of(recipe: &str) {
    let mut page = page_of(recipe).await;
    let (browser, node) = (&page.browser, page.chat.node());
    let (first, second) = (post_own(node, "first").await, post_own(node, "second").await);
    let edit = node.request(Method::PATCH, &format!("/history/everyone/{second}"));
    node.send(edit.json(&json!({ "secret": SECRET, "message": MARKUP }))).await.expect(200);
    let delete = node.request(Method::DELETE, &format!("/history/everyone/{first}"));
    node.send(delete.json(&json!({ "secret": SECRET }))).await.expect(200);
    node.post("everyone", "ada", "last").await;
    wait_for("the last message", async || {
        let text = browser.run("return document.querySelector('[role=log]').textContent").await;
        text.as_str()?.contains("ada: last").then_some(())
    })
    .await;
    page.lines.extend([format!("ada: {MARKUP}"), "ada: last".to_owned()]);
    assert_shown(browser, &page.lines).await;
}

#[tokio::test]
async fn plain_page_survives_a_killed_node() {
    page_with_edits_of("page").await;
}

#[tokio::test]
async fn page_with_htmx_survives_a_killed_node() {
    page_of("htmx").await;
}

#[tokio::test]
async fn page_with_react_survives_a_killed_node() {
    page_with_edits_of("react").await;
}

#[tokio::test]
async fn page_with_vue_survives_a_killed_node() {
    page_with_edits_of("vue").await;
}

/// Waits until a script returns a text that is right, in a tab.
async fn text_in(browser: &Browser, tab: &Tab, script: &str, right: impl Fn(&str) -> bool) -> String {
    wait_for(script, async || {
        let text = browser.run_in(tab, script).await.as_str()?.to_owned();
        right(&text).then_some(text)
    })
    .await
}

#[tokio::test]
async fn django_lets_only_those_in_who_have_signed_in() {
    let recipe = Recipe::new("django").await;
    let mut hub = Chat::start(&recipe.chat_environment()).await;
    let site = recipe.serve(&hub.url()).await;
    let browser = Browser::start().await;
    browser.open(&format!("{}/", site.url)).await;
    // The CSRF token is right, so only the session is missing.
    let ask = "const { value } = document.querySelector('[name=csrfmiddlewaretoken]');
        const body = new URLSearchParams({ channel: arguments[0] });
        const headers = { 'X-CSRFToken': value };
        const answer = await fetch('/eshq/socket', { method: 'POST', headers, body });
        return `${answer.status} ${await answer.text()}`";
    let ask = format!("return (async (...arguments) => {{ {ask} }})(...arguments)");
    assert_eq!(browser.run_with(&ask, &["orders"]).await, json!("403 Sign in first."));
    browser.type_into("[name=user]", "ada").await;
    browser.click("button").await;
    browser.until("return document.querySelector('[role=status]')?.textContent === 'live'").await;
    assert_eq!(browser.run_with(&ask, &["other"]).await, json!("403 There is no such channel."));
    let order = async |item: &str| {
        browser.type_into("[name=item]", item).await;
        browser.click("button").await;
    };
    order("tea").await;
    let shown = |expected: &[&str]| {
        format!(
            "return JSON.stringify([...document.querySelectorAll('li')].map((li) => li.textContent)) === {}",
            json!(json!(expected).to_string())
        )
    };
    browser.until(&shown(&["tea, by ada"])).await;
    hub.kill_a_node_with_streams().await;
    order("<b>cake</b>").await;
    browser.until(&shown(&["tea, by ada", "<b>cake</b>, by ada"])).await;
    browser.reload().await;
    browser.until(&shown(&["tea, by ada", "<b>cake</b>, by ada"])).await;
}

#[tokio::test]
async fn answer_of_an_ai_survives_reload_tab_and_killed_node() {
    const ANSWER: &str = "return document.querySelector('.answer')?.textContent ?? null";
    const DONE: &str = "return document.querySelector('.answer[data-state=done]')?.textContent ?? null";
    let words = |text: &str| text.split_whitespace().count();
    let recipe = Recipe::new("ai-answer").await;
    let mut hub = Chat::start(&recipe.chat_environment()).await;
    let site = recipe.serve(&hub.url()).await;
    let browser = Browser::start().await;
    browser.open(&format!("{}/", site.url)).await;
    let first = browser.current_tab().await;
    browser.type_into("[name=question]", "Does it survive?").await;
    browser.click("button").await;
    text_in(&browser, &first, ANSWER, |text| words(text) > 5).await;
    browser.reload().await;
    let at_reload = text_in(&browser, &first, ANSWER, |text| words(text) > 5).await;
    let second = browser.open_tab(&format!("{}{}", site.url, browser.path().await)).await;
    text_in(&browser, &second, ANSWER, |text| words(text) >= words(&at_reload)).await;
    hub.kill_a_node_with_streams().await;
    let at_kill = text_in(&browser, &second, ANSWER, |_| true).await;
    let full = text_in(&browser, &first, DONE, |_| true).await;
    let expected: Vec<String> = (1..=40).map(|n| format!("Sentence {n} is stored before it is shown.")).collect();
    assert_eq!(full, expected.join(" "));
    assert!(words(&at_kill) < words(&full), "the node was killed after the end of the answer");
    assert_eq!(text_in(&browser, &second, DONE, |_| true).await, full);
    browser.reload().await;
    assert_eq!(text_in(&browser, &second, DONE, |_| true).await, full);
    let questions = "return [...document.querySelectorAll('.question')].map((line) => line.textContent).join()";
    assert_eq!(browser.run_in(&second, questions).await, json!("Does it survive?"));
}
