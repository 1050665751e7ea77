//! Reading back: older messages, links to a message, and the limit of lines on a page.

use crate::support::{Browser, Node, Redis};

/// The most lines in the log at any time: 500 messages, and lines for days and gaps.
const MAX_LINES: u64 = 520;

/// Returns the text of the first message in the log.
async fn first_text(browser: &Browser) -> String {
    let text = browser.run("return document.querySelector('.message .text').textContent").await;
    text.as_str().expect("a text").to_owned()
}

/// Returns the number of lines in the log.
async fn line_count(browser: &Browser) -> u64 {
    browser
        .run("return document.querySelector('.lines').childElementCount")
        .await
        .as_u64()
        .expect("a number")
}

/// Scrolls to the top and waits for older messages. Returns by how many pixels the messages in view moved.
async fn load_older(browser: &Browser) -> f64 {
    let jump = "const log = document.querySelector('.messages');
        const seen = document.querySelector('.message');
        log.scrollTop = 0;
        const before = seen.getBoundingClientRect().top;
        return new Promise((done) => {
            const look = () => seen === document.querySelector('.message') ? requestAnimationFrame(look)
                : requestAnimationFrame(() => done(seen.getBoundingClientRect().top - before));
            look();
        })";
    browser.run(jump).await.as_f64().expect("a number")
}

/// Returns the numbers in texts like `message 7`.
fn numbers(texts: impl Iterator<Item = String>) -> Vec<usize> {
    texts.map(|text| text.trim_start_matches("message ").parse().expect("a number")).collect()
}

#[tokio::test]
async fn scrolling_up_loads_older_messages_without_a_jump() {
    let node = Node::start(&[]).await;
    node.fill("lobby", 270).await;
    let browser = Browser::in_lobby(&node).await;
    for expected in [121, 21, 1] {
        let moved = load_older(&browser).await;
        assert!(moved.abs() < 1.5, "the messages in view moved by {moved} px");
        assert_eq!(first_text(&browser).await, format!("message {expected}"));
    }
    assert_eq!(browser.non_empty_text(".start").await, "This is where the room begins.");
    let lines = browser.messages().await;
    assert_eq!(numbers(lines.into_iter().map(|line| line.text)), (1..=270).collect::<Vec<_>>());
    assert_eq!(browser.run("return document.querySelectorAll('.day').length").await, 1, "the day is named once");
    assert_eq!(browser.console().await, [""; 0]);
}

#[tokio::test]
async fn older_messages_are_read_once_the_store_is_back() {
    let mut redis = Redis::durable().await;
    let node = Node::on(&redis, &[]).await;
    node.fill("lobby", 70).await;
    let browser = Browser::in_lobby(&node).await;
    redis.kill();
    browser.run("document.querySelector('.messages').scrollTop = 0").await;
    browser
        .until("return document.querySelector('.start').textContent.endsWith('cannot be read now.')")
        .await;
    redis.restart().await;
    browser
        .until("return document.querySelector('.start').textContent === 'This is where the room begins.'")
        .await;
    let lines = browser.messages().await;
    assert_eq!(numbers(lines.into_iter().map(|line| line.text)), (1..=70).collect::<Vec<_>>());
}

#[tokio::test]
async fn page_holds_about_500_messages_and_returns_to_the_newest() {
    let node = Node::start(&[]).await;
    node.fill("lobby", 720).await;
    let browser = Browser::in_lobby(&node).await;
    while first_text(&browser).await != "message 1" {
        load_older(&browser).await;
        assert!(line_count(&browser).await <= MAX_LINES, "{} lines", line_count(&browser).await);
    }
    let lines = browser.messages().await;
    assert!(lines.len() > 450, "{} messages", lines.len());
    let shown = numbers(lines.into_iter().map(|line| line.text));
    assert_eq!(shown, (1..=shown.len()).collect::<Vec<_>>(), "nothing is missing, nothing is repeated");
    node.post("lobby", "mason", "message 721").await;
    browser.until("return document.querySelector('.newer').textContent === '1 new'").await;
    browser.run("document.querySelector('.messages').scrollTop = 1e6").await;
    let more = format!(
        "return [...document.querySelectorAll('.message')].at(-1).textContent.includes('message {}')",
        shown.len() + 100
    );
    browser.until(&more).await;
    assert!(line_count(&browser).await <= MAX_LINES, "{} lines", line_count(&browser).await);
    browser.click(".newer").await;
    browser.messages_up_to("message 721").await;
    browser
        .until(
            "const log = document.querySelector('.messages');
        return log.scrollHeight - log.scrollTop - log.clientHeight < 2",
        )
        .await;
    let shown = numbers(browser.messages().await.into_iter().map(|line| line.text));
    assert_eq!(shown, (shown[0]..=721).collect::<Vec<_>>(), "nothing is missing, nothing is repeated");
    for number in 722..=740 {
        node.post("lobby", "mason", &format!("message {number}")).await;
    }
    browser.messages_up_to("message 740").await;
}

