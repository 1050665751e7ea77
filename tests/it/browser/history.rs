//! Reading back: older messages, links to a message, and the limit of lines on a page.

use crate::support::{Browser, Node};

/// Lines in the log at any time, about.
const MOST: u64 = 520;

async fn first(browser: &Browser) -> String {
    let text = browser.run("return document.querySelector('.message .text').textContent").await;
    text.as_str().expect("a text").to_owned()
}

async fn count(browser: &Browser) -> u64 {
    browser
        .run("return document.querySelector('.lines').childElementCount")
        .await
        .as_u64()
        .expect("a number")
}

/// Scrolls to the top, and waits until older messages stand there; gives by how many pixels what was read has moved.
async fn further_back(browser: &Browser) -> f64 {
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

fn numbers(texts: impl Iterator<Item = String>) -> Vec<usize> {
    texts.map(|text| text.trim_start_matches("message ").parse().expect("a number")).collect()
}

#[tokio::test]
async fn scrolling_up_loads_older_messages_without_a_jump() {
    let node = Node::start(&[]).await;
    node.fill("lobby", 270).await;
    let browser = Browser::start().await;
    browser.open(&node.url("/lobby")).await;
    browser.whole().await;
    for expected in [121, 21, 1] {
        let moved = further_back(&browser).await;
        assert!(moved.abs() < 1.5, "what was read moved by {moved} px");
        assert_eq!(first(&browser).await, format!("message {expected}"));
    }
    assert_eq!(browser.said(".start").await, "This is where the room begins.");
    let lines = browser.lines().await;
    assert_eq!(numbers(lines.into_iter().map(|line| line.text)), (1..=270).collect::<Vec<_>>());
    assert_eq!(browser.run("return document.querySelectorAll('.day').length").await, 1, "the day is named once");
    assert_eq!(browser.console().await, [""; 0]);
}

#[tokio::test]
async fn page_holds_about_500_messages_and_returns_to_the_newest() {
    let node = Node::start(&[]).await;
    node.fill("lobby", 720).await;
    let browser = Browser::start().await;
    browser.open(&node.url("/lobby")).await;
    browser.whole().await;
    while first(&browser).await != "message 1" {
        further_back(&browser).await;
        assert!(count(&browser).await <= MOST, "{} lines", count(&browser).await);
    }
    let lines = browser.lines().await;
    assert!(lines.len() > 450, "{} messages", lines.len());
    let shown = numbers(lines.into_iter().map(|line| line.text));
    assert_eq!(shown, (1..=shown.len()).collect::<Vec<_>>(), "no hole and nothing twice");
    node.post("lobby", "mason", "message 721").await;
    browser.until("return document.querySelector('.newer').textContent === '1 new ↓'").await;
    browser.run("document.querySelector('.messages').scrollTop = 1e6").await;
    let more = format!(
        "return [...document.querySelectorAll('.message')].at(-1).textContent.includes('message {}')",
        shown.len() + 100
    );
    browser.until(&more).await;
    assert!(count(&browser).await <= MOST, "{} lines", count(&browser).await);
    browser.click(".newer").await;
    browser.lines_to("message 721").await;
    browser
        .until(
            "const log = document.querySelector('.messages');
        return log.scrollHeight - log.scrollTop - log.clientHeight < 2",
        )
        .await;
    let shown = numbers(browser.lines().await.into_iter().map(|line| line.text));
    assert_eq!(shown, (shown[0]..=721).collect::<Vec<_>>(), "no hole and nothing twice");
    for number in 722..=740 {
        node.post("lobby", "mason", &format!("message {number}")).await;
    }
    browser.lines_to("message 740").await;
}

/// A page that is open all day: what comes live pushes out what is old.
#[tokio::test]
async fn page_that_follows_the_end_drops_the_oldest_messages() {
    let node = Node::start(&[]).await;
    let browser = Browser::start().await;
    browser.open(&node.url("/lobby")).await;
    browser.whole().await;
    node.fill("lobby", 600).await;
    let lines = browser.lines_to("message 600").await;
    assert!((400..=MOST as usize).contains(&lines.len()), "{} messages", lines.len());
    let shown = numbers(lines.into_iter().map(|line| line.text));
    assert_eq!(shown, (shown[0]..=600).collect::<Vec<_>>());
    assert_eq!(browser.run("return document.querySelector('.lines').firstElementChild.className").await, "day");
}

const SHOWN: &str = "const marked = document.querySelector('.message:target');
    const log = document.querySelector('.messages').getBoundingClientRect();
    const box = marked?.getBoundingClientRect();
    return Boolean(marked) && box.top >= log.top && box.bottom <= log.bottom && marked.querySelector('.text').textContent";

async fn shows(browser: &Browser, text: &str) {
    browser.until(&format!("const shown = (() => {{ {SHOWN} }})(); return shown === '{text}'")).await;
}

#[tokio::test]
async fn message_link_opens_the_room_at_the_message() {
    let node = Node::start(&[]).await;
    let ids = node.fill("lobby", 400).await;
    let browser = Browser::start().await;
    for number in [100, 380] {
        browser.open("about:blank").await;
        browser.open(&node.url(&format!("/lobby#{}", ids[number - 1]))).await;
        shows(&browser, &format!("message {number}")).await;
    }
    node.post("lobby", "mason", "news").await;
    browser.lines_to("news").await;
    shows(&browser, "message 380").await;
    let shown = browser.lines().await.len();
    browser.run(&format!("location.hash = '{}'", ids[49])).await;
    shows(&browser, "message 50").await;
    assert!(browser.lines().await.len() > shown, "it was read back to");
}

#[tokio::test]
async fn time_of_a_message_links_to_it() {
    let node = Node::start(&[]).await;
    let ids = node.fill("caf%C3%A9", 60).await;
    let browser = Browser::start().await;
    browser.open(&node.url("/caf%C3%A9")).await;
    browser.whole().await;
    browser.run(&format!("document.getElementById('{}').querySelector('time').click()", ids[30])).await;
    shows(&browser, "message 31").await;
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
    assert_eq!(browser.run(above).await, "", "it stands above what is kept");
    assert_eq!(browser.text(".start").await, "What came before is no longer kept.");
}
