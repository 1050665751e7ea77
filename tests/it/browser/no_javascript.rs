//! The page in a browser that runs no scripts.

use serde_json::json;

use super::assert_once;
use crate::support::{Browser, Node};

#[tokio::test]
async fn form_without_javascript_posts_and_shows_the_message() {
    let node = Node::start(&[]).await;
    let browser = Browser::without_javascript().await;
    browser.open(&node.url("/lobby")).await;
    assert_eq!(browser.text("p.status").await, "", "a script ran");
    browser.send("ada", "no scripts here").await;
    assert_eq!(browser.path().await, "/lobby");
    let lines = browser.messages_up_to("no scripts here").await;
    assert_once(&lines, &["no scripts here"]);
    assert_eq!(lines[0].sender, "ada");
}

#[tokio::test]
async fn without_javascript_a_reload_link_shows_the_newest_message() {
    let node = Node::start(&[]).await;
    let browser = Browser::without_javascript().await;
    node.fill("caf%C3%A9", 49).await;
    browser.open(&node.url("/caf%C3%A9")).await;
    node.post("caf%C3%A9", "mason", "news").await;
    browser.click("noscript a").await;
    browser.messages_up_to("news").await;
    let sight = "const { top, bottom } = [...document.querySelectorAll('.message')].at(-1).getBoundingClientRect();
        const log = document.querySelector('.messages').getBoundingClientRect();
        return top >= log.top && bottom <= log.bottom + 1";
    assert_eq!(browser.run(sight).await, true);
    let headings = "return [...document.querySelectorAll('.day')].map(({ textContent }) => /^\\w{3}, \\d+ \\w+ \\d{4}$/.test(textContent))";
    assert_eq!(browser.run(headings).await, json!([true]), "the day is a heading");
    let faces = "const [first, second] = document.querySelectorAll('.message');
        const hue = (line) => line.className.match(/\\bh\\d+/)[0];
        return [first.querySelector('.tile').textContent, second.classList.contains('again'), hue(first) === hue(second)]";
    assert_eq!(browser.run(faces).await, json!(["M", true, true]));
    let useless =
        "return [...document.querySelectorAll('.js, .people, .newer')].filter((each) => each.checkVisibility()).length";
    assert_eq!(browser.run(useless).await, 0, "what needs JavaScript is not shown");
    browser.send("ada", "me too").await;
    assert_eq!(browser.path().await, "/caf%C3%A9");
    assert_eq!(browser.messages_up_to("me too").await.last().unwrap().sender, "ada");
}