/// On a page that is open all day, live messages replace the oldest ones.
#[tokio::test]
async fn page_that_follows_the_end_drops_the_oldest_messages() {
    let node = Node::start(&[]).await;
    let browser = Browser::in_lobby(&node).await;
    node.fill("lobby", 600).await;
    let lines = browser.messages_up_to("message 600").await;
    assert!((400..=MAX_LINES as usize).contains(&lines.len()), "{} messages", lines.len());
    let shown = numbers(lines.into_iter().map(|line| line.text));
    assert_eq!(shown, (shown[0]..=600).collect::<Vec<_>>());
    assert_eq!(browser.run("return document.querySelector('.lines').firstElementChild.className").await, "day");
}

/// Returns the text of the message that the address names if it is in view, or else false.
const TARGET_TEXT: &str = "const marked = document.querySelector('.message:target');
    const log = document.querySelector('.messages').getBoundingClientRect();
    const box = marked?.getBoundingClientRect();
    return Boolean(marked) && box.top >= log.top && box.bottom <= log.bottom && marked.querySelector('.text').textContent";

/// Waits until the message that the address names is in view and has this text.
async fn wait_until_shown(browser: &Browser, text: &str) {
    browser
        .until(&format!("const shown = (() => {{ {TARGET_TEXT} }})(); return shown === '{text}'"))
        .await;
}

#[tokio::test]
async fn message_link_opens_the_room_at_the_message() {
    let node = Node::start(&[]).await;
    let ids = node.fill("lobby", 400).await;
    let browser = Browser::start().await;
    for number in [100, 380] {
        browser.open("about:blank").await;
        browser.open(&node.url(&format!("/lobby#{}", ids[number - 1]))).await;
        wait_until_shown(&browser, &format!("message {number}")).await;
    }
    node.post("lobby", "mason", "news").await;
    browser.messages_up_to("news").await;
    wait_until_shown(&browser, "message 380").await;
    let shown = browser.messages().await.len();
    browser.run(&format!("location.hash = '{}'", ids[49])).await;
    wait_until_shown(&browser, "message 50").await;
    assert!(browser.messages().await.len() > shown, "older messages were loaded");
}

#[tokio::test]
async fn time_of_a_message_links_to_it() {
    let node = Node::start(&[]).await;
    let ids = node.fill("caf%C3%A9", 60).await;
    let browser = Browser::start().await;
    browser.open(&node.url("/caf%C3%A9")).await;
    browser.complete().await;
    browser.run(&format!("document.getElementById('{}').querySelector('time').click()", ids[30])).await;
    wait_until_shown(&browser, "message 31").await;
    assert_eq!(browser.run("return location.pathname + location.hash").await, format!("/caf%C3%A9#{}", ids[30]));
}

#[tokio::test]
async fn link_to_a_trimmed_message_says_so_in_its_place() {
    let node = Node::start(&[("HISTORY", "120")]).await;
    let ids = node.fill("lobby", 300).await;
    let browser = Browser::start().await;
    browser.open(&node.url(&format!("/lobby#{}", ids[10]))).await;
    browser.until("return document.querySelector('.lost') !== null").await;
    assert_eq!(browser.text(".lost").await, "The message of this link is no longer kept.");
    browser
        .until(
            "const { top, bottom } = document.querySelector('.lost').getBoundingClientRect();
        return top > 0 && bottom < innerHeight",
        )
        .await;
    let above = "return document.querySelector('.lost').previousElementSibling?.dataset.id ?? ''";
    assert_eq!(browser.run(above).await, "", "the notice stands above the oldest message");
    assert_eq!(browser.text(".start").await, "What came before is no longer kept.");
}
